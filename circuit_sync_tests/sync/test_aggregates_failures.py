"""Failures, empty answers and cancellations of an aggregate sync: what is kept, what is told; behaviour 12."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import current_thread, main_thread
from typing import Any

import psycopg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.log.sync_logs import SyncAlreadyClosed
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError
from circuit_sync.simulator import Simulator, World
from circuit_sync.sync.log.closing import close_as_failed
from circuit_sync.sync.units.sync import fetch_and_store_aggregates
from circuit_sync.workstudio.errors import Unauthorized
from circuit_sync_tests.scenery import Clock, Desk, session_for, until
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

NAMES = [f"2026-{number:04}" for number in range(101, 109)]


@pytest.fixture
def at_desk(desk: Desk) -> Desk:
    """A desk with eight circuits, each with a unit of one foot."""
    circuits(desk, *NAMES)
    for name in NAMES:
        answer_units(desk, name, unit(feet=1))
    asked(desk)
    return desk


def stored(desk: Desk) -> list[str]:
    """The work orders with an aggregate."""
    return desk.column(
        "SELECT DISTINCT c.work_order FROM circuit_aggregates AS a JOIN circuits AS c ON c.id = a.circuit_id ORDER BY 1"
    )


def due(desk: Desk) -> list[str]:
    return desk.column("SELECT work_order FROM circuits WHERE last_planned_units_synced_at IS NULL ORDER BY 1")


def fail(desk: Desk, *names: str, kind: str = "status", **parameters: Any) -> None:
    for name in names:
        desk.simulator.fault(kind, match=name, **parameters)


@pytest.mark.parametrize("asked_for", [{"force": True}, {"work_orders": [NAMES[2]]}])
def test_a_failed_work_order_that_was_not_due_is_not_said_to_be(at_desk: Desk, asked_for: dict[str, Any]) -> None:
    sync_units(at_desk)
    fail(at_desk, NAMES[2], code=403)
    if "work_orders" in asked_for:
        asked_for = {"work_orders": [*asked_for["work_orders"], NAMES[0]]}

    result = sync_units(at_desk, **asked_for)

    assert result.message == (
        "1 work order failed (listed in error_details): ask for what was not due again, with --work-order"
    )


def test_one_failed_work_order_is_reported_and_stays_due_and_the_others_are_stored(at_desk: Desk) -> None:
    fail(at_desk, NAMES[2])

    result = sync_units(at_desk)

    log = at_desk.log()
    assert (log["sync_status"], result.counts["failed"], result.counts["stored"]) == ("warning", 1, 7)
    assert log["error_message"] == "1 work order failed and stays due (listed in error_details)"
    (line,) = log["error_details"]["failures"]
    assert line["work_order"] == NAMES[2]
    assert "HTTP 503" in line["reason"]
    assert (due(at_desk), stored(at_desk)) == ([NAMES[2]], [name for name in NAMES if name != NAMES[2]])
    assert at_desk.events("sync.completed")[-1]["payload"]["sync_status"] == "warning"


def test_three_passing_failures_in_a_row_stop_the_run_and_keep_what_is_stored(at_desk: Desk) -> None:
    fail(at_desk, *NAMES[2:])

    with pytest.raises(TransientError, match="3 work orders failed one after another"):
        sync_units(at_desk)

    assert asked(at_desk) == NAMES[:5]
    assert (stored(at_desk), due(at_desk)) == (NAMES[:2], NAMES[2:])
    log = at_desk.log()
    assert (log["sync_status"], log["error_details"]["passing"]) == ("failed", True)
    assert [line["work_order"] for line in log["error_details"]["failures"]] == NAMES[2:5]
    assert log["context"]["counts"]["stored"] == 2
    assert at_desk.events("sync.failed")[-1]["payload"]["error"] == log["error_message"]


def test_failures_with_successes_between_them_do_not_stop_the_run(at_desk: Desk) -> None:
    fail(at_desk, NAMES[0], NAMES[1], NAMES[3], NAMES[4], NAMES[6], NAMES[7])

    result = sync_units(at_desk)

    assert (result.sync_status, result.counts["failed"], stored(at_desk)) == ("warning", 6, [NAMES[2], NAMES[5]])


def test_failures_that_do_not_pass_do_not_stop_the_run(at_desk: Desk) -> None:
    fail(at_desk, *NAMES[:5], kind="error")

    result = sync_units(at_desk)

    assert (result.sync_status, result.counts["failed"], stored(at_desk)) == ("warning", 5, NAMES[5:])


def test_a_failure_that_does_not_pass_breaks_the_row(at_desk: Desk) -> None:
    fail(at_desk, NAMES[0], NAMES[1], NAMES[3], NAMES[4])
    fail(at_desk, NAMES[2], kind="missing_column", column="VEGUNIT_UNIT")

    result = sync_units(at_desk)

    assert (result.sync_status, stored(at_desk)) == ("warning", NAMES[5:])
    reason = at_desk.log()["error_details"]["failures"][2]["reason"]
    assert "lacks the required column VEGUNIT_UNIT" in reason


def test_refused_credentials_stop_the_run_at_once_and_keep_what_is_stored(at_desk: Desk) -> None:
    fail(at_desk, NAMES[3], kind="unauthorized")

    with pytest.raises(Unauthorized):
        sync_units(at_desk)

    assert asked(at_desk) == NAMES[:4]
    assert stored(at_desk) == NAMES[:3]
    log = at_desk.log()
    assert (log["sync_status"], log["error_details"]["passing"], log["retry_at"]) == ("failed", False, None)


def test_work_orders_that_no_account_may_see_are_reported_and_the_others_are_stored(at_desk: Desk) -> None:
    fail(at_desk, *NAMES[:4], code=403)

    result = sync_units(at_desk)

    assert (result.sync_status, result.counts["failed"]) == ("warning", 4)
    assert (due(at_desk), stored(at_desk)) == (NAMES[:4], NAMES[4:])
    assert "HTTP 403" in at_desk.log()["error_details"]["failures"][0]["reason"]


@pytest.mark.parametrize(("kind", "transient"), [("status", True), ("error", False)])
def test_a_run_of_which_every_work_order_failed_has_failed(desk: Desk, kind: str, transient: bool) -> None:
    circuits(desk, WO, "2026-0102")
    fail(desk, WO, "2026-0102", kind=kind)

    with pytest.raises(TransientError if transient else PermanentError, match="every work order failed, the first: "):
        sync_units(desk)

    log = desk.log()
    assert (log["sync_status"], log["error_details"]["passing"]) == ("failed", transient)
    assert len(log["error_details"]["failures"]) == 2


def test_a_run_that_failed_in_part_for_a_passing_reason_may_be_tried_again(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    fail(desk, WO, kind="error")
    fail(desk, "2026-0102")

    with pytest.raises(TransientError, match="every work order failed"):
        sync_units(desk)


def test_a_server_that_is_down_fails_the_sync_before_any_call_for_units(at_desk: Desk) -> None:
    at_desk.simulator.fault("status", match="health")

    with pytest.raises(TransientError, match="health check"):
        sync_units(at_desk)

    log = at_desk.log()
    assert (log["sync_status"], log["error_details"]["passing"], asked(at_desk)) == ("failed", True, [])


def test_a_call_that_succeeds_when_tried_again_is_no_failure(at_desk: Desk) -> None:
    fail(at_desk, NAMES[0], times=2)

    result = sync_units(at_desk.patiently())

    assert (result.sync_status, result.calls["retries"], len(stored(at_desk))) == ("completed", 2, 8)


def test_the_next_sync_makes_up_for_what_failed(at_desk: Desk) -> None:
    fail(at_desk, *NAMES[3:])
    with pytest.raises(TransientError):
        sync_units(at_desk)
    at_desk.simulator.clear_faults()
    asked(at_desk)

    sync_units(at_desk)

    assert (asked(at_desk), stored(at_desk)) == (NAMES[3:], NAMES)


def test_calls_that_overlap_are_stored_the_same(at_desk: Desk) -> None:
    assert at_desk.session.server is not None
    server = replace(at_desk.session.server, concurrency=5)
    fail(at_desk, NAMES[4])

    result = sync_units(at_desk.with_session(server=server))

    assert (result.counts["stored"], due(at_desk)) == (7, [NAMES[4]])


def test_a_work_order_whose_sums_no_column_holds_is_reported_and_stays_due(at_desk: Desk) -> None:
    answer_units(at_desk, NAMES[0], unit(feet=9_999_999_999), unit(feet=9_999_999_999))

    result = sync_units(at_desk)

    assert (result.sync_status, result.counts["failed"]) == ("warning", 1)
    assert due(at_desk) == [NAMES[0]]
    (line,) = at_desk.log()["error_details"]["failures"]
    assert line["work_order"] == NAMES[0]
    assert "more than the database can hold" in line["reason"]


def test_a_run_whose_every_work_order_is_too_large_has_failed(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=9_999_999_999), unit(feet=9_999_999_999))

    with pytest.raises(PermanentError, match="every work order failed"):
        sync_units(desk)


# Empty answers.


@pytest.fixture
def with_units(desk: Desk) -> Desk:
    """A desk with a main assessment and a split that both had units the last time."""
    circuits(desk, WO, f"{WO} A")
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)
    asked(desk)
    return desk


def test_an_empty_answer_for_a_circuit_that_had_units_is_stored_when_a_second_call_agrees(with_units: Desk) -> None:
    answer_units(with_units, WO)

    result = sync_units(with_units, force=True)

    assert asked(with_units) == [WO, WO]
    assert (feet(with_units), feet(with_units, f"{WO} A"), feet(with_units, is_rollup=True)) == ([0], [0], [0])
    assert result.sync_status == "warning"
    assert with_units.log()["error_details"]["extensions_now_empty"] == [f"{WO} @", f"{WO} A"]
    assert with_units.log()["error_message"].startswith("2 circuits have no units any more")


def test_an_empty_answer_that_the_second_call_denies_is_not_believed(with_units: Desk) -> None:
    fail(with_units, WO, kind="empty", times=1)

    result = sync_units(with_units, force=True)

    assert asked(with_units) == [WO, WO]
    assert (result.sync_status, result.counts["stored"], feet(with_units)) == ("completed", 0, [1])


def test_a_split_that_lost_its_units_is_asked_for_again(with_units: Desk) -> None:
    answer_units(with_units, WO, unit(feet=1))

    sync_units(with_units, force=True)

    assert asked(with_units) == [WO, WO]
    assert (feet(with_units), feet(with_units, f"{WO} A")) == ([1], [0])
    assert with_units.log()["error_details"]["extensions_now_empty"] == [f"{WO} A"]


def test_a_second_call_that_fails_leaves_the_work_order_due(with_units: Desk) -> None:
    circuits(with_units, WO, f"{WO} A", "2026-0102")
    answer_units(with_units, "2026-0102")
    fail(with_units, WO, kind="empty", times=1)
    fail(with_units, WO, times=1)
    synced = with_units.circuit(WO)["last_planned_units_synced_at"]

    result = sync_units(with_units, force=True)

    assert (result.sync_status, result.counts["failed"]) == ("warning", 1)
    assert (feet(with_units), with_units.circuit(WO)["last_planned_units_synced_at"]) == ([1], synced)


def test_two_answers_that_each_lack_another_split_are_not_believed(with_units: Desk) -> None:
    circuits(with_units, WO, f"{WO} A", "2026-0102")
    answer_units(with_units, "2026-0102")
    answer_units(with_units, WO, split("A", 2))
    turned = with_units.with_session(
        log=lambda line: answer_units(with_units, WO, unit(feet=1)) if "asking once more" in line else None
    )

    result = sync_units(turned, force=True)

    assert (result.counts["failed"], feet(with_units), feet(with_units, f"{WO} A")) == (1, [1], [2])
    assert "contradict" in with_units.log()["error_details"]["failures"][0]["reason"]


def test_an_empty_answer_for_a_circuit_without_units_is_asked_for_once(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk)
    asked(desk)

    assert sync_units(desk, force=True).sync_status == "completed"
    assert asked(desk) == [WO]


def test_no_more_calls_overlap_than_may_when_one_is_made_twice(database: Database, clock: Clock) -> None:
    with Simulator(World(circuits=1), advance=False) as simulator:
        desk = Desk(session_for(database, simulator.base_url, clock), simulator, clock)
        circuits(desk, *NAMES)
        for name in NAMES:
            answer_units(desk, name, unit(feet=1))
        sync_units(desk)
        for name in NAMES:
            answer_units(desk, name)
        fail(desk, *NAMES, kind="delay", seconds=0.02)

        sync_units(desk, force=True)

        assert asked(desk)[-4:] == [NAMES[-2]] * 2 + [NAMES[-1]] * 2
        assert simulator.most_at_once == 1


# Progress and cancellation.


def test_the_log_of_a_run_that_is_killed_tells_what_it_stored(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written with each batch: nobody writes it later."""
    monkeypatch.setattr("circuit_sync.sync.units.batches.BATCH_WORK_ORDERS", 1)
    stored = []

    def look(_done: int, _total: int) -> None:
        told = at_desk.log()["context"].get("counts", {}).get("stored", 0)
        stored.append((told, at_desk.one("SELECT count(*) FROM circuit_aggregates")))

    sync_units(at_desk.with_session(progress=look))

    assert len(stored) == len(NAMES)
    assert all(told == held for told, held in stored)
    assert stored[-1][0] > 0


