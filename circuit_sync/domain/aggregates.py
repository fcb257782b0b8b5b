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

from circuit_sync.domain.circuits import MAIN_EXTENSION
from circuit_sync.domain.planned_units import PLACES, SCALE, Coded, CountedUnits, Integers, UnitFaults, count_units

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
    "permission_counts",
    "planner_distribution",
)


def with_roots(circuits: pd.DataFrame) -> pd.DataFrame:
    """Adds ``root_id``: the main assessment of the work order, or the circuit itself where there is none.

    Of several main assessments it is the first one listed: the store lists the one that the splits hang on first.
    """
    mains = circuits[circuits["extension"] == MAIN_EXTENSION].drop_duplicates("work_order")
    root = circuits["work_order"].map(mains.set_index("work_order")["circuit_id"])
    return circuits.assign(root_id=root.fillna(circuits["circuit_id"]).astype("int64"))


def compute_aggregates(
    units: pd.DataFrame, circuits: pd.DataFrame, measurements: Mapping[str, str]
) -> tuple[pd.DataFrame, UnitFaults]:
    """One row per circuit, also without units, and a roll-up on each main assessment that has splits.

    ``units``: object_id, work_order, extension, unit, permission, forester, linear_ft (feet), acres, trees; values raw.
    ``circuits``: circuit_id, work_order, extension, root_id: every circuit to count for; and, if it is there,
    has_rollup: whether a roll-up is due also without splits (they are gone). ``measurements``: unit code → kind.
    Returns the columns of ``AGGREGATE_COLUMNS``, feet and acres as text with four places, breakdowns as JSON text
    with sorted keys.
    """
    pairs = list(zip(circuits["work_order"], circuits["extension"], strict=True))
    places = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    counted, faults = count_units(units, places, measurements)
    circuits = circuits.assign(place=[places[pair] for pair in pairs])
    circuits = circuits[~circuits["work_order"].isin(faults.oversized)]
    sums = _Sums.of(counted, measurements)
    rows = [_rows(circuits["circuit_id"], circuits["place"], sums, len(places), is_rollup=False)]
    rolled = circuits[circuits["root_id"] != circuits["circuit_id"]]["root_id"]
    if "has_rollup" in circuits:
        rolled = pd.concat([rolled, circuits[circuits["has_rollup"]]["root_id"]])
    roots = pd.Index(rolled.unique())
    if len(roots):
        owner = np.full(len(places), -1, dtype=np.int64)
        owner[circuits["place"]] = roots.get_indexer(circuits["root_id"])
        rows.append(_rows(roots, range(len(roots)), sums.given_to(owner), len(roots), is_rollup=True))
    return pd.concat(rows, ignore_index=True), faults


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

    def totals(self, measure: str, owners: int, codes: Sequence[int] | None = None) -> Integers:
        """The measure's total for each owner, over the names with ``codes``, or over all."""
        kept = slice(None) if codes is None else np.isin(self.name.codes, codes)
        return _added(self.owner[kept], self.sums[measure][kept], owners)

    def documents(self, owners: int, values: Iterable[Any], kept: Sequence[bool] | None = None) -> list[str]:
        """For each owner the JSON text of name → value; ``kept``: for each name, whether it is told."""
        documents: list[dict[str, Any]] = [{} for _ in range(owners)]
        texts = self.name.texts
        for owner, code, value in zip(self.owner.tolist(), self.name.codes.tolist(), values, strict=True):
            if kept is None or kept[code]:
                documents[owner][texts[code]] = value
        return [orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode() for document in documents]


@dataclass(frozen=True)
class _Sums:
    by_type: _Breakdown
    by_permission: _Breakdown
    by_forester: _Breakdown
    measurements: Mapping[str, str]

    @classmethod
    def of(cls, units: CountedUnits, measurements: Mapping[str, str]) -> "_Sums":
        number = {"units": np.ones(len(units.place), dtype=np.int64)}
        feet_and_acres = {name: units.measures[name] for name in ("linear_ft", "acres")}
        return cls(
            _Breakdown.of(units.place, units.unit, number | feet_and_acres),
            _Breakdown.of(units.place, units.permission, number),
            _Breakdown.of(units.place, units.forester, {**number, **units.measures}),
            measurements,
        )

    def given_to(self, owner: Integers) -> "_Sums":
        return _Sums(
            self.by_type.given_to(owner),
            self.by_permission.given_to(owner),
            self.by_forester.given_to(owner),
            self.measurements,
        )


def _rows(ids: Iterable[int], owner: Iterable[int], sums: _Sums, owners: int, *, is_rollup: bool) -> pd.DataFrame:
    """The rows of ``ids``, each from the sums of its ``owner``."""
    columns: dict[str, Any] = {
        "total_units": sums.by_forester.totals("units", owners),
        "total_linear_ft": _decimals(sums.by_forester.totals("linear_ft", owners)),
        "total_acres": _decimals(sums.by_forester.totals("acres", owners)),
        "total_trees": sums.by_forester.totals("trees", owners),
    }
    permission = [text.lower() for text in sums.by_permission.name.texts]
    for word, column in _PERMISSIONS.items():
        codes = [code for code, text in enumerate(permission) if text == word]
        columns[column] = sums.by_permission.totals("units", owners, codes)
    kinds = [sums.measurements.get(text) for text in sums.by_type.name.texts]
    columns["unit_counts_by_type"] = sums.by_type.documents(owners, sums.by_type.sums["units"].tolist())
    for measure in ("linear_ft", "acres"):
        values = (sums.by_type.sums[measure] / SCALE).tolist()
        columns[f"{measure}_by_type"] = sums.by_type.documents(owners, values, [kind == measure for kind in kinds])
    columns["permission_counts"] = sums.by_permission.documents(owners, sums.by_permission.sums["units"].tolist())
    columns["planner_distribution"] = sums.by_forester.documents(owners, _distribution(sums.by_forester.sums))
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
