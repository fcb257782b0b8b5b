"""Circuits as WorkStudio lists them, made rows of ours."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
import pandas as pd

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.folding import fold
from circuit_sync.domain.statuses import STATUS_CODES, parse_status
from circuit_sync.domain.values import (
    BadValue,
    clean_date,
    clean_guid,
    clean_instant,
    clean_json,
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
_MISSHAPEN = "the row is shorter or longer than the heading"


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


@dataclass(frozen=True)
class CircuitAnswer:
    """One status' answer, normalised.

    ``circuits`` has a row for each accepted row, numbered in ``row`` from 1, and the columns of ``CLEANERS``,
    ``api_data`` and ``content_hash``; ``absent`` names the fields, and the columns of ``api_data``, that the view did
    not send: nothing is known of them.
    """

    status: str
    circuits: pd.DataFrame
    rejected: tuple[RejectedRow, ...]
    received: int
    absent: tuple[str, ...]


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
CIRCUIT_COLUMNS = ("row", *CLEANERS, "api_data", "content_hash")
FIELDS = tuple(field for field in CLEANERS if field != "job_guid")
"""The fields that an answer sets, by their names in reports and in ``circuits.user_modified_fields``."""


def transform_collection(
    frame: pd.DataFrame,
    *,
    status: str,
    columns: Mapping[str, str],
    misshapen: Sequence[int] = (),
    absent: Sequence[str] = (),
) -> CircuitAnswer:
    """Normalises the answer for ``status``, rejecting the rows that cannot be stored.

    ``frame``: one row per row of the answer (index: its number from 0), columns named by our fields where a field
    exists and by the API's name where the value is kept in ``api_data``; values raw. ``columns`` maps fields to the
    API's names, for reports. ``misshapen`` numbers the rows that do not fit the heading; ``absent`` names the frame's
    columns that the view did not send.
    """
    kept = [name for name in frame.columns if name not in CLEANERS and name not in absent]
    faults: dict[int, tuple[str, str]] = {}
    clean = {
        field: _clean_column(frame, field, clean, columns.get(field, field), faults)
        for field, clean in CLEANERS.items()
    }
    data = _clean_api_data(frame, kept, faults)
    good = [position for position in range(len(frame)) if position not in faults]
    circuits = pd.DataFrame(
        {field: pd.Series([values[position] for position in good], dtype=object) for field, values in clean.items()}
    )
    circuits.insert(0, "row", [int(frame.index[position]) + 1 for position in good])
    circuits["api_data"] = pd.Series([data[position] for position in good], dtype=object)
    circuits["content_hash"] = _content_hashes(circuits)
    rejected = tuple(
        RejectedRow(
            status,
            int(frame.index[position]) + 1,
            column,
            reason,
            *(clean[field][position] for field in ("job_guid", "work_order", "extension")),
        )
        for position, (column, reason) in sorted(faults.items())
    )
    return CircuitAnswer(
        status=status,
        circuits=circuits,
        rejected=(*rejected, *(RejectedRow(status, number + 1, "", _MISSHAPEN) for number in misshapen)),
        received=len(frame) + len(misshapen),
        absent=tuple(absent),
    )


def extract_planners(circuits: pd.DataFrame) -> list[str]:
    """The distinct planners that ``circuits`` (column ``taken_by``) name, in order, compared without case."""
    names: dict[str, str] = {}
    for name in circuits["taken_by"].dropna():
        names.setdefault(fold(name), name)
    return list(names.values())


def settle_duplicates(answers: Sequence[CircuitAnswer]) -> tuple[list[CircuitAnswer], list[str]]:
    """Leaves each circuit in one answer: the newest edit wins, then the later status, whatever the order of rows.

    Returns the answers without the losing rows, and the ``job_guid`` of each of those.
    """
    rows = pd.concat(
        [
            answer.circuits[["job_guid", "api_modified_at", "content_hash", "row"]].assign(answer=place)
            for place, answer in enumerate(answers)
        ],
        ignore_index=True,
    )
    if not rows["job_guid"].duplicated().any():
        return list(answers), []
    rows["edited"] = pd.to_datetime(rows["api_modified_at"], utc=True)
    order = rows.sort_values(["edited", "answer", "content_hash", "row"], na_position="first")
    losing = order[order["job_guid"].duplicated(keep="last")]
    settled = []
    for place, answer in enumerate(answers):
        lost = losing.loc[losing["answer"] == place, "row"]
        settled.append(replace(answer, circuits=answer.circuits[~answer.circuits["row"].isin(lost)]))
    return settled, sorted(losing["job_guid"])


def _clean_column(
    frame: pd.DataFrame, field: str, clean: Callable[[Any], Any], column: str, faults: dict[int, tuple[str, str]]
) -> list[Any]:
    raw = frame[field].tolist() if field in frame.columns else [None] * len(frame)
    known: dict[Any, Any] = {}
    values = []
    for position, value in enumerate(raw):
        try:
            # Equal numbers of different types clean alike, so one cache serves all; a list or a dict is never clean.
            if isinstance(value, list | dict):
                raise BadValue("not a plain value")
            key = (type(value), value)
            if key not in known:
                known[key] = clean(value)
            values.append(known[key])
        except BadValue as bad:
            faults.setdefault(position, (column, str(bad)))
            values.append(None)
    return values


def _clean_api_data(frame: pd.DataFrame, kept: list[str], faults: dict[int, tuple[str, str]]) -> list[str]:
    columns = [frame[name].tolist() for name in kept]
    documents = []
    for position, values in enumerate(zip(*columns, strict=True) if columns else [()] * len(frame)):
        name = ""
        try:
            document = {}
            for name, value in zip(kept, values, strict=True):
                document[name] = clean_json(value)
            documents.append(_canonical(document))
        except BadValue as bad:
            faults.setdefault(position, (name, str(bad)))
            documents.append("{}")
    return documents


def _canonical(document: dict[str, Any]) -> str:
    """JSON with sorted keys, so that equal documents are equal texts."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def _content_hashes(circuits: pd.DataFrame) -> list[str]:
    """A fingerprint of each row's content as the API gave it, the row's place in the answer aside."""
    columns = [circuits[name].tolist() for name in (*CLEANERS, "api_data")]
    return [hashlib.sha256("\x1f".join(map(str, values)).encode()).hexdigest() for values in zip(*columns, strict=True)]
