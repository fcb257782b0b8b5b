"""A use case begins with its sync log: what was asked for, and by whom."""

from datetime import datetime

from circuit_sync.database.connection import Connection
from circuit_sync.database.log import sync_logs
from circuit_sync.database.log.sync_logs import SyncLog
from circuit_sync.domain.requests import SyncRequest
from circuit_sync.events.catalogue import SyncStarted
from circuit_sync.events.outbox import emit


def open_log(connection: Connection, request: SyncRequest, now: datetime) -> SyncLog:
    """Opens the log of ``request``, with its event.

    Raises ``UsageError`` if ``triggered_by`` is not one known user, or the run has opened a log of this type already.
    """
    log = start_log(connection, request, now)
    started = SyncStarted(log.id, log.sync_type, log.context.get("statuses", ()), request.trigger, now)
    emit(connection, [started], now)
    return log


def start_log(connection: Connection, request: SyncRequest, now: datetime) -> SyncLog:
    """Like ``open_log``, without the event: for what is rolled back."""
    asked = request.asked()
    return sync_logs.start(
        connection,
        sync_type=request.sync_type,
        trigger=request.trigger,
        now=now,
        api_status_filter=",".join(asked.get("statuses", ())) or None,
        triggered_by=sync_logs.resolve_user(connection, request.triggered_by),
        run_id=request.run_id,
        retry_of=request.retry_of,
        context=asked,
    )
