"""The jobs as Dagster runs them: real database, real HTTP, an instance in memory."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import is_run_alive
from circuit_sync.definitions import defs
from circuit_sync.domain.eastern import EASTERN, eastern_date, latest_weekday
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.simulator import SERVICE_PASSWORD, Fault, Simulator
from circuit_sync.sync.installation.ownership import claim_database
from circuit_sync_tests.scenery import Clock, Desk, session_for

STATUSES = ("ACTIV", "QC", "REWRK", "CLOSE")
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(configured: Simulator, ephemeral: dg.DagsterInstance) -> Run:
    def run_job(job: str, *partitions: str, **options: Any) -> dg.ExecuteInProcessResult:
        tags = options.pop("tags", {}) | (partition_tags(partitions) if partitions else {})
        return defs.resolve_job_def(job).execute_in_process(
            instance=ephemeral, tags=tags, raise_on_error=False, **options
        )

    return run_job


@pytest.fixture
def logs(database: Database, configured: Simulator) -> Desk:
    return Desk(session_for(database, configured.base_url, Clock()), configured, Clock())


def told(result: dg.ExecuteInProcessResult, asset: str | None = None) -> dict[str | None, Mapping[str, Any]]:
    """The metadata of each partition's materialisation, of one asset if the run makes several."""
    return {
        event.partition: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.all_events
        if event.is_step_materialization and asset in (None, event.asset_key.to_user_string())
    }


def failures(result: dg.ExecuteInProcessResult) -> list[str | None]:
    found = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    return [data.description if data else None for data in found]


def test_one_run_over_all_partitions_is_one_sync(run: Run, logs: Desk, ephemeral: dg.DagsterInstance) -> None:
    result = run("sync_circuits", *STATUSES)
    assert result.success
    (log,) = logs.rows("SELECT * FROM sync_logs")
    assert log["api_status_filter"] == "ACTIV,QC,REWRK,CLOSE"
    assert log["dagster_run_id"] == result.run_id
    assert ephemeral.get_run_by_id(result.run_id).tags["circuit_sync/sync_log_id"] == str(log["id"])
    assert log["sync_trigger"] == "manual"
    metadata = told(result)
    assert set(metadata) == set(STATUSES)
    held = {status: logs.one("SELECT count(*) FROM circuits WHERE api_status = %s", status) for status in STATUSES}
    assert {status: metadata[status]["dagster/row_count"] for status in STATUSES} == held
    assert {metadata[status]["sync_log_id"] for status in STATUSES} == {log["id"]}
    assert metadata["ACTIV"]["calls"] == 4
    assert metadata["ACTIV"]["created"] == held["ACTIV"]
    assert "seconds_store" in metadata["ACTIV"]
    assert "changes" in metadata["ACTIV"]


def test_a_run_over_a_range_fetches_its_statuses_only(run: Run, logs: Desk) -> None:
    assert run("sync_circuits", "QC", "REWRK").success
    assert logs.column("SELECT DISTINCT api_status FROM circuits ORDER BY 1") == ["QC", "REWRK"]


def test_aggregates_and_snapshots_follow_with_their_own_sync_logs(run: Run, logs: Desk) -> None:
    assert run("sync_circuits", "ACTIV").success
    aggregates = run("sync_circuit_aggregates", "ACTIV")
    assert aggregates.success
    assert told(aggregates)["ACTIV"]["stored"] == logs.one("SELECT count(*) FROM circuit_aggregates") > 0
    today = latest_weekday(eastern_date(datetime.now(UTC))).isoformat()
    snapshots = run("create_daily_snapshots", today)
    assert snapshots.success
    assert (
        told(snapshots, "daily_snapshots")[today]["dagster/row_count"]
        == logs.one("SELECT count(*) FROM circuit_snapshots")
        > 0
    )
    assert logs.column("SELECT sync_type FROM sync_logs ORDER BY id") == ["circuit_list", "aggregates", "snapshots"]


def test_tags_tell_what_started_a_sync(run: Run, logs: Desk) -> None:
    first = run("sync_circuits", "QC", tags={"circuit_sync/trigger": "scheduled"})
    assert first.success
    (log,) = logs.rows("SELECT id, sync_trigger FROM sync_logs")
    assert log["sync_trigger"] == "scheduled"
    assert run("sync_circuits", "QC", tags={"circuit_sync/retry_of": str(log["id"])}).success
    assert logs.column("SELECT retry_of FROM sync_logs ORDER BY id") == [None, log["id"]]


