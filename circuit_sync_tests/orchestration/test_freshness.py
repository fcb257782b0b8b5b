"""Checks that turn red without a run, and checks that cannot be asked."""

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.definitions import defs
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.freshness import freshness
from circuit_sync.orchestration.partitions import partition_tags
from circuit_sync.workstudio.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for


@pytest.fixture
def desk(database: Database, configured: Simulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    time = Clock()
    monkeypatch.setattr(clock, "now", time)
    return Desk(session_for(database, configured.base_url, time), configured, time)


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    result = freshness(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    return result


def told(result: dg.SensorResult) -> dict[str, bool]:
    events = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    return {event.check_name: event.passed for event in events}


def test_an_asset_turns_red_without_a_run_and_green_again_after_a_sync(desk: Desk, stored: dg.DagsterInstance) -> None:
    first = look(stored)
    assert told(first) == {"statuses_are_fresh": True, "aggregates_are_recent": True, "snapshots_are_taken": True}
    desk.sync("ACTIV")
    synced = look(stored, first.cursor)
    assert all(told(synced).values())
    desk.clock.advance(hours=14)
    second = look(stored, synced.cursor)
    assert told(second) == {"statuses_are_fresh": False}
    (event,) = second.asset_events
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert event.asset_key == dg.AssetKey("circuits")
    assert event.severity is dg.AssetCheckSeverity.ERROR
    assert event.description == "too old: ACTIV: 2026-03-02 04:31 EST"
    assert told(look(stored, second.cursor)) == {}
    desk.sync("ACTIV")
    assert told(look(stored, second.cursor)) == {"statuses_are_fresh": True}


def test_a_weekday_without_its_snapshot_is_seen_the_next_morning(desk: Desk, stored: dg.DagsterInstance) -> None:
    desk.sync("ACTIV")
    desk.clock.advance(days=1, hours=2)
    assert told(look(stored))["snapshots_are_taken"] is False


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