def test_progress_is_told_after_each_work_order(at_desk: Desk) -> None:
    fail(at_desk, NAMES[1])
    told: list[tuple[int, int]] = []

    sync_units(at_desk.with_session(progress=lambda done, total: told.append((done, total))))

    assert told == [(number, 8) for number in range(1, 9)]
    assert any("8 circuits need units: 8 never synced" in line for line in at_desk.lines)
    assert any("8 of 8 work orders done" in line for line in at_desk.lines)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_cancelled_run_keeps_finished_work_and_closes_its_log(at_desk: Desk, ending: type[BaseException]) -> None:
    def cancel(done: int, _total: int) -> None:
        if done == 3:
            raise ending

    with pytest.raises(ending):
        sync_units(at_desk.with_session(progress=cancel))

    assert (stored(at_desk), due(at_desk)) == (NAMES[:3], NAMES[3:])
    assert asked(at_desk) in (NAMES[:3], NAMES[:4])
    log = at_desk.log()
    assert (log["sync_status"], log["error_details"]["passing"]) == ("failed", False)
    assert "cancelled" in log["error_message"]
    assert log["context"]["counts"]["stored"] == 3
    assert at_desk.events("sync.failed")[-1]["payload"]["sync_id"] == log["id"]


def test_a_run_cancelled_while_it_stores_keeps_what_it_fetched(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuit_sync.sync.units.batches.BATCH_WORK_ORDERS", 2)
    readings = iter(range(100))

    def clock() -> Any:
        if current_thread() is main_thread() and next(readings) == 1:
            raise KeyboardInterrupt
        return at_desk.clock()

    sync_id = open_units(at_desk)
    with pytest.raises(KeyboardInterrupt):
        fetch_and_store_aggregates(at_desk.with_session(now=clock).session, sync_id)

    assert stored(at_desk) == NAMES[:4]
    assert at_desk.log()["sync_status"] == "failed"


def test_an_unforeseen_error_closes_the_log_without_its_words(at_desk: Desk) -> None:
    def break_down(_done: int, _total: int) -> None:
        raise ValueError("LANDOWNER-SECRET")

    with pytest.raises(ValueError, match="LANDOWNER-SECRET"):
        sync_units(at_desk.with_session(progress=break_down))

    log = at_desk.log()
    assert log["sync_status"] == "failed"
    assert "ValueError" in log["error_message"]
    assert "LANDOWNER-SECRET" not in str(log)


def test_a_run_that_was_taken_for_dead_stores_nothing_more_and_tells_nothing(
    at_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuit_sync.sync.units.batches.BATCH_WORK_ORDERS", 2)
    sync_id = open_units(at_desk)

    def bury(done: int, _total: int) -> None:
        if done == 3:
            close_as_failed(at_desk.session, sync_id, "its process is gone", transient=True)

    with pytest.raises(SyncAlreadyClosed, match="closed by somebody else"):
        fetch_and_store_aggregates(at_desk.with_session(progress=bury).session, sync_id)

    assert stored(at_desk) == NAMES[:2]
    assert at_desk.log()["error_message"] == "its process is gone"
    assert [event["name"] for event in at_desk.events()][-3:] == ["planned_units.synced"] * 2 + ["sync.failed"]


def test_a_run_is_not_taken_for_dead_in_the_middle_of_a_batch(at_desk: Desk) -> None:
    sync_id = open_units(at_desk)

    with ThreadPoolExecutor(1) as threads, psycopg.connect(at_desk.database.url) as holder:
        holder.execute("LOCK TABLE circuit_aggregates IN SHARE MODE")
        run = threads.submit(fetch_and_store_aggregates, at_desk.session, sync_id)
        until(lambda: at_desk.waiting() > 0)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            at_desk.execute("SELECT FROM sync_logs WHERE id = %s FOR UPDATE NOWAIT", sync_id)
        holder.rollback()

        assert run.result()["stored"] == 8


def test_choices_that_a_crash_of_the_database_lost_are_no_success(at_desk: Desk) -> None:
    sync_id = open_units(at_desk)
    at_desk.execute("TRUNCATE staged_choices")

    with pytest.raises(TransientError, match=f"what sync {sync_id} chose is gone, as after a crash of the database"):
        fetch_and_store_aggregates(at_desk.session, sync_id)

    assert (at_desk.log()["sync_status"], due(at_desk)) == ("failed", NAMES)


def test_a_database_that_refuses_a_batch_fails_the_run_in_one_line(at_desk: Desk) -> None:
    at_desk.execute("ALTER TABLE circuit_aggregates ADD CHECK (total_units < 1)")

    with pytest.raises(CircuitSyncError) as raised:
        sync_units(at_desk)

    assert "\n" not in str(raised.value)
    assert (at_desk.log()["sync_status"], aggregates(at_desk), len(due(at_desk))) == ("failed", [], 8)
