"""Second attempts: when a failed sync runs again, and which of those that were to run again need not any more."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from circuit_sync.database.connection import Connection
from circuit_sync.database.log import retries
from circuit_sync.sync.session import Session


def next_attempt(connection: Connection, sync_id: int, now: datetime, delays: Sequence[timedelta]) -> datetime | None:
    """When a sync that fails now for a passing reason runs again; never, after as many attempts as there are delays."""
    attempts = retries.attempts_before(connection, sync_id)
    return now + delays[attempts] if attempts < len(delays) else None


def pending_retries(session: Session) -> list[dict[str, Any]]:
    """The failed syncs whose retry has not begun, oldest first."""
    with session.database.transaction() as connection:
        return retries.pending_retries(connection)


def cancel_retries(session: Session, reasons: Mapping[int, str]) -> None:
    """Takes back retries; the logs of their syncs tell why."""
    with session.database.transaction() as connection:
        for sync_id, why in reasons.items():
            retries.cancel_retry(connection, sync_id, why)
