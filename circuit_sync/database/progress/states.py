"""What circuits were at the ends of several dates, from history, with their totals of units; and the own values of work
orders that are split.

All lie in temporary tables until the transaction ends, numbered by date from 1 on, so that many dates cost one pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops

STATE = ("region_id", "taken_by", "api_status", "workflow_stage")
PROGRESS = ("total_miles", "miles_planned", "percent_complete", "total_acres")
MEASURES = ("total_miles", "miles_planned", "total_acres")

UNITS = ("total_units", "total_linear_ft", "total_trees", "units_approved", "units_refused", "units_pending")

_COLUMNS = ", ".join(
    f"h.{name}" for name in (*STATE, *PROGRESS, "is_excluded", "departed_at", "valid_from", "valid_to")
)
DATES = "CAST(:dates AS date[])"
UNTILS = "CAST(:untils AS timestamptz[])"

_STATES = text(f"""
    CREATE TEMPORARY TABLE dated_states ON COMMIT DROP AS
    SELECT c.id AS circuit_id, c.job_guid, coalesce(h.work_order, c.work_order) AS work_order,
           coalesce(h.extension, c.extension) AS extension, coalesce(h.start_date, c.start_date) AS start_date,
           {_COLUMNS},
           1 + width_bucket(h.valid_from - interval '1 microsecond', {UNTILS}) AS first_number,
           coalesce(width_bucket(h.valid_to - interval '1 microsecond', {UNTILS}), cardinality({UNTILS}))
               AS last_number
    FROM circuits AS c CROSS JOIN LATERAL (
        SELECT coalesce(max(valid_from), '-infinity') AS since FROM (
            SELECT valid_from FROM circuit_history WHERE circuit_id = c.id AND valid_from <= ({UNTILS})[1]
            ORDER BY valid_from DESC LIMIT 1) AS newest) AS b
    CROSS JOIN LATERAL (
        SELECT * FROM circuit_history
        WHERE circuit_id = c.id AND valid_from BETWEEN b.since AND ({UNTILS})[cardinality({UNTILS})] OFFSET 0) AS h
    WHERE CAST(:work_orders AS text[]) IS NULL OR c.work_order = ANY(CAST(:work_orders AS text[]))
""")
"""Each circuit's state lasts from the first to the last number of the dates that end meanwhile (``width_bucket`` counts
the dates up to a bound; to leave out the bound it is asked for just below it). Each circuit is looked up by index from
the first date on (OFFSET keeps it from being joined any other way): what was before costs nothing.
"""

_STATES_OF_SNAPSHOTS = text(f"""
    INSERT INTO dated_states (circuit_id, job_guid, work_order, extension, start_date, {", ".join((*STATE, *PROGRESS))},
                              is_excluded, valid_from, first_number, last_number)
    SELECT c.id, c.job_guid, c.work_order, c.extension, c.start_date,
           {", ".join(f"s.{name}" for name in (*STATE, *PROGRESS))}, false, s.as_of, d.number, d.number
    FROM unnest(CAST(:dates AS date[])) WITH ORDINALITY AS d (snapshot_date, number)
    JOIN circuit_snapshots AS s USING (snapshot_date)
    JOIN circuits AS c ON c.id = s.circuit_id
    WHERE s.snapshot_type = 'daily' AND NOT EXISTS (
        SELECT 1 FROM dated_states AS k
        WHERE k.circuit_id = s.circuit_id AND d.number BETWEEN k.first_number AND k.last_number)
""")

_UNITS = text(f"""
    CREATE TEMPORARY TABLE dated_units ON COMMIT DROP AS
    SELECT a.circuit_id, {", ".join(f"a.{name}" for name in UNITS)}, a.pending_by_date,
           1 + width_bucket(a.aggregate_date - 1, {DATES}) AS first_number,
           coalesce(width_bucket(lead(a.aggregate_date) OVER (PARTITION BY a.circuit_id ORDER BY a.aggregate_date) - 1,
                                 {DATES}), cardinality({DATES})) AS last_number
    FROM (SELECT DISTINCT circuit_id FROM dated_states) AS s CROSS JOIN LATERAL (
        SELECT coalesce(max(aggregate_date), '-infinity') AS since FROM (
            SELECT aggregate_date FROM circuit_aggregates
            WHERE circuit_id = s.circuit_id AND NOT is_rollup AND aggregate_date <= ({DATES})[1]
            ORDER BY aggregate_date DESC LIMIT 1) AS newest) AS b
    CROSS JOIN LATERAL (
        SELECT * FROM circuit_aggregates
        WHERE circuit_id = s.circuit_id AND NOT is_rollup
          AND aggregate_date BETWEEN b.since AND ({DATES})[cardinality({DATES})] OFFSET 0) AS a
