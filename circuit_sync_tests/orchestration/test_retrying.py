from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from circuit_sync.orchestration.recovery.retrying import RunsSoFar, retries_to_start, run_requests

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def failed(number: int = 7, **told: Any) -> dict[str, Any]:
    return {
        "id": number,
        "sync_type": "circuit_list",
        "sync_trigger": "scheduled",
        "retry_at": NOW - MINUTE,
        "triggered_by": None,
        "context": {"statuses": ["ACTIV"], "force": False, "accept_departures": False},
        "newer": [],
    } | told


def later(number: int, status: str, *statuses: str, **told: Any) -> dict[str, Any]:
    """A later sync of ACTIV, or of ``statuses``."""
    asked = {"statuses": statuses or ["ACTIV"]}
    return {"id": number, "status": status, "is_retried": False, "needs_a_person": False, "asked": asked} | told


def no_runs(_sync: int) -> RunsSoFar:
    return RunsSoFar()


def test_a_retry_starts_when_its_time_has_come() -> None:
    sync = failed()
    assert retries_to_start([sync], no_runs, NOW).due == [(sync, 0)]


def test_until_then_it_says_when() -> None:
    decision = retries_to_start([failed(retry_at=NOW + MINUTE)], no_runs, NOW)
    assert not decision.due
    assert decision.reasons == ["sync 7 runs again at 2026-03-09 08:01:00 EDT"]


def test_without_a_failed_sync_there_is_nothing_to_wait_for() -> None:
    assert retries_to_start([], no_runs, NOW).reasons == ["no sync waits to be tried again"]


@pytest.mark.parametrize("retry_at", [NOW - MINUTE, NOW + MINUTE], ids=["due", "not yet due"])
@pytest.mark.parametrize(
    ("newer", "why"),
    [
        ([later(8, "completed")], "sync 8 did the same meanwhile"),
        ([later(8, "warning")], "sync 8 did the same meanwhile"),
        ([later(8, "failed"), later(9, "completed")], "sync 9 did the same meanwhile"),
        ([later(8, "completed"), later(9, "started")], "sync 8 did the same meanwhile"),
        (
            [later(8, "failed", is_retried=True)],
            "sync 8 failed at the same meanwhile, to be tried again",
        ),
        (
            [later(8, "failed", needs_a_person=True)],
            "sync 8 failed at the same meanwhile, for a reason that needs a person",
        ),
        ([later(8, "failed", needs_a_person=True), later(9, "completed")], "sync 9 did the same meanwhile"),
    ],
)
def test_another_sync_that_did_the_same_cancels_it(retry_at: datetime, newer: list[dict[str, Any]], why: str) -> None:
    decision = retries_to_start([failed(retry_at=retry_at, newer=newer)], no_runs, NOW)
    assert not decision.due
    assert decision.cancelled == {7: why}


def test_a_sync_under_way_over_the_same_is_waited_for() -> None:
    decision = retries_to_start([failed(newer=[later(8, "started")])], no_runs, NOW)
    assert (decision.due, decision.cancelled) == ([], {})
    assert decision.reasons == ["sync 7: the same is under way in sync 8"]


def test_several_syncs_together_cancel_it_and_a_part_of_them_does_not() -> None:
    asked = {"statuses": ["QC", "REWRK", "CLOSE"]}
    parts = [later(8, "completed", "QC"), later(9, "warning", "ACTIV", "REWRK"), later(10, "completed", "CLOSE")]
    decision = retries_to_start([failed(context=asked, newer=parts)], no_runs, NOW)
    assert decision.cancelled == {7: "syncs 8, 9, 10 did the same meanwhile"}
    decision = retries_to_start([failed(context=asked, newer=parts[:2])], no_runs, NOW)
    assert (len(decision.due), decision.cancelled) == (1, {})


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (later(8, "failed", "QC", is_retried=True), "sync 8 failed at the same meanwhile, to be tried again"),
        (
            later(8, "failed", "QC", needs_a_person=True),
            "sync 8 failed at the same meanwhile, for a reason that needs a person",
        ),
    ],
)
def test_of_several_the_one_that_failed_is_named(first: dict[str, Any], why: str) -> None:
    newer = [first, later(9, "completed", "REWRK")]
    sync = failed(context={"statuses": ["QC", "REWRK"]}, newer=newer)
    assert retries_to_start([sync], no_runs, NOW).cancelled == {7: why}


