"""Pending units by the date assessed, trees by unit type, and whose a unit is that comes twice; behaviour 12."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuit_sync.domain.aggregates import compute_aggregates
from circuit_sync_tests.domain.unit_frames import (
    DATES,
    MEASUREMENTS,
    UNITS,
    Place,
    circuits,
    computed,
    exact,
    frame,
    one,
    owned,
)

WO = "2026-0101"
MAIN, A, B = (WO, "@"), (WO, "A"), (WO, "B")
PENDING = ("Pending", "PENDING", " pending\0", "", None)


def units(row: Mapping[str, Any]) -> int:
    return int(row["total_units"])


# Pending units by the date assessed.


def test_pending_units_are_counted_by_the_date_assessed() -> None:
    days = ["2026-01-04", "/Date(2026-01-05)/", "2026-01-04", "/Date(2026-01-05T20:12:44.142Z)/", "2025-12-31", None]

    row, faults = one([{"permission": "Pending", "assessed": day} for day in days])

    assert row["pending_by_date"] == {"2025-12-31": 1, "2026-01-04": 2, "2026-01-05": 2, "unknown": 1}
    assert faults.undated == 0


@pytest.mark.parametrize("permission", PENDING)
def test_whatever_counts_as_pending_counts_by_its_date(permission: str | None) -> None:
    row, _ = one([{"permission": permission}])

    assert (row["units_pending"], row["pending_by_date"]) == (1, {"2026-01-04": 1})


@pytest.mark.parametrize("permission", ["Approved", "Refused", "No Contact", "Deferred", "Pending review"])
def test_the_date_of_a_unit_that_is_not_pending_counts_nowhere(permission: str) -> None:
    row, faults = one([{"permission": permission, "assessed": "junk"}, {"permission": permission}])

    assert (row["total_units"], row["pending_by_date"]) == (2, {})
    assert (faults.rejected, faults.undated) == ([], 0)


@pytest.mark.parametrize("value", [None, "", " \0", "/Date(1899-12-30)/", "/Date()/", "2009-12-31", "0001-01-01"])
def test_no_date_is_unknown(value: Any) -> None:
    row, faults = one([{"permission": "", "assessed": value}])

    assert (row["pending_by_date"], faults.undated) == ({"unknown": 1}, 0)


@pytest.mark.parametrize("value", ["junk", "unknown", "2026-02-30", 7, 2.5, True, ["2026-01-04"], {"a": 1}, "\ud800"])
def test_a_pending_unit_whose_date_cannot_be_read_still_counts_and_is_told(value: Any) -> None:
    row, faults = one([{"permission": "", "assessed": value}, {"permission": "", "assessed": None}])

    assert (row["units_pending"], row["pending_by_date"]) == (2, {"unknown": 2})
    assert (faults.rejected, faults.undated) == ([], 1)


# Trees by unit type.


def test_trees_are_counted_by_the_types_that_count_trees() -> None:
    row, _ = one(
        [
            {"unit": "REM612", "trees": 3},
            {"unit": "REM612", "trees": "2"},
            {"unit": "SPM", "trees": 9},
            {"unit": "XPOLE", "trees": 9},
            {"unit": None, "trees": 9},
        ]
    )

    assert (row["total_trees"], row["trees_by_type"]) == (5, {"REM612": 5})


def test_trees_and_pending_units_are_whole_numbers_in_json() -> None:
    rows = frame([{"unit": "REM612", "trees": 5.0, "permission": ""}])

    table, _ = compute_aggregates(rows, circuits(), MEASUREMENTS)

    (row,) = table[["trees_by_type", "pending_by_date"]].to_dict("records")
    assert row == {"trees_by_type": '{"REM612":5}', "pending_by_date": '{"2026-01-04":1}'}


def test_a_type_that_counts_trees_is_told_without_any() -> None:
    assert one([{"unit": "REM612", "trees": 0}])[0]["trees_by_type"] == {"REM612": 0}


# A unit under several extensions.


@pytest.mark.parametrize("order", [("@", "A"), ("A", "@"), ("", "A"), ("@", "A", "@", "A")])
def test_a_unit_under_main_and_split_is_the_splits_whatever_the_order(order: Sequence[str]) -> None:
    rows = [{"object_id": "{1}", "extension": extension, "linear_ft": 2} for extension in order]

    found, faults = computed(rows, MAIN, A)

    assert {key: (units(row), row["total_linear_ft"]) for key, row in found.items()} == {
        (1, False): (0, 0),
        (2, False): (1, 2),
        (1, True): (1, 2),
    }
    assert faults.units_without_circuit == 0


def test_what_the_split_says_of_the_unit_holds() -> None:
    both = [
        {"extension": "@", "permission": "", "unit": "SPM", "linear_ft": 9},
        {"extension": "A", "permission": "Refused", "unit": "REM612", "trees": 2},
    ]

    found, _ = computed([{"object_id": "{1}"} | row for row in both], MAIN, A)

    for key in ((2, False), (1, True)):
        row = found[key]
        assert (row["units_refused"], row["units_pending"], row["pending_by_date"]) == (1, 0, {})
        assert (row["trees_by_type"], row["total_linear_ft"]) == ({"REM612": 2}, 0)


@pytest.mark.parametrize("order", [("@", "Q"), ("Q", "@")])
def test_a_unit_under_main_and_an_unknown_split_is_the_main_ones(order: Sequence[str]) -> None:
    found, faults = computed([{"object_id": "{1}", "extension": extension} for extension in order], MAIN, A)

    assert {key: units(row) for key, row in found.items()} == {(1, False): 1, (2, False): 0, (1, True): 1}
    assert faults.units_without_circuit == 0


def test_a_unit_under_two_splits_is_that_ones_which_comes_first() -> None:
    rows = [{"object_id": "{1}", "extension": extension} for extension in ("@", "Q", "B", "A")]

    found, _ = computed(rows, MAIN, A, B)

    assert {key: units(row) for key, row in found.items()} == {
        (1, False): 0,
        (2, False): 0,
        (3, False): 1,
        (1, True): 1,
    }


def test_two_main_ones_and_two_splits_of_one_extension_each_have_their_units_and_the_roll_up_has_them_once() -> None:
    rows = [{"object_id": "{1}", "extension": "@"}, {"object_id": "{1}", "extension": "A"}, {"object_id": "{2}"}]

    found, _ = computed(rows, MAIN, MAIN, A, A)

    own = {(1, False): 1, (2, False): 1, (3, False): 1, (4, False): 1}
    assert {key: units(row) for key, row in found.items()} == {**own, (1, True): 2}


def test_two_main_ones_without_splits_have_no_roll_up() -> None:
    assert set(computed([{}], MAIN, MAIN)[0]) == {(1, False), (2, False)}


def test_a_main_one_that_once_carried_the_roll_up_rolls_up_itself() -> None:
    rows = [{}, {"extension": "A"}]

    found, _ = computed(rows, MAIN, MAIN, A, has_rollup=True)

    assert {key: units(row) for key, row in found.items() if key[1]} == {(1, True): 2, (2, True): 1, (3, True): 1}


def test_the_units_of_an_excluded_split_are_nobodys_and_not_without_a_circuit() -> None:
    rows = [
        *({"object_id": "{1}", "extension": extension} for extension in "@A"),
        {"extension": "A", "unit": "XPOLE"},
        {"extension": "@"},
    ]

    found, faults = computed(rows, MAIN, A, B, excluded=[A])

    assert {key: units(row) for key, row in found.items()} == {(1, False): 1, (3, False): 0, (1, True): 1}
    assert (faults.units_without_circuit, faults.unknown_types) == (0, {})


def test_an_excluded_main_one_carries_no_roll_up() -> None:
    found, _ = computed([{"extension": "A"}], MAIN, A, B, excluded=[MAIN])

    assert {key: units(row) for key, row in found.items()} == {(2, False): 1, (3, False): 0}


# All of it, against the rules' own words.

SPLIT_PLACES = st.lists(
    st.tuples(st.sampled_from(["2026-0101", "2026-0102"]), st.sampled_from(["@", "A", "B", "C"])),
    min_size=1,
    max_size=6,
    unique=True,
)
SHARED = UNITS.map(lambda rows: [row | {"object_id": f"{{{number % 5}}}"} for number, row in enumerate(rows)])


def expected(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the row of a circuit with these units holds."""
    pending = [row for row in rows if str(row["permission"] or "pending").lower() == "pending"]
    trees = [row for row in rows if MEASUREMENTS.get(row["unit"]) == "tree_count"]
    return {
        "total_units": len(rows),
        "total_linear_ft": sum(exact(row, "linear_ft") for row in rows),
        "total_acres": sum(exact(row, "acres") for row in rows),
        "total_trees": sum(row["trees"] for row in trees),
        "units_pending": len(pending),
        "pending_by_date": Counter(DATES.get(row["assessed"], "unknown") for row in pending),
        "trees_by_type": {
            kind: sum(row["trees"] for row in trees if row["unit"] == kind) for kind in {row["unit"] for row in trees}
        },
        "permission_counts": Counter(row["permission"] or "Pending" for row in rows),
    }