""")
"""The totals of units last from the date of their aggregate to that of the next."""


def contained(splits: str, main: str) -> str:
    """SQL: whether ``splits`` are contained in ``main``, two aliases with ``total_miles`` (behaviour 19)."""
    return f"""
        CASE coalesce((SELECT value FROM database_settings WHERE name = 'mains_contain_splits'), 'auto')
            WHEN 'yes' THEN true WHEN 'no' THEN false
            ELSE NOT ({splits}.total_miles > {main}.total_miles * 1.1 AND {splits}.total_miles > {main}.total_miles + 1)
        END"""


_MAINS = text(f"""
    CREATE TEMPORARY TABLE dated_mains ON COMMIT DROP AS
    WITH parts AS (
        SELECT *, generate_series(first_number, last_number) AS number FROM dated_states
        WHERE work_order IN (SELECT work_order FROM dated_states WHERE extension <> '@' AND departed_at IS NULL)),
    splits AS (
        SELECT number, work_order, {", ".join(f"sum({name}) AS {name}" for name in MEASURES)}
        FROM parts WHERE extension <> '@' AND departed_at IS NULL GROUP BY number, work_order),
    mains AS (
        SELECT DISTINCT ON (number, work_order) * FROM parts WHERE extension = '@'
        ORDER BY number, work_order, departed_at IS NOT NULL, api_status = 'CLOSE', job_guid COLLATE "C")
    SELECT number, work_order, m.circuit_id,
           {contained("s", "m")} AS contained,
           {", ".join(f"greatest(m.{name}, s.{name}) AS {name}" for name in MEASURES)},
           {", ".join(f"greatest(m.{name}, s.{name}) - s.{name} AS own_{name}" for name in MEASURES)}
    FROM mains AS m JOIN splits AS s USING (number, work_order)
""")
"""A row for each date and work order that has a main assessment and splits then. ``contained``: the main one shows the
miles of its splits too. The measures are the work order's, ``own_…`` the main one's less its splits'.
"""

_ANALYZE = {table: text(f"ANALYZE {table}") for table in ("dated_states", "dated_units", "dated_mains")}
_DROP = text("DROP TABLE dated_mains, dated_units, dated_states")


@contextmanager
def dated_states(
    connection: Connection,
    untils: Mapping[date, datetime],
    *,
    work_orders: Sequence[str] | None = None,
    with_snapshots: bool = False,
) -> Iterator[None]:
    """Meanwhile ``dated_states``, ``dated_units`` and ``dated_mains`` hold all circuits as of ``untils``: for each date
    its last instant that counts.

    ``work_orders``: only circuits of these. ``with_snapshots``: what history does not know of the dates is read from
    their snapshots (which an import brings, or other programs).
    """
    dates = sorted(untils)
    parameters = {"dates": dates, "untils": [untils[day] for day in dates]}
    chosen = {"work_orders": None if work_orders is None else list(work_orders)}
    with nested_loops(connection, allowed=True):
        connection.execute(_STATES, parameters | chosen)
    if with_snapshots:
        connection.execute(_STATES_OF_SNAPSHOTS, parameters)
    connection.execute(_ANALYZE["dated_states"])
    with nested_loops(connection, allowed=True):
        connection.execute(_UNITS, parameters)
    connection.execute(_ANALYZE["dated_units"])
    with nested_loops(connection, allowed=False):
        connection.execute(_MAINS)
    connection.execute(_ANALYZE["dated_mains"])
    yield
    connection.execute(_DROP)
