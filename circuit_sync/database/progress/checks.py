"""Whether snapshots and roll-ups agree: which dates each table has, found by skipping through its index, and the sums
of some dates.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, text

from circuit_sync.domain.findings import DateHeld

_COMPARED = {
    "circuits": "count(*)",
    "total_miles": "sum(coalesce(own_total_miles, total_miles))",
    "miles_planned": "sum(coalesce(own_miles_planned, miles_planned))",
    "total_units": "sum(total_units)",
    "units_pending": "sum(units_pending)",
}
"""Column of the roll-ups → what it adds up of the snapshots."""

_TABLES = {"snapshots": "circuit_snapshots", "by_region": "regional_daily", "by_planner": "planner_daily"}


def _dates_of(name: str, table: str) -> str:
    daily = "AND snapshot_type = 'daily'" if table == "circuit_snapshots" else ""
    return f"""{name} (day) AS (
        SELECT min(snapshot_date) FROM {table} WHERE true {daily}
        UNION ALL
        SELECT (SELECT min(snapshot_date) FROM {table} WHERE snapshot_date > day {daily}) FROM {name}
        WHERE day IS NOT NULL)"""


_DATES = text(f"""
    WITH RECURSIVE {", ".join(_dates_of(name, table) for name, table in _TABLES.items())}
    SELECT day, array_remove(ARRAY[CASE WHEN s.day IS NULL THEN 'snapshots' END,
                                   CASE WHEN r.day IS NULL THEN 'by region' END,
                                   CASE WHEN p.day IS NULL THEN 'by planner' END], NULL) AS missing
    FROM snapshots AS s FULL JOIN by_region AS r USING (day) FULL JOIN by_planner AS p USING (day)
    WHERE day IS NOT NULL ORDER BY day
""")


def _sums_of(name: str, table: str) -> str:
    if table == "circuit_snapshots":
        sums = ", ".join(f"{total} AS {column}" for column, total in _COMPARED.items())
        return f"""{name} AS (
            SELECT snapshot_date AS day, {sums} FROM circuit_snapshots
            WHERE snapshot_type = 'daily' AND snapshot_date = ANY(:dates) GROUP BY snapshot_date)"""
    sums = ", ".join(f"sum({column}) AS {column}" for column in _COMPARED)
    return f"""{name} AS (
        SELECT snapshot_date AS day, {sums} FROM {table} WHERE snapshot_date = ANY(:dates) GROUP BY snapshot_date)"""


def _row(alias: str) -> str:
    return f"ROW({', '.join(f'{alias}.{column}' for column in _COMPARED)})"


_DIFFERING = text(f"""
    WITH {", ".join(_sums_of(name, table) for name, table in _TABLES.items())}
    SELECT day FROM snapshots AS s FULL JOIN by_region AS r USING (day) FULL JOIN by_planner AS p USING (day)
    WHERE {_row("s")} IS DISTINCT FROM {_row("r")} OR {_row("s")} IS DISTINCT FROM {_row("p")}
    ORDER BY day
""")


def dates_held(connection: Connection) -> list[DateHeld]:
    """Every date that has snapshots or roll-ups, by date."""
    return [DateHeld(**row._mapping) for row in connection.execute(_DATES)]


def dates_that_differ(connection: Connection, dates: Sequence[date]) -> list[date]:
    """Those of ``dates`` whose snapshots do not add up to their roll-ups."""
    return list(connection.scalars(_DIFFERING, {"dates": list(dates)}))
