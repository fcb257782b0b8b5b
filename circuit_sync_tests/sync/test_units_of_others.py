"""What is not of the work order asked for is not its units: behaviour 11."""

import json
from typing import Any

import pytest

from circuit_sync.domain.errors import PermanentError
from circuit_sync.simulator import units_table
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import WO, aggregates, answer_units, circuits, feet, sync_units, unit

OTHER = "2026-0102"


def test_an_answer_with_units_of_another_work_order_only_is_a_failed_work_order(desk: Desk) -> None:
    circuits(desk, WO, OTHER)
    answer_units(desk, WO, unit(feet=5))
    answer_units(desk, OTHER, unit(feet=7, SS_WO=WO), unit(feet=7, SS_WO=None))

    result = sync_units(desk)

    assert (result.sync_status, result.counts["failed"]) == ("warning", 1)
    (line,) = desk.log()["error_details"]["failures"]
    assert line["work_order"] == OTHER
    assert "2 rows, but none of this work order" in line["reason"]
    assert (feet(desk, WO), aggregates(desk, OTHER)) == ([5.0], [])
    assert desk.column("SELECT work_order FROM circuits WHERE last_planned_units_synced_at IS NULL") == [OTHER]


def test_a_sync_of_such_answers_only_fails_for_good(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(SS_WO=OTHER))

    with pytest.raises(PermanentError, match="every work order failed"):
        sync_units(desk)
    assert desk.log()["error_details"]["passing"] is False


def test_rows_of_other_work_orders_are_dropped_and_counted(desk: Desk) -> None:
    circuits(desk, WO, OTHER)
    answer_units(desk, OTHER, unit(feet=3))
    answer_units(desk, WO, unit(feet=5), unit(feet=7, SS_WO=OTHER), unit(feet=7, SS_WO=""), unit(feet=11))

    result = sync_units(desk)

    assert (feet(desk, WO), feet(desk, OTHER)) == ([16.0], [3.0])
    assert desk.log()["error_details"]["units_of_other_work_orders"] == 2
    assert result.counts["units"] == 3


@pytest.mark.parametrize("spelt", ["  WO-straße\0 ", "wo-STRASSE", "Wo-Straße"])
def test_a_work_order_is_known_by_its_trimmed_and_folded_name(desk: Desk, spelt: str) -> None:
    circuits(desk, "WO-Straße")
    desk.simulator.answer("WO-Straße", units_table([unit(feet=5, SS_WO=spelt)]))

    assert sync_units(desk).sync_status == "completed"
    assert feet(desk, "WO-Straße") == [5.0]


def test_no_rows_are_an_answer(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)

    assert sync_units(desk).sync_status == "completed"
    assert feet(desk, WO) == [0.0]


@pytest.mark.parametrize("junk", [True, "\ud800"])
def test_a_row_whose_work_order_cannot_be_read_is_rejected_not_dropped(desk: Desk, junk: Any) -> None:
    circuits(desk, WO)
    table = units_table([unit(feet=5, SS_WO=WO), unit(feet=7, SS_WO=junk, SSUNITS_OBJECTID="{7}")])
    desk.simulator.answer(WO, json.dumps(table).encode())

    assert sync_units(desk).sync_status == "warning"
    assert feet(desk, WO) == [5.0]
    details = desk.log()["error_details"]
    assert (details["rejected_units"][0]["units"], details["units_of_other_work_orders"]) == (1, 0)
