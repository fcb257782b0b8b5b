"""The outbox: an event is a row written in the transaction of what it tells of, followed by NOTIFY.

So none is lost with a process that dies, and none tells of what was rolled back. Ids become visible in their order:
who has seen an id has seen, or can read, every lower one. A lock that is held to the end of the transaction sees to
it, so events are the last that a transaction writes.
"""

from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

from circuit_sync.database.circuits.temporary import changes, departed, stage_changes
from circuit_sync.events.catalogue import DASHBOARD, CircuitUpdated, CircuitWorkflowChanged, Event

NOTIFY_CHANNEL = "circuit_sync_events"

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


def emit(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Writes ``events`` within the connection's transaction; listeners wake when it commits."""
    if not events:
        return
    connection.execute(_IN_ORDER)
    connection.execute(
        _WRITE,
        [
            {
                "name": event.name,
                "channels": event.channels,
                "payload": orjson.dumps(event.payload).decode(),
                "circuit_id": event.circuit_id,
                "sync": event.sync_id,
                "now": now,
            }
            for event in events
        ],
    )
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
