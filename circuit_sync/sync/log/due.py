"""What sensors read: which syncs ended since their last evaluation, what is due, and what is to be tried again."""

import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from circuit_sync.database.circuits.departures import syncs_with_departed
from circuit_sync.database.connection import Connection
from circuit_sync.database.log import ended_syncs, retries
from circuit_sync.database.log.retries import PendingRetry
from circuit_sync.database.settings import read_setting, write_setting
from circuit_sync.database.units.due import count_due
from circuit_sync.domain.eastern import eastern_date, midnight
from circuit_sync.domain.ended_syncs import Cursor, EndedSync
from circuit_sync.events.outbox import newest_id, pruned_up_to
from circuit_sync.sync.session import Session

_IDENTITY = "identity"


def syncs_ended(session: Session, stored: str | None) -> tuple[list[EndedSync], Cursor]:
    """The syncs that ended since the stored cursor, oldest first, and the cursor behind them.

    Without a cursor, or with one that cannot be read, of another database, ahead of the newest event or behind those
    that were pruned, every sync that ended is returned: a restored or new database silences no sensor.
    """
    with session.database.transaction() as connection:
        newest = newest_id(connection)
        cursor = _position(connection, _readable(stored), newest)
        if cursor is None:
            return ended_syncs.all_ended(connection), Cursor(_identity(connection), newest)
        ended = ended_syncs.ended_since(connection, cursor.after, newest)
        return ended, Cursor(cursor.database, newest, cursor.waiting)


def database_identity(session: Session) -> str:
    """What tells this database from every other, and from itself before an older state of it was restored."""
    with session.database.transaction() as connection:
        return _identity(connection)


def statuses_needing_aggregates(session: Session) -> dict[str, int]:
    """How many circuits of each status need their planned units fetched."""
    with session.database.transaction() as connection:
        return count_due(connection, midnight(eastern_date(session.now())))


def syncs_with_departed_circuits(session: Session, sync_ids: Collection[int]) -> dict[int, list[str]]:
    """Those of the syncs with a departed circuit that was not seen since, and the statuses that they fetched."""
    with session.database.transaction() as connection:
        return syncs_with_departed(connection, sync_ids)


def pending_retries(session: Session) -> list[PendingRetry]:
    """The failed syncs whose retry has not begun with all its runs, oldest first."""
    with session.database.transaction() as connection:
        return retries.pending_retries(connection)


def cancel_retries(session: Session, reasons: Mapping[int, str]) -> None:
    """Takes back retries; the logs of their syncs tell why."""
    with session.database.transaction() as connection:
        for sync_id, why in reasons.items():
            retries.cancel_retry(connection, sync_id, why)


def _readable(stored: str | None) -> dict[str, Any]:
    """The cursor's fields; none of what a person or another version of this program stored."""
    try:
        cursor = json.loads(stored or "{}")
    except ValueError:
        return {}
    known = ({"database", "after", "waiting"}, {"after", "seen", "waiting"})
    is_one = isinstance(cursor, dict) and set(cursor) in known and isinstance(cursor["after"], int)
    return cursor if is_one else {}


def _position(connection: Connection, stored: dict[str, Any], newest: int) -> Cursor | None:
    """From where to go on, unless nothing tells."""
    if "seen" in stored:  # of version 0.1, which read the sync log by its ids
        after = ended_syncs.position_of_log(connection, stored["after"], stored["seen"], newest)
        return after if after is None else Cursor(_identity(connection), after, stored["waiting"])
    cursor = Cursor(**stored) if stored else None
    if cursor is None or cursor.database != _identity(connection) or cursor.after < pruned_up_to(connection):
        return None
    if cursor.after > newest:  # An older state was restored: its next syncs have numbers that runs were started for.
        write_setting(connection, _IDENTITY, uuid4().hex[:8])
        return None
    return cursor


def _identity(connection: Connection) -> str:
    return read_setting(connection, _IDENTITY) or ""
