"""A real deployment that things go wrong in: runs, daemon, code server, database and machine are killed.

One story: every test leaves the deployment at rest for the next one.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.orchestration.recovery.closing import LOOK_EVERY
from circuit_sync.simulator import Simulator, World, environment
from circuit_sync_tests.e2e import fast
from circuit_sync_tests.e2e.deployment import LONG, Deployment, Gate
from circuit_sync_tests.scenery import until

LOCATION = "circuit_sync"
CLOSING = "close_abandoned_syncs"
CLOSES_WITHIN = timedelta(minutes=1) // timedelta(seconds=LOOK_EVERY)
"""Looks of that sensor in which what died is closed: a minute's, however long they take on a busy machine."""


class Plant:
    """A deployment, its PostgreSQL, its WorkStudio and the receiver of its webhook."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = stack.enter_context(embedded_server(folder))
        with Database(self.url) as database:
            upgrade(database)
        self.gate = Gate()
        self.simulator = stack.enter_context(Simulator(World(circuits=60), advance=False, clock=self.gate))
        self.posts: list[dict[str, Any]] = []
        port = stack.enter_context(_receiving(self.posts))
        settings = environment(self.simulator.base_url) | {
            "CIRCUIT_SYNC_DATABASE_URL": self.url,
            "CIRCUIT_SYNC_RETRY_DELAYS": "0,1",
            "CIRCUIT_SYNC_WEBHOOKS": f"http://127.0.0.1:{port}/",
            "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
            "WORKSTUDIO_TIMEOUT": "600",
            "WORKSTUDIO_MAX_ATTEMPTS": "1",
        }
        self.deployment = stack.enter_context(
            Deployment(folder / "dagster_home", self.url, {LOCATION: settings}, "circuit_sync_tests.e2e.fast")
        )

    def crash_database(self) -> None:
        """As a power cut: nobody is told, nothing is flushed."""
        postmaster = int((self._folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
        until(lambda: not Path(f"/proc/{postmaster}").exists())

    def start_database(self) -> None:
        self._stack.enter_context(embedded_server(self._folder))
        until(self._answers)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url):
                return True
        except psycopg.OperationalError:
            return False

    def syncs(self, condition: str = "true") -> list[dict[str, Any]]:
        return self.deployment.rows(f"SELECT * FROM sync_logs WHERE {condition} ORDER BY id")

    def begin(self, *statuses: str) -> tuple[str, int]:
        """A run over ``statuses`` in the middle of its first call for circuits, until the gate opens, and its sync."""
        self.gate.shut()
        run = self.deployment.launch("sync_circuits", *statuses)
        until(self.gate.is_held.is_set, LONG)
        (sync,) = self.syncs(f"dagster_run_id = '{run}'")
        return run, int(sync["id"])

    def closed(self, run: str, sync: int) -> dict[str, Any]:
        """The log of a sync whose run has just died, once both are closed: within a minute's looks, as promised."""
        died_at = datetime.now(UTC)
        self.gate.open()
        until(lambda: not self.syncs(f"id = {sync} AND sync_status = 'started'"), LONG)
        until(lambda: self.deployment.status_of(run) == "FAILURE", LONG)
        (log,) = self.syncs(f"id = {sync}")
        for closed_at in (log["completed_at"], self.deployment.ended_at(run)):
            assert self.deployment.looks(died_at, closed_at)[CLOSING] <= CLOSES_WITHIN
        assert log["sync_status"] == "failed"
        assert log["error_details"]["passing"]
        assert log["retry_at"] is not None
        return log

    def retried(self, sync: int) -> dict[str, Any]:
        """The log of the sync that tried it again, once it has ended."""
        until(lambda: bool(self.syncs(f"retry_of = {sync} AND sync_status <> 'started'")), LONG)
        (log,) = self.syncs(f"retry_of = {sync}")
        assert log["sync_status"] in ("completed", "warning")
        return log

    def rest(self) -> None:
        """Waits until the sensors have nothing more to do: each has looked twice and no run has come of it."""
        sensors = {sensor.name for sensor in fast.defs.sensors or ()} - {CLOSING}
        quiet_since = datetime.now(UTC)

        def is_quiet() -> bool:
            nonlocal quiet_since
            looks = self.deployment.looks(quiet_since)
            if self.deployment.unfinished():
                quiet_since = datetime.now(UTC)
                return False
            return min(looks[sensor] for sensor in sensors) >= 2

        until(is_quiet, LONG)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with ExitStack() as stack:
        yield Plant(tmp_path_factory.mktemp("plant"), stack)


