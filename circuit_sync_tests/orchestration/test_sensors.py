"""The sensors around their decisions: what they read, what they do, what they say."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import run_lock
from circuit_sync.definitions import defs
from circuit_sync.domain.errors import TransientError, UsageError
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest, SnapshotRequest
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.orchestration.automation import sensors
from circuit_sync.orchestration.automation.events import deliver_events
from circuit_sync.orchestration.recovery import closing, retrying
from circuit_sync.simulator import Fault, Simulator
from circuit_sync.sync.circuits.sync import open_circuit_sync
from circuit_sync.sync.log.closing import close_as_failed
from circuit_sync.sync.progress.snapshots import open_snapshots
from circuit_sync.sync.units.sync import fetch_and_store_aggregates, open_aggregate_sync
from circuit_sync_tests.orchestration.runs import create_run_for_test
from circuit_sync_tests.scenery import Clock, Desk, session_for

Look = Callable[..., dg.SensorResult]
QUARTER = timedelta(minutes=15)


@pytest.fixture
def desk(database: Database, configured: Simulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose clock is the sensors' too: it stands at a Monday morning until it is moved on."""
    time = Clock()
    monkeypatch.setattr(clock, "now", time)
    session = session_for(database, configured.base_url, time, retry_delays=(QUARTER, 2 * QUARTER))
    return Desk(session, configured, time)


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


def identity(desk: Desk) -> str:
    return str(desk.one("SELECT value FROM database_settings WHERE name = 'identity'"))


def test_aggregates_start_once_for_what_was_synced(look: Look, desk: Desk) -> None:
    sync = desk.sync("ACTIV", "QC").sync_id
    first = look(sensors.aggregates_after_circuits)
    (request,) = first.run_requests or ()
    assert request.tags == {"circuit_sync/trigger": "workflow_event"} | partition_tags(["ACTIV", "QC"])
    assert request.run_key == f"aggregates_after_circuits:{identity(desk)}:{sync}:ACTIV:QC"
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
    assert said(first) == f"ACTIV: run {run.run_id} works on it"
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
    (request,) = look(sensors.snapshots_after_sync).run_requests or ()
    assert request.tags["dagster/partition"] == "2026-03-02"
    assert request.run_key == f"snapshots_after_sync:{identity(desk)}:{sync}:2026-03-02:2026-03-02"


def test_aggregates_that_were_stored_before_their_sync_failed_refresh_the_snapshot(look: Look, desk: Desk) -> None:
    desk.sync("ACTIV")
    cursor = look(sensors.snapshots_after_sync).cursor
    sync = open_aggregate_sync(desk.session, AggregateSyncRequest(("ACTIV",)))
    fetch_and_store_aggregates(desk.session, sync)
    close_as_failed(desk.session, sync, "killed before its completion")
    (request,) = look(sensors.snapshots_after_sync, cursor).run_requests or ()
    assert request.run_key == f"snapshots_after_sync:{identity(desk)}:{sync}:2026-03-02:2026-03-02"


@pytest.mark.parametrize(
    "cursor", ["17", "not JSON", '{"of": "a newer version"}', '{"after": "x", "seen": [], "waiting": {}}']
)
def test_a_cursor_that_cannot_be_read_silences_no_sensor(look: Look, desk: Desk, cursor: str) -> None:
    desk.sync("ACTIV")
    assert len(look(sensors.aggregates_after_circuits, cursor).run_requests or ()) == 1


