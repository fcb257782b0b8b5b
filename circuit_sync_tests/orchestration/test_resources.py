"""What a run's run_context does when the run ends badly: between its steps, or with Dagster's own storage away."""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack

import dagster as dg
import psycopg
import pytest
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import Engine, event, text

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import MIGRATE, is_run_alive
from circuit_sync.definitions import defs
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.orchestration.dagster_internals import InMemoryJob, capture_interrupts, execute_run_iterator
from circuit_sync.orchestration.runs.resources import RunContext, run_context
from circuit_sync.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for

CANCELLED = "the run was cancelled: what was not stored yet is not stored; start it again when you like"
BETWEEN_STEPS = ["circuits.open_circuit_sync", "circuits.fetch_circuits"]
Deed = Callable[[dg.DagsterInstance, dg.DagsterRun], object]


@pytest.fixture
def desk(database: Database, configured: Simulator) -> Desk:
    return Desk(session_for(database, configured.base_url, Clock()), configured, Clock())


def run(instance: dg.DagsterInstance, after: str, then: Deed, **tags: str) -> None:
    """A run of ``sync_circuits`` to which ``then`` happens when the step ``after`` has succeeded."""
    job = defs.resolve_job_def("sync_circuits")
    created = instance.create_run_for_job(job, tags=partition_tags(["ACTIV"]) | tags)
    with capture_interrupts():
        for event in execute_run_iterator(InMemoryJob(job), created, instance):
            if event.event_type_value == "STEP_SUCCESS" and event.step_key == after:
                then(instance, created)


def run_connecting(instance: dg.DagsterInstance, then: Deed, **tags: str) -> None:
    """A run of ``sync_circuits`` to which ``then`` happens when it has just connected to the database."""
    job = defs.resolve_job_def("sync_circuits")
    created = instance.create_run_for_job(job, tags=partition_tags(["ACTIV"]) | tags)

    def connected(connection: object, _record: object) -> None:
        if isinstance(connection, psycopg.Connection):
            event.remove(Engine, "connect", connected)
            then(instance, created)

    event.listen(Engine, "connect", connected)
    with capture_interrupts():
        list(execute_run_iterator(InMemoryJob(job), created, instance))


def test_a_run_holds_its_lock_before_it_migrates_which_may_take_longer_than_a_dead_run_is_given(
    database: Database, configured: Simulator, ephemeral: dg.DagsterInstance
) -> None:
    run_id = "8a1c2f5e-0000-4000-8000-000000000000"
    alive = []
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM database_settings WHERE name = 'upgraded_to'"))

    def executed(_connection: object, _cursor: object, _statement: str, parameters: object, *_rest: object) -> None:
        if MIGRATE in str(parameters):
            alive.append(is_run_alive(database, run_id))

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        job = defs.resolve_job_def("prune_events")
        assert job.execute_in_process(instance=ephemeral, run_id=run_id).success
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    assert alive == [True]


