"""Checks that turn red without a run, and checks that cannot be asked."""

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.definitions import defs
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.assets.checks import freshness
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for


@pytest.fixture
def desk(database: Database, configured: Simulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    time = Clock()
    monkeypatch.setattr(clock, "now", time)
    return Desk(session_for(database, configured.base_url, time), configured, time)


def look(instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """What the sensor writes, by check; written as the daemon does."""
    result = freshness(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SensorResult)
    events = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    for event in events:
        instance.report_runless_asset_event(event)
    return {event.check_name: event for event in events}


def passed(answers: dict[str, dg.AssetCheckEvaluation]) -> dict[str, bool]:
    return {name: answer.passed for name, answer in answers.items()}


def test_an_asset_turns_red_without_a_run_and_green_again_after_a_sync(desk: Desk, stored: dg.DagsterInstance) -> None:
    assert passed(look(stored)) == {
        "statuses_are_fresh": True,
        "aggregates_are_recent": True,
        "snapshots_are_taken": True,
    }
    desk.sync("ACTIV")
    assert all(passed(look(stored)).values())
    desk.clock.advance(hours=14)
    second = look(stored)
    assert passed(second) == {"statuses_are_fresh": False}
    event = second["statuses_are_fresh"]
    assert event.asset_key == dg.AssetKey("circuits")
    assert event.severity is dg.AssetCheckSeverity.ERROR
    assert event.description == "too old: ACTIV: 2026-03-02 04:31 EST"
    assert look(stored) == {}
    desk.sync("ACTIV")
    assert passed(look(stored)) == {"statuses_are_fresh": True}


def test_what_a_run_left_red_turns_green_at_the_next_look(desk: Desk, stored: dg.DagsterInstance) -> None:
    look(stored)
    unasked = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("circuits"), check_name="statuses_are_fresh", passed=False, description="not checked"
    )
    stored.report_runless_asset_event(unasked)
    assert passed(look(stored)) == {"statuses_are_fresh": True}


def test_a_weekday_without_its_snapshot_is_seen_the_next_morning(desk: Desk, stored: dg.DagsterInstance) -> None:
    desk.sync("ACTIV")
    desk.clock.advance(days=1, hours=2)
    assert passed(look(stored))["snapshots_are_taken"] is False


def test_a_check_that_cannot_be_asked_fails_and_the_run_does_not(desk: Desk, ephemeral: dg.DagsterInstance) -> None:
    desk.sync("ACTIV")
    desk.execute(
        "INSERT INTO sync_logs (sync_type, sync_status, sync_trigger, started_at, context)"
        " VALUES ('snapshots', 'completed', 'manual', now(), '{\"dates\": 5}')"
    )
    job = defs.resolve_job_def("create_daily_snapshots")
    result = job.execute_in_process(instance=ephemeral, tags=partition_tags(["2026-03-02"]), raise_on_error=False)
    (answer,) = [told for told in result.get_asset_check_evaluations() if told.check_name == "snapshots_are_taken"]
    assert (result.success, answer.passed) == (True, False)
    assert (answer.description or "").startswith("not checked: the database")
