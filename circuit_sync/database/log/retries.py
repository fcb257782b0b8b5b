"""What the sync log says of retries: how many a sync has behind it, and which are still to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.domain.requests import SyncRequest, stored_request

_ATTEMPTS_BEFORE = text("""
    WITH RECURSIVE chain AS (
        SELECT retry_of FROM sync_logs WHERE id = :sync
        UNION ALL
        SELECT l.retry_of FROM sync_logs AS l JOIN chain ON l.id = chain.retry_of)
    SELECT count(*) FROM chain WHERE retry_of IS NOT NULL
""")

# Spent when the runs that it consists of, one for each range of statuses, have opened their logs.
_PENDING = text("""
    SELECT f.id, f.sync_type, f.context, f.sync_trigger AS trigger, u.email AS triggered_by, f.retry_at, begun.contexts
    FROM sync_logs AS f
    LEFT JOIN users AS u ON u.id = f.triggered_by
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(context), '{}') AS contexts, count(*) AS number
        FROM sync_logs WHERE retry_of = f.id) AS begun
    WHERE f.sync_status = 'failed' AND f.retry_at IS NOT NULL
      AND (begun.number = 0 OR NOT coalesce(f.context -> 'statuses', '[]') <@ (
               SELECT coalesce(jsonb_agg(status), '[]')
               FROM unnest(begun.contexts) AS c
               CROSS JOIN LATERAL jsonb_array_elements(c -> 'statuses') AS status))
    ORDER BY f.id
""")

# Not what failed without being tried again though it could be: that a person cancelled, or tried often enough.
_NEWER = text("""
    SELECT id, sync_type, context, sync_status, retry_at IS NOT NULL AS is_retried
    FROM sync_logs
    WHERE id > :sync AND sync_type = :type
      AND (sync_status <> 'failed' OR retry_at IS NOT NULL
           OR error_details @> '{"passing": false}' AND NOT error_details @> '{"cancelled": true}')
    ORDER BY id DESC
""")

_CANCEL = text("""
    UPDATE sync_logs SET retry_at = NULL, context = context || jsonb_build_object('retry_cancelled', CAST(:why AS text))
    WHERE id = :sync AND sync_status = 'failed'
""")


@dataclass(frozen=True)
class NewerSync:
    """A sync that began after another, as far as it says whether that must be tried again."""

    id: int
    sync_status: str
    is_retried: bool


@dataclass(frozen=True)
class PendingRetry:
    """A failed sync that is to run again: its ``request`` names it as ``retry_of``.

    ``begun``: what those of its runs were asked for that have opened their logs; ``newer``: the latest sync that covers
    the request.
    """

    sync_id: int
    request: SyncRequest
    retry_at: datetime
    begun: Sequence[SyncRequest] = ()
    newer: NewerSync | None = None


def attempts_before(connection: Connection, sync_id: int) -> int:
    """How many attempts the chain of retries that ends with this sync has behind it; 0 for a first attempt."""
    return int(connection.scalar(_ATTEMPTS_BEFORE, {"sync": sync_id}) or 0)


def pending_retries(connection: Connection) -> list[PendingRetry]:
    """The failed syncs whose retry has not begun with all its runs, oldest first."""
    return [_pending(connection, row) for row in connection.execute(_PENDING)]


def cancel_retry(connection: Connection, sync_id: int, why: str) -> None:
    """Takes back the retry of a failed sync; its log tells why."""
    connection.execute(_CANCEL, {"sync": sync_id, "why": why})


def _pending(connection: Connection, row: Any) -> PendingRetry:
    who = {"trigger": row.trigger, "triggered_by": row.triggered_by, "retry_of": row.id}
    request = stored_request(row.sync_type, row.context, **who)
    newer = (
        NewerSync(log.id, log.sync_status, log.is_retried)
        for log in connection.execute(_NEWER, {"sync": row.id, "type": row.sync_type})
        if stored_request(log.sync_type, log.context).covers(request)
    )
    begun = [stored_request(row.sync_type, context) for context in row.contexts]
    return PendingRetry(row.id, request, row.retry_at, begun, next(newer, None))
