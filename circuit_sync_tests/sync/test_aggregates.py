"""What an aggregate sync stores, counts, logs and tells; behaviour 12."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator import Simulator, World
from circuit_sync.sync.units.sync import fetch_and_store_aggregates
from circuit_sync_tests.scenery import Clock, Desk, session_for
from circuit_sync_tests.sync.units_desk import (
    WO,
    aggregates,
    answer_units,
    asked,
    circuits,
    feet,
    open_units,
    split,
    sync_units,
    unit,
)

# The specification's own list, one for one.


def test_computes_aggregates_from_planned_units(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(
        desk,
        WO,
        unit("SPM", 61.9306779208413, VEGUNIT_FORESTER="A"),
        unit("HCB", JOBVEGETATIONUNITS_ACRES=0.0339585830841432, VEGUNIT_FORESTER="B"),
        unit("REM612", JOBVEGETATIONUNITS_NUMTREES=3, VEGUNIT_FORESTER="B"),
    )

    sync_units(desk)

    (row,) = aggregates(desk)
    assert (row["total_units"], row["total_trees"]) == (3, 3)
    assert (row["total_linear_ft"], row["total_acres"]) == (Decimal("61.9307"), Decimal("0.0340"))
    assert row["unit_counts_by_type"] == {"SPM": 1, "HCB": 1, "REM612": 1}
    assert (row["linear_ft_by_type"], row["acres_by_type"]) == ({"SPM": 61.9307}, {"HCB": 0.034})
    assert row["planner_distribution"] == {
        "A": {"unit_count": 1, "linear_ft": 61.9307, "acres": 0, "trees": 0},
        "B": {"unit_count": 2, "linear_ft": 0, "acres": 0.034, "trees": 3},
    }


def test_updates_the_circuit_aggregates_table(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)
    answer_units(desk, WO, unit(feet=2), unit(feet=3))

    sync_units(desk, force=True)

    (row,) = aggregates(desk)
    assert (row["total_units"], row["total_linear_ft"], row["computed_at"]) == (2, 5, desk.clock())


def test_tracks_permission_status_counts(desk: Desk) -> None:
    circuits(desk, WO)
    values = ["Approved", "approved ", "Refused", "Pending", "", None, "No Contact", "Deferred", "EXAMPLE Approved"]
    answer_units(desk, WO, *(unit(VEGUNIT_PERMSTAT=value) for value in values))

    sync_units(desk)

    (row,) = aggregates(desk)
    assert (row["units_approved"], row["units_refused"], row["units_pending"]) == (2, 1, 3)
    others = ("Refused", "No Contact", "Deferred", "EXAMPLE Approved")
    assert row["permission_counts"] == {"Approved": 1, "approved": 1, "Pending": 3, **dict.fromkeys(others, 1)}


# One row per circuit and date, written only if something changed.


def test_a_circuit_without_units_has_a_row_of_zeros(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)

    result = sync_units(desk)

    (row,) = aggregates(desk)
    assert (row["total_units"], row["total_linear_ft"], row["permission_counts"]) == (0, 0, {})
    assert (result.sync_status, result.counts["stored"], result.counts["units"]) == ("completed", 1, 0)


def test_nothing_is_written_where_nothing_changed_and_the_sync_is_still_dated(desk: Desk) -> None:
    circuits(desk, WO, f"{WO} A")
    answer_units(desk, WO, unit(feet=1.25), split("A", 2))
    sync_units(desk)
    before, events = desk.versions("circuit_aggregates"), desk.events("planned_units.synced")
    desk.clock.advance(days=1)

    result = sync_units(desk)

    assert desk.versions("circuit_aggregates") == before
    assert desk.events("planned_units.synced") == events
    assert desk.column("SELECT last_planned_units_synced_at FROM circuits") == [desk.clock()] * 2
    assert (result.counts["stored"], result.counts["unchanged"], result.changes) == (0, 2, [])


def test_the_order_of_units_is_no_change(desk: Desk) -> None:
    units = [unit(feet=0.1, SSUNITS_OBJECTID="{1}"), unit("HCB", JOBVEGETATIONUNITS_ACRES=0.7, SSUNITS_OBJECTID="{2}")]
    circuits(desk, WO)
    answer_units(desk, WO, *units)
    sync_units(desk)
    answer_units(desk, WO, *reversed(units))

    assert sync_units(desk, force=True).counts["stored"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"JOBVEGETATIONUNITS_LENGTHWRK": 1.0001},
        {"VEGUNIT_PERMSTAT": "approved"},
        {"VEGUNIT_FORESTER": "Another"},
        {"VEGUNIT_UNIT": "MPM"},
    ],
)
def test_the_smallest_change_is_written(desk: Desk, changed: dict[str, Any]) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)
    answer_units(desk, WO, unit(feet=1) | changed)

    assert sync_units(desk, force=True).counts["stored"] == 1


def test_a_change_that_rounds_away_is_none(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)
    answer_units(desk, WO, unit(feet=1.00004))

    assert sync_units(desk, force=True).counts["stored"] == 0


def test_each_date_of_eastern_time_has_a_row_of_its_own(desk: Desk) -> None:
    circuits(desk, WO)
    for instant, value in ((datetime(2026, 3, 3, 4, 58, tzinfo=UTC), 1), (datetime(2026, 3, 3, 4, 59, tzinfo=UTC), 2)):
        desk.clock.instant = instant
        answer_units(desk, WO, unit(feet=value))
        sync_units(desk, force=True)

    assert [row["aggregate_date"] for row in aggregates(desk)] == [date(2026, 3, 2), date(2026, 3, 3)]
    assert feet(desk) == [1, 2]


def test_a_value_that_comes_back_is_a_change_against_the_latest_row(desk: Desk) -> None:
    circuits(desk, WO)
    for value in (1, 2, 1):
        answer_units(desk, WO, unit(feet=value))
        sync_units(desk, force=True)
        desk.clock.advance(days=1)

    assert feet(desk) == [1, 2, 1]


# Events and counts.


def test_an_event_tells_the_new_totals_and_those_before(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1.5), unit("REM612", JOBVEGETATIONUNITS_NUMTREES=2, VEGUNIT_PERMSTAT="Refused"))
    first = sync_units(desk)
    answer_units(desk, WO, unit(feet=2.5))
    sync_units(desk, force=True)

    before, after = desk.events("planned_units.synced")
    circuit = desk.circuit(WO)["id"]
    totals = {"total_units": 2, "total_linear_ft": 1.5, "total_acres": 0, "total_trees": 2}
    permissions = {"units_approved": 1, "units_refused": 1, "units_pending": 0}
    assert before["payload"] == {
        "circuit_id": circuit,
        "work_order": WO,
        "totals": totals | permissions,
        "permission_counts": {"Approved": 1, "Refused": 1},
        "previous_totals": None,
    }
    assert (before["channels"], before["circuit_id"], before["sync_log_id"]) == (
        [f"circuit.{circuit}"],
        circuit,
        first.sync_id,
    )
    assert after["payload"]["totals"]["total_linear_ft"] == 2.5
    assert after["payload"]["previous_totals"] == totals | permissions


def test_a_roll_up_has_no_event_of_its_own(desk: Desk) -> None:
    circuits(desk, WO, f"{WO} A")
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    sync_units(desk)

    assert [event["payload"]["totals"]["total_linear_ft"] for event in desk.events("planned_units.synced")] == [1, 2]


def test_the_log_tells_what_was_done(desk: Desk) -> None:
    circuits(desk, WO, f"{WO} A", "2026-0102")
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    answer_units(desk, "2026-0102", unit(feet=3))
    sync_units(desk, work_orders=["2026-0102"])

    result = sync_units(desk, force=True, trigger="scheduled", run_id="r1")

    log = desk.log()
    assert (log["id"], log["sync_type"], log["sync_status"]) == (result.sync_id, "aggregates", "completed")
    assert (log["sync_trigger"], log["dagster_run_id"]) == ("scheduled", "r1")
    assert log["api_status_filter"] == "ACTIV,QC,REWRK,CLOSE"
    assert (log["circuits_processed"], log["aggregates_created"]) == (3, 3)
    assert dict(result.counts) == {
        "work_orders": 2,
        "circuits": 3,
        "stored": 3,
        "unchanged": 1,
        "failed": 0,
        "units": 3,
    }
    assert [
        (line["work_order"], line["extension"], line["units"], line["previous_units"]) for line in result.changes
    ] == [(WO, "@", 1, None), (WO, "A", 1, None)]
    assert result.calls["calls"] == 2
    assert [event["name"] for event in desk.events()][-4:] == [
        "sync.started",
        "planned_units.synced",
        "planned_units.synced",
        "sync.completed",
    ]
    assert desk.events("sync.completed")[-1]["payload"] == {
        "sync_id": result.sync_id,
        "circuits_processed": 3,
        "created": 0,
        "updated": 2,
        "unchanged": 1,
        "sync_status": "completed",
        "completed_at": desk.clock().isoformat(),
    }


def test_a_sync_with_nothing_due_asks_nobody_and_completes(desk: Desk) -> None:
    calls = len(desk.simulator.calls)

    result = sync_units(desk)

    assert (result.sync_status, result.counts["work_orders"], dict(result.reasons)) == ("completed", 0, {})
    assert len(desk.simulator.calls) == calls


def test_what_was_chosen_goes_when_the_sync_ends(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)

    sync_units(desk)

    assert desk.rows("SELECT * FROM staged_choices") == []


def test_one_run_has_one_aggregate_sync(desk: Desk) -> None:
    circuits(desk, WO)
    open_units(desk, run_id="r1")

    with pytest.raises(UsageError, match="r1 has begun its aggregates sync already"):
        open_units(desk, run_id="r1")


# One call per work order.


def test_one_call_answers_for_all_extensions_of_a_work_order(desk: Desk) -> None:
    asked(desk)
    circuits(desk, WO, f"{WO} A", f"{WO} B", "2026-0102")
    answer_units(desk, WO, unit(feet=1), split("A", 2), split("", 4))
    answer_units(desk, "2026-0102", unit(feet=8))

    sync_units(desk)

    assert asked(desk) == [WO, "2026-0102"]
    assert [feet(desk, name) for name in (WO, f"{WO} A", f"{WO} B", "2026-0102")] == [[5], [2], [0], [8]]


def test_a_due_circuit_brings_its_whole_work_order_up_to_date(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, f"{WO} A", status="QC")
    answer_units(desk, WO, unit(feet=1), split("A", 2))

    result = sync_units(desk, statuses=["ACTIV"])

    assert dict(result.reasons) == {"never synced": 1}
    assert (feet(desk, f"{WO} A"), desk.circuit(WO, "A")["last_planned_units_synced_at"]) == ([2], desk.clock())


def test_the_sync_is_dated_by_when_the_units_were_asked_for(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    started = desk.clock.advance(minutes=1)
    later = desk.with_session(progress=lambda _done, _total: desk.clock.advance(minutes=5))

    sync_id = open_units(later)
    fetch_and_store_aggregates(later.session, sync_id)

    assert desk.circuit(WO)["last_planned_units_synced_at"] == started + timedelta(minutes=1)
    assert aggregates(desk)[0]["computed_at"] > started + timedelta(minutes=5)


# What could not be counted as it came.


def test_unknown_types_and_junk_measures_are_reported_as_a_warning(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(
        desk,
        WO,
        unit("XPOLE", 5),
        unit("XPOLE"),
        unit(feet="see map"),
        unit("REM612", JOBVEGETATIONUNITS_NUMTREES="1e99"),
        unit(feet=2),
    )

    result = sync_units(desk)

    (row,) = aggregates(desk)
    assert (row["total_units"], row["total_linear_ft"]) == (3, 2)
    log = desk.log()
    assert (log["sync_status"], result.sync_status) == ("warning", "warning")
    assert log["error_message"] == result.message
    assert "2 units could not be read and are not counted" in log["error_message"]
    assert "XPOLE" in log["error_message"]
    assert log["error_details"]["unknown_unit_types"] == {"XPOLE": 2}
    assert log["error_details"]["rejected_units"] == [
        {"work_order": WO, "column": "linear_ft", "reason": "not a number", "units": 1},
        {
            "work_order": WO,
            "column": "trees",
            "reason": "not between -2147483647 and 2147483647",
            "units": 1,
        },
    ]


@pytest.mark.parametrize("trees", [10**10, 1e15, "1e19"])
def test_a_number_beyond_its_columns_range_rejects_its_unit_and_no_other(desk: Desk, trees: Any) -> None:
    circuits(desk, WO, "2026-0102")
    answer_units(desk, WO, unit("REM612", JOBVEGETATIONUNITS_NUMTREES=trees), unit(feet=1))
    answer_units(desk, "2026-0102", unit(feet=2))

    result = sync_units(desk)

    assert (result.sync_status, feet(desk), feet(desk, "2026-0102")) == ("warning", [1], [2])
    (line,) = desk.log()["error_details"]["rejected_units"]
    assert (line["work_order"], line["column"], line["units"]) == (WO, "trees", 1)


def test_a_row_of_the_wrong_length_is_reported(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1), unit(feet=2))
    desk.simulator.fault("short_row", match=WO, times=1)

    assert sync_units(desk).sync_status == "warning"

    (line,) = desk.log()["error_details"]["rejected_units"]
    assert (line["work_order"], line["units"]) == (WO, 1)
    assert feet(desk) == [2]


def test_a_repeated_object_counts_once(desk: Desk) -> None:
    circuits(desk, WO)
    twice = unit(feet=1, SSUNITS_OBJECTID="{35BF992D-C9E9-4616-A12E-7696A6CECC1B}")
    answer_units(desk, WO, twice, twice | {"SSUNITS_OBJECTID": "35bf992d-c9e9-4616-a12e-7696a6cecc1b"})

    assert sync_units(desk).sync_status == "completed"
    assert feet(desk) == [1]


def test_units_of_an_unknown_extension_are_told(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1), split("Q", 2), split("Q", 3))

    sync_units(desk)

    assert feet(desk) == [1]
    assert desk.log()["error_details"]["units_of_unknown_circuits"] == 2


# Bad input, and a database of another WorkStudio.


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"statuses": ["DONE"]}, "unknown status 'DONE': allowed are ACTIV, QC, REWRK, CLOSE"),
        ({"work_orders": ["2026-9999", WO]}, "no circuit has the work order 2026-9999"),
        ({"triggered_by": "nobody"}, "no user named 'nobody'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(desk: Desk, wrong: dict[str, Any], told: str) -> None:
    circuits(desk, WO)
    logs = desk.one("SELECT count(*) FROM sync_logs")

    with pytest.raises(UsageError, match=told) as raised:
        open_units(desk, **wrong)

    assert "\n" not in str(raised.value)
    assert desk.one("SELECT count(*) FROM sync_logs") == logs
    assert desk.rows("SELECT * FROM staged_choices") == []


def test_a_database_of_another_workstudio_is_refused(desk: Desk, clock: Clock) -> None:
    circuits(desk, WO)

    with pytest.raises(UsageError, match="this database was filled by"):
        open_units(Desk(session_for(desk.database, "http://127.0.0.1:9/Other/", clock), desk.simulator, clock))


# Whole worlds.


def test_a_whole_world_is_synced_and_the_second_time_nothing_is_written(desk: Desk, clock: Clock) -> None:
    with Simulator(World(circuits=60), advance=False) as simulator:
        there = Desk(session_for(desk.database, simulator.base_url, clock), simulator, clock)
        there.sync("ACTIV", "QC", "REWRK", "CLOSE")
        first = sync_units(there, force=True)
        before = desk.versions("circuit_aggregates")
        second = sync_units(there, force=True)

    assert first.counts["circuits"] == desk.one("SELECT count(*) FROM circuits")
    assert first.counts["failed"] == 0
    assert (second.counts["stored"], desk.versions("circuit_aggregates")) == (0, before)
    assert desk.rows(
        "SELECT m.circuit_id FROM circuit_aggregates AS m JOIN circuits AS c ON c.id = m.circuit_id"
        " JOIN circuits AS k ON k.work_order = c.work_order JOIN circuit_aggregates AS s"
        " ON s.circuit_id = k.id AND NOT s.is_rollup WHERE m.is_rollup GROUP BY m.circuit_id, m.total_units,"
        " m.total_linear_ft HAVING (m.total_units, m.total_linear_ft) <> (sum(s.total_units), sum(s.total_linear_ft))"
    ) == []  # fmt: skip


def test_many_batches_store_what_one_would(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"2026-{number:04}" for number in range(101, 110)]
    circuits(desk, *names, *(f"{name} A" for name in names))
    for number, name in enumerate(names):
        answer_units(desk, name, *(unit(feet=number) for _ in range(number)), split("A", 1))
    sync_units(desk)
    whole = [row | {"computed_at": None} for row in desk.rows("SELECT * FROM circuit_aggregates ORDER BY id")]
    desk.execute("TRUNCATE circuit_aggregates RESTART IDENTITY")
    monkeypatch.setattr("circuit_sync.sync.units.batches.BATCH_WORK_ORDERS", 2)
    monkeypatch.setattr("circuit_sync.sync.units.batches.BATCH_UNITS", 4)

    result = sync_units(desk, force=True)

    batched = [row | {"computed_at": None, "id": None} for row in desk.rows("SELECT * FROM circuit_aggregates")]
    assert sorted(map(str, batched)) == sorted(str(row | {"id": None}) for row in whole)
    assert result.counts["work_orders"] == 9
    assert any("of 9 work orders done" in line for line in desk.lines)
