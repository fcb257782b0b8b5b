"""The fields of a circuit: how each is made of a raw value, and what else of WorkStudio's view is kept.

Kept apart from what needs pandas, so that a command that stores nothing starts fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import STATUS_CODES, parse_status
from circuit_sync.domain.values import (
    BadValue,
    clean_date,
    clean_guid,
    clean_instant,
    clean_name,
    clean_number,
    clean_text,
)

MAIN_EXTENSION = "@"
API_DATA_COLUMNS = (
    "VEGJOB_LINENAME",
    "VEGJOB_CIRCCOMNTS",
    "VEGJOB_COSTMETHOD",
    "VEGJOB_GF",
    "VEGJOB_FORESTER",
    "SS_ASSIGNEDTO",
    "WSREQ_VERSION",
    "WSREQ_SYNCHVERSN",
    "UNITCOUNTS_LENGTHWRK",
    "UNITCOUNTS_NUMTREES",
    "VEGJOB_SERVCOMP",
    "VEGJOB_OPCO",
)
"""Columns of the view without a field of their own: kept as ``api_data``."""
FREE_TEXT_COLUMNS = frozenset({"VEGJOB_CIRCCOMNTS"})
"""Columns of ``api_data`` that people write freely in: a change of one is named, never shown."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that could not be stored, and why, without its content.

    ``row`` counts from 1 in the answer for ``status``; ``job_guid``, ``work_order`` and ``extension`` tell which
    circuit it was, as far as they could be read.
    """

    status: str
    row: int
    column: str
    reason: str
    job_guid: str | None = None
    work_order: str | None = None
    extension: str | None = None


def _required(clean: Callable[[Any], str | None]) -> Callable[[Any], str]:
    def cleaned(value: Any) -> str:
        text = clean(value)
        if text is None:
            raise BadValue("is empty but required")
        return text

    return cleaned


_name_of = _required(clean_name)


def _status_of(value: Any) -> str:
    text = _name_of(value)
    try:
        return parse_status(text)
    except UsageError:
        raise BadValue(f"is not one of {', '.join(STATUS_CODES)}") from None


def planner_of(value: Any) -> str | None:
    r"""The planner's user name, ``CONTRACTOR\user``; without the backslash it is not a planner."""
    text = clean_name(value)
    return text if text and "\\" in text else None


_miles = partial(clean_number, places=2, low=Decimal("-9999999999.99"), high=Decimal("9999999999.99"))
_percent = partial(clean_number, places=2, low=Decimal(0), high=Decimal(100))

NUMBERS = (_miles, _percent)
"""The cleaners of numbers: equal ones are alike to them, whatever their type."""
CLEANERS: dict[str, Callable[[Any], Any]] = {
    "job_guid": _required(clean_guid),
    "work_order": _name_of,
    "extension": lambda value: clean_name(value) or MAIN_EXTENSION,
    "region": clean_name,
    "title": clean_text,
    "job_type": clean_text,
    "cycle_type": clean_text,
    "contractor": clean_text,
    "taken_by": planner_of,
    "total_miles": _miles,
    "miles_planned": _miles,
    "percent_complete": _percent,
    "total_acres": _miles,
    "start_date": clean_date,
    "api_status": _status_of,
    "api_modified_at": clean_instant,
}
FIELDS = tuple(field for field in CLEANERS if field != "job_guid")
"""The fields that an answer sets, by their names in reports and in ``circuits.user_modified_fields``."""
