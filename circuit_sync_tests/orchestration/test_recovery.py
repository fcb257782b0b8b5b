"""Runs that died or were cancelled: what is closed, what is tried again, and what a person's word ends."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import run_lock
from circuit_sync.definitions import defs
from circuit_sync.domain.errors import TransientError
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.orchestration.recovery.closing import close_abandoned_syncs
from circuit_sync.orchestration.recovery.retrying import retry_failed_syncs
from circuit_sync.orchestration.terminal.execution import origin_of
from circuit_sync.simulator import Fault, Simulator
from circuit_sync.sync.circuits.sync import open_circuit_sync
from circuit_sync.sync.log.closing import close_as_failed
from circuit_sync_tests.orchestration.dagster_internals import check_run_timeout, create_execution_plan
from circuit_sync_tests.orchestration.runs import create_run_for_test
from circuit_sync_tests.scenery import Clock, Desk, session_for

CANCELLED = "the run was cancelled: what was not stored yet is not stored; start it again when you like"
QUARTER = timedelta(minutes=15)
Status = dg.DagsterRunStatus


@pytest.fixture
def desk(database: Database, configured: Simulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose clock is the sensors' too: five minutes after the runs of the test, until it is moved on."""
    time = Clock(datetime.now(UTC) + timedelta(minutes=5))
    monkeypatch.setattr(clock, "now", time)
    session = session_for(database, configured.base_url, time, retry_delays=(QUARTER, 2 * QUARTER))
    return Desk(session, configured, time)


@pytest.fixture
def close(stored: dg.DagsterInstance, desk: Desk) -> Callable[[], str]:
    """What the sensor that closes what died says."""

    def look() -> str:
        reason = close_abandoned_syncs(dg.build_sensor_context(instance=stored))
        assert isinstance(reason, dg.SkipReason)
        return reason.skip_message or ""

    return look


@pytest.fixture
def retries(stored: dg.DagsterInstance, desk: Desk) -> Callable[[], Sequence[dg.RunRequest]]:
    """What the sensor that tries again would start."""

    def look() -> Sequence[dg.RunRequest]:
        result = retry_failed_syncs(dg.build_sensor_context(instance=stored))
        assert isinstance(result, dg.SensorResult)
        return result.run_requests or ()

    return look


def failed_sync(desk: Desk, *statuses: str) -> int:
    """A sync of these statuses that failed for a transient reason, when its retry is due; returns its id."""
    desk.simulator.add_fault(Fault("status", times=1, code=503))
    with pytest.raises(TransientError):
        desk.sync(*statuses)
    desk.clock.advance(minutes=15)
    return int(desk.log()["id"])


