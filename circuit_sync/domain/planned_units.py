"""Planned units as WorkStudio lists them: each that counts once, for its circuit, and what could not count.

Feet and acres are whole ten-thousandths. A unit's free text never comes here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from circuit_sync.domain import unit_columns
from circuit_sync.domain.circuit_fields import MAIN_EXTENSION
from circuit_sync.domain.sync_log import RejectedUnits
from circuit_sync.domain.unit_columns import LARGEST_COUNT, LARGEST_MEASURE, SCALE, Coded, Flags, Integers

EXCLUDED = -1
"""The place of units whose circuit is known and excluded."""
_WITHOUT_CIRCUIT = -2
PENDING = "Pending"
UNKNOWN = "Unknown"
MEASUREMENTS = {"linear_ft": "linear_ft", "acres": "acres", "trees": "tree_count"}
"""The measures of a unit, and the kind of unit types that each counts for; the kind ``none`` has no measure."""
_LARGEST_SUMS = {
    "linear_ft": int(LARGEST_MEASURE * SCALE),
    "acres": int(LARGEST_MEASURE * SCALE),
    "trees": LARGEST_COUNT,
}


@dataclass(frozen=True)
class UnitFaults:
    """What of a batch could not be counted as it came. None of it holds a unit's free text.

    ``unknown_types``: unit code → units, which count as units and add to no measure; ``oversized``: work orders whose
    sums are beyond what the database holds: none of their circuits has totals; ``undated``: pending units whose date
    assessed cannot be read, which count as of an unknown date.
    """

    rejected: Sequence[RejectedUnits]
    unknown_types: Mapping[str, int]
    units_without_circuit: int
    oversized: Sequence[str] = ()
    undated: int = 0


@dataclass(frozen=True)
class CountedUnits:
    """Units that count, once each, as parallel columns. ``place`` numbers the distinct pairs of ``places``."""

    place: Integers
    unit: Coded
    permission: Coded
    forester: Coded
    assessed: Coded
    measures: Mapping[str, Integers]


def count_units(
    units: pd.DataFrame, places: Mapping[tuple[str, str], int], measurements: Mapping[str, str]
) -> tuple[CountedUnits, UnitFaults]:
    """The units of ``places`` (work order and extension → number, or ``EXCLUDED``), and what could not be counted.

    ``units`` and ``measurements`` as for ``domain.aggregates.compute_aggregates``.
    """
    faults: dict[int, str] = {}
    work_order, extension, unit, permission, forester = (
        unit_columns.texts(units[name], missing, faults)
        for name, missing in (
            ("work_order", ""),
            ("extension", MAIN_EXTENSION),
            ("unit", UNKNOWN),
            ("permission", PENDING),
            ("forester", UNKNOWN),
        )
    )
    object_ids = unit_columns.object_ids(units["object_id"], faults)
    kinds = np.array([measurements.get(code, "") for code in unit.texts] + [""], dtype=object)[unit.codes]
    measures = {name: unit_columns.measures(units[name], kinds == kind, faults) for name, kind in MEASUREMENTS.items()}

    counts = np.ones(len(units), dtype=bool)
    counts[list(faults)] = False
    place = np.full(len(units), _WITHOUT_CIRCUIT, dtype=np.int64)
    place[counts] = _places(work_order, extension, counts, places)
    # How well a row claims its unit for its circuit: 0 a known split, 1 a known main assessment, 2 neither.
    claims = np.where(place == _WITHOUT_CIRCUIT, 2, extension.are(MAIN_EXTENSION).astype(np.int64))
    counts &= _once(work_order, object_ids, claims, counts)
    oversized = _oversized(work_order, counts, measures)
    counts &= ~np.isin(work_order.codes, oversized)
    units_without_circuit = int((counts & (place == _WITHOUT_CIRCUIT)).sum())
    counts &= place >= 0

    assessed, unreadable = unit_columns.dates(units["assessed"])
    unit, permission, forester, assessed = (
        Coded(column.codes[counts], column.texts) for column in (unit, permission, forester, assessed)
    )
    kept = {name: measure[counts] for name, measure in measures.items()}
    counted = CountedUnits(place[counts], unit, permission, forester, assessed, kept)
    return counted, UnitFaults(
        _rejected(work_order, faults),
        _unknown_types(unit, measurements),
        units_without_circuit,
        [work_order.texts[code] for code in oversized],
        int((unreadable[counts] & permission.are(PENDING)).sum()),
    )


def _places(work_order: Coded, extension: Coded, counts: Flags, places: Mapping[tuple[str, str], int]) -> Integers:
    """The place of each unit that ``counts``, ``_WITHOUT_CIRCUIT`` where no circuit has its pair."""
    width = max(1, len(extension.texts))
    codes, pairs = pd.factorize(work_order.codes[counts] * width + extension.codes[counts])
    numbers = [
        places.get((work_order.texts[first], extension.texts[second]), _WITHOUT_CIRCUIT)
        for first, second in zip(*(part.tolist() for part in np.divmod(pairs, width)), strict=True)
    ]
    return np.array(numbers, dtype=np.int64)[codes]


def _once(work_order: Coded, object_ids: npt.NDArray[np.object_], claims: Integers, counts: Flags) -> Flags:
    """Of the rows that ``counts`` one for each unit of a work order: the first of those with the best claim."""
    rows = pd.DataFrame({"of": work_order.codes, "id": object_ids, "claim": claims})[counts]
    repeated = rows[rows.duplicated(["of", "id"], keep=False)].sort_values("claim", kind="stable")
    once = np.ones(len(counts), dtype=bool)
    once[repeated.index[repeated.duplicated(["of", "id"])]] = False
    return once


def _oversized(work_order: Coded, counts: Flags, measures: Mapping[str, Integers]) -> list[int]:
    """Codes of the work orders that might add up beyond a column's range (or a float's whole numbers)."""
    codes = work_order.codes[counts]
    beyond: set[int] = set()
    for name, measure in measures.items():
        sums = np.bincount(codes, weights=np.abs(measure[counts]))
        beyond.update(np.flatnonzero(sums > _LARGEST_SUMS[name]).tolist())
    return sorted(beyond)


def _rejected(work_order: Coded, faults: Mapping[int, str]) -> list[RejectedUnits]:
    texts = [*work_order.texts, ""]
    lines = Counter(
        (texts[work_order.codes[position]], *fault.split(": ", 1)) for position, fault in sorted(faults.items())
    )
    return [
        RejectedUnits(work_order=name, column=column, reason=reason, units=number)
        for (name, column, reason), number in lines.items()
    ]


def _unknown_types(unit: Coded, measurements: Mapping[str, str]) -> dict[str, int]:
    numbers = np.bincount(unit.codes, minlength=len(unit.texts)).tolist()
    return {
        text: number for text, number in zip(unit.texts, numbers, strict=True) if number and text not in measurements
    }
