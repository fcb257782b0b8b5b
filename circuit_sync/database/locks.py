"""Advisory locks, all of them, each named by a text that is hashed to its key.

| lock | who holds it | for how long | who waits |
| --- | --- | --- | --- |
| ``RUN`` and the run's id | the process of a Dagster run | as long as the run lives | nobody: sensors ask for it |
| ``STORE`` | a circuit sync | from before it fetches until it stored | the next, ``STORE_WAIT_SECONDS`` |
| ``PACE`` | whoever calls WorkStudio | a burst of calls and the pause after it | the next burst of any run |
| ``WEBHOOKS`` | the process that delivers events | until it delivered what was due | nobody: others leave it to it |
| ``MIGRATE`` | ``migrate.upgrade``, so any command | its transaction | other commands that begin |
| ``DAGSTER_STORAGE`` | who prepares the schema of Dagster's tables | its transaction | others that do |
| ``HISTORY`` | whoever stores circuits, edits or snapshots | to the end of its transaction | others that do |
| ``ROLL_UPS`` | whoever computes roll-ups, after ``HISTORY`` | to the end of its transaction | others that do |
| the one in ``events.outbox`` | whoever writes events, last of all | to the end of its transaction | others that do |

The first four are held by a connection's session, so they go with the process that held them, however it ends.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from circuit_sync.database.connection import Database
from circuit_sync.domain.errors import TransientError

RUN = "circuit_sync run"
STORE = "circuit_sync store circuits"
PACE = "circuit_sync pace"
WEBHOOKS = "circuit_sync webhooks"
MIGRATE = "circuit_sync migrate"
DAGSTER_STORAGE = "circuit_sync dagster storage"
HISTORY = "circuit_sync history"
ROLL_UPS = "circuit_sync roll-ups"
STORE_WAIT_SECONDS = 600

TRY = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_TAKE = text("SELECT pg_advisory_lock(hashtextextended(:name, 0))")
_TAKE_UNTIL_END = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_CONFIRM = text("SELECT 1")
_PID = text("SELECT pg_backend_pid()")
_LEAVE = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
_IS_HELD = text("""
    SELECT EXISTS (
        SELECT 1 FROM pg_locks, (SELECT hashtextextended(:name, 0) AS key) AS named
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = ((key >> 32) & 4294967295)::oid AND objid = (key & 4294967295)::oid)
""")


def take_until_end(connection: Connection, name: str) -> None:
    """Waits for the lock, and holds it until the connection's transaction ends."""
    connection.execute(_TAKE_UNTIL_END, {"name": name})


@contextmanager
def run_lock(database: Database, run_id: str) -> Iterator[None]:
    """Held as long as the run lives: its sign of life for others."""
    with database.lock_connection() as connection:
        connection.execute(_TAKE, {"name": f"{RUN} {run_id}"})
        yield


def is_run_alive(database: Database, run_id: str) -> bool:
    """Whether some process holds the run's lock."""
    with database.transaction() as connection:
        return bool(connection.scalar(_IS_HELD, {"name": f"{RUN} {run_id}"}))


@contextmanager
def store_lock(
    database: Database, *, say: Callable[[str], None], wait_seconds: float = STORE_WAIT_SECONDS
) -> Iterator[Callable[[], None]]:
    """One run at a time fetches and stores circuits; a second one waits, and says so.

    Gives a function that raises ``TransientError`` if the lock went with its connection. Raises ``TransientError`` when
    the wait is over.
    """
    with database.lock_connection() as connection:
        if not connection.scalar(TRY, {"name": STORE}):
            say(f"waiting for another circuit sync to finish (at most {wait_seconds / 60:g} minutes)")
            _wait(connection, wait_seconds)

        def confirm() -> None:
            try:
                connection.execute(_CONFIRM)
            except DBAPIError:
                raise TransientError(
                    "the connection that kept other circuit syncs waiting was lost: nothing was stored; sync again"
                ) from None

        yield confirm


def _wait(connection: Connection, seconds: float) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :limit, false)"), {"limit": f"{int(seconds * 1000)}ms"})
    try:
        connection.execute(_TAKE, {"name": STORE})
    except DBAPIError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == "55P03":
            raise TransientError(
                f"another circuit sync has held the store for {seconds / 60:g} minutes: nothing was stored; "
                "look at the run in progress, then sync again"
            ) from None
        raise


@contextmanager
def pace_lock(database: Database) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Gives the lock that each burst of calls is held under, taken and left on one connection of its own."""
    with database.lock_connection() as connection:

        @contextmanager
        def burst() -> Iterator[None]:
            connection.execute(_TAKE, {"name": PACE})
            try:
                yield
            finally:
                connection.execute(_LEAVE, {"name": PACE})

        yield burst


def keeps_sessions(database: Database) -> bool:
    """Whether each connection has a server process to itself, as session locks need: behind a PgBouncer in transaction
    mode, the next client is given it.
    """
    with database.lock_connection() as first:
        before = first.scalar(_PID)
        with database.rehearsal() as second:
            return bool(second.scalar(_PID) != before and first.scalar(_PID) == before)
