from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from circuit_sync.database.log.retries import NewerSync, PendingRetry
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest, SnapshotRequest, SyncRequest
from circuit_sync.orchestration.recovery.retrying import StartedRun, retries_to_start
from circuit_sync.orchestration.runs.requests import SyncRun, runs_of

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACTIV = CircuitSyncRequest(("ACTIV",), trigger="scheduled", retry_of=7)


def failed(request: SyncRequest = ACTIV, **told: Any) -> PendingRetry:
    return PendingRetry(**{"sync_id": 7, "request": request, "retry_at": NOW - MINUTE} | told)


def no_runs(_run: SyncRun) -> None:
    """None was started."""


def test_a_retry_starts_when_its_time_has_come() -> None:
    assert retries_to_start([failed()], no_runs, NOW).due == runs_of(ACTIV)


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
        (NewerSync(8, "completed", is_retried=False), "sync 8 did the same meanwhile"),
        (NewerSync(8, "warning", is_retried=False), "sync 8 did the same meanwhile"),
        (NewerSync(8, "failed", is_retried=True), "sync 8 failed at the same meanwhile, to be tried again"),
        (
            NewerSync(8, "failed", is_retried=False),
            "sync 8 failed at the same meanwhile, for a reason that needs a person",
        ),
    ],
)
def test_a_newer_sync_that_covers_the_request_cancels_it(retry_at: datetime, newer: NewerSync, why: str) -> None:
    decision = retries_to_start([failed(retry_at=retry_at, newer=newer)], no_runs, NOW)
    assert not decision.due
    assert decision.cancelled == {7: why}


def test_a_running_sync_of_the_same_is_waited_for() -> None:
    decision = retries_to_start([failed(newer=NewerSync(8, "started", is_retried=False))], no_runs, NOW)
    assert (decision.due, decision.cancelled) == ([], {})
    assert decision.reasons == ["sync 7: sync 8, which does the same, is running"]


def test_a_run_on_its_way_is_not_started_twice() -> None:
    decision = retries_to_start([failed()], lambda _run: StartedRun("run-1"), NOW)
    assert not decision.due
    assert decision.reasons == ["sync 7: run run-1 is on its way to try it again"]


def test_a_retry_that_a_person_cancelled_is_taken_back() -> None:
    decision = retries_to_start([failed()], lambda _run: StartedRun("run-1", is_cancelled=True), NOW)
    assert not decision.due
    assert decision.cancelled == {7: "a person cancelled run run-1, which was to try it again"}


def test_of_several_runs_those_are_started_that_are_neither_on_their_way_nor_have_begun() -> None:
    request = CircuitSyncRequest(("ACTIV", "REWRK"), retry_of=7)
    activ, rewrk = runs_of(request)
    begun = failed(request, begun=[CircuitSyncRequest(("ACTIV",))])
    assert retries_to_start([failed(request)], no_runs, NOW).due == [activ, rewrk]
    assert retries_to_start([begun], no_runs, NOW).due == [rewrk]

    def started(run: SyncRun) -> StartedRun | None:
        return StartedRun("run-1") if run == rewrk else None

    assert retries_to_start([failed(request)], started, NOW).due == [activ]
    assert retries_to_start([begun], started, NOW).due == []


def test_circuits_are_asked_for_as_the_first_time() -> None:
    asked = CircuitSyncRequest(
        ("QC", "REWRK", "CLOSE"),
        force=True,
        accept_departures=True,
        trigger="scheduled",
        triggered_by="ana@example.com",
        retry_of=7,
    )
    request = runs_of(asked)[0].run_request("why")
    assert request.job_name == "sync_circuits"
    assert request.run_key == "why:QC:CLOSE"
    assert request.tags == {
        "circuit_sync/trigger": "scheduled",
        "circuit_sync/retry_of": "7",
        "dagster/asset_partition_range_start": "QC",
        "dagster/asset_partition_range_end": "CLOSE",
    }
    config = {"force": True, "accept_departures": True, "triggered_by": "ana@example.com"}
    assert request.run_config == {"ops": {"circuits": {"config": config}}}


def test_aggregates_and_single_work_orders_are_asked_for_as_the_first_time() -> None:
    request = runs_of(AggregateSyncRequest(("ACTIV",), force=True, retry_of=7))[0].run_request("why")
    assert request.job_name == "sync_circuit_aggregates"
    assert request.tags["dagster/partition"] == "ACTIV"
    assert request.run_config == {"ops": {"circuit_aggregates": {"config": {"force": True}}}}
    request = runs_of(AggregateSyncRequest(work_orders=("2026-1",), force=True, retry_of=7))[0].run_request("why")
    assert request.job_name == "sync_work_orders"
    assert set(request.tags) == {"circuit_sync/trigger", "circuit_sync/retry_of"}
    assert request.run_config == {"ops": {"open_work_orders": {"config": {"work_orders": ["2026-1"], "force": True}}}}


def test_snapshots_are_taken_of_the_same_dates() -> None:
    request = runs_of(SnapshotRequest([date(2026, 3, 6), date(2026, 3, 9)]))[0].run_request("why")
    assert request.job_name == "create_daily_snapshots"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-03-09"
    assert request.run_config == {}