def test_a_schedule_fires_and_the_sensors_go_on_from_there(plant: Plant) -> None:
    plant.deployment.switch("every_minute", on=True)
    until(lambda: bool(plant.syncs("sync_type = 'circuit_list' AND sync_status = 'completed'")), LONG)
    plant.deployment.switch("every_minute", on=False)
    plant.rest()
    told = {(sync["sync_type"], sync["sync_trigger"]) for sync in plant.syncs()}
    assert {("circuit_list", "scheduled"), ("aggregates", "workflow_event"), ("snapshots", "workflow_event")} == told
    assert {sync["sync_status"] for sync in plant.syncs()} <= {"completed", "warning"}


def test_a_killed_run_is_closed_within_a_minute_and_tried_again(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    os.kill(plant.deployment.process_of(run), signal.SIGKILL)
    log = plant.closed(run, sync)
    assert "its process was killed or crashed" in log["error_message"]
    assert plant.retried(sync)["sync_trigger"] == "manual"
    plant.rest()


def test_a_killed_daemon_takes_nothing_with_it(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    waiting = plant.deployment.launch("sync_circuits", "QC", "REWRK")
    plant.deployment.kill("daemon")
    plant.gate.open()
    until(lambda: plant.deployment.status_of(run) == "SUCCESS", LONG)
    assert plant.deployment.status_of(waiting) == "QUEUED"
    plant.deployment.start_daemon()
    until(lambda: plant.deployment.status_of(waiting) == "SUCCESS", LONG)
    assert len(plant.syncs(f"dagster_run_id IN ('{run}', '{waiting}')")) == 2
    assert plant.syncs(f"id = {sync}")[0]["sync_status"] == "completed"
    plant.rest()


def test_a_code_server_that_is_told_to_end_lets_its_run_finish(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    plant.deployment.tell_to_end(LOCATION, meanwhile=plant.gate.open)
    assert plant.deployment.status_of(run) == "SUCCESS"
    plant.deployment.start_code_server(LOCATION)
    assert plant.syncs(f"id = {sync}")[0]["sync_status"] == "completed"
    plant.rest()


def test_a_killed_code_server_comes_back_and_what_it_ran_is_tried_again(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    plant.deployment.kill(LOCATION)
    plant.deployment.start_code_server(LOCATION)
    plant.closed(run, sync)
    plant.retried(sync)
    plant.rest()


def test_a_database_that_restarts_in_the_middle_leaves_nothing_half_done(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    told = len(plant.deployment.log_of("daemon"))
    plant.crash_database()
    until(lambda: "OperationalError" in plant.deployment.log_of("daemon")[told:], LONG)
    plant.start_database()
    plant.closed(run, sync)
    plant.retried(sync)
    plant.rest()


def test_after_a_power_cut_the_queue_goes_on(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    waiting = plant.deployment.launch("sync_circuits", "QC", "REWRK")
    plant.crash_database()
    for process in (LOCATION, "daemon", "webserver"):
        plant.deployment.kill(process)
    plant.start_database()
    plant.deployment.start_code_server(LOCATION)
    plant.deployment.start_daemon()
    plant.deployment.start_webserver()
    plant.closed(run, sync)
    plant.retried(sync)
    until(lambda: plant.deployment.status_of(waiting) == "SUCCESS", LONG)
    plant.rest()


def test_after_all_that_nothing_is_left_behind_and_the_next_tick_works(plant: Plant) -> None:
    before = len(plant.syncs())
    plant.deployment.switch("every_minute", on=True)
    until(lambda: any(sync["sync_trigger"] == "scheduled" for sync in plant.syncs()[before:]), LONG)
    plant.deployment.switch("every_minute", on=False)
    plant.rest()
    deployment = plant.deployment
    assert plant.syncs("sync_status = 'started'") == []
    assert deployment.rows("SELECT * FROM pg_locks WHERE locktype = 'advisory'") == []
    assert deployment.rows("SELECT * FROM staged_circuits") == []
    told = deployment.rows("SELECT sync_log_id, name FROM sync_events WHERE name LIKE 'sync.%%' ORDER BY id")
    ended = {"failed": "sync.failed", "completed": "sync.completed", "warning": "sync.completed"}
    for sync in plant.syncs():
        mine = [event["name"] for event in told if event["sync_log_id"] == sync["id"]]
        assert mine == ["sync.started", ended[sync["sync_status"]]], sync


def test_no_event_was_lost_on_its_way_to_the_webhook_and_none_came_out_of_order(plant: Plant) -> None:
    stored = plant.deployment.rows("SELECT id FROM sync_events WHERE name LIKE 'sync.%%' ORDER BY id")
    ids = [event["id"] for event in stored]
    until(lambda: bool(plant.posts) and plant.posts[-1]["id"] == ids[-1], LONG)
    came = [post["id"] for post in plant.posts]
    assert list(dict.fromkeys(came)) == ids
    assert len(came) - len(ids) <= 2, "an event whose answer was lost in a crash comes twice, no other"


@contextmanager
def _receiving(posts: list[dict[str, Any]]) -> Iterator[int]:
    """A webhook's other end, for as long as the context lasts; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
