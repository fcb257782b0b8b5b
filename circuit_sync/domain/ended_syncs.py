"""Syncs that ended, as the sensors that go on from them follow them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class EndedSync:
    """A circuit or aggregate sync that stored what it came for, or an aggregate sync that failed after it stored some.

    ``has_changes``: what a snapshot shows changed; ``has_departures``: circuits left the answer of their status.
    """

    sync_id: int
    sync_type: str
    sync_status: str
    statuses: Sequence[str]
    has_changes: bool
    has_departures: bool


@dataclass(frozen=True)
class Cursor:
    """How far a sensor has read the events of which ``database``: all up to the id ``after``.

    ``waiting`` holds what is to be started as soon as it can be, with the sync that asked for it.
    """

    database: str
    after: int
    waiting: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """As Dagster keeps it; ``Cursor(**json.loads(text))`` is the cursor again."""
        return json.dumps(asdict(self))
