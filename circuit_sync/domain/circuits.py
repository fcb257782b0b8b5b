"""Circuits as WorkStudio lists them, made rows of ours."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pandas as pd

from circuit_sync.domain.circuit_fields import CLEANERS, NUMBERS, RejectedRow
from circuit_sync.domain.folding import fold
from circuit_sync.domain.values import BadValue, clean_json

_MISSHAPEN = "the row is shorter or longer than the heading"


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


_TEXTS: frozenset[type] = frozenset({str, type(None)})
_TEXTS_AND_NUMBERS: frozenset[type] = _TEXTS | {int, float}


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
    faults: dict[int, tuple[str, str]] = {}
    nothing = [None] * len(frame)
    clean = {
        field: _without_faults(
            _cleaned(frame[field].tolist() if field in frame.columns else nothing, cleaner),
            columns.get(field, field),
            faults,
        )
        for field, cleaner in CLEANERS.items()
    }
    kept = [name for name in frame.columns if name not in CLEANERS and name not in absent]
    clean["api_data"] = _documents(
        {name: _without_faults(_cleaned(frame[name].tolist(), clean_json), name, faults) for name in kept},
        len(frame),
    )
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
    circuits = pd.DataFrame({"row": frame.index + 1, **clean}, dtype=object)
    circuits["content_hash"] = _content_hashes(clean.values())
    circuits = circuits.drop(index=list(faults)).reset_index(drop=True).astype({"row": int})
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


def _cleaned(raw: list[Any], clean: Callable[[Any], Any]) -> list[Any]:
    """Each value clean, or the ``BadValue`` that says why it is not.

    Equal texts are cleaned once; so are equal numbers that become numbers, but not 1, 1.0 and True that become texts.
    """
    types = set(map(type, raw))
    if types <= (_TEXTS_AND_NUMBERS if clean in NUMBERS else _TEXTS):
        known = {value: _one_cleaned(value, clean) for value in dict.fromkeys(raw)}
        return list(map(known.__getitem__, raw))
    if clean is clean_json and types <= {int, float} and all(-(2**63) < number < 2**63 for number in raw):
        return raw
    return [_one_cleaned(value, clean) for value in raw]


def _one_cleaned(value: Any, clean: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | dict) and clean is not clean_json:
        return BadValue("not a plain value")
    try:
        return clean(value)
    except BadValue as bad:
        return bad


def _without_faults(values: list[Any], column: str, faults: dict[int, tuple[str, str]]) -> list[Any]:
    """The values, ``None`` in place of bad ones; ``faults`` keeps the first reason of each position."""
    if BadValue not in set(map(type, values)):
        return values
    for position, value in enumerate(values):
        if type(value) is BadValue:
            faults.setdefault(position, (column, str(value)))
    return [None if type(value) is BadValue else value for value in values]


def _documents(columns: Mapping[str, list[Any]], rows: int) -> list[str]:
    """A JSON document for each row, its keys sorted, so that equal documents are equal texts."""
    if not columns:
        return ["{}"] * rows
    return [
        orjson.dumps(dict(zip(columns, values, strict=True)), option=orjson.OPT_SORT_KEYS).decode()
        for values in zip(*columns.values(), strict=True)
    ]


def _content_hashes(columns: Iterable[list[Any]]) -> list[str]:
    """A fingerprint of each row's content as the API gave it, the row's place in the answer aside."""
    lines = map("\x1f".join, zip(*map(_as_texts, columns), strict=True))
    return [hashlib.sha256(line.encode()).hexdigest() for line in lines]


def _as_texts(values: list[Any]) -> list[str]:
    texts = {value: str(value) for value in dict.fromkeys(values)}
    return list(map(texts.__getitem__, values))
