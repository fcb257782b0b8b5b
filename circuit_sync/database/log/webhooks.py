"""How far each webhook got in the events, and what comes next for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import TRY, WEBHOOKS

_UNLOCK = text("SELECT pg_advisory_unlock_all()")

# A new webhook gets the events since an instant, not the whole past.
_ADD = text("""
    INSERT INTO webhooks (url_hash, position)
    SELECT :webhook, coalesce((SELECT max(id) FROM sync_events WHERE occurred_at < :since), 0)
    ON CONFLICT DO NOTHING
""")

_STATE = text("""
    SELECT position, attempts, next_attempt_at, last_error, refusals FROM webhooks WHERE url_hash = :webhook
""")

# A recovery: the sync before over one of the statuses or dates, and over the same work orders if any, had failed.
_NEXT = text("""
    SELECT e.id, e.name, e.payload, e.occurred_at, l.sync_type, l.api_status_filter AS statuses,
           e.name = 'sync.completed' AND EXISTS (
               SELECT 1
               FROM jsonb_array_elements_text(coalesce(l.context -> 'dates', l.context -> 'statuses')) AS part
               CROSS JOIN LATERAL (
                   SELECT sync_status FROM sync_logs AS b
                   WHERE b.sync_type = l.sync_type AND b.id <> l.id AND b.completed_at <= l.completed_at
                     AND coalesce(b.context -> 'dates', b.context -> 'statuses') ? part
                     AND coalesce(b.context -> 'work_orders', '[]') = coalesce(l.context -> 'work_orders', '[]')
                   ORDER BY b.completed_at DESC, b.id DESC LIMIT 1) AS before
               WHERE before.sync_status = 'failed') AS is_recovery
    FROM sync_events AS e LEFT JOIN sync_logs AS l ON l.id = e.sync_log_id
    WHERE e.id > :after AND e.id <= :upto AND e.name = ANY(:names)
    ORDER BY e.id LIMIT :most
""")

_SAVE = text("""
    UPDATE webhooks
    SET position = :position, attempts = :attempts, next_attempt_at = :next_attempt_at, last_error = :last_error,
        refusals = :refusals, delivered_at = coalesce(:delivered_at, delivered_at)
    WHERE url_hash = :webhook
""")


@dataclass(frozen=True)
class State:
    """``position``: id of the last event that a webhook is done with; the rest: the attempts at the next one.

    ``refusals``: those of the attempts that the receiver answered by refusing the event as such.
    """

    position: int
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    refusals: int = 0


@contextmanager
def delivering(database: Database) -> Iterator[bool]:
    """Whether this process alone delivers, for as long as the context lasts: so that no event is sent twice."""
    with database.lock_connection() as connection:
        yield bool(connection.scalar(TRY, {"name": WEBHOOKS}))
        connection.execute(_UNLOCK)


def state_of(connection: Connection, webhook: str, since: datetime) -> State:
    """How far the webhook got; a new one begins with the events since then."""
    connection.execute(_ADD, {"webhook": webhook, "since": since})
    return State(**connection.execute(_STATE, {"webhook": webhook}).one()._mapping)


def next_events(
    connection: Connection, *, after: int, upto: int, names: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """The events of ``names`` behind ``after``, in their order, with columns of their sync's log."""
    found = connection.execute(_NEXT, {"after": after, "upto": upto, "names": list(names), "most": most})
    return [dict(row._mapping) for row in found]


def save_state(connection: Connection, webhook: str, state: State, delivered_at: datetime | None = None) -> None:
    """Remembers how far the webhook got."""
    connection.execute(_SAVE, {"webhook": webhook, "delivered_at": delivered_at, **vars(state)})
