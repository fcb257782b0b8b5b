"""However a use case or its run ends, the sync log ends too: as ``failed``, with its event, if nobody completed it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from circuit_sync.database.circuits.staging import discard_staged
from circuit_sync.database.connection import Connection, outage
from circuit_sync.database.locks import is_run_alive
from circuit_sync.database.log import sync_logs
from circuit_sync.database.log.retries import attempts_before
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, UsageError
from circuit_sync.domain.requests import SyncRequest
from circuit_sync.events.catalogue import SyncCompleted, SyncFailed
from circuit_sync.events.outbox import emit
from circuit_sync.sync.log.opening import open_log
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
        with session.database.transaction() as connection:
            status = sync_logs.read(connection, sync_id).sync_status
        if status != "started":
            raise PermanentError(
                f"sync {sync_id} has ended already ({status}): start a new run, not a step of the old one"
            )
        yield
    except BaseException as error:
        session.leave_store()
        try:
            message, transient = fate_of(session, error)
            close_as_failed(session, sync_id, message, transient=transient)
        except CircuitSyncError as closing:
            session.log(f"sync {sync_id} could not be closed ({closing}); the sensor close_abandoned_syncs will")
        raise


def close_as_failed(session: Session, sync_id: int, message: str, *, transient: bool = True) -> bool:
    """Closes an open sync log as ``failed``, with its event, and discards what it staged; false if it was closed.

    After a transient failure the log says when the sync runs again, for as many times as there are delays.
    """
    now = session.now()
    with session.database.transaction() as connection:
        delays = session.retry_delays[attempts_before(connection, sync_id) :] if transient else ()
        retry_at = now + delays[0] if delays else None
        log = sync_logs.read(connection, sync_id)
        details = {
            "passing": transient,
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


def complete_log(
    connection: Connection,
    sync_id: int,
    now: datetime,
    message: str | None,
    results: Mapping[str, int],
    counts: Mapping[str, int],
) -> SyncCompleted:
    """Closes the log with ``results``, as ``warning`` if there is a message; returns the event, with ``counts``."""
    if message:
        sync_logs.complete_with_warning(connection, sync_id, now, message, results)
    else:
        sync_logs.complete(connection, sync_id, now, results)
    return SyncCompleted(sync_id, "warning" if message else "completed", now, counts)


def fate_of(session: Session, error: BaseException) -> tuple[str, bool]:
    """One line without secrets on why a sync failed, and whether the same sync may succeed later.

    Of errors that are not ours only the kind is named. A sync that a person ended is not tried again by itself; one
    whose process was ended, as at a shutdown or by Dagster's limit of time, is.
    """
    if isinstance(error, CircuitSyncError):
        return str(error), error.transient
    if (away := outage(error)) is not None:
        return f"Dagster's storage is not available: {away}", True
    if isinstance(error, Exception):
        kind = type(error).__name__
        return f"unexpected {kind}, a defect of circuit_sync or its surroundings: see the run's log", False
    if session.was_cancelled():
        return CANCELLED, False
    ended = "the run's process was told to end, as at a shutdown or when a run takes too long"
    return f"{ended}: what was not stored yet is not stored", True


@dataclass(frozen=True)
class OpenSync:
    """A sync log still ``started``; ``is_alive``: whether its run lives, which holds a lock as long as it does."""

    id: int
    run_id: str | None
    started_at: datetime
    is_alive: bool


@dataclass(frozen=True)
class FailedSync:
    """A sync whose log is closed as failed, and when it is tried again, if it is."""

    id: int
    retry_at: datetime | None


def open_syncs(session: Session) -> list[OpenSync]:
    """The syncs that did not end, oldest first."""
    with session.database.transaction() as connection:
        logs = sync_logs.started_logs(connection)
    return [
        OpenSync(log.id, run, log.started_at, run is not None and is_run_alive(session.database, run))
        for log in logs
        for run in (log.dagster_run_id,)
    ]


def close_left_open(session: Session, run_id: str, interruption: BaseException | None) -> None:
    """Closes what a run that is ending left open, as steps close their sync only while they work on it.

    Without an interruption something around the sync broke: it may be tried again.
    """
    with session.database.transaction() as connection:
        left = [log.id for log in sync_logs.started_logs(connection) if log.dagster_run_id == run_id]
    message, transient = f"run {run_id} ended without closing its sync: see the run's log", True
    if left and interruption is not None:
        message, transient = fate_of(session, interruption)
    for sync_id in left:
        close_as_failed(session, sync_id, message, transient=transient)


def failed_sync_of(session: Session, run_id: str) -> FailedSync | None:
    """The run's latest sync that failed."""
    with session.database.transaction() as connection:
        failed = sync_logs.failed_of(connection, run_id)
    return failed and FailedSync(*failed)


def runs_without_log(session: Session, run_ids: Collection[str]) -> set[str]:
    """Those of the runs that have no sync log."""
    with session.database.transaction() as connection:
        return set(run_ids) - sync_logs.runs_with_log(connection, run_ids)


def fail_unopened(session: Session, request: SyncRequest, reason: str, *, transient: bool) -> int | None:
    """Opens the log of a sync that did not come to it and closes it as failed, both with their events; returns its id.

    ``None``, and nothing done, if its run has a log after all; ``UsageError`` if it opens one right now. What was asked
    for in the name of an unknown user cannot succeed later either.
    """
    now = session.now()
    with session.database.transaction() as connection:
        if request.run_id and sync_logs.runs_with_log(connection, [request.run_id]):
            return None
        try:
            sync_logs.resolve_user(connection, request.triggered_by)
        except UsageError as unknown:
            request, reason, transient = replace(request, triggered_by=None), str(unknown), False
        log = open_log(connection, request, now)
    close_as_failed(session, log.id, reason, transient=transient)
    return log.id
