"""When a failed sync runs again, and what makes that needless."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from circuit_sync.database.log.retries import NewerSync
from circuit_sync.domain.errors import PermanentError, TransientError
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest
from circuit_sync.simulator import Fault
from circuit_sync.sync.circuits.sync import fetch_circuits, open_circuit_sync
from circuit_sync.sync.log.closing import close_as_failed, closing_on_failure
from circuit_sync.sync.log.due import cancel_retries, pending_retries
from circuit_sync.sync.units import sync as aggregates
from circuit_sync_tests.scenery import Desk

QUARTER, HALF = timedelta(minutes=15), timedelta(minutes=30)


@pytest.fixture
def desk(desk: Desk) -> Desk:
    return desk.with_session(retry_delays=(QUARTER, HALF))


def fail(desk: Desk, *statuses: str, **options: Any) -> int:
    """A sync that fails for a transient reason; returns its id."""
    desk.simulator.add_fault(Fault("status", times=1, code=503))
    with pytest.raises(TransientError):
        desk.sync(*statuses, **options)
    return int(desk.log()["id"])


def pending(desk: Desk) -> list[int]:
    return [sync.sync_id for sync in pending_retries(desk.session)]


def test_a_passing_failure_is_tried_again_after_15_then_30_minutes_then_no_more(desk: Desk) -> None:
    first = fail(desk)
    second = fail(desk, retry_of=first)
    third = fail(desk, retry_of=second)
    logs = [desk.log(sync) for sync in (first, second, third)]
    assert [log["retry_of"] for log in logs] == [None, first, second]
    assert [log["retry_at"] and log["retry_at"] - log["completed_at"] for log in logs] == [QUARTER, HALF, None]
    assert pending(desk) == []


def test_the_event_tells_when_it_is_tried_again(desk: Desk) -> None:
    log = desk.log(fail(desk))
    (event,) = desk.events("sync.failed")
    assert datetime.fromisoformat(event["payload"]["retry_at"]) == log["retry_at"]


def test_a_permanent_failure_is_never_tried_again(desk: Desk) -> None:
    desk.simulator.add_fault(Fault("status", times=1, match="ACTIV", code=401))
    with pytest.raises(PermanentError):
        desk.sync()
    assert desk.log()["retry_at"] is None
    assert desk.events("sync.failed")[0]["payload"]["retry_at"] is None


def test_a_cancelled_sync_is_not_tried_again(desk: Desk) -> None:
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",)))
    with pytest.raises(KeyboardInterrupt), closing_on_failure(desk.session, sync):
        raise KeyboardInterrupt
    assert desk.log(sync)["retry_at"] is None


def test_a_sync_whose_process_was_told_to_end_is_tried_again(desk: Desk) -> None:
    desk = desk.with_session(was_cancelled=lambda: False)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",)))
    with pytest.raises(KeyboardInterrupt), closing_on_failure(desk.session, sync):
        raise KeyboardInterrupt
    assert desk.log(sync)["error_message"].startswith("the run's process was told to end, as at a shutdown")
    assert pending(desk) == [sync]


def test_what_a_dead_process_left_behind_is_tried_again(desk: Desk) -> None:
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id="dead"))
    assert close_as_failed(desk.session, sync, "its process was killed")
    assert desk.log(sync)["retry_at"] == desk.clock() + QUARTER
    assert pending(desk) == [sync]


def test_a_retry_that_has_begun_is_pending_no_more(desk: Desk) -> None:
    first = fail(desk)
    assert pending(desk) == [first]
    desk.fetch(retry_of=first)
    assert pending(desk) == []
    assert desk.log(first)["retry_at"] is not None, "the log keeps telling when it was tried again"


def newer(desk: Desk) -> NewerSync | None:
    """What is told of the oldest sync that is to be tried again."""
    return pending_retries(desk.session)[0].newer


def test_the_latest_sync_that_covers_the_request_is_told_and_how_it_fared(desk: Desk) -> None:
    fail(desk, "ACTIV", force=True)
    desk.sync("ACTIV")
    desk.sync("QC", force=True)
    assert newer(desk) is None
    success = desk.sync("ACTIV", "QC", force=True).sync_id
    assert newer(desk) == NewerSync(success, "completed", is_retried=False)
    later = fail(desk, force=True)
    assert newer(desk) == NewerSync(later, "failed", is_retried=True)
    desk.simulator.add_fault(Fault("status", times=1, match="ACTIV", code=401))
    with pytest.raises(PermanentError):
        desk.sync(force=True)
    assert newer(desk) == NewerSync(later + 1, "failed", is_retried=False)


def test_a_sync_that_a_person_ended_says_nothing_of_another(desk: Desk) -> None:
    fail(desk)
    later = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",)))
    assert newer(desk) == NewerSync(later, "started", is_retried=False)
    with pytest.raises(KeyboardInterrupt), closing_on_failure(desk.session, later):
        raise KeyboardInterrupt
    assert newer(desk) is None


def test_of_aggregates_the_work_orders_are_told(desk: Desk) -> None:
    desk.sync("ACTIV")
    (work_order,) = desk.column("SELECT DISTINCT work_order FROM circuits ORDER BY 1 LIMIT 1")
    for work_orders in ((), (work_order,)):
        request = AggregateSyncRequest(("ACTIV",), work_orders=work_orders)
        close_as_failed(desk.session, aggregates.open_aggregate_sync(desk.session, request), "killed")
    first, second = pending_retries(desk.session)
    assert [sync.request.asked()["work_orders"] for sync in (first, second)] == [[], [work_order]]
    assert (first.newer, second.newer) == (None, None)


def test_a_retry_of_several_runs_is_pending_until_each_has_opened_its_log(desk: Desk) -> None:
    first = fail(desk, "ACTIV", "CLOSE")
    fail(desk, "CLOSE", retry_of=first)
    sync = pending_retries(desk.session)[0]
    assert sync.sync_id == first
    assert [request.asked()["statuses"] for request in sync.begun] == [["CLOSE"]]
    fail(desk, "ACTIV", retry_of=first)
    assert first not in pending(desk)


def test_a_cancelled_retry_says_why_in_the_sync_log(desk: Desk) -> None:
    sync = fail(desk)
    cancel_retries(desk.session, {sync: "sync 9 did the same meanwhile"})
    log = desk.log(sync)
    assert log["retry_at"] is None
    assert log["context"]["retry_cancelled"] == "sync 9 did the same meanwhile"
    assert pending(desk) == []


def test_a_step_of_a_sync_that_has_ended_is_refused_before_any_call(desk: Desk) -> None:
    sync = fail(desk)
    calls = len(desk.simulator.calls)
    with pytest.raises(PermanentError, match=rf"sync {sync} has ended already \(failed\): start a new run"):
        fetch_circuits(desk.session, sync)
    assert len(desk.simulator.calls) == calls
    assert len(desk.events("sync.failed")) == 1
