"""What a run left behind that nobody will close any more: open sync logs, and syncs that it did not come to open."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from circuit_sync.database.locks import is_run_alive
from circuit_sync.database.log import sync_logs
from circuit_sync.database.log.overview import started_syncs
from circuit_sync.domain.errors import UsageError
from circuit_sync.events.catalogue import SyncStarted
from circuit_sync.events.outbox import emit
from circuit_sync.sync.log.closing import close_as_failed, fate_of
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class UnopenedSync:
    """A sync whose run ended before it opened the log: what the log would tell. ``triggered_by`` names a user."""

    sync_type: str
    context: Mapping[str, Any]
    triggered_by: str | None = None
    trigger: str = "manual"
    run_id: str | None = None
    retry_of: int | None = None

    @property
    def is_watched(self) -> bool:
        """Whether a person started its run, and is told there what is wrong with what they asked for."""
        return self.trigger == "manual" and self.retry_of is None


@dataclass(frozen=True)
class FailedSync:
    """A sync whose log is closed as failed, and when it is tried again, if it is."""

    id: int
    retry_at: datetime | None


def open_syncs(session: Session) -> list[dict[str, Any]]:
    """The sync logs still ``started``: id, dagster_run_id, started_at, and ``is_alive``: whether their run lives."""
    with session.database.transaction() as connection:
        logs = started_syncs(connection)
    return [
        log | {"is_alive": log["dagster_run_id"] is not None and is_run_alive(session.database, log["dagster_run_id"])}
        for log in logs
    ]


def close_abandoned(session: Session, sync_id: int, reason: str, *, passing: bool = True) -> bool:
    """Closes a sync log as failed, with its event; false if it was closed already. The sync may be tried again."""
    return close_as_failed(session, sync_id, reason, passing=passing)


def close_left_open(session: Session, run_id: str, interruption: BaseException | None) -> None:
    """Closes what a run that is ending left open, as steps close their sync only while they work on it.

    Without an interruption something around the sync broke: it may be tried again.
    """
    with session.database.transaction() as connection:
        left = [log["id"] for log in started_syncs(connection) if log["dagster_run_id"] == run_id]
    for sync_id in left:
        message, passing = f"run {run_id} ended without closing its sync: see the run's log", True
        if interruption is not None:
            message, passing = fate_of(session, interruption)
        close_as_failed(session, sync_id, message, passing=passing)


def failed_sync_of(session: Session, run_id: str) -> FailedSync | None:
    """The run's latest sync that failed."""
    with session.database.transaction() as connection:
        failed = sync_logs.failed_of(connection, run_id)
    return failed and FailedSync(*failed)


def without_log(session: Session, run_ids: Collection[str]) -> set[str]:
    """Those of the runs that have no sync log."""
    with session.database.transaction() as connection:
        return set(run_ids) - sync_logs.runs_with_log(connection, run_ids)


def fail_unopened(session: Session, sync: UnopenedSync, reason: str, *, passing: bool) -> int | None:
    """Opens the log of a sync that did not come to it and closes it as failed, both with their events; returns its id.

    ``None``, and nothing done, if its run has a log after all; ``UsageError`` if it opens one right now. What was asked
    for in the name of an unknown user cannot succeed later either.
    """
    now = session.now()
    statuses = sync.context.get("statuses", ())
    with session.database.transaction() as connection:
        if sync.run_id and sync_logs.runs_with_log(connection, [sync.run_id]):
            return None
        try:
            user = sync_logs.resolve_user(connection, sync.triggered_by)
        except UsageError as unknown:
            user, reason, passing = None, str(unknown), False
        log = sync_logs.start(
            connection,
            sync_type=sync.sync_type,
            trigger=sync.trigger,
            now=now,
            api_status_filter=",".join(statuses) or None,
            triggered_by=user,
            run_id=sync.run_id,
            retry_of=sync.retry_of,
            context=sync.context,
        )
        emit(connection, [SyncStarted(log.id, sync.sync_type, statuses, sync.trigger, now)], now)
    close_as_failed(session, log.id, reason, passing=passing)
    return log.id
