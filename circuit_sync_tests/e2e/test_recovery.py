"""A real deployment that things go wrong in: runs, daemon, code server, database and machine are killed.

One story: every test leaves the deployment at rest for the next one.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.embedded import embedded_server
from circuit_sync.database.migrate import upgrade
from circuit_sync.workstudio.simulator import Simulator, World, environment
from circuit_sync_tests.e2e.deployment import Deployment
from circuit_sync_tests.scenery import until

LOCATION = "circuit_sync"
SLOW = 10.0
"""Seconds that a call takes while something happens to its run."""

QUIET = 15.0
"""Seconds without a run after which the sensors have nothing more to do: they look every 5 in ``fast``."""


class Plant:
    """A deployment, its PostgreSQL, its WorkStudio and the receiver of its webhook."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = stack.enter_context(embedded_server(folder))
        with Database(self.url) as database:
            upgrade(database)
        self.simulator = stack.enter_context(Simulator(World(circuits=60), advance=False))
        self.posts: list[dict[str, Any]] = []
        port = stack.enter_context(_receiving(self.posts))
        settings = environment(self.simulator.base_url) | {
            "CIRCUIT_SYNC_DATABASE_URL": self.url,
            "CIRCUIT_SYNC_RETRY_DELAYS": "0,1",
            "CIRCUIT_SYNC_WEBHOOKS": f"http://127.0.0.1:{port}/",
            "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
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
        """A run over ``statuses`` in the middle of its first slow call, and its sync."""
        self.simulator.fault("delay", seconds=SLOW, match=statuses[0])
        run = self.deployment.launch("sync_circuits", *statuses)
        until(lambda: self.deployment.has_begun(run, "circuits.fetch_circuits"), 60)
        (sync,) = self.syncs(f"dagster_run_id = '{run}'")
        time.sleep(1)
        self.simulator.clear_faults()
        return run, int(sync["id"])

    def closed(self, run: str, sync: int) -> dict[str, Any]:
        """The log of a sync whose run died, once both are closed: within a minute, as promised."""
        until(lambda: not self.syncs(f"id = {sync} AND sync_status = 'started'"), 60)
        until(lambda: self.deployment.status_of(run) == "FAILURE", 30)
        (log,) = self.syncs(f"id = {sync}")
        assert log["sync_status"] == "failed"
        assert log["error_details"]["passing"]
        assert log["retry_at"] is not None
        return log

    def retried(self, sync: int) -> dict[str, Any]:
        """The log of the sync that tried it again, once it has ended."""
        until(lambda: bool(self.syncs(f"retry_of = {sync} AND sync_status <> 'started'")), 90)
        (log,) = self.syncs(f"retry_of = {sync}")
        assert log["sync_status"] in ("completed", "warning")
        return log

    def rest(self) -> None:
        """Waits until the sensors have nothing more to do."""
        quiet_since = time.monotonic()
        deadline = quiet_since + 150
        while time.monotonic() - quiet_since < QUIET:
            assert time.monotonic() < deadline, self.deployment.unfinished()
            if self.deployment.unfinished():
                quiet_since = time.monotonic()
            time.sleep(0.5)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with ExitStack() as stack:
        yield Plant(tmp_path_factory.mktemp("plant"), stack)


def test_a_schedule_fires_and_the_sensors_go_on_from_there(plant: Plant) -> None:
    plant.deployment.switch("every_minute", on=True)
    until(lambda: bool(plant.syncs("sync_type = 'circuit_list' AND sync_status = 'completed'")), 120)
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
    until(lambda: plant.deployment.status_of(run) == "SUCCESS", 60)
    assert plant.deployment.status_of(waiting) == "QUEUED"
    plant.deployment.start_daemon()
    until(lambda: plant.deployment.status_of(waiting) == "SUCCESS", 90)
    assert len(plant.syncs(f"dagster_run_id IN ('{run}', '{waiting}')")) == 2
    assert plant.syncs(f"id = {sync}")[0]["sync_status"] == "completed"
    plant.rest()


def test_a_code_server_that_is_told_to_end_lets_its_run_finish(plant: Plant) -> None:
    run, sync = plant.begin("ACTIV")
    plant.deployment.tell_to_end(LOCATION)
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
    plant.crash_database()
    time.sleep(3)
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
    until(lambda: plant.deployment.status_of(waiting) == "SUCCESS", 90)
    plant.rest()


def test_after_all_that_nothing_is_left_behind_and_the_next_tick_works(plant: Plant) -> None:
    before = len(plant.syncs())
    plant.deployment.switch("every_minute", on=True)
    until(lambda: any(sync["sync_trigger"] == "scheduled" for sync in plant.syncs()[before:]), 90)
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
    until(lambda: bool(plant.posts) and plant.posts[-1]["id"] == ids[-1], 60)
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
