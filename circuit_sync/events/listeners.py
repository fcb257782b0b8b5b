"""What the gateway does at each event, in one place: no sync waits for it.

Listeners run in a gateway, which follows the table: while it runs they get each event once, in order, after its
transaction. They never get what happens while no gateway runs, and each of two gateways calls its own: all events stand
in ``sync_events``, all syncs in ``sync_logs`` and in the logs of their runs.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import orjson

from circuit_sync.events import catalogue
from circuit_sync.events.hub import Hub
from circuit_sync.events.outbox import StoredEvent

Listener = Callable[[StoredEvent, Hub], None]

_LOGGED = (
    *("sync_id", "sync_type", "statuses", "trigger", "started_at", "sync_status"),
    *("circuits_processed", "created", "updated", "unchanged", "retry_at", "completed_at"),
)
_log = logging.getLogger("circuit_sync.events")


def log_sync_started(event: StoredEvent, _hub: Hub) -> None:
    """One structured line in the gateway's log: which sync started, why, and of what."""
    _log_line(event)


def log_sync_completed(event: StoredEvent, _hub: Hub) -> None:
    """One structured line in the gateway's log: how a sync ended. Its message stands in the sync log."""
    _log_line(event)


def broadcast_sync_status(event: StoredEvent, hub: Hub) -> None:
    """Hands the event to every stream of one of its channels."""
    hub.deliver(event)


LISTENERS: Mapping[str, Sequence[Listener]] = {
    catalogue.SyncStarted.name: (log_sync_started, broadcast_sync_status),
    catalogue.SyncCompleted.name: (log_sync_completed, broadcast_sync_status),
    catalogue.SyncFailed.name: (log_sync_completed, broadcast_sync_status),
    catalogue.PlannedUnitsSynced.name: (broadcast_sync_status,),
    catalogue.CircuitWorkflowChanged.name: (broadcast_sync_status,),
    catalogue.CircuitUpdated.name: (broadcast_sync_status,),
}


def dispatch(event: StoredEvent, hub: Hub) -> None:
    """Calls every listener of this event; one that a newer release added is broadcast."""
    for listener in LISTENERS.get(event.name, (broadcast_sync_status,)):
        listener(event, hub)


def _log_line(event: StoredEvent) -> None:
    fields = {name: event.payload[name] for name in _LOGGED if name in event.payload}
    _log.info("%s", orjson.dumps({"event": event.name, "event_id": event.id, **fields}).decode())
