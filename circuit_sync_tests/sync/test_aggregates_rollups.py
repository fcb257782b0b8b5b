"""The roll-up of a split: main assessment and splits together, on the main assessment; behaviour 12."""

import pytest

from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import (
    WO,
    aggregates,
    answer_units,
    circuits,
    feet,
    split,
    sync_units,
    unit,
)

A, B = f"{WO} A", f"{WO} B"


def rolled_up(desk: Desk) -> list[float]:
    return feet(desk, is_rollup=True)


def test_a_work_order_without_splits_has_no_roll_up(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))

    sync_units(desk)

    assert rolled_up(desk) == []


def test_main_and_splits_are_rolled_up_together(desk: Desk) -> None:
    circuits(desk, WO, A, B)
    answer_units(
        desk,
        WO,
        unit(feet=1.5, VEGUNIT_FORESTER="M"),
        split("A", 2, VEGUNIT_FORESTER="S", VEGUNIT_PERMSTAT="Refused"),
        split("B", 4, VEGUNIT_FORESTER="S", VEGUNIT_PERMSTAT=""),
    )

    sync_units(desk)

    assert [feet(desk, name) for name in (WO, A, B)] == [[1.5], [2], [4]]
    (row,) = aggregates(desk, is_rollup=True)
    assert (row["total_linear_ft"], row["total_units"]) == (7.5, 3)
    assert (row["units_approved"], row["units_refused"], row["units_pending"]) == (1, 1, 1)
    assert row["planner_distribution"]["S"] == {"unit_count": 2, "linear_ft": 6, "acres": 0, "trees": 0}
    assert desk.one("SELECT count(*) FROM circuit_aggregates WHERE is_rollup") == 1


@pytest.mark.parametrize(("units", "total"), [([unit(feet=1)], 1), ([split("A", 2)], 2), ([], 0)])
def test_a_main_assessment_or_a_split_may_have_no_units(desk: Desk, units: list[dict[str, object]], total: int) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, *units)

    sync_units(desk)

    assert rolled_up(desk) == [total]


def test_a_roll_up_is_written_only_if_it_changed(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)
    desk.clock.advance(days=1)
    sync_units(desk)
    answer_units(desk, WO, unit(feet=1), split("A", 3))
    sync_units(desk, force=True)

    assert rolled_up(desk) == [3, 4]
    assert (feet(desk), feet(desk, A)) == ([1], [2, 3])


def test_units_that_move_between_splits_leave_the_roll_up_as_it_is(desk: Desk) -> None:
    circuits(desk, WO, A, B)
    answer_units(desk, WO, split("A", 2, SSUNITS_OBJECTID="{1}"), split("B", 3, SSUNITS_OBJECTID="{2}"))
    sync_units(desk)
    desk.clock.advance(days=1)
    answer_units(desk, WO, split("B", 2, SSUNITS_OBJECTID="{1}"), split("A", 3, SSUNITS_OBJECTID="{2}"))

    sync_units(desk)

    assert (rolled_up(desk), feet(desk, A), feet(desk, B)) == ([5], [2, 3], [3, 2])


def test_a_split_of_another_status_is_in_the_roll_up(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, A, status="REWRK")
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    sync_units(desk, statuses=["REWRK"])

    assert rolled_up(desk) == [3]


def test_a_split_that_was_closed_when_first_seen_is_in_the_roll_up_without_a_row_of_its_own(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, A, status="CLOSE")
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    sync_units(desk)

    assert (rolled_up(desk), feet(desk), feet(desk, A)) == ([3], [1], [])


def test_a_closed_main_assessment_carries_the_roll_up_of_its_splits(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")
    circuits(desk, A)
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    sync_units(desk)

    assert (rolled_up(desk), feet(desk), feet(desk, A)) == ([3], [], [2])


def test_a_departed_split_is_left_out(desk: Desk) -> None:
    circuits(desk, WO, A, B)
    answer_units(desk, WO, unit(feet=1), split("A", 2), split("B", 4))
    sync_units(desk)
    desk.clock.advance(days=1)
    circuits(desk, WO, A)

    sync_units(desk)

    assert (rolled_up(desk), feet(desk, B)) == ([7, 3], [4])


def test_of_two_main_assessments_the_one_that_splits_hang_on_carries_the_roll_up(desk: Desk) -> None:
    last, first = "{FFFFFFFF-0000-0000-0000-000000000001}", "{00000000-0000-0000-0000-000000000001}"
    mains = [{"SS_WO": WO, "SS_JOBGUID": guid} for guid in (last, first)]
    desk.answer("ACTIV", [*mains, {"SS_WO": WO, "SS_EXT": "A"}])
    desk.sync()
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    sync_units(desk)

    carries = "SELECT circuit_id, total_linear_ft FROM circuit_aggregates WHERE is_rollup"
    hang_on = desk.one("SELECT parent_circuit_id FROM circuits WHERE extension = 'A'")
    assert desk.rows(carries) == [{"circuit_id": hang_on, "total_linear_ft": 3}]


def test_an_excluded_split_is_left_out(desk: Desk) -> None:
    circuits(desk, WO, A, B)
    answer_units(desk, WO, unit(feet=1), split("A", 2), split("B", 4))
    desk.execute("UPDATE circuits SET is_excluded = true WHERE extension = 'A'")

    sync_units(desk)

    assert (rolled_up(desk), feet(desk, A)) == ([5], [])


def test_the_roll_up_goes_on_when_the_last_split_is_gone(desk: Desk) -> None:
    circuits(desk, WO, A)
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)
    desk.clock.advance(days=1)
    circuits(desk, WO)

    sync_units(desk)

    assert rolled_up(desk) == [3, 1]


def test_splits_whose_main_assessment_is_gone_have_no_roll_up(desk: Desk) -> None:
    circuits(desk, A, B)
    answer_units(desk, WO, split("A", 2), split("B", 4))

    sync_units(desk)

    assert desk.column("SELECT is_rollup FROM circuit_aggregates") == [False, False]
