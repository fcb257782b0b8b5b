"""The outbox, ``sync_events``: an event is a row written in the transaction of what it describes, followed by NOTIFY.

So none is lost with a process that dies, and none describes what was rolled back. Ids become visible in their order:
who has seen an id has seen, or can read, every lower one. A lock that is held to the end of the transaction sees to
it, so events are the last that a transaction writes.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, text

from circuit_sync.database.circuits.temporary import changes, departed, stage_changes
from circuit_sync.events.catalogue import DASHBOARD, CircuitUpdated, CircuitWorkflowChanged, Event

NOTIFY_CHANNEL = "circuit_sync_events"
MOST_PRUNED = 5_000
_ANY_ID = 2**63 - 1

_IN_ORDER = text("SELECT pg_advisory_xact_lock(hashtextextended('circuit_sync events', 0))")
_NOTIFY = text(f"SELECT pg_notify('{NOTIFY_CHANNEL}', '')")

_WRITE = text("""
    INSERT INTO sync_events (name, channels, payload, circuit_id, sync_log_id, occurred_at)
    VALUES (:name, :channels, CAST(:payload AS jsonb), :circuit_id, :sync, :now)
""")

_WRITE_CIRCUITS_UPDATED = text(f"""
    INSERT INTO sync_events (name, channels, payload, circuit_id, sync_log_id, occurred_at)
    SELECT '{CircuitUpdated.name}', ARRAY['circuit.' || w.circuit_id],
           jsonb_build_object('circuit_id', w.circuit_id, 'changed', w.changed), w.circuit_id, :sync, :now
    FROM (SELECT circuit_id, changed FROM {changes} WHERE changed <> '{{}}'
          UNION ALL
          SELECT circuit_id, jsonb_build_object(
              'departed_at', jsonb_build_object('old', NULL, 'new', CAST(:now AS timestamptz)))
          FROM {departed}) AS w
    ORDER BY w.circuit_id
""")

_WRITE_STAGES_CHANGED = text(f"""
    INSERT INTO sync_events (name, channels, payload, circuit_id, sync_log_id, occurred_at)
    SELECT '{CircuitWorkflowChanged.name}', ARRAY['{DASHBOARD}', 'circuit.' || circuit_id],
           jsonb_build_object('circuit_id', circuit_id, 'from', old_stage, 'to', new_stage, 'changed_by', changed_by),
           circuit_id, :sync, :now
    FROM {stage_changes}
    ORDER BY circuit_id
""")

_READ = text("""
    SELECT id, name, channels, (payload || jsonb_build_object('occurred_at', occurred_at))::text AS data, occurred_at
    FROM sync_events
    WHERE id > :after AND id <= :upto
      AND (CAST(:channels AS text[]) IS NULL OR channels && CAST(:channels AS text[]))
    ORDER BY id LIMIT :most
""")

# The row of `database_settings` holds the highest id that was pruned.
_PRUNED = "SELECT value::bigint FROM database_settings WHERE name = 'events_pruned_up_to'"
_NEWEST = f"SELECT coalesce(greatest((SELECT max(id) FROM sync_events), ({_PRUNED})), 0)"

# By id, not by time: so what is left has no hole, and one number tells a client whether it missed something.
_LAST = text(f"SELECT coalesce((SELECT min(id) - 1 FROM sync_events WHERE occurred_at >= :older_than), {_ANY_ID})")

_PRUNE = text("""
    WITH gone AS (
        DELETE FROM sync_events
        WHERE id IN (SELECT id FROM sync_events WHERE id <= :last ORDER BY id LIMIT :batch)
        RETURNING id),
    remembered AS (
        INSERT INTO database_settings (name, value)
        SELECT 'events_pruned_up_to', max(id)::text FROM gone HAVING count(*) > 0
        ON CONFLICT (name) DO UPDATE SET value = excluded.value)
    SELECT count(*) FROM gone
""")


class Transactions(Protocol):
    """The database, as far as pruning needs it."""

    def transaction(self) -> AbstractContextManager[Connection]: ...


@dataclass(frozen=True)
class StoredEvent:
    """One row; ``data`` is its payload and ``occurred_at`` as one line of JSON."""

    id: int
    name: str
    channels: Sequence[str]
    data: str
    occurred_at: datetime

    @cached_property
    def payload(self) -> dict[str, Any]:
        return dict(orjson.loads(self.data))


def emit(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Writes ``events`` within the connection's transaction; listeners wake when it commits."""
    if not events:
        return
    rows = [
        {
            "name": event.name,
            "channels": event.channels,
            "payload": orjson.dumps(event.payload).decode(),
            "circuit_id": event.circuit_id,
            "sync": event.sync_id,
            "now": now,
        }
        for event in events
    ]
    connection.execute(_IN_ORDER)
    connection.execute(_WRITE, rows)
    connection.execute(_NOTIFY)


def emit_circuit_changes(connection: Connection, sync_id: int, now: datetime) -> None:
    """Writes ``circuit.updated`` and ``circuit.workflow_changed`` for what this transaction stores.

    Set-based, from the temporary tables of the store, as a sync may change every circuit.
    """
    parameters = {"sync": sync_id, "now": now}
    connection.execute(_IN_ORDER)
    connection.execute(_WRITE_CIRCUITS_UPDATED, parameters)
    connection.execute(_WRITE_STAGES_CHANGED, parameters)
    connection.execute(_NOTIFY)


def read_events(
    connection: Connection, after: int, *, most: int, upto: int = _ANY_ID, channels: Collection[str] | None = None
) -> list[StoredEvent]:
    """Events with an id above ``after`` in their order, at most ``most``; of ``channels`` only, if given."""
    wanted = None if channels is None else sorted(channels)
    found = connection.execute(_READ, {"after": after, "upto": upto, "channels": wanted, "most": most})
    return [StoredEvent(**row._mapping) for row in found]


def pruned_up_to(connection: Connection) -> int:
    """The highest id that was ever pruned, 0 if none was."""
    return int(connection.scalar(text(_PRUNED)) or 0)


def newest_id(connection: Connection) -> int:
    """The highest id so far: whoever begins here gets what comes from now on."""
    return int(connection.scalar(text(_NEWEST)))


def prune_events(database: Transactions, older_than: datetime, batch: int = MOST_PRUNED) -> int:
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
