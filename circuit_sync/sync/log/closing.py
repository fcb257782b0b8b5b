"""However a use case ends, its sync log ends too."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from circuit_sync.database.circuits.staging import discard_staged
from circuit_sync.database.connection import outage
from circuit_sync.database.log import sync_logs
from circuit_sync.domain.errors import CircuitSyncError, PermanentError
from circuit_sync.events.catalogue import SyncFailed
from circuit_sync.events.outbox import emit
from circuit_sync.sync.log.retries import next_attempt
from circuit_sync.sync.session import Session

CANCELLED = "the run was cancelled: what was not stored yet is not stored; start it again when you like"
"""Of a sync that a person ended: it is not tried again by itself."""
REJECTED_LISTED = 1000
"""Rejected rows that the log of a sync goes on listing once it has ended."""


@contextmanager
def closing_on_failure(session: Session, sync_id: int) -> Iterator[None]:
    """Closes the sync log as ``failed`` and emits ``sync.failed`` on any exception, cancellation included.

    Raises ``PermanentError`` at once if it is closed already: a step of a sync that has ended was started again.
    """
    try:
        _expect_open(session, sync_id)
        yield
    except BaseException as error:
        session.leave_store()
        try:
            message, passing = fate_of(session, error)
            close_as_failed(session, sync_id, message, passing=passing)
        except CircuitSyncError as closing:
            session.log(f"sync {sync_id} could not be closed ({closing}); the sensor close_abandoned_syncs will")
        raise


def close_as_failed(session: Session, sync_id: int, message: str, *, passing: bool) -> bool:
    """Closes an open sync log as ``failed``, with its event, and gives up what it staged; false if it was closed.

    After a passing reason the log says when the sync runs again, unless it was the last attempt.
    """
    now = session.now()
    with session.database.transaction() as connection:
        retry_at = next_attempt(connection, sync_id, now, session.retry_delays) if passing else None
        log = sync_logs.read(connection, sync_id)
        details = {
            "passing": passing,
            "cancelled": message == CANCELLED,
            "rejected": log.error_details.get("rejected", [])[:REJECTED_LISTED],
        }
        results = done_so_far(log.context)
        closed = sync_logs.fail(connection, sync_id, now, message, details, results, retry_at=retry_at)
        discard_staged(connection, sync_id)
        if closed:
            emit(connection, [SyncFailed(sync_id, message, now, retry_at)], now)
    return closed


def done_so_far(context: Mapping[str, Any]) -> dict[str, int]:
    """What an aggregate sync has stored, as the log's columns: it keeps that whatever comes later."""
    counts = context.get("counts")
    return {"circuits_processed": counts["circuits"], "aggregates_created": counts["stored"]} if counts else {}


def fate_of(session: Session, error: BaseException) -> tuple[str, bool]:
    """One line without secrets, and whether the same sync may succeed later.

    Our own errors speak for themselves, of others only the kind is told. A sync that a person ended is not tried again
    by itself; one whose process was told to end, as at a shutdown or by Dagster's limit of time, is.
    """
    if isinstance(error, CircuitSyncError):
        return str(error), error.passing
    if (away := outage(error)) is not None:
        return f"Dagster's storage is not available: {away}", True
    if isinstance(error, Exception):
        kind = type(error).__name__
        return f"unexpected {kind}, a defect of circuit_sync or its surroundings: see the run's log", False
    if session.was_cancelled():
        return CANCELLED, False
    told = "the run's process was told to end, as at a shutdown or when a run takes too long"
    return f"{told}: what was not stored yet is not stored", True


def _expect_open(session: Session, sync_id: int) -> None:
    with session.database.transaction() as connection:
        status = sync_logs.read(connection, sync_id).sync_status
    if status != "started":
        raise PermanentError(f"sync {sync_id} has ended already ({status}): start a new run, not a step of the old one")
