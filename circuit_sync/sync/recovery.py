"""What a dead process left behind: sync logs that nobody will close any more."""

from typing import Any

from circuit_sync.database.locks import is_run_alive
from circuit_sync.database.overview import started_syncs
from circuit_sync.sync.closing import close_as_failed
from circuit_sync.sync.session import Session


def open_syncs(session: Session) -> list[dict[str, Any]]:
    """The sync logs still ``started``: id, dagster_run_id, started_at, and ``is_alive``: whether their run lives."""
    with session.database.transaction() as connection:
        logs = started_syncs(connection)
    return [
        log | {"is_alive": log["dagster_run_id"] is not None and is_run_alive(session.database, log["dagster_run_id"])}
        for log in logs
    ]


def close_abandoned(session: Session, sync_id: int, reason: str) -> bool:
    """Closes a sync log as failed, with its event; false if it was closed already. The sync may be tried again."""
    return close_as_failed(session, sync_id, reason, passing=True)
