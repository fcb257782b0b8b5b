"""What each circuit's snapshots say that happened on a date: differences to its own snapshot before.

The rule: behaviour 19. A split's, or a plain circuit's, difference is what it shows less its own snapshot before. A
main assessment goes on showing what its splits plan, so its difference is that of its work order less those of its
splits: what is planned in a split counts once, on its day, for who holds the split.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops
from circuit_sync.database.progress.states import DATES

CHANGING = ("miles_planned", "total_units", "total_trees", "units_approved", "units_refused", "units_pending")
UNITS = CHANGING[1:]


_BEFORE = text(f"""
    CREATE TEMPORARY TABLE snapshots_before ON COMMIT DROP AS
    SELECT p.* FROM circuits AS c CROSS JOIN LATERAL (
        SELECT circuit_id, snapshot_date, splits_contained, {", ".join(CHANGING)} FROM circuit_snapshots
        WHERE circuit_id = c.id AND snapshot_type = 'daily' AND snapshot_date < ({DATES})[1]
        ORDER BY snapshot_date DESC LIMIT 1) AS p
""")

_CHANGE = ", ".join(f"coalesce(s.{x} - coalesce(lag(s.{x}) OVER dated, b.{x}), 0) AS {x}_change" for x in CHANGING)

_DIFFERENCES = text(f"""
    CREATE TEMPORARY TABLE dated_snapshots ON COMMIT DROP AS
    SELECT *, has_splits
           OR day_before < snapshot_date - CASE WHEN extract(isodow FROM snapshot_date) = 1 THEN 3 ELSE 1 END
              AND EXISTS (
                  SELECT 1 FROM circuit_snapshots AS split
                  WHERE split.main_circuit_id = compared.circuit_id AND split.snapshot_type = 'daily'
                    AND split.snapshot_date > day_before AND split.snapshot_date < compared.snapshot_date) AS is_main
    FROM (
        SELECT s.*, {_CHANGE}, s.splits_contained IS NOT NULL OR b.splits_contained IS NOT NULL
                               OR lag(s.splits_contained) OVER dated IS NOT NULL AS has_splits,
               coalesce(lag(s.snapshot_date) OVER dated, b.snapshot_date) AS day_before
        FROM circuit_snapshots AS s LEFT JOIN snapshots_before AS b USING (circuit_id)
        WHERE s.snapshot_type = 'daily'
          AND s.snapshot_date BETWEEN ({DATES})[1] AND ({DATES})[cardinality({DATES})]
        WINDOW dated AS (PARTITION BY s.circuit_id ORDER BY s.snapshot_date)) AS compared
    WHERE snapshot_date = ANY({DATES})
