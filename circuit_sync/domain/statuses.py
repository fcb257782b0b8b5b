"""The statuses of a circuit in WorkStudio, and the planners' words for them."""

from collections.abc import Iterable
from dataclasses import dataclass

from circuit_sync.domain.errors import UsageError


@dataclass(frozen=True)
class ApiStatus:
    """One status: the API's code, the caption a view filter carries, the workflow stage of a circuit first seen so."""

    code: str
    caption: str
    stage: str


API_STATUSES = (
    ApiStatus("ACTIV", "In Progress", "active"),
    ApiStatus("QC", "QC", "qc"),
    ApiStatus("REWRK", "Rework", "rework"),
    ApiStatus("CLOSE", "Closed", "closed"),
)
STATUS_CODES = tuple(status.code for status in API_STATUSES)
STATUS_ALIASES = {"REWORK": "REWRK"}
WORKFLOW_STAGES = ("active", "pending_permissions", "qc", "rework", "closed")


def parse_status(text: str) -> str:
    """The status code that ``text`` means, whatever its case; ``REWORK`` is an alias of ``REWRK``."""
    code = text.strip().upper()
    code = STATUS_ALIASES.get(code, code)
    if code not in STATUS_CODES:
        raise UsageError(f"unknown status {text!r}: allowed are {', '.join(STATUS_CODES)} (REWORK means REWRK)")
    return code


def parse_statuses(texts: Iterable[str]) -> tuple[str, ...]:
    """Distinct status codes in the order of ``STATUS_CODES``."""
    wanted = {parse_status(text) for text in texts}
    return tuple(code for code in STATUS_CODES if code in wanted)
