"""Whether each connection has a server process to itself: what our locks and session settings rest on."""

from sqlalchemy import text

from circuit_sync.database.connection import Database

_PID = text("SELECT pg_backend_pid()")


def keeps_sessions(database: Database) -> bool:
    """Whether a client keeps its server process between transactions: behind a PgBouncer in transaction mode, the next
    client is given it.
    """
    with database.lock_connection() as first:
        before = first.scalar(_PID)
        with database.rehearsal() as second:
            return bool(second.scalar(_PID) != before and first.scalar(_PID) == before)