def test_a_step_that_cannot_open_its_session_leaves_the_runs_lock_to_the_next(
    database: Database, configured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_SECRET_KEY", "not a key")
    run = dg.DagsterRun("a_job")
    with ExitStack() as stack:
        context = RunContext(None, run, stack)
        with pytest.raises(dg.Failure, match="CIRCUIT_SYNC_SECRET_KEY"), context.session(str):
            pass
        assert not is_run_alive(database, run.run_id)


def interrupt(_instance: dg.DagsterInstance, _run: dg.DagsterRun) -> None:
    """A signal, without a word to Dagster: a shutdown, or Ctrl-C in a terminal."""
    os.kill(os.getpid(), signal.SIGINT)


def cancel(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the UI does it."""
    instance.report_run_canceling(run)
    interrupt(instance, run)


def end_a_long_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the monitoring of runs does it."""
    instance.report_run_canceling(run, message="Canceling due to exceeding maximum runtime of 43200 seconds.")
    cancel(instance, run)


@pytest.mark.parametrize("after", BETWEEN_STEPS)
def test_a_sync_cancelled_between_its_steps_is_closed_and_never_tried_again(
    desk: Desk, stored: dg.DagsterInstance, after: str
) -> None:
    run(stored, after, cancel)
    log = desk.log()
    assert (log["sync_status"], log["error_message"], log["retry_at"]) == ("failed", CANCELLED, None)
    assert desk.column("SELECT name FROM sync_events ORDER BY id") == ["sync.started", "sync.failed"]
    assert desk.one("SELECT count(*) FROM staged_circuits") == 0


def test_ctrl_c_between_two_steps_is_a_cancellation_too(desk: Desk, stored: dg.DagsterInstance) -> None:
    run(stored, BETWEEN_STEPS[0], interrupt, **{"circuit_sync/terminal": "yes"})
    log = desk.log()
    assert (log["sync_status"], log["error_message"], log["retry_at"]) == ("failed", CANCELLED, None)


def test_a_run_that_repeats_one_of_a_terminal_is_in_none(desk: Desk, stored: dg.DagsterInstance) -> None:
    copied = {"circuit_sync/terminal": "yes", "dagster/parent_run_id": "the one in the terminal"}
    run(stored, BETWEEN_STEPS[0], interrupt, **copied)
    assert desk.log()["retry_at"] is not None


@pytest.mark.parametrize("end", [interrupt, end_a_long_run])
def test_a_sync_that_no_person_ended_is_tried_again(desk: Desk, stored: dg.DagsterInstance, end: Deed) -> None:
    run(stored, BETWEEN_STEPS[1], end)
    log = desk.log()
    assert log["sync_status"] == "failed"
    assert log["error_message"].startswith("the run's process was told to end")
    assert log["retry_at"] is not None


@pytest.mark.parametrize("end", [interrupt, end_a_long_run])
def test_a_run_that_no_person_ended_before_its_sync_was_open_leaves_a_failed_one_to_try_again(
    desk: Desk, stored: dg.DagsterInstance, end: Deed
) -> None:
    run_connecting(stored, end)
    log = desk.log()
    assert log["error_message"].startswith("the run's process was told to end")
    assert log["retry_at"] is not None


@pytest.mark.parametrize(("end", "tags"), [(cancel, {}), (interrupt, {"circuit_sync/terminal": "yes"})])
def test_a_run_that_a_person_ended_before_its_sync_was_open_leaves_none(
    desk: Desk, stored: dg.DagsterInstance, end: Deed, tags: dict[str, str]
) -> None:
    run_connecting(stored, end, **tags)
    assert desk.one("SELECT count(*) FROM sync_logs") == 0


def test_a_run_whose_next_step_dagster_cannot_note_is_nobodys_cancellation(
    desk: Desk, stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def storage_is_away(_event: object, *, batch_metadata: object = None) -> None:
        monkeypatch.undo()
        raise DagsterPostgresException("too many retries for DB connection")

    def lose_storage(instance: dg.DagsterInstance, _run: dg.DagsterRun) -> None:
        monkeypatch.setattr(instance, "handle_new_event", storage_is_away)

    run(stored, BETWEEN_STEPS[0], lose_storage, **{"circuit_sync/terminal": "yes"})
    log = desk.log()
    assert log["sync_status"] == "failed"
    assert log["error_message"].endswith("ended without closing its sync: see the run's log")
    assert log["retry_at"] is not None


def test_a_line_that_dagster_cannot_store_fails_no_step(desk: Desk) -> None:
    def storage_is_away(_line: str) -> None:
        raise DagsterPostgresException("too many retries for DB connection")

    with (
        dg.build_resources({"run_context": run_context}) as resources,
        resources.run_context.session(storage_is_away, calls_workstudio=False) as session,
    ):
        session.log("ACTIV: 60 circuits received")


def test_an_interruption_while_a_line_is_stored_is_none_of_that(desk: Desk) -> None:
    def interrupted(_line: str) -> None:
        raise dg.DagsterExecutionInterruptedError

    with (
        pytest.raises(dg.DagsterExecutionInterruptedError),
        dg.build_resources({"run_context": run_context}) as resources,
        resources.run_context.session(interrupted, calls_workstudio=False) as session,
    ):
        session.log("ACTIV: 60 circuits received")
