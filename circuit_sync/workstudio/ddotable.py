"""Reads a DDOTable into a frame, by heading. Empty is an answer; unreadable is an error."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from circuit_sync.workstudio.errors import MalformedAnswer


@dataclass(frozen=True)
class Table:
    """An answer's rows, raw.

    ``frame``: one column per wanted field, in the order of the field map, dtype object, values as JSON gave
    them; a column the view lacks is None throughout. Its index is the row's number in the answer, from 0.
    ``misshapen``: numbers of the rows that are not a list, or shorter or longer than the heading; they are not
    in ``frame``, and which circuit or unit they stood for is unknown.
    ``absent``: fields that the view sent no column for. ``unwanted``: columns that it sent and nobody reads, by name.
    """

    frame: pd.DataFrame
    misshapen: tuple[int, ...] = ()
    absent: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def received(self) -> int:
        """How many rows the answer had, misshapen ones included."""
        return len(self.frame) + len(self.misshapen)


def read_table(answer: Any, *, fields: Mapping[str, str], required: Collection[str] = ()) -> Table:
    """The rows of ``answer`` (decoded JSON), with ``fields``' headings renamed to its values and all else
    left behind.

    Raises ``MalformedAnswer`` if ``answer`` is not a DDOTable, has rows without a heading or no row that fits
    its heading, names a wanted column twice, or lacks a ``required`` one. No rows under no heading are a
    table without rows.
    """
    heading, rows = _parts(answer)
    positions = _positions(heading, fields, required) if heading or rows else {}
    numbers = _fitting(rows, len(heading))
    if rows and not numbers:
        raise MalformedAnswer(f"none of the {len(rows)} rows has the {len(heading)} values its Heading announces")
    fitting = rows if len(numbers) == len(rows) else [rows[number] for number in numbers]
    columns = {
        field: _column(fitting, positions[name]) if name in positions else np.full(len(fitting), None, dtype=object)
        for name, field in fields.items()
    }
    frame = pd.DataFrame(columns, index=pd.Index(numbers), dtype=object)
    return Table(
        frame,
        misshapen=tuple(sorted(set(range(len(rows))).difference(numbers))),
        absent=tuple(field for name, field in fields.items() if name not in positions),
        unwanted=tuple(name for name in heading if name not in fields),
    )


def member(holder: Any, name: str) -> Any:
    """The member ``name`` of a JSON object, whatever its key's case; None if it has none or is not an object."""
    if not isinstance(holder, dict):
        return None
    if name in holder:
        return holder[name]
    return next((value for key, value in holder.items() if key.lower() == name.lower()), None)


def _parts(answer: Any) -> tuple[list[str], list[Any]]:
    data_set = member(answer, "DataSet")
    if not isinstance(data_set, dict):
        raise MalformedAnswer("the answer holds no DataSet")
    heading, rows = member(data_set, "Heading"), member(data_set, "Data")
    if not isinstance(rows, list):
        raise MalformedAnswer("the DataSet's Data is not a list of rows")
    heading = [] if heading is None else heading
    if not isinstance(heading, list) or not all(isinstance(name, str) for name in heading):
        raise MalformedAnswer("the DataSet's Heading is not a list of column names")
    if rows and not heading:
        raise MalformedAnswer(f"{len(rows)} rows came without a Heading")
    return [name.replace("\0", "").strip() for name in heading], rows


def _positions(heading: list[str], wanted: Iterable[str], required: Collection[str]) -> dict[str, int]:
    """Where each wanted column stands. One named twice is an error only if wanted: others are ignored."""
    count = Counter(heading)
    if missing := [name for name in required if name not in count]:
        raise MalformedAnswer(f"the table lacks the required column {', '.join(missing)}")
    if repeated := [name for name in wanted if count[name] > 1]:
        raise MalformedAnswer(f"the Heading names the column {', '.join(repeated)} more than once")
    return {name: heading.index(name) for name in wanted if name in count}


def _fitting(rows: list[Any], width: int) -> "range | list[int]":
    """Numbers of the rows as long as the heading; the usual case, all of them, costs no per-row Python."""
    if set(map(type, rows)) <= {list} and set(map(len, rows)) <= {width}:
        return range(len(rows))
    return [number for number, row in enumerate(rows) if type(row) is list and len(row) == width]


def _column(rows: list[list[Any]], position: int) -> "np.ndarray[Any, np.dtype[np.object_]]":
    values = [row[position] for row in rows]
    if not {dict, list}.isdisjoint(map(type, values)):
        values = [_flat(value) for value in values]
    return np.fromiter(values, dtype=object, count=len(values))


def _flat(value: Any) -> Any:
    """A nested value where a plain one belongs: geometry is dropped, anything else becomes (junk) text."""
    if isinstance(value, dict) and "@sourceFormat" in value:
        return None
    try:
        return json.dumps(value) if isinstance(value, dict | list) else value
    except RecursionError:
        return "nested too deeply"
