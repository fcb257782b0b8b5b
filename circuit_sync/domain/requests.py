"""What a sync is asked for: one type per sync, as its log stores it, and whether another sync does the same.

A new option is a field here, one of the run's configuration (``orchestration.runs.requests``), and one of the command.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, Self

from circuit_sync.domain.statuses import STATUS_CODES

SCHEDULED, WORKFLOW_EVENT, MANUAL = TRIGGERS = ("scheduled", "workflow_event", "manual")


@dataclass(frozen=True, kw_only=True)
class SyncRequest(ABC):
    """Who asks. ``triggered_by`` names a user, ``retry_of`` the failed sync that this one repeats."""

    trigger: str = MANUAL
    triggered_by: str | None = None
    run_id: str | None = None
    retry_of: int | None = None
    sync_type: ClassVar[str]

    @property
    def is_watched(self) -> bool:
        """Whether a person started the run, and sees there what is wrong with the request."""
        return self.trigger == MANUAL and self.retry_of is None

    def asked(self) -> dict[str, Any]:
        """What is asked for, as JSON: what the context of the sync log holds."""
        who = {field.name for field in fields(SyncRequest)}
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in who}
        return {name: value if isinstance(value, bool) else list(map(str, value)) for name, value in asked.items()}

    @classmethod
    def of(cls, asked: Mapping[str, Any], **who: Any) -> Self:
        """The request that ``asked`` was stored of; what else a log's context holds is left aside."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in asked.items() if name in names}, **who)

    @abstractmethod
    def covers(self, other: "SyncRequest") -> bool:
        """Whether this sync does all that the other is asked for, as thoroughly."""


@dataclass(frozen=True)
class CircuitSyncRequest(SyncRequest):
    """Which statuses; ``force`` overrides what people edited, ``accept_departures`` believes a doubtful answer."""

    statuses: Sequence[str]
    force: bool = False
    accept_departures: bool = False
    sync_type: ClassVar[str] = "circuit_list"

    def covers(self, other: SyncRequest) -> bool:
        return (
            isinstance(other, CircuitSyncRequest)
            and set(other.statuses) <= set(self.statuses)
            and self.force >= other.force
            and self.accept_departures >= other.accept_departures
        )


@dataclass(frozen=True)
class AggregateSyncRequest(SyncRequest):
    """Whose units: of the circuits of ``statuses`` that are due, or of ``work_orders``; ``force``: due or not."""

    statuses: Sequence[str] = STATUS_CODES
    work_orders: Sequence[str] = ()
    force: bool = False
    sync_type: ClassVar[str] = "aggregates"

    def covers(self, other: SyncRequest) -> bool:
        if not isinstance(other, AggregateSyncRequest) or self.force < other.force:
            return False
        if self.work_orders:
            return bool(other.work_orders) and set(other.work_orders) <= set(self.work_orders)
        # What is named is fetched whether it is due or not, and so it is by a forced sync only.
        return set(other.statuses) <= set(self.statuses) and (self.force or not other.work_orders)


@dataclass(frozen=True)
class SnapshotRequest(SyncRequest):
    """Which weekdays."""

    dates: Sequence[date]
    sync_type: ClassVar[str] = "snapshots"

    @classmethod
    def of(cls, asked: Mapping[str, Any], **who: Any) -> Self:
        return cls([date.fromisoformat(day) for day in asked.get("dates", ())], **who)

    def covers(self, other: SyncRequest) -> bool:
        return isinstance(other, SnapshotRequest) and set(other.dates) <= set(self.dates)


def stored_request(sync_type: str, asked: Mapping[str, Any], **who: Any) -> SyncRequest:
    """The request of a sync log, by its type and context."""
    kinds: dict[str, type[SyncRequest]] = {
        kind.sync_type: kind for kind in (CircuitSyncRequest, AggregateSyncRequest, SnapshotRequest)
    }
    return kinds[sync_type].of(asked, **who)
