"""What a sync leaves in its log beside the columns: the JSON of ``sync_logs.context`` and ``sync_logs.error_details``.

Use cases write both through ``database.log.sync_logs.remember`` and read them from ``SyncLog``. Each writes its own
keys; a sync that failed early has few.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypedDict

from circuit_sync.domain.printable import Lines


class AnswerCounts(TypedDict):
    """One status' answer: its rows, and the fields and columns of ``api_data`` that it had no column for."""

    received: int
    accepted: int
    rejected: int
    absent: list[str]


class CredentialUse(TypedDict):
    """Calls with a planner's credential, or ``service``, and how many of them were refused."""

    credential_id: int | str
    calls: int
    refused: int


class FailedWorkOrder(TypedDict):
    work_order: str
    reason: str


class RejectedUnits(TypedDict):
    """Units of a work order that cannot be read, for one reason."""

    work_order: str
    column: str
    reason: str
    units: int


class UnitsChanged(TypedDict):
    """A circuit's number of units; ``None`` before the first aggregate."""

    work_order: str
    extension: str
    units: int
    previous_units: int | None


class SyncContext(TypedDict, total=False):
    """``sync_logs.context``."""

    # What was asked for (``domain.requests``): statuses in their order, or dates.
    statuses: list[str]
    dates: list[str]
    work_orders: list[str]
    force: bool
    accept_departures: bool

    # Of every sync that calls WorkStudio.
    calls: Mapping[str, float]
    credentials: Sequence[CredentialUse]

    # Circuits, fetched.
    answers: Mapping[str, AnswerCounts]
    seconds_fetching: float
    is_another_account: bool

    # Circuits, stored. ``shrunken``: ids that the doubtful answer of a status lacks.
    per_status: Mapping[str, Mapping[str, int]]
    shrunken: Mapping[str, list[int]]
    departed: int
    returned: int
    withheld: int
    new_regions: Sequence[str]

    # Aggregates. ``reasons``: circuits per reason for being chosen; ``left_out``: work orders without any.
    reasons: Mapping[str, int]
    left_out: Sequence[str]
    counts: dict[str, int]
    changes: Sequence[UnitsChanged]

    # Aggregates and snapshots.
    seconds: Mapping[str, float]


class ErrorDetails(TypedDict, total=False):
    """``sync_logs.error_details``: what somebody may want to look at, without free text."""

    # Of a failed sync: whether it may succeed later, and whether a person ended it.
    passing: bool
    cancelled: bool

    # Circuits. ``rejected``: the members of ``RejectedRow``; ``duplicates``: GUIDs.
    rejected: Lines
    duplicates: Sequence[str]
    withheld: Lines

    # Aggregates. ``extensions_now_empty``: circuits without units now; the last three count units.
    failures: list[FailedWorkOrder]
    rejected_units: list[RejectedUnits]
    unknown_unit_types: Counter[str]
    extensions_now_empty: list[str]
    units_of_unknown_circuits: int
    pending_units_undated: int
    units_of_other_work_orders: int
