"""Totals over planned units: exact, reconciling, and never silently wrong; behaviour 12."""

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuit_sync.domain.aggregates import AGGREGATE_COLUMNS, compute_aggregates, with_roots
from circuit_sync.domain.planned_units import UnitFaults
from circuit_sync_tests.domain.unit_frames import (
    COLUMNS,
    MAIN,
    MEASUREMENTS,
    MEASURES,
    PLACES,
    UNITS,
    computed,
    exact,
    frame,
    one,
    owned,
)


def test_a_circuit_without_units_has_a_row_of_zeros() -> None:
    row, faults = one([])

    assert row == {
        "circuit_id": 1,
        "is_rollup": False,
        **dict.fromkeys(("total_units", "total_linear_ft", "total_acres", "total_trees"), 0),
        **dict.fromkeys(("units_approved", "units_refused", "units_pending"), 0),
        **{name: {} for name in AGGREGATE_COLUMNS[-7:]},
    }
    assert faults == UnitFaults([], {}, 0, [], 0)


def test_no_circuits_have_no_rows() -> None:
    none = with_roots(pd.DataFrame([], columns=["work_order", "circuit_id", "extension"]))

    table, faults = compute_aggregates(frame([{}]), none, MEASUREMENTS)

    assert (len(table), faults.units_without_circuit) == (0, 1)


def test_a_measure_counts_for_the_units_whose_type_it_measures() -> None:
    row, faults = one([{"unit": unit, "linear_ft": 10.5, "acres": 0.25, "trees": 3} for unit in MEASUREMENTS])

    assert (row["total_units"], row["total_linear_ft"], row["total_acres"], row["total_trees"]) == (
        5,
        21,
        Decimal("0.25"),
        3,
    )
    assert row["unit_counts_by_type"] == dict.fromkeys(MEASUREMENTS, 1)
    assert row["linear_ft_by_type"] == {"SPM": Decimal("10.5"), "MPM": Decimal("10.5")}
    assert row["acres_by_type"] == {"HCB": Decimal("0.25")}
    assert not faults.rejected


@pytest.mark.parametrize(
    ("raw", "counted"),
    [
        (0.00005, "0.0001"),
        (0.00004999, "0"),
        (1.00005, "1.0001"),
        (2.67505, "2.6751"),
        (-0.00005, "-0.0001"),
        (61.9306779208413, "61.9307"),
        (0.12345, "0.1235"),
        (4503599627.37045, "4503599627.3705"),
        (9999999999.9999, "9999999999.9999"),
        ("57.79", "57.79"),
        (" 12.00005\0", "12.0001"),
        ("1e2", "100"),
        (7, "7"),
        (None, "0"),
        ("", "0"),
        ("  ", "0"),
    ],
)
def test_feet_are_rounded_half_up_to_four_places_on_their_decimal_form(raw: Any, counted: str) -> None:
    row, faults = one([{"linear_ft": raw}])

    assert (row["total_linear_ft"], faults.rejected) == (Decimal(counted), [])
    assert row["linear_ft_by_type"] == {"SPM": Decimal(counted)}


def test_units_are_rounded_before_they_are_added() -> None:
    row, _ = one([{"linear_ft": 0.00005}] * 2 + [{"linear_ft": 0.00004}] * 4)

    assert row["total_linear_ft"] == Decimal("0.0002")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("see map", "not a number"),
        (True, "not a number"),
        ([1], "not a number"),
        ({"a": 1}, "not a number"),
        (float("nan"), "not a finite number"),
        (float("-inf"), "not a finite number"),
        ("NaN", "not a number"),
        ("1,5", "not a number"),
        (10_000_000_000, "not between -9999999999.9999 and 9999999999.9999"),
        ("1e300", "not between -9999999999.9999 and 9999999999.9999"),
        (1e308, "not between -9999999999.9999 and 9999999999.9999"),
        (1e15, "not between -9999999999.9999 and 9999999999.9999"),
        ("1e19", "not between -9999999999.9999 and 9999999999.9999"),
        pytest.param(10**400, "not between -9999999999.9999 and 9999999999.9999", id="huge"),
        (9999999999.99996, "not between -9999999999.9999 and 9999999999.9999"),
    ],
)
def test_a_junk_measure_is_reported_and_its_unit_not_counted(value: Any, reason: str) -> None:
    row, faults = one([{"linear_ft": value}, {"linear_ft": value}, {"linear_ft": 2}])

    assert (row["total_units"], row["total_linear_ft"]) == (1, 2)
    assert faults.rejected == [{"work_order": "2026-0101", "column": "linear_ft", "reason": reason, "units": 2}]


