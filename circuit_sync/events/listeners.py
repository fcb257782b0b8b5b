"""What happens at an event, in one place: the sync itself waits for nobody.

Listeners run in a gateway, which follows the table: while it runs they hear each event once, in order, after its
transaction. What happens while no gateway runs is not told to them later, and each of two gateways tells its own: all
events stand in ``sync_events``, all syncs in ``sync_logs`` and in the logs of their runs.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from circuit_sync.events.catalogue import (
    CircuitUpdated,
    CircuitWorkflowChanged,
    PlannedUnitsSynced,
    SyncCompleted,
    SyncFailed,
    SyncStarted,
)
from circuit_sync.events.stored import StoredEvent

_log = logging.getLogger("circuit_sync.events")


class Audience(Protocol):
    """Whoever listens live."""

    def deliver(self, event: StoredEvent) -> None: ...


Listener = Callable[[StoredEvent, Audience], None]


def log_sync_started(event: StoredEvent, _audience: Audience) -> None:
    """One structured line in the gateway's log: which sync started, why, and of what."""
    _log_line(event, ("sync_id", "sync_type", "statuses", "trigger", "started_at"))


def log_sync_completed(event: StoredEvent, _audience: Audience) -> None:
    """One structured line in the gateway's log: how a sync ended. Its message stands in the sync log."""
    counts = ("circuits_processed", "created", "updated", "unchanged")
    _log_line(event, ("sync_id", "sync_status", *counts, "retry_at", "completed_at"))


def broadcast_sync_status(event: StoredEvent, audience: Audience) -> None:
    """Hands the event to everyone who listens to one of its channels."""
    audience.deliver(event)


LISTENERS: Mapping[str, Sequence[Listener]] = {
    SyncStarted.name: (log_sync_started, broadcast_sync_status),
    SyncCompleted.name: (log_sync_completed, broadcast_sync_status),
    SyncFailed.name: (log_sync_completed, broadcast_sync_status),
    PlannedUnitsSynced.name: (broadcast_sync_status,),
    CircuitWorkflowChanged.name: (broadcast_sync_status,),
    CircuitUpdated.name: (broadcast_sync_status,),
}


def hear(event: StoredEvent, audience: Audience) -> None:
    """Tells every listener of this event."""
    for listener in LISTENERS.get(event.name, (broadcast_sync_status,)):
        listener(event, audience)


def _log_line(event: StoredEvent, fields: Sequence[str]) -> None:
    told: dict[str, Any] = {"event": event.name, "event_id": event.id}
    told |= {name: event.payload[name] for name in fields if name in event.payload}
    _log.info("%s", orjson.dumps(told).decode())
