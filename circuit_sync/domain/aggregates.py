"""Totals over planned units, computed in whole columns for a batch of work orders.

Feet and acres are carried as whole ten-thousandths (``int64``): each unit's measure is rounded to four places first
and then added exactly, so that every breakdown adds up to its total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

import numpy as np
import orjson
import pandas as pd

from circuit_sync.domain.circuits import MAIN_EXTENSION
from circuit_sync.domain.values import BadValue, clean_guid, clean_number, clean_text

PLACES = 4
SCALE = 10**PLACES
LARGEST_MEASURE = Decimal("9999999999.9999")
LARGEST_COUNT = 2**31 - 1
PENDING = "Pending"
UNKNOWN = "Unknown"
MEASUREMENTS = {"linear_ft": "linear_ft", "acres": "acres", "tree_count": "trees"}
"""Kinds of unit types, and the column of the measure that counts for them; ``none`` has no measure."""
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


@dataclass(frozen=True)
class UnitFaults:
    """What of a batch could not be counted as it came. None of it holds a unit's free text.

    ``rejected``: lines of work_order, column, reason and how many units; ``unknown_types``: unit code → units, which
    count as
    units and add to no measure; ``strangers``: units of an extension that is no circuit here.
    """

    rejected: Sequence[Mapping[str, Any]]
    unknown_types: Mapping[str, int]
    strangers: int


def compute_aggregates(
    units: pd.DataFrame, circuits: pd.DataFrame, measurements: Mapping[str, str]
) -> tuple[pd.DataFrame, UnitFaults]:
    """One row per circuit, also without units, and a roll-up on each main assessment that has splits.

    ``units``: object_id, work_order, extension, unit, permission, forester, linear_ft (feet), acres, trees; values raw.
    ``circuits``: circuit_id, work_order, extension: every circuit to count for. ``measurements``: unit code → kind.
    Returns the columns of ``AGGREGATE_COLUMNS``, feet and acres as text with four places, breakdowns as JSON text
    with sorted
    keys.
    """
    clean, faults = _clean_units(units, circuits, measurements)
    rows = [_totals(clean, circuits["circuit_id"], is_rollup=False)]
    split = circuits[circuits["root_id"] != circuits["circuit_id"]]
    if len(split):
        rows.append(
            _totals(clean.assign(circuit_id=clean["root_id"]), split["root_id"].drop_duplicates(), is_rollup=True)
        )
    return pd.concat(rows, ignore_index=True), faults


def with_roots(circuits: pd.DataFrame) -> pd.DataFrame:
    """Adds ``root_id``: the main assessment of the work order, or the circuit itself where there is none."""
    mains = circuits[circuits["extension"] == MAIN_EXTENSION].drop_duplicates("work_order")
    root = circuits["work_order"].map(mains.set_index("work_order")["circuit_id"])
    return circuits.assign(root_id=root.fillna(circuits["circuit_id"]).astype("int64"))


def _clean_units(
    units: pd.DataFrame, circuits: pd.DataFrame, measurements: Mapping[str, str]
) -> tuple[pd.DataFrame, UnitFaults]:
    """Units that count, once each: circuit_id, root_id, unit, permission, forester and the measures as integers."""
    texts = {
        name: _distinct(units[name], clean)
        for name, clean in (
            ("object_id", clean_guid),
            ("work_order", clean_text),
            ("extension", clean_text),
            ("unit", clean_text),
            ("permission", clean_text),
            ("forester", clean_text),
        )
    }
    frame = pd.DataFrame({name: column for name, (column, _) in texts.items()})
    bad = pd.Series("", index=frame.index, dtype=object)
    for name, (_, faults) in texts.items():
        bad[faults & (bad == "")] = f"{name}: not a text"
    bad[frame["object_id"].isna() & (bad == "")] = "object_id: is empty but required"
    frame["extension"] = frame["extension"].fillna(MAIN_EXTENSION)
    frame["unit"] = frame["unit"].fillna(UNKNOWN)
    frame["permission"] = frame["permission"].fillna(PENDING)
    frame["forester"] = frame["forester"].fillna(UNKNOWN)
    frame["kind"] = frame["unit"].map(measurements)
    for measurement, name in MEASUREMENTS.items():
        counted = (frame["kind"] == measurement).to_numpy()
        frame[name], wrong = _measures(units[name], counted, whole=name == "trees")
        for position, reason in wrong.items():
            bad.iat[position] = f"{name}: {reason}"
    rejected = _count_rejected(frame["work_order"], bad)
    frame = frame[bad == ""].drop_duplicates(["work_order", "object_id"])
    unknown = frame.loc[~frame["unit"].isin(measurements), "unit"].value_counts()
    joined = frame.merge(circuits, on=["work_order", "extension"], how="inner")
    strangers = len(frame) - len(joined)
    return joined, UnitFaults(rejected, {str(code): int(n) for code, n in unknown.items()}, strangers)


def _distinct(column: pd.Series, clean: Any) -> tuple[pd.Series, pd.Series]:
    """Cleans each distinct value once; returns the cleaned column and where cleaning failed."""
    codes, values = pd.factorize(column.to_numpy(dtype=object), use_na_sentinel=True)
    cleaned, failed = np.empty(len(values) + 1, dtype=object), np.zeros(len(values) + 1, dtype=bool)
    for position, value in enumerate(values):
        try:
            cleaned[position] = clean(value)
        except BadValue:
            failed[position] = True
    return pd.Series(cleaned[codes], index=column.index, dtype=object), pd.Series(failed[codes], index=column.index)


def _measures(column: pd.Series, counted: np.ndarray, *, whole: bool) -> tuple[np.ndarray, dict[int, str]]:
    """A measure as integers (ten-thousandths, or whole trees), 0 where it does not count; the faults by position."""
    result = np.zeros(len(column), dtype=np.int64)
    faults: dict[int, str] = {}
    positions = np.flatnonzero(counted)
    raw = column.to_numpy(dtype=object)[positions]
    raw = np.array([0 if value is None else value for value in raw] + [None], dtype=object)[:-1]
    plain = np.fromiter((type(value) in {float, int} for value in raw), dtype=bool, count=len(raw))
    numbers = np.zeros(len(raw))
    numbers[plain] = raw[plain].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = numbers if whole else numbers * SCALE
        rounded = np.rint(scaled)
        # Near a tie the binary product may err to the wrong side: those few are rounded as decimals, one by one.
        clear = plain & (np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) > 1e-4) & (np.abs(rounded) < LARGEST_COUNT)
    if whole:
        clear &= rounded == numbers
    result[positions[clear]] = rounded[clear].astype(np.int64)
    for position, value in zip(positions[~clear], raw[~clear], strict=True):
        try:
            result[position] = _exact(value, whole=whole)
        except BadValue as bad:
            faults[int(position)] = str(bad)
    return result, faults


def _exact(value: Any, *, whole: bool) -> int:
    """One measure, rounded half up to four places as a decimal; trees must be whole."""
    if isinstance(value, list | dict):
        raise BadValue("not a number")
    if not whole:
        number = clean_number(value, places=PLACES, low=-LARGEST_MEASURE, high=LARGEST_MEASURE)
        return int((number * SCALE).to_integral_value(ROUND_HALF_UP))
    number = clean_number(value, places=PLACES, low=Decimal(-LARGEST_COUNT), high=Decimal(LARGEST_COUNT))
    if number != number.to_integral_value():
        raise BadValue("not a whole number")
    return int(number)


def _count_rejected(work_orders: pd.Series, bad: pd.Series) -> list[dict[str, Any]]:
    faulty = pd.DataFrame({"work_order": work_orders.astype(str), "fault": bad})[bad != ""]
    lines = []
    for group, count in faulty.value_counts(sort=False).items():
        work_order, fault = cast("tuple[str, str]", group)
        column, reason = fault.split(": ", 1)
        lines.append({"work_order": work_order, "column": column, "reason": reason, "units": int(count)})
    return lines


def _totals(units: pd.DataFrame, circuit_ids: pd.Series, *, is_rollup: bool) -> pd.DataFrame:
    """Totals and breakdowns of ``units`` for each of ``circuit_ids``."""
    ids = pd.Index(circuit_ids.to_numpy(), name="circuit_id")
    units = units[units["circuit_id"].isin(ids)].assign(units=1)
    measures = ["units", "linear_ft", "acres", "trees"]
    totals = units.groupby("circuit_id")[measures].sum().reindex(ids, fill_value=0)
    by_permission = _groups(units, "permission", ["units"])
    folded = by_permission.assign(count_of=by_permission["permission"].str.lower().map(_PERMISSIONS))
    counts = folded.pivot_table(index="circuit_id", columns="count_of", values="units", aggfunc="sum", fill_value=0)
    counts = counts.reindex(index=ids, columns=list(_PERMISSIONS.values()), fill_value=0)
    by_type = _groups(units, "unit", ["units", "linear_ft", "acres"], also=["kind"])
    by_planner = _groups(units, "forester", measures)
    return pd.DataFrame(
        {
            "circuit_id": ids,
            "is_rollup": is_rollup,
            "total_units": totals["units"].to_numpy(),
            "total_linear_ft": _decimals(totals["linear_ft"]),
            "total_acres": _decimals(totals["acres"]),
            "total_trees": totals["trees"].to_numpy(),
            **{name: counts[name].to_numpy() for name in counts.columns},
            "unit_counts_by_type": _documents(ids, by_type, "unit", "units"),
            "linear_ft_by_type": _documents(ids, by_type[by_type["kind"] == "linear_ft"], "unit", "linear_ft"),
            "acres_by_type": _documents(ids, by_type[by_type["kind"] == "acres"], "unit", "acres"),
            "permission_counts": _documents(ids, by_permission, "permission", "units"),
            "planner_distribution": _planner_documents(ids, by_planner),
        }
    )


def _groups(units: pd.DataFrame, name: str, measures: list[str], also: Sequence[str] = ()) -> pd.DataFrame:
    keys = ["circuit_id", name, *also]
    return units.groupby(keys, dropna=False, observed=True)[measures].sum().reset_index()


def _decimals(column: pd.Series) -> list[str]:
    """Ten-thousandths as decimal text, exact at any size."""
    return [str(Decimal(value).scaleb(-PLACES)) for value in column.tolist()]


def _documents(ids: pd.Index, groups: pd.DataFrame, name: str, measure: str) -> list[str]:
    """For each circuit the JSON text of name → measure."""
    documents: dict[int, dict[str, Any]] = {circuit: {} for circuit in ids.tolist()}
    scale = measure in {"linear_ft", "acres"}
    for circuit, key, value in zip(
        groups["circuit_id"].tolist(), groups[name].tolist(), groups[measure].tolist(), strict=True
    ):
        documents[circuit][key] = value / SCALE if scale else value
    return [_json(documents[circuit]) for circuit in ids.tolist()]


def _planner_documents(ids: pd.Index, groups: pd.DataFrame) -> list[str]:
    documents: dict[int, dict[str, Any]] = {circuit: {} for circuit in ids.tolist()}
    columns = (groups[name].tolist() for name in ("circuit_id", "forester", "units", "linear_ft", "acres", "trees"))
    for circuit, forester, count, feet, acres, trees in zip(*columns, strict=True):
        documents[circuit][forester] = {
            "unit_count": count,
            "linear_ft": feet / SCALE,
            "acres": acres / SCALE,
            "trees": trees,
        }
    return [_json(documents[circuit]) for circuit in ids.tolist()]


def _json(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()
