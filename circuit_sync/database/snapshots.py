"""Snapshots: what each circuit's state was at the end of a date, computed from history."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import Connection, text

_PROGRESS = "total_miles, miles_planned, percent_complete, total_acres"
_UNITS = ("total_units", "total_linear_ft", "total_trees", "units_approved", "units_refused", "units_pending")
_STATE = "region_id, taken_by, api_status, workflow_stage"
_COLUMNS = f"circuit_id, snapshot_date, snapshot_type, {_STATE}, {_PROGRESS}, {', '.join(_UNITS)}, as_of, created_at"


def _qualified(alias: str, names: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in names.split(", "))


_LATEST_UNITS = ", ".join(f"coalesce(a.{name}, 0)" for name in _UNITS)

_REPLACE = text("""
    DELETE FROM circuit_snapshots
    WHERE snapshot_type = 'daily' AND snapshot_date = ANY(:dates) AND NOT is_imported
""")

_DATES = "CAST(:dates AS date[])"
_UNTILS = "CAST(:untils AS timestamptz[])"

_TAKE = text(f"""
    WITH states AS (
        SELECT h.*, number
        FROM circuit_history AS h, LATERAL generate_series(
            1 + width_bucket(h.valid_from - interval '1 microsecond', {_UNTILS}),
            coalesce(width_bucket(h.valid_to - interval '1 microsecond', {_UNTILS}), cardinality({_UNTILS}))) AS number
        WHERE h.api_status <> 'CLOSE' AND NOT h.is_excluded AND h.departed_at IS NULL),
    needed AS MATERIALIZED (
        SELECT c.id AS circuit_id, coalesce(max(a.aggregate_date), '-infinity') AS since
        FROM circuits AS c LEFT JOIN circuit_aggregates AS a
            ON a.circuit_id = c.id AND NOT a.is_rollup AND a.aggregate_date <= ({_DATES})[1]
        GROUP BY c.id),
    known AS (
        SELECT a.circuit_id, a.aggregate_date, {_qualified("a", ", ".join(_UNITS))},
               lead(a.aggregate_date) OVER (PARTITION BY a.circuit_id ORDER BY a.aggregate_date) AS replaced
        FROM needed AS n JOIN circuit_aggregates AS a ON a.circuit_id = n.circuit_id AND a.aggregate_date >= n.since
        WHERE NOT a.is_rollup AND a.aggregate_date <= ({_DATES})[cardinality({_DATES})]),
    units AS (
        SELECT known.*, number
        FROM known, LATERAL generate_series(
            1 + width_bucket(aggregate_date - 1, {_DATES}),
            coalesce(width_bucket(replaced - 1, {_DATES}), cardinality({_DATES}))) AS number)
    INSERT INTO circuit_snapshots ({_COLUMNS})
    SELECT h.circuit_id, ({_DATES})[number], 'daily', {_qualified("h", _STATE)}, {_qualified("h", _PROGRESS)},
           {_LATEST_UNITS}, least(({_UNTILS})[number], :now), :now
    FROM states AS h LEFT JOIN units AS a USING (circuit_id, number)
""")
"""What lasts from one instant to another (a state) and from one date to another (the totals of units) is spread over
the numbers of the dates that end meanwhile, and joined by number: a year costs hardly more than writing its rows.
``width_bucket`` counts the dates, or their ends, up to a bound; to leave out the bound it is asked for just below it.
"""

_COUNT = text("""
    SELECT snapshot_date, count(*) AS snapshots, count(*) FILTER (WHERE is_imported) AS imported FROM circuit_snapshots
    WHERE snapshot_type = 'daily' AND snapshot_date = ANY(:dates) GROUP BY snapshot_date
""")

_HISTORY_BEGINS = text("SELECT min(valid_from) FROM circuit_history")

_STATUS_CHANGES = text(f"""
    INSERT INTO circuit_snapshots ({_COLUMNS})
    SELECT c.id, :day, 'status_change', {_qualified("h", _STATE)}, {_qualified("h", _PROGRESS)}, {_LATEST_UNITS},
    :now, :now
    FROM changes AS x
    JOIN circuits AS c ON c.id = x.circuit_id
    JOIN circuit_history AS h ON h.circuit_id = c.id AND h.valid_to IS NULL
    LEFT JOIN LATERAL (
        SELECT * FROM circuit_aggregates WHERE circuit_id = c.id AND NOT is_rollup
        ORDER BY aggregate_date DESC LIMIT 1) AS a ON true
    WHERE x.old_status <> x.new_status
    ORDER BY c.id
""")


def replace_snapshots(
    connection: Connection, untils: Mapping[date, datetime], now: datetime
) -> dict[date, dict[str, int]]:
    """Replaces the daily snapshots of each date by the state at its instant; returns what each date has then:
    ``snapshots`` and, if there are any among them, ``imported`` ones.

    Circuits closed, excluded or departed then are left out; what was imported is kept. ``untils``: the last instant
    that counts for each date; if it is to come, the state now counts.
    """
    dates = sorted(untils)
    connection.execute(_REPLACE, {"dates": dates})
    connection.execute(_TAKE, {"dates": dates, "untils": [untils[day] for day in dates], "now": now})
    per_date = {day: {"snapshots": 0} for day in dates}
    for row in connection.execute(_COUNT, {"dates": dates}):
        per_date[row.snapshot_date]["snapshots"] = row.snapshots
        if row.imported:
            per_date[row.snapshot_date]["imported"] = row.imported
    return per_date


def history_begins(connection: Connection) -> datetime | None:
    """The first instant that history knows of."""
    begins: datetime | None = connection.scalar(_HISTORY_BEGINS)
    return begins


def snapshot_status_changes(connection: Connection, day: date, now: datetime) -> None:
    """A ``status_change`` snapshot of every circuit whose status this transaction changes (table ``changes``)."""
    connection.execute(_STATUS_CHANGES, {"day": day, "now": now})