def started_for(instance: dg.DagsterInstance, request: dg.RunRequest, **options: Any) -> dg.DagsterRun:
    """The run that the daemon makes of the request."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)} | options.pop("tags", {})
    return a_run(instance, options.pop("status", Status.NOT_STARTED), tags=tags, **options)


def a_run(instance: dg.DagsterInstance, status: Status = Status.STARTING, **options: Any) -> dg.DagsterRun:
    """A run of ``sync_circuits`` over ACTIV as a schedule starts it, unless told otherwise."""
    options.setdefault("job_name", "sync_circuits")
    scheduled = {"circuit_sync/trigger": "scheduled"} | partition_tags(["ACTIV"])
    return create_run_for_test(instance, status=status, tags=scheduled | options.pop("tags", {}), **options)


REQUESTS: Mapping[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "sync_circuits": (
        partition_tags(["QC", "CLOSE"]),
        {"circuits": {"config": {"force": True, "accept_departures": True, "triggered_by": "ana@example.com"}}},
        {"statuses": ["QC", "REWRK", "CLOSE"], "force": True, "accept_departures": True},
    ),
    "sync_circuit_aggregates": (
        partition_tags(["QC"]),
        {"circuit_aggregates": {"config": {"force": True}}},
        {"statuses": ["QC"], "force": True, "work_orders": []},
    ),
    "sync_work_orders": (
        {},
        {"open_work_orders": {"config": {"work_orders": ["2026-1"]}}},
        {"statuses": list(STATUS_CODES), "force": False, "work_orders": ["2026-1"]},
    ),
    "create_daily_snapshots": (
        partition_tags(["2026-03-06", "2026-03-10"]),
        {},
        {"dates": ["2026-03-06", "2026-03-09", "2026-03-10"]},
    ),
}
"""By job: tags and run configuration of a run, and what its sync log says that it was asked for."""


@pytest.mark.parametrize("job", REQUESTS)
def test_a_run_that_died_before_it_opened_its_sync_gets_a_failed_one_and_is_tried_again(
    desk: Desk,
    stored: dg.DagsterInstance,
    close: Callable[[], str],
    retries: Callable[[], Sequence[dg.RunRequest]],
    job: str,
) -> None:
    desk.execute("INSERT INTO users (name, email, role) VALUES ('Ana', 'ana@example.com', 'planner')")
    tags, config, asked = REQUESTS[job]
    run_config = {"ops": config} if config else {}
    run = create_run_for_test(
        stored,
        job_name=job,
        status=Status.STARTING,
        tags={"circuit_sync/trigger": "scheduled"} | tags,
        run_config=run_config,
        step_keys_to_execute=create_execution_plan(defs.resolve_job_def(job), run_config).step_keys_to_execute,
    )
    said = close()
    log = desk.log()
    assert (log["sync_status"], log["context"], log["dagster_run_id"]) == ("failed", asked, run.run_id)
    assert f"sync {log['id']} closed as failed" in said
    assert desk.column("SELECT name FROM sync_events ORDER BY id") == ["sync.started", "sync.failed"]
    desk.clock.advance(minutes=15)
    (request,) = retries()
    assert request.job_name == job
    assert request.run_config == run_config
    assert request.tags.items() >= ({"circuit_sync/trigger": "scheduled"} | tags).items()


def test_a_materialisation_from_the_ui_that_died_before_its_sync_is_told_and_tried_again_too(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    a_run(stored, job_name="__ASSET_JOB", asset_selection=frozenset({dg.AssetKey("circuit_aggregates")}))
    close()
    assert desk.log()["sync_type"] == "aggregates"
    assert desk.log()["retry_at"] is not None


@pytest.mark.parametrize("status", [Status.STARTING, Status.STARTED])
def test_what_was_closed_once_is_not_closed_again(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str], status: Status
) -> None:
    run = a_run(stored, status)
    close()
    assert desk.log()["dagster_run_id"] == run.run_id
    assert close() == "nothing is abandoned"
    assert desk.one("SELECT count(*) FROM sync_logs") == 1


def test_a_run_that_dagster_failed_before_its_first_step_gets_a_failed_sync(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    run = a_run(stored)
    stored.report_run_failed(run)
    close()
    log = desk.log()
    assert log["error_message"] == f"run {run.run_id} ended before it opened its sync log: see the run's log"
    assert log["retry_at"] is not None
    assert close() == "nothing is abandoned"


@pytest.mark.parametrize(
    "run",
    [
        {"job_name": "preview_circuits"},
        {"tags": {"circuit_sync/terminal": "yes"}},
        {"tags": {"circuit_sync/retry_of": "99"}},
        {"tags": {"circuit_sync/trigger": "chance"}},
        {"tags": {"dagster/partition": "OPEN"}},
        {"step_keys_to_execute": ["circuits.fetch_circuits", "circuits.store_circuits"]},
    ],
    ids=[
        "syncs nothing",
        "somebody watched it",
        "is the retry of no sync",
        "was started by nobody we know",
        "was to sync nothing we know",
        "was to go on with the sync of another",
    ],
)
def test_a_run_that_failed_leaves_no_sync_if_it(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str], run: dict[str, Any]
) -> None:
    stored.report_run_failed(a_run(stored, **run))
    assert close() == "nothing is abandoned"


def test_a_run_that_has_a_sync_log_gets_no_other(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    run = a_run(stored)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
    close_as_failed(desk.session, sync, "it broke")
    stored.report_run_failed(run)
    assert close() == "nothing is abandoned"


@pytest.mark.parametrize("end", [dg.DagsterInstance.report_run_failed, None], ids=["failed by Dagster", "gone"])
@pytest.mark.parametrize(
    "options",
    [{}, {"step_keys_to_execute": ["circuits.open_circuit_sync", "circuits.fetch_circuits"]}],
    ids=["from the beginning", "from failure"],
)
def test_a_run_that_repeats_another_has_no_share_in_its_sync_log(
    desk: Desk,
    stored: dg.DagsterInstance,
    close: Callable[[], str],
    end: Callable[..., object] | None,
    options: dict[str, Any],
) -> None:
    copied = {"circuit_sync/sync_log_id": str(desk.sync().sync_id), "dagster/parent_run_id": "the first"}
    run = a_run(stored, Status.STARTED, tags=copied, **options)
    if end is not None:
        end(stored, run)
    close()
    assert (desk.log()["dagster_run_id"], desk.log()["sync_status"]) == (run.run_id, "failed")


def test_a_run_in_the_name_of_nobody_known_gets_a_failed_sync_that_says_so_once(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    config = {"ops": {"circuits": {"config": {"triggered_by": "nobody"}}}}
    stored.report_run_failed(a_run(stored, run_config=config))
    close()
    log = desk.log()
    assert log["error_message"].startswith("no user named 'nobody'")
    assert (log["triggered_by"], log["retry_at"]) == (None, None)
    assert close() == "nothing is abandoned"


def asked_in_vain(instance: dg.DagsterInstance) -> None:
    """A person sees at once that there is no such work order."""
    job = defs.resolve_job_def("sync_work_orders")
    config = {"ops": {"open_work_orders": {"config": {"work_orders": ["2026-0"]}}}}
    assert not job.execute_in_process(instance=instance, run_config=config, raise_on_error=False).success


def cancelled_and_gone(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    instance.report_run_canceling(run)
    instance.report_run_failed(run)


def refused(instance: dg.DagsterInstance) -> None:
    """It has its log."""
    job = defs.resolve_job_def("sync_circuits")
    assert not job.execute_in_process(instance=instance, tags=partition_tags(["ACTIV"]), raise_on_error=False).success


def previewed(instance: dg.DagsterInstance) -> None:
    instance.report_run_failed(a_run(instance, job_name="preview_circuits"))


@pytest.mark.parametrize(
    ("deed", "logs", "first_look"),
    [(asked_in_vain, 0, True), (cancelled_and_gone, 0, True), (refused, 1, False), (previewed, 0, False)],
)
def test_the_events_of_a_failed_run_are_read_once_and_only_to_write_its_sync_log(
    desk: Desk,
    stored: dg.DagsterInstance,
    close: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    deed: Callable[[dg.DagsterInstance], None],
    logs: int,
    first_look: bool,
) -> None:
    desk.simulator.add_fault(Fault("status", code=503))
    deed(stored)
    read = []
    all_logs = dg.DagsterInstance.all_logs

    def counted(*args: Any, **options: Any) -> Any:
        read.append(args)
        return all_logs(*args, **options)

    monkeypatch.setattr(dg.DagsterInstance, "all_logs", counted)
    assert close() == "nothing is abandoned"
    assert bool(read) == first_look
    read.clear()
    assert close() == "nothing is abandoned"
    assert not read
    assert desk.one("SELECT count(*) FROM sync_logs") == logs


def test_a_failure_of_yesterday_is_left_alone(desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]) -> None:
    stored.report_run_failed(a_run(stored))
    desk.clock.advance(days=1)
    assert close() == "nothing is abandoned"


def test_a_run_that_found_the_database_away_is_told_of_when_it_is_back(
    desk: Desk,
    stored: dg.DagsterInstance,
    close: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    job = defs.resolve_job_def("sync_circuits")
    tags = {"circuit_sync/trigger": "scheduled"} | partition_tags(["ACTIV"])
    assert not job.execute_in_process(instance=stored, tags=tags, raise_on_error=False).success
    monkeypatch.setenv("CIRCUIT_SYNC_DATABASE_URL", database_url)
    close()
    log = desk.log()
    assert (log["sync_status"], log["sync_trigger"]) == ("failed", "scheduled")
    assert "is not available" in log["error_message"]
    assert log["retry_at"] is not None
    assert close() == "nothing is abandoned"


def cancelled(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """From the queue, or after its process went."""
    instance.report_run_canceling(run)
    instance.report_run_canceled(run)


@pytest.mark.parametrize("end", [cancelled, dg.DagsterInstance.report_run_canceling], ids=["CANCELED", "CANCELING"])
def test_a_cancelled_sync_whose_process_is_gone_is_not_tried_again(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str], end: Callable[..., object]
) -> None:
    run = a_run(stored, Status.STARTED)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
    end(stored, run)
    close()
    log = desk.log(sync)
    assert (log["sync_status"], log["error_message"], log["retry_at"]) == ("failed", CANCELLED, None)
    after = stored.get_run_by_id(run.run_id)
    assert after is not None
    assert after.is_finished


def test_a_run_that_was_cancelled_before_it_opened_its_sync_leaves_none(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    stored.report_run_canceling(a_run(stored))
    close()
    close()
    assert desk.one("SELECT count(*) FROM sync_logs") == 0


def test_a_sync_that_takes_longer_than_dagster_allows_is_tried_again(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    run = a_run(stored, Status.NOT_STARTED)
    stored.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, run.job_name), run.run_id)
    sync = open_circuit_sync(desk.session, CircuitSyncRequest(("ACTIV",), run_id=run.run_id))
    record = stored.get_run_record_by_id(run.run_id)
    assert record is not None
    check_run_timeout(stored, record, dg.get_dagster_logger(), 0.000001)  # type: ignore[arg-type]
    close()
    log = desk.log(sync)
    assert log["sync_status"] == "failed"
    assert log["retry_at"] is not None


def test_a_retry_that_a_person_cancelled_in_the_queue_is_not_started_again(
    desk: Desk, stored: dg.DagsterInstance, retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    sync = failed_sync(desk)
    (request,) = retries()
    run = started_for(stored, request)
    cancelled(stored, run)
    assert not retries()
    log = desk.log(sync)
    assert log["retry_at"] is None
    assert log["context"]["retry_cancelled"] == f"a person cancelled run {run.run_id}, which was to try it again"


def test_a_run_that_a_person_repeats_counts_as_no_retry(
    desk: Desk, stored: dg.DagsterInstance, retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    failed_sync(desk)
    (request,) = retries()
    cancelled(stored, started_for(stored, request, tags={"dagster/parent_run_id": "the retry"}))
    (request,) = retries()
    assert request.run_key is not None
    assert request.run_key.endswith(":ACTIV:ACTIV")


def test_a_retry_whose_run_died_before_it_opened_its_log_counts_and_is_tried_again(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str], retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    first = failed_sync(desk)
    (request,) = retries()
    started_for(stored, request, status=Status.STARTING)
    assert not retries()
    close()
    second = desk.log()
    assert (second["retry_of"], second["sync_status"]) == (first, "failed")
    desk.clock.advance(minutes=30)
    (request,) = retries()
    assert request.tags["circuit_sync/retry_of"] == str(second["id"])


def test_of_a_retry_in_two_runs_each_is_started_until_it_has_opened_its_log(
    desk: Desk, stored: dg.DagsterInstance, retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    sync = failed_sync(desk, "ACTIV", "CLOSE")
    assert [request.tags["dagster/partition"] for request in retries()] == ["ACTIV", "CLOSE"]
    desk.sync("CLOSE", retry_of=sync)
    (request,) = retries()
    assert request.tags["dagster/partition"] == "ACTIV"
    started_for(stored, request)
    assert not retries()


@pytest.mark.parametrize(
    ("status", "seconds", "dead"),
    [
        (Status.STARTED, 21, True),
        (Status.CANCELING, 21, True),
        (Status.STARTED, 19, False),
        (Status.STARTING, 179, False),
        (Status.STARTING, 181, True),
        (Status.NOT_STARTED, 179, False),
        (Status.NOT_STARTED, 181, True),
        (Status.QUEUED, 10_000, False),
    ],
)
def test_a_run_without_its_lock_is_dead_after_the_grace(
    desk: Desk,
    database: Database,
    stored: dg.DagsterInstance,
    close: Callable[[], str],
    status: Status,
    seconds: float,
    dead: bool,
) -> None:
    assert stored.run_monitoring_start_timeout_seconds == 180
    run = a_run(stored, status, remote_job_origin=origin_of(defs, "sync_circuits"))
    record = stored.get_run_record_by_id(run.run_id)
    assert record is not None
    desk.clock.instant = record.update_timestamp + timedelta(seconds=seconds)
    with run_lock(database, run.run_id):
        assert close() == "nothing is abandoned"
    assert (close() != "nothing is abandoned") == dead


def test_a_run_that_said_something_a_moment_ago_is_not_dead_it_may_just_have_let_go_of_its_lock_to_end(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    run = a_run(stored, Status.NOT_STARTED)
    desk.clock.instant = datetime.now(UTC)
    start = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
    stored.report_dagster_event(start, run.run_id, timestamp=desk.clock.instant.timestamp() - 300)
    stored.report_engine_event("the last step is done", run)
    assert close() == "nothing is abandoned"
    desk.clock.advance(minutes=1)
    assert close() != "nothing is abandoned"


def test_a_retry_that_failed_without_a_log_is_told_and_tried_again_however_late(
    desk: Desk, stored: dg.DagsterInstance, retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    first = failed_sync(desk)
    (request,) = retries()
    stored.report_run_failed(started_for(stored, request))
    desk.clock.advance(days=2)
    assert not retries()
    second = desk.log()
    assert (second["retry_of"], second["sync_status"]) == (first, "failed")
    desk.clock.advance(minutes=30)
    (request,) = retries()
    assert request.tags["circuit_sync/retry_of"] == str(second["id"])


def test_a_retry_of_another_database_with_the_same_number_is_no_retry_of_this_sync(
    desk: Desk, stored: dg.DagsterInstance, retries: Callable[[], Sequence[dg.RunRequest]]
) -> None:
    failed_sync(desk)
    (request,) = retries()
    cancelled(stored, started_for(stored, request))
    desk.execute("UPDATE database_settings SET value = 'another' WHERE name = 'identity'")
    assert len(retries()) == 1


def test_a_run_whose_configuration_we_cannot_read_keeps_no_other_from_being_closed(
    desk: Desk, stored: dg.DagsterInstance, close: Callable[[], str]
) -> None:
    config = {"ops": {"circuits": {"config": {"force": {"env": "FORCE"}}}}}
    stored.report_run_failed(a_run(stored, run_config=config))
    run = a_run(stored)
    stored.report_run_failed(run)
    close()
    assert desk.column("SELECT dagster_run_id FROM sync_logs") == [run.run_id]
