"""What the sync log says of second attempts: chains of them, and those that are still to come."""

from typing import Any

from sqlalchemy import Connection, text

_ATTEMPTS_BEFORE = text("""
    WITH RECURSIVE chain AS (
        SELECT retry_of FROM sync_logs WHERE id = :sync
        UNION ALL
        SELECT l.retry_of FROM sync_logs AS l JOIN chain ON l.id = chain.retry_of)
    SELECT count(*) FROM chain WHERE retry_of IS NOT NULL
""")

# `newer`: what syncs of the same type that began since were asked for, and how they fared.
_PENDING = text("""
    SELECT f.id, f.sync_type, f.sync_trigger, f.api_status_filter, f.retry_at, f.context, u.email AS triggered_by, newer
    FROM sync_logs AS f
    LEFT JOIN users AS u ON u.id = f.triggered_by
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'id', n.id, 'status', n.sync_status, 'is_retried', n.retry_at IS NOT NULL,
                   'needs_a_person', n.sync_status = 'failed' AND n.error_details @> '{"passing": false}'
                                     AND NOT n.error_details @> '{"cancelled": true}',
                   'asked', jsonb_build_object(
                       'statuses', n.context -> 'statuses', 'dates', n.context -> 'dates',
                       'work_orders', n.context -> 'work_orders', 'force', n.context -> 'force',
                       'accept_departures', n.context -> 'accept_departures')
               ) ORDER BY n.id), '[]') AS newer
        FROM sync_logs AS n
        WHERE n.id > f.id AND n.sync_type = f.sync_type) AS since
    WHERE f.sync_status = 'failed' AND f.retry_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM sync_logs WHERE retry_of = f.id)
    ORDER BY f.id
""")

_CANCEL = text("""
    UPDATE sync_logs SET retry_at = NULL, context = context || jsonb_build_object('retry_cancelled', CAST(:why AS text))
    WHERE id = :sync AND sync_status = 'failed'
""")


def attempts_before(connection: Connection, sync_id: int) -> int:
    """How many attempts the chain of retries that ends with this sync has behind it; 0 for a first attempt."""
    return int(connection.scalar(_ATTEMPTS_BEFORE, {"sync": sync_id}) or 0)


def pending_retries(connection: Connection) -> list[dict[str, Any]]:
    """Failed syncs whose retry has not begun, with what they were asked for, and the ``newer`` ones of their type."""
    return [dict(row._mapping) for row in connection.execute(_PENDING)]


def cancel_retry(connection: Connection, sync_id: int, why: str) -> None:
    """Takes back the retry of a failed sync; its log tells why."""
    connection.execute(_CANCEL, {"sync": sync_id, "why": why})
