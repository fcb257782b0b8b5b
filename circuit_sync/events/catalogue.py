"""The six events, their names, channels and payloads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypedDict

DASHBOARD = "dashboard"
SYNC_STATUS = "sync-status"


class Event:
    """What the outbox writes. The fields are the payload, but for the sync of an event of one circuit."""

    name: ClassVar[str]
    shared_channels: ClassVar[Sequence[str]] = ()
    """Besides the channel of its circuit."""
    circuit_id: int | None
    sync_id: int | None

    @property
    def channels(self) -> list[str]:
        return [*self.shared_channels, *([] if self.circuit_id is None else [f"circuit.{self.circuit_id}"])]

    @property
    def payload(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "sync_id" or self.circuit_id is None}


@dataclass(frozen=True)
class SyncStarted(Event):
    """A sync log was opened."""

    sync_id: int
    sync_type: str
    statuses: Sequence[str]
    trigger: str
    started_at: datetime
    name = "sync.started"
    circuit_id = None
    shared_channels = (DASHBOARD, SYNC_STATUS)


@dataclass(frozen=True)
class SyncCompleted(Event):
    """A sync ended well, perhaps with a warning."""

    sync_id: int
    sync_status: str
    completed_at: datetime
    counts: Mapping[str, int]
    name = "sync.completed"
    circuit_id = None
    shared_channels = (DASHBOARD, SYNC_STATUS)

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "sync_id": self.sync_id,
            "circuits_processed": self.counts.get("processed", 0),
            **{name: self.counts.get(name, 0) for name in ("created", "updated", "unchanged")},
            "sync_status": self.sync_status,
            "completed_at": self.completed_at,
        }


@dataclass(frozen=True)
class SyncFailed(Event):
    """A sync failed; ``error`` holds no secret and no free text."""

    sync_id: int
    error: str
    completed_at: datetime
    retry_at: datetime | None = None
    name = "sync.failed"
    circuit_id = None
    shared_channels = (SYNC_STATUS,)


@dataclass(frozen=True)
class PlannedUnitsSynced(Event):
    """A circuit's aggregate changed. Totals in feet, acres and trees; exact decimals as JSON numbers."""

    circuit_id: int
    sync_id: int | None
    work_order: str
    totals: Mapping[str, float]
    permission_counts: Mapping[str, int]
    previous: Mapping[str, float] | None
    name = "planned_units.synced"

    @property
    def payload(self) -> dict[str, Any]:
        payload = super().payload
        return payload | {"previous_totals": payload.pop("previous")}


@dataclass(frozen=True)
class CircuitWorkflowChanged(Event):
    """A circuit moved to another workflow stage, by the sync or by a person."""

    circuit_id: int
    sync_id: int | None
    old_stage: str
    new_stage: str
    changed_by: str
    name = "circuit.workflow_changed"
    shared_channels = (DASHBOARD,)

    @property
    def payload(self) -> dict[str, Any]:
        stages = {"from": self.old_stage, "to": self.new_stage}
        return {"circuit_id": self.circuit_id, **stages, "changed_by": self.changed_by}


class Change(TypedDict):
    """A field's value before and now, as JSON."""

    old: Any
    new: Any


@dataclass(frozen=True)
class CircuitUpdated(Event):
    """Fields of a circuit changed; of free text only that it did."""

    circuit_id: int
    sync_id: int | None
    changed: Mapping[str, Change]
    name = "circuit.updated"