@pytest.mark.parametrize("value", [2.5, "2.5", 0.00001, 2**31, -(2**31), 10**10, 1e15, "1e19", "many"])
def test_trees_are_whole_and_fit_their_column(value: Any) -> None:
    row, faults = one([{"unit": "REM612", "trees": value}, {"unit": "REM612", "trees": "2"}])

    assert (row["total_units"], row["total_trees"]) == (1, 2)
    assert [(line["column"], line["units"]) for line in faults.rejected] == [("trees", 1)]


@pytest.mark.parametrize("value", [2.0, 2, "2.0", " 2 "])
def test_whole_trees_may_be_written_in_any_way(value: Any) -> None:
    assert one([{"unit": "REM612", "trees": value}])[0]["total_trees"] == 2


def test_a_measure_that_does_not_count_for_the_type_may_be_anything() -> None:
    row, faults = one([{"linear_ft": 4, "acres": "junk", "trees": "junk"}])

    assert (row["total_linear_ft"], faults.rejected) == (4, [])


def test_an_unknown_type_counts_as_a_unit_without_a_measure_and_is_reported() -> None:
    row, faults = one([{"unit": "XPOLE", "linear_ft": 5, "acres": 5, "trees": 5}, {"unit": None}, {"unit": " XPOLE"}])

    assert (row["total_units"], row["total_linear_ft"], row["total_acres"], row["total_trees"]) == (3, 0, 0, 0)
    assert row["unit_counts_by_type"] == {"XPOLE": 2, "Unknown": 1}
    assert faults.unknown_types == {"XPOLE": 2, "Unknown": 1}


def test_every_permission_is_kept_and_three_are_counted_whatever_their_case() -> None:
    values = [
        "Approved",
        "APPROVED",
        " approved\0",
        "Refused",
        "pending",
        "",
        None,
        "No Contact",
        "EXAMPLE Approved",
        7,
    ]

    row, _ = one([{"permission": value} for value in values])

    assert row["permission_counts"] == {
        "Approved": 1,
        "APPROVED": 1,
        "approved": 1,
        "Refused": 1,
        "pending": 1,
        "Pending": 2,
        "No Contact": 1,
        "EXAMPLE Approved": 1,
        "7": 1,
    }
    assert (row["units_approved"], row["units_refused"], row["units_pending"]) == (3, 1, 3)
    assert sum(row["permission_counts"].values()) == row["total_units"]


def test_a_unit_without_a_forester_is_unknowns() -> None:
    row, _ = one([{"forester": None, "linear_ft": 1.5}, {"forester": "  "}, {"forester": "A. Nother", "linear_ft": 2}])

    assert row["planner_distribution"] == {
        "Unknown": {"unit_count": 2, "linear_ft": Decimal("1.5"), "acres": 0, "trees": 0},
        "A. Nother": {"unit_count": 1, "linear_ft": 2, "acres": 0, "trees": 0},
    }


