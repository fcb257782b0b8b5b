"""Syncs that ended since an event: ids of events become visible in their order, those of sync logs do not."""

from sqlalchemy import Connection, text

from circuit_sync.domain.ended_syncs import EndedSync

_ENDED = """
    SELECT l.id AS sync_id, l.sync_type, l.sync_status, string_to_array(l.api_status_filter, ',') AS statuses,
           facts.departed > 0 AS has_departures,
           l.circuits_created + l.circuits_updated + l.aggregates_created + facts.stored + facts.departed
               + facts.returned > 0 AS has_changes
    FROM sync_logs AS l
    CROSS JOIN LATERAL (
        SELECT coalesce((l.context ->> 'departed')::int, 0) AS departed,
               coalesce((l.context ->> 'returned')::int, 0) AS returned,
               coalesce((l.context -> 'counts' ->> 'stored')::int, 0) AS stored) AS facts
    WHERE (l.sync_type IN ('circuit_list', 'aggregates') AND l.sync_status IN ('completed', 'warning')
           OR l.sync_type = 'aggregates' AND l.sync_status = 'failed' AND facts.stored > 0)
"""

_ALL = text(f"{_ENDED} ORDER BY l.id")

# Events of syncs only: there may be 20,000 of circuits between two of them.
_SINCE = text(f"""
    {_ENDED} AND l.id IN (
        SELECT sync_log_id FROM sync_events
        WHERE id > :after AND id <= :upto AND circuit_id IS NULL AND name IN ('sync.completed', 'sync.failed'))
    ORDER BY l.id
""")

_BEFORE = text("""
    SELECT coalesce(min(e.id) - 1, :newest)
    FROM sync_events AS e
    WHERE e.circuit_id IS NULL AND e.name IN ('sync.completed', 'sync.failed')
      AND e.sync_log_id > :sync AND e.sync_log_id <> ALL(:seen)
""")

_NEWEST_LOG = text("SELECT coalesce(max(id), 0) FROM sync_logs")


def all_ended(connection: Connection) -> list[EndedSync]:
    """Every sync that ended, oldest first."""
    return [EndedSync(**row._mapping) for row in connection.execute(_ALL)]


def ended_since(connection: Connection, after: int, upto: int) -> list[EndedSync]:
    """The syncs whose end is told by the events above ``after`` up to ``upto``, oldest first."""
    return [EndedSync(**row._mapping) for row in connection.execute(_SINCE, {"after": after, "upto": upto})]


def position_of_log(connection: Connection, sync_id: int, seen: list[int], newest: int) -> int | None:
    """The event behind which no end of a sync above ``sync_id`` was told but of those ``seen``; None if there is no
    such sync yet: the log is another database's.
    """
    if sync_id > int(connection.scalar(_NEWEST_LOG) or 0):
        return None
    return int(connection.scalar(_BEFORE, {"sync": sync_id, "seen": seen, "newest": newest}) or 0)
