"""Planned units as WorkStudio lists them, made whole columns of numbers: each text a code, each measure an integer.

Feet and acres are whole ten-thousandths: each unit's measure is rounded to four places first and added exactly later.
A unit's free text never comes here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from circuit_sync.domain.circuits import MAIN_EXTENSION
from circuit_sync.domain.values import BadValue, clean_guid, clean_number, clean_text

PLACES = 4
SCALE = 10**PLACES
LARGEST_MEASURE = Decimal("9999999999.9999")
LARGEST_COUNT = 2**31 - 1
PENDING = "Pending"
UNKNOWN = "Unknown"
MEASUREMENTS = {"linear_ft": "linear_ft", "acres": "acres", "trees": "tree_count"}
"""The measures of a unit, and the kind of unit types that each counts for; the kind ``none`` has no measure."""
_LARGEST_SUMS = {
    "linear_ft": int(LARGEST_MEASURE * SCALE),
    "acres": int(LARGEST_MEASURE * SCALE),
    "trees": LARGEST_COUNT,
}
_TEXT_TYPES = frozenset({str, type(None)})
_EVERY_PLACE = 18
_NUMBER_TYPES = frozenset({int, float})

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class UnitFaults:
    """What of a batch could not be counted as it came. None of it holds a unit's free text.

    ``rejected``: lines of work_order, column, reason and how many units; ``unknown_types``: unit code → units, which
    count as units and add to no measure; ``strangers``: units of an extension that is no circuit here; ``oversized``:
    work orders whose sums are beyond what the database holds: none of their circuits has totals.
    """

    rejected: Sequence[Mapping[str, Any]]
    unknown_types: Mapping[str, int]
    strangers: int
    oversized: Sequence[str] = ()


@dataclass(frozen=True)
class Coded:
    """A column of texts: ``codes`` are places in ``texts``, -1 where the value was no text."""

    codes: Integers
    texts: Sequence[str]


@dataclass(frozen=True)
class CountedUnits:
    """Units that count, once each, as parallel columns. ``place`` numbers the distinct pairs of ``places``."""

    place: Integers
    unit: Coded
    permission: Coded
    forester: Coded
    measures: Mapping[str, Integers]


def count_units(
    units: pd.DataFrame, places: Mapping[tuple[str, str], int], measurements: Mapping[str, str]
) -> tuple[CountedUnits, UnitFaults]:
    """The units of ``places`` (work order and extension → number), and what could not be counted.

    ``units`` and ``measurements`` as for ``domain.aggregates.compute_aggregates``.
    """
    faults: dict[int, str] = {}
    work_order, extension, unit, permission, forester = (
        _coded(units[name], missing, faults)
        for name, missing in (
            ("work_order", ""),
            ("extension", MAIN_EXTENSION),
            ("unit", UNKNOWN),
            ("permission", PENDING),
            ("forester", UNKNOWN),
        )
    )
    object_ids = _object_ids(units["object_id"], faults)
    kinds = np.array([measurements.get(code, "") for code in unit.texts] + [""], dtype=object)[unit.codes]
    measures = {name: _measures(units[name], kinds == kind, faults) for name, kind in MEASUREMENTS.items()}

    counts = np.ones(len(units), dtype=bool)
    counts[list(faults)] = False
    counts[counts] = ~pd.DataFrame({"of": work_order.codes[counts], "id": object_ids[counts]}).duplicated().to_numpy()
    oversized = _oversized(work_order, counts, measures)
    counts &= ~np.isin(work_order.codes, oversized)
    place = np.full(len(units), -1, dtype=np.int64)
    place[counts] = _places(work_order, extension, counts, places)
    strangers = int((counts & (place < 0)).sum())
    counts &= place >= 0

    unit, permission, forester = (Coded(column.codes[counts], column.texts) for column in (unit, permission, forester))
    kept = {name: measure[counts] for name, measure in measures.items()}
    return CountedUnits(place[counts], unit, permission, forester, kept), UnitFaults(
        _rejected(work_order, faults),
        _unknown_types(unit, measurements),
        strangers,
        [work_order.texts[code] for code in oversized],
    )


class _Codes(dict[Any, int]):
    """Raw text → the code of its clean text, cleaned when first met; -1 for what is none."""

    def __init__(self, missing: str) -> None:
        super().__init__()
        self.known: dict[str, int] = {}
        self._missing = missing

    def __missing__(self, value: Any) -> int:
        try:
            text = clean_text(value) or self._missing
        except BadValue:
            code = -1
        else:
            code = self.known.setdefault(text, len(self.known))
        self[value] = code
        return code


def _coded(column: pd.Series, missing: str, faults: dict[int, str]) -> Coded:
    """``column`` as codes of its clean texts, ``missing`` where there is none."""
    codes = _Codes(missing)
    values = column.tolist()
    if not set(map(type, values)) <= _TEXT_TYPES:
        # 1, 1.0 and True are one key: what is no text becomes one, or a value of its own that is none.
        values = [value if type(value) in _TEXT_TYPES else _as_text(value) for value in values]
    found = np.fromiter(map(codes.__getitem__, values), dtype=np.int64, count=len(values))
    for position in np.flatnonzero(found < 0).tolist():
        faults.setdefault(position, f"{column.name}: not a text")
    return Coded(found, list(codes.known))


def _as_text(value: Any) -> str | type | None:
    try:
        return clean_text(value)
    except BadValue:
        return type(value)


def _object_ids(column: pd.Series, faults: dict[int, str]) -> npt.NDArray[np.object_]:
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
    """Whether all are GUIDs as we write them, told at one glance: upper case, each in braces, without blanks."""
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


def _places(work_order: Coded, extension: Coded, counts: Flags, places: Mapping[tuple[str, str], int]) -> Integers:
    """The number of work order and extension of each unit that ``counts``, -1 where these are no circuit's."""
    width = max(1, len(extension.texts))
    codes, pairs = pd.factorize(work_order.codes[counts] * width + extension.codes[counts])
    numbers = [
        places.get((work_order.texts[first], extension.texts[second]), -1)
        for first, second in zip(*(part.tolist() for part in np.divmod(pairs, width)), strict=True)
    ]
    return np.array(numbers, dtype=np.int64)[codes]


def _measures(column: pd.Series, counted: Flags, faults: dict[int, str]) -> Integers:
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


def _oversized(work_order: Coded, counts: Flags, measures: Mapping[str, Integers]) -> list[int]:
    """Codes of the work orders that might add up beyond a column's range (or a float's whole numbers)."""
    codes = work_order.codes[counts]
    beyond: set[int] = set()
    for name, measure in measures.items():
        sums = np.bincount(codes, weights=np.abs(measure[counts]))
        beyond.update(np.flatnonzero(sums > _LARGEST_SUMS[name]).tolist())
    return sorted(beyond)


def _rejected(work_order: Coded, faults: Mapping[int, str]) -> list[dict[str, Any]]:
    texts = [*work_order.texts, ""]
    lines = Counter((texts[work_order.codes[position]], fault) for position, fault in sorted(faults.items()))
    return [
        dict(zip(("work_order", "column", "reason", "units"), (name, *fault.split(": ", 1), number), strict=True))
        for (name, fault), number in lines.items()
    ]


def _unknown_types(unit: Coded, measurements: Mapping[str, str]) -> dict[str, int]:
    numbers = np.bincount(unit.codes, minlength=len(unit.texts)).tolist()
    return {
        text: number for text, number in zip(unit.texts, numbers, strict=True) if number and text not in measurements
    }