def test_a_repeated_object_counts_once_however_its_guid_is_written() -> None:
    guid = "35bf992d-c9e9-4616-a12e-7696a6cecc1b"
    ids = [guid, f"{{{guid.upper()}}}", f" {{{guid}}} ", "opaque", "OPAQUE", "opaque\0"]

    row, faults = one([{"object_id": name, "linear_ft": 1} for name in ids])

    assert (row["total_units"], row["total_linear_ft"], faults.rejected) == (3, 3, [])


def test_an_unreadable_copy_of_a_unit_does_not_hide_the_readable_one() -> None:
    row, faults = one([{"object_id": "{A}", "linear_ft": "junk"}, {"object_id": "{A}", "linear_ft": 2}])

    assert (row["total_units"], row["total_linear_ft"], len(faults.rejected)) == (1, 2, 1)


def test_the_same_object_under_two_work_orders_counts_for_both() -> None:
    places = ("2026-0101", "@"), ("2026-0102", "@")

    found, _ = computed([{"object_id": "{A}", "work_order": name} for name, _ in places], *places)

    assert [found[number, False]["total_units"] for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize("name", ["object_id", "work_order", "extension", "unit", "permission", "forester"])
@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}, "lone \ud800 surrogate"])
def test_what_is_no_text_is_reported_and_not_counted(name: str, value: Any) -> None:
    row, faults = one([{name: value}, {}])

    assert row["total_units"] == 1
    (line,) = faults.rejected
    assert (line["column"], line["reason"], line["units"]) == (name, "not a text", 1)
    assert line["work_order"] == ("" if name == "work_order" else "2026-0101")


def test_one_and_true_are_not_the_same_extension() -> None:
    found, faults = computed([{"extension": 1}, {"extension": True}, {"extension": 1.0}], ("2026-0101", "1"))

    assert (found[1, False]["total_units"], faults.units_without_circuit) == (1, 1)
    assert [line["column"] for line in faults.rejected] == ["extension"]


@pytest.mark.parametrize("value", [None, "", " \0"])
def test_a_unit_without_identity_is_reported(value: Any) -> None:
    row, faults = one([{"object_id": value}])

    assert row["total_units"] == 0
    assert [line["reason"] for line in faults.rejected] == ["is empty but required"]


def test_an_empty_extension_is_the_main_assessment() -> None:
    row, _ = one([{"extension": value} for value in ("", None, " ", "@")])

    assert row["total_units"] == 4


def test_units_of_an_extension_that_is_no_circuit_count_nowhere_and_are_told() -> None:
    rows = [{}, {"extension": "B", "linear_ft": 9}, {"work_order": "2026-9999"}, {"extension": "B", "unit": "XPOLE"}]

    found, faults = computed(rows, ("2026-0101", "@"), ("2026-0101", "A"))

    assert faults.units_without_circuit == 3
    assert faults.unknown_types == {}
    assert {key: row["total_units"] for key, row in found.items()} == {(1, False): 1, (2, False): 0, (1, True): 1}


def test_a_roll_up_is_the_main_assessment_and_its_splits_together() -> None:
    rows = [{"linear_ft": 1.5}, {"extension": "A", "linear_ft": 2, "forester": "S"}, {"extension": "B", "unit": "NW"}]

    found, _ = computed(rows, ("2026-0101", "B"), ("2026-0101", "@"), ("2026-0101", "A"), ("2026-0102", "@"))

    assert set(found) == {(1, False), (2, False), (3, False), (4, False), (2, True)}
    rollup = found[2, True]
    assert (rollup["total_units"], rollup["total_linear_ft"]) == (3, Decimal("3.5"))
    assert rollup["unit_counts_by_type"] == {"SPM": 2, "NW": 1}
    assert rollup["planner_distribution"]["First Forester"]["unit_count"] == 2


def test_splits_without_a_main_assessment_have_no_roll_up() -> None:
    found, _ = computed([{"extension": "A"}], ("2026-0101", "A"), ("2026-0101", "B"))

    assert set(found) == {(1, False), (2, False)}


