"""Where everything stands: what `circuit-sync status` shows."""

from decimal import Decimal

import pytest

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.page import common_state
from circuit_sync.sync.log.overview import overview
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, split, sync_units, unit


def test_an_empty_database_has_an_overview(desk: Desk) -> None:
    found = overview(desk.session)

    assert [line["status"] for line in found.last_good_syncs] == ["ACTIV", "QC", "REWRK", "CLOSE"]
    for lines in (found.latest_syncs, found.circuits_by_status, found.units_by_region, found.due, found.rejected):
        assert list(lines) == []
    assert list(found.departed) == list(found.unlinked) == []


def test_circuits_are_counted_by_status_and_stage_in_the_order_of_statuses_without_departed_ones(desk: Desk) -> None:
    circuits(desk, "2026-0104", status="CLOSE")
    circuits(desk, WO, "2026-0102", "2026-0105", VEGJOB_LENGTH=10, VEGJOB_LENGTHCOMP=5)
    circuits(desk, WO, "2026-0102", VEGJOB_LENGTH=10, VEGJOB_LENGTHCOMP=5)
    circuits(desk, "2026-0103", status="QC")

    assert [
        (line["status"], line["stage"], line["circuits"], line["miles"], line["planned"])
        for line in overview(desk.session).circuits_by_status
    ] == [("ACTIV", "active", 2, 20, 10), ("QC", "qc", 1, 10, 5), ("CLOSE", "closed", 1, 10, 5)]


def test_an_excluded_circuit_adds_to_nothing(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102", VEGJOB_LENGTH=10, VEGJOB_LENGTHCOMP=5)
    answer_units(desk, WO, unit())
    answer_units(desk, "2026-0102", unit())
    sync_units(desk)
    desk.execute("UPDATE circuits SET is_excluded = true WHERE work_order = '2026-0102'")

    found = overview(desk.session)
    with desk.database.transaction() as connection:
        live = common_state(connection)

    assert [(line["circuits"], line["miles"], line["planned"]) for line in found.circuits_by_status] == [(1, 10, 5)]
    assert [(line["circuits"], line["units"]) for line in found.units_by_region] == [(1, 1)]
    assert [(line["circuits"], line["miles"]) for line in live["stages"] if line["circuits"]] == [(1, 10)]
    assert [(line["circuits"], line["units"]) for line in live["units"]] == [(1, 1)]


def test_units_are_added_up_by_region_over_the_latest_aggregates_without_roll_ups(desk: Desk) -> None:
    desk.answer(
        "ACTIV",
        [
            {"SS_WO": WO, "REGION": "Lehigh"},
            {"SS_WO": WO, "SS_EXT": "A", "REGION": "Lehigh"},
            {"SS_WO": "2026-0102", "REGION": "Lancaster"},
            {"SS_WO": "2026-0103", "REGION": ""},
        ],
    )
    desk.sync()
    answer_units(desk, WO, unit(feet=99))
    for name in ("2026-0102", "2026-0103"):
        answer_units(desk, name)
    sync_units(desk)
    desk.clock.advance(days=1)
    answer_units(desk, WO, unit(feet=1.5), split("A", 2, VEGUNIT_PERMSTAT="Refused"))
    sync_units(desk)

    found = {line["region"]: line for line in overview(desk.session).units_by_region}

    assert {name: line["circuits"] for name, line in found.items()} == {"Lehigh": 2, "Lancaster": 1, "(no region)": 1}
    lehigh = found["Lehigh"]
    assert (lehigh["units"], lehigh["approved"], lehigh["refused"], lehigh["feet"]) == (2, 1, 1, Decimal("3.5"))
    assert found["Lancaster"]["units"] == 0


def test_the_latest_syncs_come_first_and_no_more_than_asked_for(desk: Desk) -> None:
    for _ in range(3):
        circuits(desk, WO)

    assert [line["id"] for line in overview(desk.session, most=2).latest_syncs] == [3, 2]


def test_a_status_tells_its_last_good_sync_and_what_failed_since(desk: Desk) -> None:
    desk.answer("QC", [])
    desk.sync("ACTIV", "QC")
    good = desk.clock()
    desk.simulator.fault("status", match="QC", times=1)
    with pytest.raises(TransientError):
        desk.sync("QC")

    activ, qc, rework, _ = overview(desk.session).last_good_syncs

    assert (activ["last_good"], activ["last_failed"]) == (good, None)
    assert (qc["last_good"], qc["last_failed"]) == (good, desk.clock())
    assert "HTTP 503" in qc["why"]
    assert (rework["last_good"], rework["last_failed"]) == (None, None)


def test_an_answer_that_was_not_believed_is_marked_among_the_last_good_syncs(desk: Desk) -> None:
    desk.answer("QC", [])
    desk.sync("QC")
    circuits(desk, *(f"2026-01{number:02}" for number in range(1, 13)))
    desk.answer("ACTIV", [{"SS_WO": WO}])
    assert desk.sync("ACTIV").sync_status == "warning"

    activ, qc, rework, _ = overview(desk.session).last_good_syncs

    assert (activ["last_good"], activ["result"]) == (desk.clock(), "warning")
    assert (qc["result"], rework["result"]) == (None, None)


def test_the_sync_log_tells_how_many_work_orders_a_sync_was_of(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    for name in (WO, "2026-0102"):
        answer_units(desk, name)
    sync_units(desk)
    sync_units(desk, work_orders=(WO,))

    found = overview(desk.session).latest_syncs

    assert [(line["sync_type"], line["work_orders"]) for line in found] == [
        ("aggregates", 1),
        ("aggregates", 0),
        ("circuit_list", 0),
    ]


def test_rejected_rows_departed_circuits_and_unlinked_planners_are_listed(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102", SS_TAKENBY="CONTRACTOR\\ann")
    assert [(line["ws_username"], line["circuits"]) for line in overview(desk.session).unlinked] == [
        ("CONTRACTOR\\ann", 2)
    ]
    desk.answer("ACTIV", [{"SS_WO": WO}, {"SS_WO": "x", "VEGJOB_LENGTH": "junk"}])

    desk.sync(accept_departures=True)

    found = overview(desk.session)
    assert [(line["work_order"], line["reason"]) for line in found.rejected] == [("x", "not a number")]
    assert [(line["work_order"], line["departed_at"]) for line in found.departed] == [("2026-0102", desk.clock())]
