"""The processes of a real deployment: code servers, daemon, webserver; each can be killed and started again."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg
from psycopg.rows import dict_row

from circuit_sync.database.urls import dagster_url
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync_tests.scenery import until

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
LONG = 900.0
"""Seconds to wait for what several processes do together."""

LOCATION = """
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: {name}
"""

_LAUNCH = """mutation ($wanted: ExecutionParams!) { launchRun(executionParams: $wanted) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
_START = """mutation ($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
    __typename ... on PythonError { message } } }"""
_STOP = """mutation ($id: String!) { stopRunningSchedule(id: $id) {
    __typename ... on PythonError { message } } }"""
_STATE = """query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) {
    ... on Schedule { scheduleState { id } } } }"""


class Gate:
    """A simulator's clock that holds calls up: from ``shut`` on, every call but a first health check lies there."""

    def __init__(self) -> None:
        self.is_held = threading.Event()
        self._is_open = threading.Event()
        self._is_open.set()
        self._turn = threading.Lock()
        self._passing = 0

    def __call__(self) -> datetime:
        if not self._is_open.is_set() and not self._passes():
            self.is_held.set()
            self._is_open.wait()
        return datetime.now(UTC)

    def shut(self) -> None:
        """Until ``open``; ``is_held`` is set once a call lies there."""
        self._passing = 1
        self.is_held.clear()
        self._is_open.clear()

    def open(self) -> None:
        """Lets go what lies there."""
        self._is_open.set()

    def _passes(self) -> bool:
        with self._turn:
            self._passing -= 1
            return self._passing >= 0


def free_port() -> int:
    """Below those that outgoing connections take, and by chance: two test processes rarely choose the same."""
    while answers(port := random.randrange(10_000, 20_000)):
        pass
    return port


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


class Instance:
    """A Dagster that runs, as an operator sees it through its webserver, and its storage in the database at ``url``."""

    def __init__(self, url: str, web_port: int) -> None:
        self.url = url
        self.web_port = web_port

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The webserver's answer to a GraphQL query."""
        url = f"http://127.0.0.1:{self.web_port}/graphql"
        answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=LONG).json()
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def launch(self, job: str, *partitions: str, location: str = "circuit_sync") -> str:
        """Starts a run as the UI's button does; returns its id."""
        selector = {"repositoryLocationName": location, "repositoryName": "__repository__", "pipelineName": job}
        tags = [{"key": key, "value": value} for key, value in partition_tags(partitions).items()]
        wanted = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
        started = self.ask(_LAUNCH, wanted=wanted)["launchRun"]
        while "OperationalError" in started.get("message", ""):
            # After a restart of the database the webserver's pool holds dead connections, until each was tried once.
            started = self.ask(_LAUNCH, wanted=wanted)["launchRun"]
        assert "run" in started, started
        return str(started["run"]["runId"])

    def switch(self, schedule: str, *, on: bool, location: str = "circuit_sync") -> None:
        """Switches a schedule on or off, as an operator does."""
        selector = {"repositoryLocationName": location, "repositoryName": "__repository__", "scheduleName": schedule}
        if on:
            done = self.ask(_START, selector=selector)["startSchedule"]
        else:
            state = self.ask(_STATE, selector=selector)["scheduleOrError"]["scheduleState"]
            done = self.ask(_STOP, id=state["id"])["stopRunningSchedule"]
        assert done["__typename"] == "ScheduleStateResult", done

    def rows(self, query: str, *values: Any, url: str | None = None) -> list[dict[str, Any]]:
        with psycopg.connect(url or self.url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def status_of(self, run_id: str) -> str:
        (run,) = self.rows("SELECT status FROM dagster.runs WHERE run_id = %s", run_id)
        return str(run["status"])

    def ended_at(self, run_id: str) -> datetime:
        (run,) = self.rows("SELECT end_time FROM dagster.runs WHERE run_id = %s", run_id)
        return datetime.fromtimestamp(run["end_time"], UTC)

    def unfinished(self) -> list[dict[str, Any]]:
        """Dagster's runs that wait or go on."""
        return self.rows(
            "SELECT run_id, pipeline_name AS job, status FROM dagster.runs"
            " WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED') ORDER BY id"
        )

    def looks(self, since: datetime, before: datetime | None = None) -> Counter[str]:
        """How often each sensor has looked, from beginning to end, between two moments."""
        found = self.rows(
            "SELECT tick_body::jsonb ->> 'job_name' AS sensor FROM dagster.job_ticks"
            " WHERE type = 'SENSOR' AND status IN ('SUCCESS', 'SKIPPED') AND timestamp > %s AND timestamp < %s",
            since.replace(tzinfo=None),
            (before or datetime.now(UTC)).replace(tzinfo=None),
        )
        return Counter(look["sensor"] for look in found)

    def process_of(self, run_id: str) -> int:
        """The process id of a run."""
        events = self.rows("SELECT event FROM dagster.event_logs WHERE run_id = %s ORDER BY id", run_id)
        return int(next(found[1] for line in events if (found := re.search(r"pid: (\d+)", line["event"]))))


class Deployment(Instance):
    """One Dagster over ``url``, with a code location for each of ``locations``: its name and its environment.

    ``at_once``: how many runs go on at one time, one if the next is to be seen waiting.
    """

    def __init__(
        self, folder: Path, url: str, locations: Mapping[str, Mapping[str, str]], module: str, at_once: int = 1
    ) -> None:
        super().__init__(url, free_port())
        self.folder = folder
        self.ports = {name: free_port() for name in locations}
        self._module = module
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environments = locations
        folder.mkdir(parents=True, exist_ok=True)
        settings = (PROJECT / "dagster.yaml").read_text()
        limit = "max_concurrent_runs: 10"
        assert limit in settings
        (folder / "dagster.yaml").write_text(settings.replace(limit, f"max_concurrent_runs: {at_once}"))
        servers = "".join(LOCATION.format(port=port, name=name) for name, port in self.ports.items())
        (folder / "workspace.yaml").write_text(f"load_from:{servers}")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self)
            for name in self._environments:
                self.start_code_server(name)
            self.start_daemon()
            self.start_webserver()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._processes):
            self.kill(name)

    def start_code_server(self, name: str) -> None:
        arguments = ["code-server", "start", "-h", "127.0.0.1", "-p", str(self.ports[name]), "-m", self._module]
        self._start(name, ["dagster", *arguments], self._environments[name])
        until(lambda: answers(self.ports[name]), LONG)

    def start_daemon(self) -> None:
        self._start("daemon", ["dagster-daemon", "run", "-w", "workspace.yaml"])

    def start_webserver(self) -> None:
        command = ["dagster-webserver", "-h", "127.0.0.1", "-p", str(self.web_port), "-w", "workspace.yaml"]
        self._start("webserver", command)
        until(lambda: answers(self.web_port), LONG)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process and all it started, as a power cut does; with another signal it may end in order first."""
        process = self._processes.pop(name)
        for each in (number, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, each)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)

    def tell_to_end(self, name: str, meanwhile: Callable[[], object]) -> None:
        """What systemd does with ``KillMode=mixed``, or Docker: SIGTERM to the process itself, then a long wait."""
        process = self._processes[name]
        process.send_signal(signal.SIGTERM)
        meanwhile()
        process.wait(LONG)
        self.kill(name)

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        wanted = os.environ | {
            "CIRCUIT_SYNC_DAGSTER_URL": dagster_url(self.url),
            "CIRCUIT_SYNC_DAGSTER_DIR": str(self.folder / "dagster"),
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [PROGRAMS / command[0], *command[1:]],
                cwd=self.folder,
                env=wanted | dict(environment or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