def test_a_roll_up_goes_on_when_its_last_split_is_gone() -> None:
    found, _ = computed([{"linear_ft": 2}, {"extension": "A", "linear_ft": 3}], has_rollup=True)

    assert found[1, True]["total_linear_ft"] == 2


def test_two_circuits_of_one_extension_both_have_its_units_and_the_roll_up_has_them_once() -> None:
    found, _ = computed([{}, {"extension": "A"}], ("2026-0101", "@"), ("2026-0101", "A"), ("2026-0101", "A"))

    assert {key: row["total_units"] for key, row in found.items()} == {
        (1, False): 1,
        (2, False): 1,
        (3, False): 1,
        (1, True): 2,
    }


def test_a_work_order_beyond_what_the_database_holds_is_told_and_the_others_are_computed() -> None:
    rows = [
        *({"linear_ft": 9_999_999_999, "object_id": f"{number}"} for number in range(2)),
        *({"work_order": "2026-0102", "unit": "REM612", "trees": 2**31 - 1, "object_id": f"{n}"} for n in range(2)),
        {"work_order": "2026-0103", "linear_ft": 1},
    ]

    found, faults = computed(rows, *((f"2026-010{number}", "@") for number in (1, 2, 3)))

    assert list(faults.oversized) == ["2026-0101", "2026-0102"]
    assert {key: row["total_linear_ft"] for key, row in found.items()} == {(3, False): 1}


@settings(max_examples=60, deadline=None)
@given(UNITS)
def test_totals_are_the_exact_sum_of_the_rounded_units(rows: list[dict[str, Any]]) -> None:
    found, _ = computed(rows, *PLACES)

    for number, place in enumerate(PLACES, start=1):
        mine = owned(rows, *PLACES)[place]
        assert found[number, False]["total_units"] == len(mine)
        for measure in MEASURES.values():
            assert found[number, False][f"total_{measure}"] == sum(exact(row, measure) for row in mine)
    parts = [found[number, False] for number in (1, 2, 3)]
    for name in ("total_units", "total_linear_ft", "total_acres", "total_trees", "units_approved", "units_pending"):
        assert found[1, True][name] == sum(part[name] for part in parts)


@settings(max_examples=40, deadline=None)
@given(UNITS)
def test_every_breakdown_adds_up_to_its_total(rows: list[dict[str, Any]]) -> None:
    for row in computed(rows, *PLACES)[0].values():
        assert sum(row["unit_counts_by_type"].values()) == row["total_units"]
        assert sum(row["permission_counts"].values()) == row["total_units"]
        assert sum(row["linear_ft_by_type"].values()) == row["total_linear_ft"]
        assert sum(row["acres_by_type"].values()) == row["total_acres"]
        assert sum(row["trees_by_type"].values()) == row["total_trees"]
        assert sum(row["pending_by_date"].values()) == row["units_pending"]
        planners = row["planner_distribution"].values()
        assert sum(planner["unit_count"] for planner in planners) == row["total_units"]
        for measure in MEASURES.values():
            assert sum(planner[measure] for planner in planners) == row[f"total_{measure}"]


@settings(max_examples=40, deadline=None)
@given(UNITS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], random: Any) -> None:
    rows = list({(row["work_order"], row["object_id"]): row for row in rows}.values())
    shuffled = random.sample(rows, len(rows))

    assert computed(shuffled, *PLACES)[0] == computed(rows, *PLACES)[0]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=1)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, JUNK)), max_size=6))
def test_whatever_comes_is_counted_reported_or_told(rows: list[dict[str, Any]]) -> None:
    rows = [row | {"object_id": str(number)} for number, row in enumerate(rows)]
    for row in rows[::2]:
        row.update(MAIN)

    found, faults = computed(rows)

    if not faults.oversized:
        rejected = sum(line["units"] for line in faults.rejected)
        assert found[1, False]["total_units"] + rejected + faults.units_without_circuit == len(rows)