def test_before_the_first_partition_no_snapshot_is_started(
    look: Look, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_FIRST_SNAPSHOT", "2026-03-03")
    desk.sync("ACTIV")
    result = look(sensors.snapshots_after_sync)
    assert not result.run_requests
    assert said(result) == "2026-03-02 lies before CIRCUIT_SYNC_FIRST_SNAPSHOT"


def departure(desk: Desk) -> int:
    """A sync that misses a circuit that was there; returns its id."""
    desk.execute("UPDATE circuits SET job_guid = '{moved-on}' WHERE id = (SELECT min(id) FROM circuits)")
    return desk.sync("ACTIV").sync_id


def test_circuits_that_departed_are_looked_for_once(look: Look, desk: Desk) -> None:
    desk.sync("ACTIV")
    first = look(sensors.departed_circuits)
    assert said(first) == "no circuit departed since the last look"
    desk.execute(
        "UPDATE circuits SET departed_at = NULL, job_guid = '{moved-on}' WHERE id = (SELECT min(id) FROM circuits)"
    )
    sync = desk.sync("ACTIV").sync_id
    second = look(sensors.departed_circuits, first.cursor)
    (request,) = second.run_requests or ()
    assert request.run_key == f"departed_circuits:{identity(desk)}:{sync}:QC:CLOSE"
    assert request.tags == {"circuit_sync/trigger": "workflow_event"} | partition_tags(["QC", "REWRK", "CLOSE"])
    desk.sync("QC", "REWRK", "CLOSE")
    desk.sync("ACTIV")
    assert not look(sensors.departed_circuits, second.cursor).run_requests


def test_departed_circuits_that_were_seen_again_need_no_sync(look: Look, desk: Desk) -> None:
    desk.sync("ACTIV")
    sync = departure(desk)
    desk.execute("UPDATE circuits SET departed_at = NULL")
    assert said(look(sensors.departed_circuits)) == f"sync {sync}: what departed was seen again"


def failed(desk: Desk, *statuses: str, **options: Any) -> int:
    desk.simulator.add_fault(Fault("status", times=1, code=503))
    with pytest.raises(TransientError):
        desk.sync(*statuses, **options)
    return int(desk.log()["id"])


def test_a_failed_sync_is_started_again_with_its_request(look: Look, desk: Desk, ephemeral: dg.DagsterInstance) -> None:
    desk.execute("INSERT INTO users (name, email, role) VALUES ('Ana', 'ana@example.com', 'planner')")
    sync = failed(desk, "QC", "REWRK", force=True, accept_departures=True, triggered_by="Ana", trigger="scheduled")
    assert said(look(retrying.retry_failed_syncs)) == f"sync {sync} runs again at 2026-03-02 04:46:00 EST"
    desk.clock.advance(minutes=15)
    (request,) = look(retrying.retry_failed_syncs).run_requests or ()
    assert request.job_name is not None
    job = defs.resolve_job_def(request.job_name)
    assert job.execute_in_process(instance=ephemeral, run_config=request.run_config, tags=request.tags).success
    first, second = desk.rows("SELECT * FROM sync_logs ORDER BY id")
    assert second["retry_of"] == sync
    for name in ("api_status_filter", "sync_trigger", "triggered_by"):
        assert second[name] == first[name], name
    assert second["context"]["force"]
    assert second["context"]["accept_departures"]
    assert not look(retrying.retry_failed_syncs).run_requests


def test_aggregates_and_snapshots_are_started_again_too(look: Look, desk: Desk, ephemeral: dg.DagsterInstance) -> None:
    desk.sync("ACTIV")
    work_order = desk.column("SELECT work_order FROM circuits ORDER BY id")[0]
    requests = [AggregateSyncRequest(("ACTIV",)), AggregateSyncRequest(STATUS_CODES, work_orders=(work_order,))]
    syncs = [open_aggregate_sync(desk.session, request) for request in requests]
    syncs.append(open_snapshots(desk.session, SnapshotRequest((date(2026, 2, 27), date(2026, 3, 2)))))
    for sync in syncs:
        close_as_failed(desk.session, sync, "killed")
    desk.clock.advance(minutes=15)
    for request in look(retrying.retry_failed_syncs).run_requests or ():
        assert request.job_name is not None
        job = defs.resolve_job_def(request.job_name)
        assert job.execute_in_process(instance=ephemeral, run_config=request.run_config, tags=request.tags).success
    told = desk.rows("SELECT retry_of, context FROM sync_logs WHERE retry_of IS NOT NULL ORDER BY retry_of")
    assert [log["retry_of"] for log in told] == syncs
    assert told[1]["context"]["work_orders"] == [work_order]
    assert told[2]["context"]["dates"] == ["2026-02-27", "2026-03-02"]


def test_events_go_to_the_configured_webhooks(
    desk: Desk, stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        reason = deliver_events(dg.build_sensor_context(instance=stored))
        assert isinstance(reason, dg.SkipReason)
        return reason.skip_message or ""

    assert told() == "CIRCUIT_SYNC_WEBHOOKS names no webhook"
    monkeypatch.setenv("CIRCUIT_SYNC_WEBHOOKS", "http://127.0.0.1:9/secret")
    desk.sync("ACTIV")
    assert told().startswith("webhook 1 (127.0.0.1): event ")
    monkeypatch.setenv("CIRCUIT_SYNC_WEBHOOKS", "https://one.example.com/secret, ftp://two.example.com/secret")
    with pytest.raises(UsageError, match="CIRCUIT_SYNC_WEBHOOKS: number 2 is not a URL") as caught:
        told()
    assert "secret" not in str(caught.value)


def test_a_run_that_was_started_for_a_retry_is_not_started_again(
    look: Look, desk: Desk, stored: dg.DagsterInstance
) -> None:
    sync = failed(desk)
    desk.clock.advance(minutes=15)
    (request,) = look(retrying.retry_failed_syncs).run_requests or ()
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    run = create_run_for_test(stored, job_name="sync_circuits", tags=tags)
    assert said(look(retrying.retry_failed_syncs)) == f"sync {sync}: run {run.run_id} is on its way to try it again"


def test_a_run_key_names_the_database_and_the_sync_that_failed(look: Look, desk: Desk) -> None:
    sync = failed(desk)
    desk.clock.advance(minutes=15)
    (request,) = look(retrying.retry_failed_syncs).run_requests or ()
    assert request.run_key == f"retry_failed_syncs:{identity(desk)}:{sync}:ACTIV:ACTIV"


def test_an_operators_success_in_between_cancels_the_retry_visibly(look: Look, desk: Desk) -> None:
    sync = failed(desk)
    success = desk.sync("ACTIV").sync_id
    desk.clock.advance(minutes=15)
    result = look(retrying.retry_failed_syncs)
    assert not result.run_requests
    assert said(result) == f"sync {sync} is not tried again: sync {success} did the same meanwhile"
    log = desk.log(sync)
    assert log["retry_at"] is None
    assert log["context"]["retry_cancelled"] == f"sync {success} did the same meanwhile"
    assert said(look(retrying.retry_failed_syncs)) == "no sync waits to be tried again"


def test_a_dead_run_and_its_sync_are_closed_as_failed(
    desk: Desk, stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "GRACE", timedelta(0))
    desk.clock.instant = datetime.now(UTC) + timedelta(minutes=5)
    run = create_run_for_test(stored, job_name="sync_circuits", status=dg.DagsterRunStatus.STARTED)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
    reason = closing.close_abandoned_syncs(dg.build_sensor_context(instance=stored))
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
    monkeypatch.setattr(closing, "GRACE", timedelta(0))
    desk.clock.instant = datetime.now(UTC) + timedelta(minutes=5)
    run = create_run_for_test(stored, job_name="sync_circuits", status=dg.DagsterRunStatus.STARTED)
    with run_lock(database, run.run_id):
        sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
        reason = closing.close_abandoned_syncs(dg.build_sensor_context(instance=stored))
    assert isinstance(reason, dg.SkipReason)
    assert reason.skip_message == "nothing is abandoned"
    assert desk.one("SELECT sync_status FROM sync_logs WHERE id = %s", sync) == "started"