""")
"""Daily snapshots of the dates with the differences that they themselves show: 0 for a circuit's first, as what was
planned when it was first seen was not planned on that day. ``is_main``: it has splits, had some the time before, or in
between, while it had no snapshot itself.
"""

_EARLIER = "FROM circuit_snapshots WHERE snapshot_type = 'daily' AND circuit_id"
_WHOLE = "coalesce({0}.work_order_miles_planned, {0}.miles_planned)"

_CORRECT_MAINS = text(f"""
    UPDATE dated_snapshots AS d
    SET miles_planned_change = CASE
            WHEN d.splits_contained IS FALSE THEN d.miles_planned_change
            WHEN b.circuit_id IS NULL THEN 0
            ELSE {_WHOLE.format("d")} - {_WHOLE.format("b")} - (p.miles_planned - b.miles_planned)
                 - coalesce(split.miles, 0) END,
        {", ".join(f"{x}_change = d.{x}_change + coalesce(seen.{x}, 0)" for x in UNITS)}
    FROM dated_snapshots AS m
    LEFT JOIN LATERAL (
        SELECT * {_EARLIER} = m.circuit_id AND snapshot_date < m.snapshot_date
        ORDER BY snapshot_date DESC LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (
        SELECT * {_EARLIER} = m.circuit_id AND snapshot_date < m.snapshot_date AND splits_contained IS NOT FALSE
        ORDER BY snapshot_date DESC LIMIT 1) AS b ON true
    LEFT JOIN LATERAL (
        SELECT sum(s.miles_planned - before.miles_planned) AS miles
        FROM circuit_snapshots AS s CROSS JOIN LATERAL (
            SELECT miles_planned {_EARLIER} = s.circuit_id AND snapshot_date < s.snapshot_date
            ORDER BY snapshot_date DESC LIMIT 1) AS before
        WHERE s.main_circuit_id = m.circuit_id AND s.snapshot_type = 'daily'
          AND s.snapshot_date > b.snapshot_date AND s.snapshot_date <= m.snapshot_date) AS split ON true
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"sum({x}) AS {x}" for x in UNITS)} FROM circuit_snapshots AS s
        WHERE s.main_circuit_id = m.circuit_id AND s.snapshot_type = 'daily'
          AND s.snapshot_date > p.snapshot_date AND s.snapshot_date <= m.snapshot_date
          AND NOT EXISTS (SELECT 1 {_EARLIER} = s.circuit_id AND snapshot_date < s.snapshot_date)) AS seen ON true
    WHERE m.is_main AND d.id = m.id
""")
"""``p`` is a main assessment's snapshot before, ``b`` the last before that contained its splits, or had none. In
between it counted for itself. Units move from it to a split that is new: they are no change for either.
"""

_MAINS_NEXT = """(
        SELECT min(snapshot_date) FROM circuit_snapshots
        WHERE circuit_id = coalesce(next.main_circuit_id, next.circuit_id) AND snapshot_type = 'daily'
          AND snapshot_date >= next.snapshot_date{})"""

_FOLLOWING = text(f"""
    WITH following AS MATERIALIZED (
        SELECT next.* FROM circuits AS c CROSS JOIN LATERAL (
            SELECT circuit_id, snapshot_date, main_circuit_id, splits_contained FROM circuit_snapshots
            WHERE circuit_id = c.id AND snapshot_type = 'daily' AND snapshot_date > :last
            ORDER BY snapshot_date LIMIT 1) AS next)
    SELECT snapshot_date FROM following
    UNION
    SELECT unnest(ARRAY[{_MAINS_NEXT.format("")}, {_MAINS_NEXT.format(" AND splits_contained IS NOT FALSE")}])
    FROM following AS next WHERE main_circuit_id IS NOT NULL OR splits_contained IS FALSE
""")
"""Of every circuit, also one without an earlier snapshot: it may have had one until a date was replaced. A main one's
difference takes off those of its splits, and may refer further back than to its snapshot before.
"""

_ANALYZE = [text(f"ANALYZE {table}") for table in ("snapshots_before", "dated_snapshots")]
_DROP = text("DROP TABLE snapshots_before, dated_snapshots")


def dates_that_refer(connection: Connection, last: date) -> list[date]:
    """The dates after ``last`` whose differences refer to it or to a date before it."""
    with nested_loops(connection, allowed=True):
        return sorted(day for day in connection.scalars(_FOLLOWING, {"last": last}) if day)


@contextmanager
def dated_snapshots(connection: Connection, dates: Sequence[date]) -> Iterator[None]:
    """Meanwhile ``dated_snapshots`` holds the daily snapshots of ``dates``, ascending, with their differences."""
    parameters = {"dates": list(dates)}
    with nested_loops(connection, allowed=True):
        connection.execute(_BEFORE, parameters)
    connection.execute(_ANALYZE[0])
    with nested_loops(connection, allowed=False):
        connection.execute(_DIFFERENCES, parameters)
    connection.execute(_ANALYZE[1])
    with nested_loops(connection, allowed=True):
        connection.execute(_CORRECT_MAINS)
    yield
    connection.execute(_DROP)
