"""However a use case ends, its sync log ends too."""

from collections.abc import Iterator
from contextlib import contextmanager

from circuit_sync.database import sync_logs
from circuit_sync.database.staging import discard_staged
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.events.catalogue import SyncFailed
from circuit_sync.events.outbox import emit
from circuit_sync.sync.session import Session


@contextmanager
def closing_on_failure(session: Session, sync_id: int) -> Iterator[None]:
    """Closes the sync log as ``failed`` and emits ``sync.failed`` on any exception, cancellation included."""
    try:
        yield
    except BaseException as error:
        session.leave_store()
        try:
            close_as_failed(session, sync_id, describe(error), passing=is_passing(error))
        except CircuitSyncError as closing:
            session.log(f"sync {sync_id} could not be closed ({closing}); the sensor close_abandoned_syncs will")
        raise


def close_as_failed(session: Session, sync_id: int, message: str, *, passing: bool) -> bool:
    """Closes an open sync log as ``failed``, with its event, and gives up what it staged; false if it was closed."""
    now = session.now()
    with session.database.transaction() as connection:
        closed = sync_logs.fail(connection, sync_id, now, message, {"passing": passing})
        discard_staged(connection, sync_id)
        if closed:
            emit(connection, [SyncFailed(sync_id, message, now)], now)
    return closed


def describe(error: BaseException) -> str:
    """One line without secrets: our own errors speak for themselves, of others only the kind is told."""
    if isinstance(error, CircuitSyncError):
        return str(error)
    if not isinstance(error, Exception):
        return "the run was cancelled: what was not stored yet is not stored; start it again when you like"
    return f"unexpected {type(error).__name__}, a defect of circuit_sync or its surroundings: see the run's log"


def is_passing(error: BaseException) -> bool:
    """Whether the same sync may succeed later. A cancelled one is not tried again by itself: a person ended it."""
    return isinstance(error, CircuitSyncError) and error.passing
