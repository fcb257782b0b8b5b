"""The sync log: what ran, when, why, and what came of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from circuit_sync.database.tables import sync_logs, users
from circuit_sync.domain.errors import TransientError, UsageError
from circuit_sync.domain.sync_log import ErrorDetails, SyncContext


class SyncAlreadyClosed(TransientError):
    """Somebody else closed this sync's log first: its run was taken for dead."""


@dataclass(frozen=True)
class SyncLog:
    """One row of ``sync_logs``, as far as use cases need it again."""

    id: int
    sync_type: str
    sync_status: str
    sync_trigger: str
    started_at: datetime
    triggered_by: int | None
    dagster_run_id: str | None
    context: SyncContext
    error_details: ErrorDetails


def start(
    connection: Connection,
    *,
    sync_type: str,
    trigger: str,
    now: datetime,
    region_id: int | None = None,
    api_status_filter: str | None = None,
    triggered_by: int | None = None,
    run_id: str | None = None,
    retry_of: int | None = None,
    context: Mapping[str, object] | None = None,
) -> SyncLog:
    """Opens a sync log with the status ``started``; ``region_id`` is for a sync of one region only, which none is yet.

    Raises ``UsageError`` when the run has opened one of this type already.
    """
    statement = (
        insert(sync_logs)
        .values(
            sync_type=sync_type,
            sync_status="started",
            sync_trigger=trigger,
            started_at=now,
            region_id=region_id,
            api_status_filter=api_status_filter,
            triggered_by=triggered_by,
            dagster_run_id=run_id,
            retry_of=retry_of,
            context=dict(context or {}),
        )
        .on_conflict_do_nothing()
        .returning(*_COLUMNS)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise UsageError(
            f"run {run_id} has begun its {sync_type} sync already: start a new run instead of this step again"
        )
    return _log(row)


def read(connection: Connection, sync_id: int) -> SyncLog:
    """The log of a sync."""
    return _log(connection.execute(select(*_COLUMNS).where(sync_logs.c.id == sync_id)).one())


def started_logs(connection: Connection) -> list[SyncLog]:
    """The logs that are still open, oldest first."""
    open_logs = select(*_COLUMNS).where(sync_logs.c.sync_status == "started").order_by(sync_logs.c.id)
    return [_log(row) for row in connection.execute(open_logs)]


def runs_with_log(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of the runs that have opened a sync log, of whatever type."""
    return set(connection.scalars(select(sync_logs.c.dagster_run_id).where(sync_logs.c.dagster_run_id.in_(run_ids))))


def failed_of(connection: Connection, run_id: str) -> Row[int, datetime | None] | None:
    """Of the run's latest sync that is closed as failed: its ``id``, and ``retry_at``, when it is tried again."""
    failed = select(sync_logs.c.id, sync_logs.c.retry_at).where(
        sync_logs.c.dagster_run_id == run_id, sync_logs.c.sync_status == "failed"
    )
    return connection.execute(failed.order_by(sync_logs.c.id.desc()).limit(1)).one_or_none()


def remember(connection: Connection, sync_id: int, context: SyncContext, details: ErrorDetails | None = None) -> None:
    """Adds to what an open sync knows of itself: its ``context``, and the ``error_details`` found so far."""
    connection.execute(
        update(sync_logs)
        .where(sync_logs.c.id == sync_id)
        .values(
            context=sync_logs.c.context.op("||")(_jsonb(context)),
            error_details=sync_logs.c.error_details.op("||")(_jsonb(details or {})),
        )
    )


def keep_open(connection: Connection, sync_id: int) -> None:
    """Nobody closes the log before this transaction ends. Raises ``SyncAlreadyClosed`` if somebody did."""
    still_open = select(sync_logs.c.id).where(sync_logs.c.id == sync_id, sync_logs.c.sync_status == "started")
    if connection.execute(still_open.with_for_update(read=True)).first() is None:
        raise _closed_already(sync_id)


def complete(connection: Connection, sync_id: int, now: datetime, results: Mapping[str, int]) -> None:
    """Closes the log as ``completed``. Raises ``SyncAlreadyClosed`` if it is not open any more."""
    _close(connection, sync_id, "completed", now, results)


def complete_with_warning(
    connection: Connection,
    sync_id: int,
    now: datetime,
    message: str,
    results: Mapping[str, int],
) -> None:
    """Closes the log as ``warning``: done, but somebody should read the message."""
    _close(connection, sync_id, "warning", now, results, message)


def fail(
    connection: Connection,
    sync_id: int,
    now: datetime,
    message: str,
    details: Mapping[str, object] | None = None,
    results: Mapping[str, int] | None = None,
    *,
    retry_at: datetime | None = None,
) -> bool:
    """Closes the log as ``failed``; false, and nothing done, if it is closed already."""
    try:
        _close(connection, sync_id, "failed", now, results or {}, message, details, retry_at)
    except SyncAlreadyClosed:
        return False
    return True


def resolve_user(connection: Connection, name: str | None) -> int | None:
    """The id of the user whose e-mail, WorkStudio name or name is ``name``.

    Raises ``UsageError`` when there is none, or more than one.
    """
    if name is None:
        return None
    folded = func.circuit_sync_fold(name)
    matches = connection.execute(
        select(users.c.id, users.c.email).where(
            or_(
                *(
                    func.circuit_sync_fold(column) == folded
                    for column in (users.c.email, users.c.ws_username, users.c.name)
                )
            )
        )
    ).all()
    if len(matches) != 1:
        found = "no user" if not matches else f"{len(matches)} users"
        raise UsageError(f"{found} named {name!r}: give the e-mail or WorkStudio name of one known user")
    return int(matches[0].id)


_COLUMNS = (
    sync_logs.c.id,
    sync_logs.c.sync_type,
    sync_logs.c.sync_status,
    sync_logs.c.sync_trigger,
    sync_logs.c.started_at,
    sync_logs.c.triggered_by,
    sync_logs.c.dagster_run_id,
    sync_logs.c.context,
    sync_logs.c.error_details,
)


def _log(row: Row[*tuple[Any, ...]]) -> SyncLog:
    return SyncLog(**row._mapping)


def _jsonb(value: Mapping[str, object]) -> Any:
    return literal(dict(value), type_=sync_logs.c.context.type)


def _close(
    connection: Connection,
    sync_id: int,
    status: str,
    now: datetime,
    results: Mapping[str, int],
    message: str | None = None,
    details: Mapping[str, object] | None = None,
    retry_at: datetime | None = None,
) -> None:
    closed = connection.execute(
        update(sync_logs)
        .where(sync_logs.c.id == sync_id, sync_logs.c.sync_status == "started")
        .values(
            sync_status=status,
            completed_at=now,
            duration_seconds=func.extract("epoch", literal(now) - sync_logs.c.started_at),
            error_message=message,
            error_details=sync_logs.c.error_details.op("||")(_jsonb(details or {})),
            retry_at=retry_at,
            **results,
        )
    )
    if closed.rowcount != 1:
        raise _closed_already(sync_id)


def _closed_already(sync_id: int) -> SyncAlreadyClosed:
    return SyncAlreadyClosed(
        f"sync {sync_id} was closed by somebody else, its run taken for dead: nothing more is stored"
    )


_SHRUNKEN_BEFORE = text("""
    SELECT context -> 'shrunken' -> :status AS lacked
    FROM syncs
    WHERE sync_type = 'circuit_list' AND is_good AND id <> :sync AND :status = ANY(statuses)
    ORDER BY id DESC LIMIT :most
""")


def shrunken_before(connection: Connection, sync_id: int, status: str, most: int) -> list[list[int]]:
    """The ids of circuits that the latest answers of ``status`` lacked, newest first, as long as each was shrunken."""
    lacked = []
    for ids in connection.scalars(_SHRUNKEN_BEFORE, {"sync": sync_id, "status": status, "most": most}):
        if ids is None:
            break
        lacked.append(list(ids))
    return lacked
