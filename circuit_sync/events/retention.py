"""Old events go, in small steps."""

from datetime import datetime

from sqlalchemy import text

from circuit_sync.events.stored import PRUNED, Transactions

BATCH = 5_000

# By id, not by time: so what is left has no hole, and one number tells a listener whether it missed something.
_LAST = text(f"""
    SELECT coalesce((SELECT min(id) - 1 FROM sync_events WHERE occurred_at >= :older_than), {2**63 - 1})
""")

_PRUNE = text(f"""
    WITH gone AS (
        DELETE FROM sync_events
        WHERE id IN (SELECT id FROM sync_events WHERE id <= :last ORDER BY id LIMIT :batch)
        RETURNING id),
    remembered AS (
        INSERT INTO database_settings (name, value) SELECT '{PRUNED}', max(id)::text FROM gone HAVING count(*) > 0
        ON CONFLICT (name) DO UPDATE SET value = excluded.value)
    SELECT count(*) FROM gone
""")


def prune_events(database: Transactions, older_than: datetime, batch: int = BATCH) -> int:
    """Deletes the events that occurred before ``older_than``, ``batch`` in a transaction; returns how many.

    An event that came late (its id is above one that stays) stays, too.
    """
    with database.transaction() as connection:
        last = connection.scalar(_LAST, {"older_than": older_than})
    pruned, step = 0, batch
    while step == batch:
        with database.transaction() as connection:
            step = int(connection.scalar(_PRUNE, {"last": last, "batch": batch}) or 0)
        pruned += step
    return pruned
