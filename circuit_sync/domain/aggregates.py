"""Totals over planned units, computed in whole columns for a batch of work orders.

Feet and acres are carried as whole ten-thousandths: each unit's measure is rounded to four places first and then added
exactly, so that every breakdown adds up to its total.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd

from circuit_sync.domain.circuit_fields import MAIN_EXTENSION
from circuit_sync.domain.planned_units import EXCLUDED, MEASUREMENTS, PENDING, CountedUnits, UnitFaults, count_units
from circuit_sync.domain.unit_columns import PLACES, SCALE, Coded, Flags, Integers

_PERMISSIONS = {"approved": "units_approved", "refused": "units_refused", "pending": "units_pending"}

AGGREGATE_COLUMNS = (
    "circuit_id",
    "is_rollup",
    "total_units",
    "total_linear_ft",
    "total_acres",
    "total_trees",
    "units_approved",
    "units_refused",
    "units_pending",
    "unit_counts_by_type",
    "linear_ft_by_type",
    "acres_by_type",
    "trees_by_type",
    "pending_by_date",
    "permission_counts",
    "planner_distribution",
)


def with_roots(circuits: pd.DataFrame) -> pd.DataFrame:
    """Adds ``root_id``: the main assessment of the work order, or the circuit itself where there is none.

    Of several that are not excluded the first one listed: the store lists the one that the splits hang on first.
    """
    mains = circuits[(circuits["extension"] == MAIN_EXTENSION) & ~_flags(circuits, "is_excluded")]
    mains = mains.drop_duplicates("work_order")
    root = circuits["work_order"].map(mains.set_index("work_order")["circuit_id"])
    return circuits.assign(root_id=root.fillna(circuits["circuit_id"]).astype("int64"))


def compute_aggregates(
    units: pd.DataFrame, circuits: pd.DataFrame, measurements: Mapping[str, str]
) -> tuple[pd.DataFrame, UnitFaults]:
    """One row per circuit, also without units, and a roll-up on each main assessment that has splits.

    A unit under several extensions counts once: for the split, if ``circuits`` has it, else for the main assessment.

    ``units``: object_id, work_order, extension, unit, permission, forester, assessed (date), linear_ft (feet), acres,
    trees; values raw. ``circuits``: circuit_id, work_order, extension, root_id: every circuit that is known and has
    not departed; and, if they are there, is_excluded: it has its units and no row, nor is it in a roll-up; has_rollup:
    a roll-up is due also without splits (they are gone). ``measurements``: unit code → kind.
    Returns the columns of ``AGGREGATE_COLUMNS``, feet and acres as text with four places, breakdowns as JSON text
    with sorted keys.
    """
    is_excluded = _flags(circuits, "is_excluded")
    excluded, circuits = _pairs(circuits[is_excluded]), circuits[~is_excluded]
    places = {pair: number for number, pair in enumerate(dict.fromkeys(_pairs(circuits)))}
    counted, faults = count_units(units, dict.fromkeys(excluded, EXCLUDED) | places, measurements)
    circuits = circuits.assign(place=[places[pair] for pair in _pairs(circuits)])
    circuits = circuits[~circuits["work_order"].isin(faults.oversized)]
    sums = _Sums.of(counted, measurements)
    rows = [_rows(circuits["circuit_id"], circuits["place"], sums, len(places), is_rollup=False)]
    rows += _rollups(circuits, sums, len(places))
    return pd.concat(rows, ignore_index=True), faults


def _rollups(circuits: pd.DataFrame, sums: "_Sums", places: int) -> list[pd.DataFrame]:
    """The roll-ups of main assessments with splits, and of whoever once carried one and has no splits now."""
    is_root, is_due = circuits["root_id"] == circuits["circuit_id"], _flags(circuits, "has_rollup")
    alone = circuits[is_due & ~is_root]
    rows = [_rows(alone["circuit_id"], alone["place"], sums, places, is_rollup=True)] if len(alone) else []
    is_split = ~is_root & (circuits["extension"] != MAIN_EXTENSION)
    roots = pd.Index(circuits[is_split | (is_due & is_root)]["root_id"].unique())
    if len(roots):
        owner = np.full(places, -1, dtype=np.int64)
        owner[circuits["place"]] = roots.get_indexer(circuits["root_id"])
        rows.append(_rows(roots, range(len(roots)), sums.given_to(owner), len(roots), is_rollup=True))
    return rows


def _pairs(circuits: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(circuits["work_order"], circuits["extension"], strict=True))


def _flags(circuits: pd.DataFrame, name: str) -> pd.Series:
    """The flags of a column that need not be there."""
    return circuits[name].astype(bool) if name in circuits else pd.Series(False, index=circuits.index)


@dataclass(frozen=True)
class _Breakdown:
    """Sums for each pair of owner and name, as parallel columns. An owner is a place of circuits, or a roll-up."""

    owner: Integers
    name: Coded
    sums: Mapping[str, Integers]

    @classmethod
    def of(cls, owner: Integers, name: Coded, measures: Mapping[str, Integers]) -> "_Breakdown":
        width = max(1, len(name.texts))
        groups, pairs = pd.factorize(owner * width + name.codes)
        owners, names = np.divmod(pairs, width)
        return cls(
            owners, Coded(names, name.texts), {key: _added(groups, m, len(pairs)) for key, m in measures.items()}
        )

    def given_to(self, owner: Integers) -> "_Breakdown":
        """The same for other owners: ``owner`` has one for each of ours, or -1."""
        owners = owner[self.owner]
        kept = owners >= 0
        name = Coded(self.name.codes[kept], self.name.texts)
        return self.of(owners[kept], name, {key: sums[kept] for key, sums in self.sums.items()})

    def totals(self, measure: str, owners: int, which: Flags | None = None) -> Integers:
        """The measure's total for each owner, over the pairs of ``which``, or over all."""
        kept = slice(None) if which is None else which
        return _added(self.owner[kept], self.sums[measure][kept], owners)

    def documents(self, owners: int, values: Iterable[Any], kept: Sequence[bool] | None = None) -> list[str]:
        """For each owner the JSON text of name → value; ``kept``: for each name, whether it is shown."""
        documents: list[dict[str, Any]] = [{} for _ in range(owners)]
        texts = self.name.texts
        for owner, code, value in zip(self.owner.tolist(), self.name.codes.tolist(), values, strict=True):
            if kept is None or kept[code]:
                documents[owner][texts[code]] = value
        return [orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode() for document in documents]