def test_a_run_that_a_person_repeats_is_started_by_that_person(run: Run, logs: Desk) -> None:
    """Dagster copies the tags of the run that is executed again."""
    assert run("sync_circuits", "QC").success
    first = str(logs.log()["id"])
    copied = {"circuit_sync/trigger": "scheduled", "circuit_sync/retry_of": first}
    assert run("sync_circuits", "QC", tags=copied | {"dagster/parent_run_id": "the first"}).success
    assert (logs.log()["sync_trigger"], logs.log()["retry_of"]) == ("manual", None)


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        ({"circuit_sync/trigger": "chance"}, "tag circuit_sync/trigger: 'chance' is unknown; allowed are"),
        ({"circuit_sync/retry_of": "x"}, "tag circuit_sync/retry_of: 'x' is not a sync log id"),
    ],
)
def test_a_wrong_tag_fails_the_run_in_one_line(run: Run, logs: Desk, tags: dict[str, str], complaint: str) -> None:
    (failure,) = failures(run("sync_circuits", "QC", tags=tags))
    assert failure is not None
    assert failure.startswith(complaint)
    assert "\n" not in failure


def test_a_refused_call_fails_the_run_with_one_clear_line_and_closes_the_log(
    run: Run, logs: Desk, configured: Simulator
) -> None:
    configured.add_fault(Fault("status", code=401))
    result = run("sync_circuits", "ACTIV")
    assert not result.success
    (failure,) = failures(result)
    (log,) = logs.rows("SELECT sync_status, error_message FROM sync_logs")
    assert log == {"sync_status": "failed", "error_message": failure}
    assert failure is not None
    assert "401" in failure
    assert "\n" not in failure


def test_a_missing_setting_fails_the_first_step_and_names_the_variable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKSTUDIO_SERVICE_PASSWORD")
    (failure,) = failures(run("sync_circuits", "ACTIV"))
    assert failure is not None
    assert "WORKSTUDIO_SERVICE_PASSWORD" in failure


def bad_key(monkeypatch: pytest.MonkeyPatch, _logs: Desk) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_SECRET_KEY", "abc")


def no_password(monkeypatch: pytest.MonkeyPatch, _logs: Desk) -> None:
    monkeypatch.delenv("WORKSTUDIO_SERVICE_PASSWORD")


def newer_schema(_monkeypatch: pytest.MonkeyPatch, logs: Desk) -> None:
    logs.execute("UPDATE alembic_version SET version_num = '9999'")


def another_workstudio(monkeypatch: pytest.MonkeyPatch, logs: Desk) -> None:
    with logs.database.transaction() as connection:
        claim_database(connection, logs.session)
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "http://127.0.0.1:9/DDOProtocol/")


@pytest.mark.parametrize("spoil", [bad_key, no_password, newer_schema, another_workstudio])
def test_a_run_that_cannot_begin_leaves_a_failed_sync_that_says_why(
    run: Run,
    logs: Desk,
    monkeypatch: pytest.MonkeyPatch,
    ephemeral: dg.DagsterInstance,
    spoil: Callable[[pytest.MonkeyPatch, Desk], None],
) -> None:
    spoil(monkeypatch, logs)
    result = run("sync_circuits", "QC", "REWRK", tags={"circuit_sync/trigger": "scheduled"})
    log = logs.log()
    assert (log["sync_status"], log["api_status_filter"]) == ("failed", "QC,REWRK")
    assert (log["sync_trigger"], log["dagster_run_id"]) == ("scheduled", result.run_id)
    assert failures(result) == [log["error_message"]]
    assert (log["error_details"]["passing"], log["retry_at"]) == (False, None)
    assert logs.column("SELECT name FROM sync_events ORDER BY id") == ["sync.started", "sync.failed"]
    assert ephemeral.get_run_by_id(result.run_id).tags["circuit_sync/sync_log_id"] == str(log["id"])


def test_a_run_whose_sync_log_the_database_could_not_open_leaves_a_failed_sync_to_try_again(
    run: Run, logs: Desk
) -> None:
    logs.execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END$$"
    )
    logs.execute("CREATE TRIGGER lose BEFORE INSERT ON database_settings FOR EACH ROW EXECUTE FUNCTION lose()")
    result = run("sync_circuits", "QC")
    log = logs.log()
    assert log["error_message"].endswith("is not available: deadlock detected")
    assert failures(result) == [f"{log['error_message']}; {tried_again(log)}"]


def test_a_failed_step_carries_its_sync_and_when_it_is_tried_again(
    run: Run, logs: Desk, configured: Simulator, ephemeral: dg.DagsterInstance
) -> None:
    configured.add_fault(Fault("status", match="health"))
    result = run("sync_circuits", "QC")
    log = logs.log()
    assert failures(result) == [f"{log['error_message']}; {tried_again(log)}"]
    carried = failure_metadata(result)
    assert (carried["sync_log_id"], carried["retry_at"]) == (log["id"], log["retry_at"].timestamp())
    assert ephemeral.get_run_by_id(result.run_id).tags["circuit_sync/sync_log_id"] == str(log["id"])


