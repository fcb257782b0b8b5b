"""Pending units by date and trees by type, and whose a unit is that comes twice, as stored; behaviours 11 and 12."""

from typing import Any

import pytest

from circuit_sync.simulator import UNIT_HEADING, units_table
from circuit_sync_tests.scenery import Desk, ask
from circuit_sync_tests.sync.units_desk import (
    WO,
    aggregates,
    answer_units,
    asked,
    circuits,
    feet,
    split,
    sync_units,
    unit,
)

A, B = f"{WO} A", f"{WO} B"
FROM_BEFORE = "UPDATE circuit_aggregates SET trees_by_type = '{}', pending_by_date = '{}'"


def trees(number: Any, **columns: Any) -> dict[str, Any]:
    return unit("REM612", JOBVEGETATIONUNITS_NUMTREES=number, **columns)


def pending(assessed: Any, **columns: Any) -> dict[str, Any]:
    return unit(VEGUNIT_PERMSTAT="", VEGUNIT_ASSDDATE=assessed, **columns)


def both(extension: str, number: int = 1, **columns: Any) -> list[dict[str, Any]]:
    """One unit under the main assessment and under a split."""
    return [unit(feet=number, SSUNITS_OBJECTID=f"{{{number}}}", SS_EXT=place, **columns) for place in ("@", extension)]


# Stored breakdowns.


def test_pending_units_by_date_and_trees_by_type_are_stored(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, trees(3), pending("/Date(2026-01-05)/"), pending("", SS_EXT="A"), trees(2, SS_EXT="A"))

    sync_units(desk)

    (own,), (of_split,), (together,) = aggregates(desk), aggregates(desk, A), aggregates(desk, is_rollup=True)
    assert (own["pending_by_date"], own["trees_by_type"]) == ({"2026-01-05": 1}, {"REM612": 3})
    assert (of_split["pending_by_date"], of_split["trees_by_type"]) == ({"unknown": 1}, {"REM612": 2})
    assert (together["pending_by_date"], together["trees_by_type"]) == (
        {"2026-01-05": 1, "unknown": 1},
        {"REM612": 5},
    )


@pytest.mark.parametrize(("permission", "stored"), [("", 1), ("Approved", 0)])
def test_another_date_assessed_is_a_change_where_the_unit_is_pending(desk: Desk, permission: str, stored: int) -> None:
    circuits(desk, WO)
    for day in ("2026-01-04", "2026-01-05"):
        answer_units(desk, WO, pending(day) | {"VEGUNIT_PERMSTAT": permission})
        result = sync_units(desk, force=True)

    assert result.counts["stored"] == stored


def test_a_view_without_the_date_assessed_leaves_it_unknown(desk: Desk) -> None:
    circuits(desk, WO)
    heading = [name for name in UNIT_HEADING if name != "VEGUNIT_ASSDDATE"]
    desk.simulator.answer(WO, units_table([{"SS_WO": WO, "VEGUNIT_PERMSTAT": "Pending"}], heading))

    assert sync_units(desk).sync_status == "completed"
    assert aggregates(desk)[0]["pending_by_date"] == {"unknown": 1}


def test_a_date_that_cannot_be_read_is_told_and_its_unit_counts(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, pending("soon"), pending("2026-01-05"), unit(VEGUNIT_ASSDDATE="soon"))

    result = sync_units(desk)

    assert (result.sync_status, result.message) == (
        "warning",
        "1 pending units have a date assessed that cannot be read, counted as unknown",
    )
    assert aggregates(desk)[0]["pending_by_date"] == {"2026-01-05": 1, "unknown": 1}
    assert desk.log()["error_details"]["pending_units_undated"] == 1


# Rows from before there were these breakdowns, and the check.


def test_a_row_from_before_is_right_and_is_written_anew_once(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    answer_units(desk, WO, trees(3), pending("2026-01-05"))
    answer_units(desk, "2026-0102")
    sync_units(desk)
    desk.execute(FROM_BEFORE)
    assert ask(desk.session, "totals_reconcile").passed
    desk.clock.advance(days=1)

    first, second = sync_units(desk), sync_units(desk, force=True)

    assert (first.counts["stored"], second.counts["stored"]) == (1, 0)
    assert [row["pending_by_date"] for row in aggregates(desk)] == [{}, {"2026-01-05": 1}]
    assert aggregates(desk)[-1]["trees_by_type"] == {"REM612": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        """trees_by_type = '{"REM612": 2}'""",
        """trees_by_type = '{"REM612": 2.5}'""",
        """trees_by_type = '{}'""",
        """pending_by_date = '{"2026-01-05": 2}'""",
        """pending_by_date = '{"2026-01-05": 1, "unknown": 1}'""",
        """pending_by_date = '{}'""",
        "total_trees = 4",
        "units_pending = 2",
    ],
)
def test_a_breakdown_that_does_not_add_up_is_found(desk: Desk, wrong: str) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, trees(3), pending("2026-01-05"))
    sync_units(desk)
    assert ask(desk.session, "totals_reconcile").passed

    desk.execute(f"UPDATE circuit_aggregates SET {wrong}")

    finding = ask(desk.session, "totals_reconcile")
    assert (finding.passed, [line["work_order"] for line in finding.lines]) == (False, [WO])