@dataclass(frozen=True)
class _Sums:
    by: Mapping[str, _Breakdown]
    measurements: Mapping[str, str]

    @classmethod
    def of(cls, units: CountedUnits, measurements: Mapping[str, str]) -> "_Sums":
        number = {"units": np.ones(len(units.place), dtype=np.int64)}
        pending = units.permission.are(PENDING)
        dates = Coded(units.assessed.codes[pending], units.assessed.texts)
        by = {
            "type": _Breakdown.of(units.place, units.unit, {**number, **units.measures}),
            "permission": _Breakdown.of(units.place, units.permission, number),
            "date": _Breakdown.of(units.place[pending], dates, {"units": number["units"][pending]}),
            "forester": _Breakdown.of(units.place, units.forester, {**number, **units.measures}),
        }
        return cls(by, measurements)

    def given_to(self, owner: Integers) -> "_Sums":
        return _Sums({name: breakdown.given_to(owner) for name, breakdown in self.by.items()}, self.measurements)


def _rows(ids: Iterable[int], owner: Iterable[int], sums: _Sums, owners: int, *, is_rollup: bool) -> pd.DataFrame:
    """The rows of ``ids``, each from the sums of its ``owner``."""
    by_type, by_permission, by_date, by_forester = sums.by.values()
    columns: dict[str, Any] = {
        "total_units": by_forester.totals("units", owners),
        "total_linear_ft": _decimals(by_forester.totals("linear_ft", owners)),
        "total_acres": _decimals(by_forester.totals("acres", owners)),
        "total_trees": by_forester.totals("trees", owners),
    }
    for word, column in _PERMISSIONS.items():
        columns[column] = by_permission.totals("units", owners, by_permission.name.are(word))
    columns["unit_counts_by_type"] = by_type.documents(owners, by_type.sums["units"].tolist())
    kinds = [sums.measurements.get(text) for text in by_type.name.texts]
    for measure, kind in MEASUREMENTS.items():
        values = by_type.sums[measure] if measure == "trees" else by_type.sums[measure] / SCALE
        columns[f"{measure}_by_type"] = by_type.documents(owners, values.tolist(), [of == kind for of in kinds])
    columns["pending_by_date"] = by_date.documents(owners, by_date.sums["units"].tolist())
    columns["permission_counts"] = by_permission.documents(owners, by_permission.sums["units"].tolist())
    columns["planner_distribution"] = by_forester.documents(owners, _distribution(by_forester.sums))
    computed = pd.DataFrame(columns).iloc[list(owner)].reset_index(drop=True)
    computed.insert(0, "circuit_id", list(ids))
    computed.insert(1, "is_rollup", is_rollup)
    return computed


def _distribution(sums: Mapping[str, Integers]) -> Iterable[dict[str, Any]]:
    values = (sums["units"], sums["linear_ft"] / SCALE, sums["acres"] / SCALE, sums["trees"])
    for count, feet, acres, trees in zip(*(value.tolist() for value in values), strict=True):
        yield {"unit_count": count, "linear_ft": feet, "acres": acres, "trees": trees}


def _added(groups: Integers, measure: Integers, number: int) -> Integers:
    """Exact sums for each group: floats are exact at whole numbers far beyond what ``count_units`` lets pass."""
    return np.bincount(groups, weights=measure, minlength=number).astype(np.int64)


def _decimals(column: Integers) -> list[str]:
    """Ten-thousandths as decimal text, exact at any size."""
    return [str(Decimal(value).scaleb(-PLACES)) for value in column.tolist()]