@settings(max_examples=150, deadline=None)
@given(st.one_of(UNITS, SHARED), SPLIT_PLACES)
def test_each_unit_counts_once_for_whose_it_is(rows: list[dict[str, Any]], places: list[Place]) -> None:
    found, _ = computed(rows, *places)

    mine = owned(rows, *places)
    numbers = {place: number for number, place in enumerate(places, start=1)}
    wanted = {(number, False): expected(mine[place]) for place, number in numbers.items()}
    for work_order, extension in places:
        together = [place for place in places if place[0] == work_order]
        if extension == "@" and len(together) > 1:
            rolled_up = [row for place in together for row in mine[place]]
            wanted[numbers[work_order, extension], True] = expected(rolled_up)
    assert {key: {name: row[name] for name in wanted[key]} for key, row in found.items()} == wanted


@settings(max_examples=60, deadline=None)
@given(SHARED, SPLIT_PLACES, st.data())
def test_whoever_is_excluded_changes_nothing_for_others(
    rows: list[dict[str, Any]], places: list[Place], data: st.DataObject
) -> None:
    excluded = data.draw(st.lists(st.sampled_from(places), unique=True))
    whole, _ = computed(rows, *places)

    found, _ = computed(rows, *places, excluded=excluded)

    others = [number for number, place in enumerate(places, start=1) if place not in excluded]
    own = {key: row for key, row in found.items() if not key[1]}
    assert own == {(number, False): whole[number, False] for number in others}
