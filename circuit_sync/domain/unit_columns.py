"""Columns of planned units as WorkStudio sends them, made whole columns of numbers, whatever stands in them.

``faults`` gathers for each position of a unit the first reason why it cannot be counted: the column's name and, behind
a colon, what is wrong, without the value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from circuit_sync.domain.values import BadValue, clean_date, clean_guid, clean_number, clean_text

PLACES = 4
SCALE = 10**PLACES
LARGEST_MEASURE = Decimal("9999999999.9999")
LARGEST_COUNT = 2**31 - 1
NO_DATE = "unknown"
_TEXT_TYPES = frozenset({str, type(None)})
_EVERY_PLACE = 18
_NUMBER_TYPES = frozenset({int, float})

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Coded:
    """A column of texts: ``codes`` are places in ``texts``, -1 where a value could not be read."""

    codes: Integers
    texts: Sequence[str]

    def are(self, word: str) -> Flags:
        """Which of the column's values are ``word``, whatever their case."""
        return np.isin(self.codes, [code for code, text in enumerate(self.texts) if text.lower() == word.lower()])


class _Codes(dict[Any, int]):
    """Raw value → the code of its clean text, cleaned when first met; -1 for what cannot be read."""

    def __init__(self, clean: Callable[[Any], str | None], missing: str) -> None:
        super().__init__()
        self.known = {missing: 0}
        self._clean = clean
        self._missing = missing

    def __missing__(self, value: Any) -> int:
        try:
            text = self._clean(value) or self._missing
        except BadValue:
            code = -1
        else:
            code = self.known.setdefault(text, len(self.known))
        self[value] = code
        return code


def texts(column: pd.Series, missing: str, faults: dict[int, str]) -> Coded:
    """``column`` as codes of its clean texts, ``missing`` where there is none; what is no text is a fault."""
    found = _coded(column, clean_text, missing)
    for position in np.flatnonzero(found.codes < 0).tolist():
        faults.setdefault(position, f"{column.name}: not a text")
    return found


def dates(column: pd.Series) -> tuple[Coded, Flags]:
    """``column`` as codes of ISO dates, and which of them cannot be read: ``NO_DATE`` stands for these and for none."""
    found = _coded(column, _iso_date, NO_DATE)
    unreadable = found.codes < 0
    return Coded(np.where(unreadable, found.texts.index(NO_DATE), found.codes), found.texts), unreadable


def _coded(column: pd.Series, clean: Callable[[Any], str | None], missing: str) -> Coded:
    codes = _Codes(clean, missing)
    values = column.tolist()
    if not set(map(type, values)) <= _TEXT_TYPES:
        # 1, 1.0 and True are one key: what is no text becomes one, or a value of its own that is none.
        values = [value if type(value) in _TEXT_TYPES else _as_text(value) for value in values]
    found = np.fromiter(map(codes.__getitem__, values), dtype=np.int64, count=len(values))
    return Coded(found, list(codes.known))


def _iso_date(value: Any) -> str | None:
    day = clean_date(value)
    return day.isoformat() if day else None


def _as_text(value: Any) -> str | type | None:
    try:
        return clean_text(value)
    except BadValue:
        return type(value)


def object_ids(column: pd.Series, faults: dict[int, str]) -> npt.NDArray[np.object_]:
    """Clean identities; where there is none, a fault."""
    values = column.tolist()
    if not _are_clean(values):
        for position, value in enumerate(values):
            try:
                values[position] = clean_guid(value)
                if values[position] is None:
                    faults.setdefault(position, f"{column.name}: is empty but required")
            except BadValue:
                faults.setdefault(position, f"{column.name}: not a text")
    return np.array(values, dtype=object)


def _are_clean(values: Sequence[Any]) -> bool:
    """Whether all are GUIDs as we write them, checked at once: upper case, each in braces, without blanks."""
    if not values or set(map(type, values)) != {str}:
        return False
    line = " ".join(values)
    return (
        line.isascii()
        and line.isprintable()
        and line == line.upper()
        and line.count("} {") == line.count(" ") == len(values) - 1
        and line.startswith("{")
        and line.endswith("}")
    )


def measures(column: pd.Series, counted: Flags, faults: dict[int, str]) -> Integers:
    """A measure as integers (ten-thousandths, or whole trees), 0 where it does not count."""
    whole = column.name == "trees"
    result = np.zeros(len(column), dtype=np.int64)
    positions = np.flatnonzero(counted)
    raw = column.to_numpy(dtype=object)[positions]
    plain = np.fromiter(map(_NUMBER_TYPES.__contains__, map(type, raw)), dtype=bool, count=len(raw))
    numbers = np.zeros(len(raw))
    numbers[plain] = _floats(raw[plain])
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = numbers if whole else numbers * SCALE
        rounded = np.rint(scaled)
        # Near a tie the binary product may err to the wrong side: those few are rounded as decimals, one by one.
        clear = plain & (np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) > 1e-4) & (np.abs(rounded) < LARGEST_COUNT)
    if whole:
        clear &= rounded == numbers
    result[positions[clear]] = rounded[clear].astype(np.int64)
    for position, value in zip(positions[~clear].tolist(), raw[~clear], strict=True):
        try:
            result[position] = _exact(value, whole=whole)
        except BadValue as bad:
            faults.setdefault(position, f"{column.name}: {bad}")
    return result


def _floats(numbers: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    try:
        return numbers.astype(np.float64)
    except OverflowError:  # an integer of more than 300 digits
        return np.array([number if abs(number) < LARGEST_COUNT else np.inf for number in numbers], dtype=np.float64)


def _exact(value: Any, *, whole: bool) -> int:
    """One measure, rounded half up to four places as a decimal; trees must be whole."""
    if not whole:
        number = clean_number(value, places=PLACES, low=-LARGEST_MEASURE, high=LARGEST_MEASURE)
        return int(number * SCALE)
    number = clean_number(value, places=_EVERY_PLACE, low=Decimal(-LARGEST_COUNT), high=Decimal(LARGEST_COUNT))
    if number != number.to_integral_value():
        raise BadValue("not a whole number")
    return int(number)
