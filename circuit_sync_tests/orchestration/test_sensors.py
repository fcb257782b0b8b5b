"""The sensors around their decisions: what they read, what they do, what they say."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import run_lock
from circuit_sync.domain.eastern import eastern_date, is_weekday
from circuit_sync.orchestration import sensors
from circuit_sync.orchestration.partitions import partition_tags
from circuit_sync.sync.circuits import CircuitSyncRequest, open_circuit_sync
from circuit_sync.workstudio.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for

Look = Callable[..., dg.SensorResult]


@pytest.fixture
def desk(database: Database, configured: Simulator) -> Desk:
    """A desk whose clock is the real one, as the sensors' is."""
    clock = Clock(sensors._now())
    return Desk(session_for(database, configured.base_url, clock), configured, clock)


@pytest.fixture
def look(stored: dg.DagsterInstance, desk: Desk) -> Callable[..., dg.SensorResult]:
    def evaluate(sensor: dg.SensorDefinition, cursor: str | None = None) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=stored, cursor=cursor)
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    return evaluate


def said(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return result.skip_reason.skip_message or ""


def test_aggregates_start_once_for_what_was_synced(look: Look, desk: Desk) -> None:
    sync = desk.sync("ACTIV", "QC").sync_id
    first = look(sensors.aggregates_after_circuits)
    (request,) = first.run_requests or ()
    assert request.tags == {"circuit_sync/trigger": "workflow_event"} | partition_tags(["ACTIV", "QC"])
    assert request.run_key == f"aggregates_after_circuits:{sync}:ACTIV:QC"
    second = look(sensors.aggregates_after_circuits, first.cursor)
    assert not second.run_requests
    assert said(second) == "no circuits were synced since the last look"


def test_aggregates_wait_for_an_unfinished_run_over_the_status(
    look: Look, desk: Desk, stored: dg.DagsterInstance
) -> None:
    desk.sync("ACTIV")
    job = "sync_circuit_aggregates"
    run = create_run_for_test(
        stored, job_name=job, status=dg.DagsterRunStatus.STARTED, tags=partition_tags(["ACTIV", "QC"])
    )
    first = look(sensors.aggregates_after_circuits)
    assert not first.run_requests
    assert said(first) == f"ACTIV: run {run.run_id} is at it"
    stored.report_run_failed(run)
    second = look(sensors.aggregates_after_circuits, first.cursor)
    assert [request.tags["dagster/partition"] for request in second.run_requests or ()] == ["ACTIV"]


def test_a_run_of_the_materialize_button_is_seen_too(look: Look, desk: Desk, stored: dg.DagsterInstance) -> None:
    desk.sync("ACTIV")
    create_run_for_test(
        stored,
        job_name="__ASSET_JOB",
        asset_selection=frozenset({dg.AssetKey("circuit_aggregates")}),
        status=dg.DagsterRunStatus.STARTED,
        tags=partition_tags(["ACTIV"]),
    )
    assert not look(sensors.aggregates_after_circuits).run_requests


def test_todays_snapshot_is_taken_after_a_change(look: Look, desk: Desk) -> None:
    sync = desk.sync("ACTIV").sync_id
    result = look(sensors.snapshots_after_sync)
    today = eastern_date(desk.clock())
    if is_weekday(today):
        (request,) = result.run_requests or ()
        assert request.tags["dagster/partition"] == today.isoformat()
        assert request.run_key == f"snapshots_after_sync:{sync}:{today}:{today}"
    else:
        assert not result.run_requests
        assert "weekdays" in said(result)


def test_a_dead_run_and_its_sync_are_closed_as_failed(
    desk: Desk, stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "GRACE", timedelta(0))
    run = create_run_for_test(stored, job_name="sync_circuits", status=dg.DagsterRunStatus.STARTED)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
    reason = sensors.close_abandoned_syncs(dg.build_sensor_context(instance=stored))
    assert isinstance(reason, dg.SkipReason)
    closed = stored.get_run_by_id(run.run_id)
    assert closed is not None
    assert closed.status is dg.DagsterRunStatus.FAILURE
    assert desk.one("SELECT sync_status FROM sync_logs WHERE id = %s", sync) == "failed"
    assert desk.column("SELECT name FROM sync_events ORDER BY id") == ["sync.started", "sync.failed"]
    assert f"sync {sync} closed as failed" in (reason.skip_message or "")


def test_a_run_that_holds_its_lock_is_left_alone(
    desk: Desk, database: Database, stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "GRACE", timedelta(0))
    run = create_run_for_test(stored, job_name="sync_circuits", status=dg.DagsterRunStatus.STARTED)
    with run_lock(database, run.run_id):
        sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
        reason = sensors.close_abandoned_syncs(dg.build_sensor_context(instance=stored))
    assert isinstance(reason, dg.SkipReason)
    assert reason.skip_message == "nothing is abandoned: 1 runs in progress, 1 syncs started"
    assert desk.one("SELECT sync_status FROM sync_logs WHERE id = %s", sync) == "started"
