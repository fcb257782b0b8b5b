"""Roll-ups of the daily snapshots by region and by planner: levels at the end of a date, differences over it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.domain.eastern import weekdays_between

UNIT_LEVELS = ("total_units", "total_trees", "units_approved", "units_refused", "units_pending", "total_linear_ft")
CHANGING = ("miles_planned", "total_units", "units_approved", "units_refused", "units_pending")

_MEASURES = (
    "total_miles",
    "miles_planned",
    "miles_remaining",
    *UNIT_LEVELS,
    *(f"{name}_change" for name in CHANGING),
)
_SUMS = ", ".join(
    f"sum({name})" if name != "miles_remaining" else "sum(total_miles - miles_planned)" for name in _MEASURES
)

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('circuit_sync roll-ups', 0))")

_DATES = "CAST(:dates AS date[])"

_CHANGED = f"""
    WITH before AS (
        SELECT p.* FROM circuits AS c, LATERAL (
            SELECT circuit_id, {", ".join(CHANGING)} FROM circuit_snapshots
            WHERE circuit_id = c.id AND snapshot_type = 'daily' AND snapshot_date < ({_DATES})[1]
            ORDER BY snapshot_date DESC LIMIT 1) AS p),
    changed AS (
        SELECT s.*, {
    ", ".join(f"coalesce(s.{x} - coalesce(lag(s.{x}) OVER dated, b.{x}), 0) AS {x}_change" for x in CHANGING)
}
        FROM circuit_snapshots AS s LEFT JOIN before AS b USING (circuit_id)
        WHERE s.snapshot_type = 'daily'
          AND s.snapshot_date BETWEEN ({_DATES})[1] AND ({_DATES})[cardinality({_DATES})]
        WINDOW dated AS (PARTITION BY s.circuit_id ORDER BY s.snapshot_date)),
    wanted AS (SELECT * FROM changed WHERE snapshot_date = ANY({_DATES}))
"""
"""A snapshot's differences to the one before it of the same circuit, however long ago; 0 if it is the circuit's first:
what was planned when the circuit was first seen was not planned on that day.
"""

_DROP_REGIONS = text(f"DELETE FROM regional_daily WHERE snapshot_date = ANY({_DATES})")
_ADD_REGIONS = text(f"""
    {_CHANGED}
    INSERT INTO regional_daily (
        snapshot_date, region_id, circuits, circuits_activ, circuits_qc, circuits_rewrk, stage_active,
        stage_pending_permissions, stage_qc, stage_rework, stage_closed, {", ".join(_MEASURES)}, computed_at)
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
    FROM wanted GROUP BY snapshot_date, region_id
""")

_DROP_PLANNERS = text(f"DELETE FROM planner_daily WHERE snapshot_date = ANY({_DATES})")
_ADD_PLANNERS = text(f"""
    {_CHANGED},
    held AS (
        SELECT snapshot_date, lower(taken_by) AS planner, max(taken_by) AS taken_by, region_id, count(*) AS circuits,
               {", ".join(f"{total} AS {name}" for name, total in zip(_MEASURES, _SUMS.split(", "), strict=True))}
        FROM wanted GROUP BY snapshot_date, lower(taken_by), region_id)
    INSERT INTO planner_daily (
        snapshot_date, taken_by, user_id, region_id, circuits, {", ".join(_MEASURES)}, computed_at)
    SELECT h.snapshot_date, h.taken_by, coalesce(u.id, p.linked_user_id), h.region_id, h.circuits,
           {", ".join(f"h.{name}" for name in _MEASURES)}, :now
    FROM held AS h
    LEFT JOIN users AS u ON lower(u.ws_username) = h.planner
    LEFT JOIN unlinked_planners AS p ON lower(p.ws_username) = h.planner
""")

# Of every circuit, also one without an earlier snapshot: it may have had one until a date was replaced.
_FOLLOWING = text("""
    SELECT DISTINCT follower.snapshot_date FROM circuits AS c, LATERAL (
        SELECT snapshot_date FROM circuit_snapshots
        WHERE circuit_id = c.id AND snapshot_type = 'daily' AND snapshot_date > :last
        ORDER BY snapshot_date LIMIT 1) AS follower
""")


def replace_regional_daily(connection: Connection, dates: Sequence[date], now: datetime) -> None:
    """Computes anew all from the first to the last of ``dates``, and the dates whose differences refer to these."""
    _replace(connection, _DROP_REGIONS, _ADD_REGIONS, dates, now)


def replace_planner_daily(connection: Connection, dates: Sequence[date], now: datetime) -> None:
    """The same by planner (a name's case does not matter) and region, with the user whom the planner is linked to."""
    _replace(connection, _DROP_PLANNERS, _ADD_PLANNERS, dates, now)


def _replace(connection: Connection, drop: Any, add: Any, dates: Sequence[date], now: datetime) -> None:
    connection.execute(_ONE_AT_A_TIME)
    referring = connection.scalars(_FOLLOWING, {"last": max(dates)})
    parameters = {"dates": sorted({*weekdays_between(min(dates), max(dates)), *referring})}
    connection.execute(drop, parameters)
    connection.execute(add, parameters | {"now": now})
