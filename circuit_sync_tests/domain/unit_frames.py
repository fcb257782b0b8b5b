"""Raw planned units for the tests of aggregates, and by the rules' own words what of them is whose."""

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from circuit_sync.domain.aggregates import AGGREGATE_COLUMNS, compute_aggregates, with_roots
from circuit_sync.domain.planned_units import UnitFaults

Place = tuple[str, str]
MEASUREMENTS = {"SPM": "linear_ft", "MPM": "linear_ft", "HCB": "acres", "REM612": "tree_count", "NW": "none"}
MEASURES = {"linear_ft": "linear_ft", "acres": "acres", "tree_count": "trees"}
COLUMNS = (
    "object_id",
    "work_order",
    "extension",
    "unit",
    "permission",
    "forester",
    "assessed",
    "linear_ft",
    "acres",
    "trees",
)
MAIN = {"work_order": "2026-0101", "extension": "@"}


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Raw units as the reader gives them; unstated, an approved SPM unit of 2026-0101@ that measures nothing."""
    usual = {**MAIN, "unit": "SPM", "permission": "Approved", "forester": "First Forester", "assessed": "2026-01-04"}
    full = [
        {"object_id": f"{{{number}}}", **usual, "linear_ft": 0, "acres": 0, "trees": 0, **row}
        for number, row in enumerate(rows)
    ]
    return pd.DataFrame({name: pd.Series([row.get(name) for row in full], dtype=object) for name in COLUMNS})


def circuits(*places: Place, has_rollup: bool = False, excluded: Collection[Place] = ()) -> pd.DataFrame:
    """Circuits 1, 2, … of work orders and extensions; 2026-0101@ if nothing else is said."""
    listed = [(number, *place) for number, place in enumerate(places or (("2026-0101", "@"),), start=1)]
    found = pd.DataFrame(listed, columns=["circuit_id", "work_order", "extension"])
    is_excluded = [(work_order, extension) in excluded for _, work_order, extension in listed]
    return with_roots(found.assign(has_rollup=has_rollup, is_excluded=is_excluded))


def computed(
    rows: Sequence[Mapping[str, Any]], *places: Place, **options: Any
) -> tuple[dict[tuple[int, bool], dict[str, Any]], UnitFaults]:
    """The aggregates by circuit and whether it is a roll-up, documents decoded with exact numbers."""
    table, faults = compute_aggregates(frame(rows), circuits(*places, **options), MEASUREMENTS)
    assert tuple(table.columns) == AGGREGATE_COLUMNS
    found = {}
    for row in table.to_dict("records"):
        exact: dict[str, Any] = {
            str(name): json.loads(value, parse_float=Decimal) if isinstance(value, str) else value
            for name, value in row.items()
        }
        found[row["circuit_id"], row["is_rollup"]] = exact
    assert len(found) == len(table)
    return found, faults


def one(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], UnitFaults]:
    """The aggregate of the one circuit 2026-0101@."""
    found, faults = computed(rows)
    return found[1, False], faults


NUMBERS = st.one_of(
    st.floats(min_value=-1e6, max_value=1e6, allow_nan=False),
    st.decimals(min_value=-1000, max_value=1000, places=5).map(float),
    st.decimals(min_value=-1000, max_value=1000, places=5).map(str),
    st.integers(min_value=0, max_value=900),
    st.sampled_from([None, "", 0.00005, 1.00005, 0.49995]),
)
DATES = {
    "2026-01-04": "2026-01-04",
    "/Date(2026-01-04)/": "2026-01-04",
    "/Date(2026-02-05T20:12:44.142Z)/": "2026-02-05",
    "/Date(1899-12-30)/": "unknown",
    "2009-12-31": "unknown",
    " ": "unknown",
    "junk": "unknown",
}
"""What arrives as a date assessed, and the key that it counts under."""
UNITS = st.lists(
    st.fixed_dictionaries(
        {
            "object_id": st.integers(0, 30).map(lambda number: f"{{{number}}}"),
            "work_order": st.sampled_from(["2026-0101", "2026-0102"]),
            "extension": st.sampled_from(["@", "", "A", "B", "C"]),
            "unit": st.sampled_from([*MEASUREMENTS, "XPOLE", None]),
            "permission": st.sampled_from(["Approved", "REFUSED", "Pending", "", None, "Deferred"]),
            "forester": st.sampled_from(["First Forester", "Second Forester", "", None]),
            "assessed": st.sampled_from([*DATES, None]),
            "linear_ft": NUMBERS,
            "acres": NUMBERS,
            "trees": st.integers(0, 9),
        }
    ),
    max_size=16,
)
PLACES = (("2026-0101", "@"), ("2026-0101", "A"), ("2026-0101", "B"), ("2026-0102", "@"))


def exact(row: Mapping[str, Any], measure: str) -> Decimal:
    """What a unit adds to a measure, by the rule's own words."""
    if MEASURES.get(MEASUREMENTS.get(row["unit"], "")) != measure:
        return Decimal(0)
    text = str(row[measure] if row[measure] not in (None, "") else 0)
    return Decimal(text).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def owned(rows: Sequence[Mapping[str, Any]], *places: Place) -> dict[Place, list[Mapping[str, Any]]]:
    """Each unit once, by the place whose it is: a known split before the main assessment, else whoever comes first."""
    mine: dict[Place, list[Mapping[str, Any]]] = {place: [] for place in places}
    claims: dict[Place, list[tuple[Place, Mapping[str, Any]]]] = {}
    for row in rows:
        place = (row["work_order"], row["extension"] or "@")
        if place in mine:
            claims.setdefault((row["work_order"], row["object_id"]), []).append((place, row))
    for claimed in claims.values():
        place, row = next((claim for claim in claimed if claim[0][1] != "@"), claimed[0])
        mine[place].append(row)
    return mine
