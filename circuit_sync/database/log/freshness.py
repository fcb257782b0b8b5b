"""How old what we hold is: when each status was synced, and of which dates snapshots were taken."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

_STATUSES = text("""
    SELECT s.status, max(l.completed_at) FILTER (WHERE l.sync_status IN ('completed', 'warning')) AS synced_at,
           min(l.started_at) AS first_tried_at
    FROM unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS s (status, place)
    LEFT JOIN sync_logs AS l
      ON l.sync_type = 'circuit_list' AND s.status = ANY(string_to_array(l.api_status_filter, ','))
    GROUP BY s.status, s.place
    ORDER BY s.place
""")

_FIRST_SYNC = text("""
    SELECT min(completed_at) FROM sync_logs
    WHERE sync_type = 'circuit_list' AND sync_status IN ('completed', 'warning')
""")

_FIRST_SNAPSHOT = text("SELECT min(snapshot_date) FROM circuit_snapshots WHERE snapshot_type = 'daily'")

_SNAPSHOT_DATES = text("""
    SELECT DISTINCT CAST(d.value AS date)
    FROM sync_logs AS l, LATERAL jsonb_array_elements_text(l.context -> 'dates') AS d
    WHERE l.sync_type = 'snapshots' AND l.sync_status IN ('completed', 'warning') AND CAST(d.value AS date) >= :since
""")


def status_ages(connection: Connection, statuses: Sequence[str]) -> list[dict[str, Any]]:
    """For each status ``synced_at``, the end of its last good sync, and ``first_tried_at``."""
    return [dict(row._mapping) for row in connection.execute(_STATUSES, {"statuses": list(statuses)})]


def first_sync(connection: Connection) -> datetime | None:
    """When circuits were synced for the first time: before it there was nothing to take a snapshot of."""
    found: datetime | None = connection.scalar(_FIRST_SYNC)
    return found


def first_snapshot(connection: Connection) -> date | None:
    """The earliest date that has snapshots."""
    found: date | None = connection.scalar(_FIRST_SNAPSHOT)
    return found


def snapshot_dates(connection: Connection, since: date) -> set[date]:
    """The dates from ``since`` on whose snapshots were taken, also if there was no open circuit."""
    return set(connection.scalars(_SNAPSHOT_DATES, {"since": since}))