def test_of_several_the_one_under_way_is_named() -> None:
    newer = [later(8, "started", "QC"), later(9, "completed", "REWRK")]
    sync = failed(context={"statuses": ["QC", "REWRK"]}, newer=newer)
    assert retries_to_start([sync], no_runs, NOW).reasons == ["sync 7: the same is under way in sync 8"]


def test_a_later_failure_that_is_not_tried_again_leaves_the_retry_to_come() -> None:
    assert len(retries_to_start([failed(newer=[later(8, "failed")])], no_runs, NOW).due) == 1


def test_a_run_on_its_way_is_not_started_twice() -> None:
    decision = retries_to_start([failed()], lambda _sync: RunsSoFar(1, "run-1"), NOW)
    assert not decision.due
    assert decision.reasons == ["sync 7: run run-1 is on its way to try it again"]


def test_a_run_that_died_before_it_opened_its_sync_is_started_anew_but_not_for_ever() -> None:
    sync = failed()
    second = retries_to_start([sync], lambda _sync: RunsSoFar(1), NOW)
    assert second.due == [(sync, 1)]
    keys = {run_requests(*due)[0].run_key for due in [(sync, 0), (sync, 1)]}
    assert len(keys) == 2
    for number in (3, 4):
        decision = retries_to_start([sync], lambda _sync, number=number: RunsSoFar(number), NOW)  # type: ignore[misc]
        assert not decision.due
        assert decision.cancelled == {7: f"{number} runs ended before they opened their sync log"}


def test_a_retry_that_a_person_cancelled_is_taken_back() -> None:
    decision = retries_to_start([failed()], lambda _sync: RunsSoFar(1, cancelled="run-1"), NOW)
    assert not decision.due
    assert decision.cancelled == {7: "a person cancelled run run-1, which was to try it again"}


def test_a_retry_in_two_runs_goes_on_if_one_of_them_is_cancelled() -> None:
    decision = retries_to_start([failed()], lambda _sync: RunsSoFar(2, "run-2", cancelled="run-1"), NOW)
    assert (decision.due, decision.cancelled) == ([], {})


def test_circuits_are_asked_for_as_the_first_time() -> None:
    asked = {"statuses": ["QC", "REWRK", "CLOSE"], "force": True, "accept_departures": True}
    (request,) = run_requests(failed(context=asked, triggered_by="ana@example.com"), 0)
    assert request.job_name == "sync_circuits"
    assert request.tags == {
        "circuit_sync/trigger": "scheduled",
        "circuit_sync/retry_of": "7",
        "dagster/asset_partition_range_start": "QC",
        "dagster/asset_partition_range_end": "CLOSE",
    }
    config = {"force": True, "accept_departures": True, "triggered_by": "ana@example.com"}
    assert request.run_config == {"ops": {"circuits": {"config": config}}}


def test_aggregates_and_single_work_orders_are_asked_for_as_the_first_time() -> None:
    asked = {"statuses": ["ACTIV"], "force": True, "work_orders": []}
    (request,) = run_requests(failed(sync_type="aggregates", context=asked), 0)
    assert request.job_name == "sync_circuit_aggregates"
    assert request.tags["dagster/partition"] == "ACTIV"
    assert request.run_config == {"ops": {"circuit_aggregates": {"config": {"force": True}}}}
    (request,) = run_requests(failed(sync_type="aggregates", context=asked | {"work_orders": ["2026-1"]}), 0)
    assert request.job_name == "sync_work_orders"
    assert set(request.tags) == {"circuit_sync/trigger", "circuit_sync/retry_of"}
    assert request.run_config == {"ops": {"open_work_orders": {"config": {"work_orders": ["2026-1"], "force": True}}}}


def test_snapshots_are_taken_of_the_same_dates() -> None:
    dates = [date(2026, 3, 6).isoformat(), date(2026, 3, 9).isoformat()]
    (request,) = run_requests(failed(sync_type="snapshots", context={"dates": dates}), 0)
    assert request.job_name == "create_daily_snapshots"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-03-09"
    assert request.run_config == {}
