"""Roll-ups of the daily snapshots by region and by planner: levels at the end of a date, differences over it.

Levels add own values, so that each mile of a split work order counts once.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops
from circuit_sync.database.locks import ROLL_UPS, take_until_end
from circuit_sync.database.progress.differences import CHANGING, dated_snapshots, dates_that_refer
from circuit_sync.database.progress.states import UNITS
from circuit_sync.domain.eastern import weekdays_between

_OWN_TOTAL = "coalesce(own_total_miles, total_miles)"
_OWN_PLANNED = "coalesce(own_miles_planned, miles_planned)"
_LEVELS = {
    "total_miles": f"sum({_OWN_TOTAL})",
    "miles_planned": f"sum({_OWN_PLANNED})",
    "miles_remaining": f"sum({_OWN_TOTAL} - {_OWN_PLANNED})",
} | {name: f"sum({name})" for name in (*UNITS, "units_pending_over_14_days")}
_MEASURES = (
    _LEVELS
    | {"oldest_pending_on": "min(oldest_pending_on)"}
    | {f"{name}_change": f"sum({name}_change)" for name in CHANGING}
)
_NAMES, _SUMS = ", ".join(_MEASURES), ", ".join(_MEASURES.values())

_DROP_REGIONS = text("DELETE FROM regional_daily WHERE snapshot_date = ANY(:dates)")
_ADD_REGIONS = text(f"""
    INSERT INTO regional_daily (
        snapshot_date, region_id, circuits, circuits_activ, circuits_qc, circuits_rewrk, stage_active,
        stage_pending_permissions, stage_qc, stage_rework, stage_closed, {_NAMES}, computed_at)
    SELECT snapshot_date, region_id, count(*),
           count(*) FILTER (WHERE api_status = 'ACTIV'),
           count(*) FILTER (WHERE api_status = 'QC'),
           count(*) FILTER (WHERE api_status = 'REWRK'),
           count(*) FILTER (WHERE workflow_stage = 'active'),
           count(*) FILTER (WHERE workflow_stage = 'pending_permissions'),
           count(*) FILTER (WHERE workflow_stage = 'qc'),
           count(*) FILTER (WHERE workflow_stage = 'rework'),
           count(*) FILTER (WHERE workflow_stage = 'closed'),
           {_SUMS}, :now
    FROM dated_snapshots GROUP BY snapshot_date, region_id
""")

_DROP_PLANNERS = text("DELETE FROM planner_daily WHERE snapshot_date = ANY(:dates)")
_ADD_PLANNERS = text(f"""
    INSERT INTO planner_daily (snapshot_date, taken_by, region_id, circuits, {_NAMES}, computed_at)
    SELECT snapshot_date, max(taken_by), region_id, sum(circuits),
           {", ".join(f"{'min' if name == 'oldest_pending_on' else 'sum'}({name})" for name in _MEASURES)}, :now
    FROM (SELECT snapshot_date, taken_by, region_id, count(*) AS circuits,
                 {", ".join(f"{total} AS {name}" for name, total in _MEASURES.items())}
          FROM dated_snapshots GROUP BY snapshot_date, taken_by, region_id) AS spelt
    GROUP BY snapshot_date, circuit_sync_fold(taken_by), region_id
""")
"""Folding costs more than adding: it is done for each spelling of a planner's name, not for each circuit."""

_DATES_HELD = text("SELECT DISTINCT snapshot_date FROM dated_snapshots")

_ROLLUPS = {"regional_daily": (_DROP_REGIONS, _ADD_REGIONS), "planner_daily": (_DROP_PLANNERS, _ADD_PLANNERS)}


def replace_rollups(
    connection: Connection, dates: Sequence[date], now: datetime, names: Sequence[str] = tuple(_ROLLUPS)
) -> list[date]:
    """Computes the roll-ups ``names`` anew, of all weekdays from the first to the last of ``dates`` and of the dates
    whose differences refer to these. Returns ``dates`` and the others that have snapshots, in their order. A planner is
    one, in whatever case the name is written.
    """
    take_until_end(connection, ROLL_UPS)
    replaced = sorted({*weekdays_between(min(dates), max(dates)), *dates_that_refer(connection, max(dates))})
    with dated_snapshots(connection, replaced), nested_loops(connection, allowed=False):
        for name in names:
            drop, add = _ROLLUPS[name]
            connection.execute(drop, {"dates": replaced})
            connection.execute(add, {"now": now})
        return sorted({*dates, *connection.scalars(_DATES_HELD)})