def test_a_step_that_failed_for_good_carries_its_sync_only(run: Run, logs: Desk, configured: Simulator) -> None:
    configured.add_fault(Fault("status", code=401))
    result = run("sync_circuits", "QC")
    assert failures(result) == [logs.log()["error_message"]]
    carried = failure_metadata(result)
    assert carried["sync_log_id"] == logs.log()["id"]
    assert "retry_at" not in carried


def test_a_step_whose_last_attempt_failed_promises_none(
    run: Run, logs: Desk, configured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_RETRY_DELAYS", "15")
    configured.add_fault(Fault("status", match="health"))
    run("sync_circuits", "QC")
    result = run("sync_circuits", "QC", tags={"circuit_sync/retry_of": str(logs.log()["id"])})
    log = logs.log()
    assert log["retry_at"] is None
    assert failures(result) == [log["error_message"]]


def tried_again(log: Mapping[str, Any]) -> str:
    return f"sync {log['id']} is tried again at {log['retry_at'].astimezone(EASTERN):%H:%M %Z} while the daemon runs"


def failure_metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (data,) = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    assert data is not None
    return {name: value.value for name, value in data.metadata.items()}


def test_what_a_person_asked_for_in_vain_is_said_and_leaves_no_sync(run: Run, logs: Desk) -> None:
    (failure,) = failures(run("sync_circuits", "QC", run_config=asked_by("nobody")))
    assert failure == "no user named 'nobody': give the e-mail or WorkStudio name of one known user"
    assert logs.one("SELECT count(*) FROM sync_logs") == 0


def test_a_retry_in_the_name_of_a_user_who_is_gone_leaves_a_failed_sync(run: Run, logs: Desk) -> None:
    assert run("sync_circuits", "QC").success
    first = logs.log()["id"]
    result = run("sync_circuits", "QC", run_config=asked_by("nobody"), tags={"circuit_sync/retry_of": str(first)})
    log = logs.log()
    assert (log["sync_status"], log["retry_of"], log["triggered_by"]) == ("failed", first, None)
    assert failures(result) == [log["error_message"]]
    assert (log["error_details"]["passing"], log["retry_at"]) == (False, None)


def asked_by(user: str) -> dict[str, Any]:
    return {"ops": {"circuits": {"config": {"triggered_by": user}}}}


def test_a_preview_that_cannot_begin_leaves_no_sync(run: Run, logs: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bad_key(monkeypatch, logs)
    assert not run("preview_circuits", run_config={"ops": {"compare_circuits": {"config": {}}}}).success
    assert logs.one("SELECT count(*) FROM sync_logs") == 0


def test_the_events_of_a_run_hold_no_secret(run: Run, configured: Simulator, ephemeral: dg.DagsterInstance) -> None:
    result = run("sync_circuits", "ACTIV")
    events = [str(record) for record in ephemeral.all_logs(result.run_id)]
    assert events
    assert not any(SERVICE_PASSWORD in event for event in events)


def test_a_preview_stores_nothing_and_materialises_nothing(run: Run, logs: Desk) -> None:
    config = {"ops": {"compare_circuits": {"config": {"statuses": ["activ"]}}}}
    result = run("preview_circuits", run_config=config)
    assert result.success
    assert told(result) == {}
    assert logs.one("SELECT count(*) FROM circuits") == 0
    (output,) = [event for event in result.all_events if event.is_successful_output]
    assert "changes" in output.step_output_data.metadata


def test_an_unknown_status_in_the_run_configuration_gets_one_line(run: Run) -> None:
    config = {"ops": {"compare_circuits": {"config": {"statuses": ["ACTIV", "OPEN"]}}}}
    (failure,) = failures(run("preview_circuits", run_config=config))
    assert failure == "unknown status 'OPEN': allowed are ACTIV, QC, REWRK, CLOSE (REWORK means REWRK)"


def test_single_work_orders_are_no_materialisation(run: Run, logs: Desk) -> None:
    assert run("sync_circuits", "ACTIV").success
    work_order = logs.column("SELECT work_order FROM circuits ORDER BY id LIMIT 1")[0]
    config = {"ops": {"open_work_orders": {"config": {"work_orders": [work_order], "force": True}}}}
    result = run("sync_work_orders", run_config=config)
    assert result.success
    assert told(result) == {}
    assert logs.one("SELECT count(*) FROM circuit_aggregates WHERE NOT is_rollup") > 0


def test_a_run_is_alive_while_its_steps_run_and_dead_after(run: Run, database: Database, configured: Simulator) -> None:
    result = run("sync_circuits", "ACTIV")
    assert result.success
    assert not is_run_alive(database, result.run_id)


def test_old_events_are_pruned_and_new_ones_stay(run: Run, logs: Desk) -> None:
    assert run("sync_circuits", "QC").success
    logs.execute("UPDATE sync_events SET occurred_at = now() - interval '91 days' WHERE name = 'sync.started'")

    result = run("prune_events")

    assert result.success
    assert logs.column("SELECT name FROM sync_events") == ["sync.completed"]
