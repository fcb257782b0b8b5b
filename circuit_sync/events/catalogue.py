"""The six events, their names, channels and payloads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypedDict

DASHBOARD = "dashboard"
SYNC_STATUS = "sync-status"


def circuit_channel(circuit_id: int) -> str:
    """The channel of one circuit."""
    return f"circuit.{circuit_id}"


class Event(Protocol):
    """What the outbox writes."""

    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> list[str]: ...
    @property
    def payload(self) -> dict[str, Any]: ...
    @property
    def circuit_id(self) -> int | None: ...
    @property
    def sync_id(self) -> int | None: ...


@dataclass(frozen=True)
class SyncStarted:
    """A sync log was opened."""

    sync_id: int
    sync_type: str
    statuses: Sequence[str]
    trigger: str
    started_at: datetime
    name: ClassVar[str] = "sync.started"
    channels: ClassVar[list[str]] = [DASHBOARD, SYNC_STATUS]
    circuit_id: ClassVar[None] = None

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "sync_id": self.sync_id,
            "sync_type": self.sync_type,
            "statuses": list(self.statuses),
            "trigger": self.trigger,
            "started_at": self.started_at.isoformat(),
        }


@dataclass(frozen=True)
class SyncCompleted:
    """A sync ended well, perhaps with a warning."""

    sync_id: int
    sync_status: str
    completed_at: datetime
    counts: Mapping[str, int]
    name: ClassVar[str] = "sync.completed"
    channels: ClassVar[list[str]] = [DASHBOARD, SYNC_STATUS]
    circuit_id: ClassVar[None] = None

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "sync_id": self.sync_id,
            "circuits_processed": self.counts.get("processed", 0),
            "created": self.counts.get("created", 0),
            "updated": self.counts.get("updated", 0),
            "unchanged": self.counts.get("unchanged", 0),
            "sync_status": self.sync_status,
            "completed_at": self.completed_at.isoformat(),
        }


@dataclass(frozen=True)
class SyncFailed:
    """A sync failed; ``error`` holds no secret and no free text."""

    sync_id: int
    error: str
    completed_at: datetime
    retry_at: datetime | None = None
    name: ClassVar[str] = "sync.failed"
    channels: ClassVar[list[str]] = [SYNC_STATUS]
    circuit_id: ClassVar[None] = None

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "sync_id": self.sync_id,
            "error": self.error,
            "retry_at": self.retry_at.isoformat() if self.retry_at else None,
            "completed_at": self.completed_at.isoformat(),
        }


@dataclass(frozen=True)
class PlannedUnitsSynced:
    """A circuit's aggregate changed. Totals in feet, acres and trees; exact decimals as JSON numbers."""

    circuit_id: int
    sync_id: int | None
    work_order: str
    totals: Mapping[str, float]
    permission_counts: Mapping[str, int]
    previous: Mapping[str, float] | None
    name: ClassVar[str] = "planned_units.synced"

    @property
    def channels(self) -> list[str]:
        return [circuit_channel(self.circuit_id)]

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "circuit_id": self.circuit_id,
            "work_order": self.work_order,
            "totals": dict(self.totals),
            "permission_counts": dict(self.permission_counts),
            "previous_totals": dict(self.previous) if self.previous is not None else None,
        }


@dataclass(frozen=True)
class CircuitWorkflowChanged:
    """A circuit moved to another workflow stage, by the sync or by a person."""

    circuit_id: int
    sync_id: int | None
    old_stage: str
    new_stage: str
    changed_by: str
    name: ClassVar[str] = "circuit.workflow_changed"

    @property
    def channels(self) -> list[str]:
        return [DASHBOARD, circuit_channel(self.circuit_id)]

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "circuit_id": self.circuit_id,
            "from": self.old_stage,
            "to": self.new_stage,
            "changed_by": self.changed_by,
        }


class Change(TypedDict):
    """A field's value before and now, as JSON."""

    old: Any
    new: Any


@dataclass(frozen=True)
class CircuitUpdated:
    """Fields of a circuit changed; of free text only that it did."""

    circuit_id: int
    sync_id: int | None
    changed: Mapping[str, Change]
    name: ClassVar[str] = "circuit.updated"

    @property
    def channels(self) -> list[str]:
        return [circuit_channel(self.circuit_id)]

    @property
    def payload(self) -> dict[str, Any]:
        return {"circuit_id": self.circuit_id, "changed": dict(self.changed)}