def test_workstudios_count_of_a_main_one_is_compared_with_the_roll_up(desk: Desk) -> None:
    circuits(desk, WO, UNITCOUNTS_NUMTREES=5)
    desk.answer("QC", [{"SS_WO": WO, "SS_EXT": "A", "UNITCOUNTS_NUMTREES": 2}])
    desk.sync("QC")
    answer_units(desk, WO, trees(3), trees(2, SS_EXT="A"))
    sync_units(desk)
    assert ask(desk.session, "workstudio_counts_agree").passed

    answer_units(desk, WO, trees(3), trees(1, SS_EXT="A"))
    sync_units(desk, force=True)

    differ = ask(desk.session, "workstudio_counts_agree").lines
    assert [(line["extension"], line["ours"]) for line in differ] == [("@", 4), ("A", 1)]


# A unit under the main assessment and a split.


@pytest.mark.parametrize("status", ["ACTIV", "QC", "REWRK", "CLOSE"])
def test_a_unit_under_both_is_the_splits_whatever_its_status(desk: Desk, status: str) -> None:
    circuits(desk, WO)
    desk.answer(status, [{"SS_WO": WO, "SS_EXT": "A"}, *([{"SS_WO": WO}] if status == "ACTIV" else [])])
    desk.sync(status)
    answer_units(desk, WO, *both("A", 4), unit(feet=1))

    sync_units(desk, force=True)

    assert (feet(desk), feet(desk, A), feet(desk, is_rollup=True)) == ([1], [4], [5])


def test_a_unit_under_both_is_the_main_ones_while_the_split_is_away(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, *both("A", 4), unit(feet=1))
    for names in ((WO,), (WO, A), (WO,), (WO, A)):
        circuits(desk, *names)
        sync_units(desk, force=True)
        desk.clock.advance(days=1)

    assert feet(desk) == [5, 1, 5, 1]
    assert feet(desk, A) == [4]
    assert feet(desk, is_rollup=True) == [5]
    assert desk.log()["error_details"]["units_of_unknown_circuits"] == 0


def test_a_unit_under_both_stays_an_excluded_splits(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, *both("A", 4), unit(feet=1), split("A", 8))
    sync_units(desk)
    desk.execute("UPDATE circuits SET is_excluded = true WHERE extension = 'A'")
    desk.clock.advance(days=1)

    result = sync_units(desk, force=True)

    assert (feet(desk), feet(desk, A), feet(desk, is_rollup=True)) == ([1], [12], [13, 1])
    assert (result.counts["circuits"], result.sync_status) == (1, "completed")


def test_an_excluded_split_that_loses_its_units_is_no_reason_to_ask_twice(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, unit(feet=1), split("A", 8))
    sync_units(desk)
    desk.execute("UPDATE circuits SET is_excluded = true WHERE extension = 'A'")
    answer_units(desk, WO, unit(feet=1))
    asked(desk)

    assert sync_units(desk, force=True).sync_status == "completed"
    assert asked(desk) == [WO]


# Several main ones.


def test_the_roll_up_moves_to_the_main_one_that_is_still_open(desk: Desk) -> None:
    first, second = ({"SS_WO": WO, "SS_JOBGUID": f"{{{number}}}"} for number in (1, 2))
    desk.answer("ACTIV", [first, second, {"SS_WO": WO, "SS_EXT": "A"}])
    desk.sync()
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)
    desk.answer("ACTIV", [second, {"SS_WO": WO, "SS_EXT": "A"}])
    desk.answer("CLOSE", [first])
    desk.sync("ACTIV", "CLOSE")
    desk.clock.advance(days=1)

    sync_units(desk)

    assert desk.rows(
        "SELECT DISTINCT ON (c.id) c.job_guid, a.total_linear_ft::int AS feet FROM circuit_aggregates AS a"
        " JOIN circuits AS c ON c.id = a.circuit_id WHERE a.is_rollup ORDER BY c.id, a.aggregate_date DESC"
    ) == [{"job_guid": "{1}", "feet": 1}, {"job_guid": "{2}", "feet": 3}]
    parent = "SELECT m.job_guid FROM circuits AS c JOIN circuits AS m ON m.id = c.parent_circuit_id"
    assert desk.column(parent) == ["{2}"]


def test_two_main_ones_without_a_split_have_no_roll_up(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": WO, "SS_JOBGUID": f"{{{number}}}"} for number in (1, 2)])
    desk.sync()
    answer_units(desk, WO, unit(feet=1))

    sync_units(desk)

    assert desk.column("SELECT is_rollup FROM circuit_aggregates") == [False, False]


# One call per work order.


@pytest.mark.parametrize("main", ["ACTIV", "CLOSE", None])
def test_one_call_brings_the_units_of_every_split_wherever_the_main_one_is(desk: Desk, main: str | None) -> None:
    if main:
        circuits(desk, WO, status=main)
    circuits(desk, A, B, status="QC")
    answer_units(desk, WO, *both("A", 2), split("B", 4), unit(feet=1))
    asked(desk)

    result = sync_units(desk, statuses=["QC"])

    assert (asked(desk), dict(result.reasons), result.counts["work_orders"]) == ([WO], {"never synced": 2}, 1)
    assert (feet(desk, A), feet(desk, B)) == ([2], [4])
    assert feet(desk) == ([1] if main == "ACTIV" else [])
    assert feet(desk, is_rollup=True) == ([7] if main else [])
    assert desk.log()["error_details"]["units_of_unknown_circuits"] == (0 if main else 1)


def test_a_split_that_is_due_takes_the_whole_work_order_along(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)
    desk.execute("UPDATE circuits SET last_planned_units_synced_at = NULL WHERE extension = 'A'")
    answer_units(desk, WO, unit(feet=3), split("A", 4))
    asked(desk)

    result = sync_units(desk)

    assert (asked(desk), dict(result.reasons)) == ([WO], {"never synced": 1})
    assert (feet(desk), feet(desk, A), feet(desk, is_rollup=True)) == ([3], [4], [7])
