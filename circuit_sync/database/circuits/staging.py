"""What a circuit sync fetched, normalised, until it is stored or given up."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from circuit_sync.domain.circuit_fields import FIELDS
from circuit_sync.domain.statuses import STATUS_CODES

STAGED_COLUMNS = (
    "sync_log_id",
    "answer_status",
    "status_order",
    "row_number",
    "job_guid",
    *FIELDS,
    "api_data",
    "content_hash",
)

_ANALYZE = text("ANALYZE staged_circuits (sync_log_id, job_guid, answer_status)")
_WHOLE_TABLES = [text("SET LOCAL enable_nestloop = off"), text("SET LOCAL work_mem = '64MB'")]
_NESTED_LOOPS = text("SELECT current_setting('enable_nestloop')")
_SET_NESTED_LOOPS = text("SELECT set_config('enable_nestloop', :value, true)")
_COUNT = text("SELECT count(*) FROM staged_circuits WHERE sync_log_id = :sync")
_STAGED = ("staged_circuits", "staged_choices")
_DISCARD = [text(f"DELETE FROM {table} WHERE sync_log_id = :sync") for table in _STAGED]
_DISCARD_ORPHANS = [
    text(f"""
        DELETE FROM {table} AS staged
        WHERE NOT EXISTS (SELECT 1 FROM sync_logs WHERE id = staged.sync_log_id AND sync_status = 'started')
    """)
    for table in _STAGED
]


def stage_circuits(connection: Connection, sync_id: int, status: str, columns: Sequence[list[Any]]) -> None:
    """Copies one status' rows into the staging table.

    ``columns``: a list of values for each of ``STAGED_COLUMNS`` from ``row_number`` on.
    """
    place = STATUS_CODES.index(status)
    rows = ((sync_id, status, place, *values) for values in zip(*columns, strict=True))
    copy_rows(connection, "staged_circuits", STAGED_COLUMNS, rows)


def analyze_staged(connection: Connection) -> None:
    """Tells the planner how much was staged."""
    connection.execute(_ANALYZE)


def expect_whole_tables(connection: Connection) -> None:
    """Keeps the planner of this transaction from joining row by row, and its joins from spilling to disk.

    Its statements join whole tables filled a moment ago; where the statistics lag behind, the planner takes 20,000
    rows for a few and joins them by nested loops, in minutes instead of milliseconds.
    """
    for statement in _WHOLE_TABLES:
        connection.execute(statement)


@contextmanager
def nested_loops(connection: Connection, *, allowed: bool) -> Iterator[None]:
    """Meanwhile the planner may join row by row, or may not: where each row is looked up by index it must."""
    before = connection.scalar(_NESTED_LOOPS)
    connection.execute(_SET_NESTED_LOOPS, {"value": "on" if allowed else "off"})
    yield
    connection.execute(_SET_NESTED_LOOPS, {"value": before})


def count_staged(connection: Connection, sync_id: int) -> int:
    """How many rows lie staged: fewer than were put there after a crash of the server, which empties the table."""
    return int(connection.scalar(_COUNT, {"sync": sync_id}) or 0)


def discard_staged(connection: Connection, sync_id: int) -> None:
    """What was fetched, and the choice of circuits, go when their sync ends."""
    for statement in _DISCARD:
        connection.execute(statement, {"sync": sync_id})


def discard_orphans(connection: Connection) -> None:
    """Removes what killed syncs left in the staging tables."""
    for statement in _DISCARD_ORPHANS:
        connection.execute(statement)


def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """PostgreSQL's COPY, within the connection's transaction."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
