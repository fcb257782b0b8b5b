"""The processes of a real deployment: code servers, daemon, webserver; each can be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg
from psycopg.rows import dict_row

from circuit_sync.database.urls import dagster_url
from circuit_sync_tests.scenery import until

PROJECT = Path(__file__).parents[2]
LOCATION = """
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: {name}
"""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class Deployment:
    """One Dagster over ``url``, with a code location for each of ``locations``: its name and its environment."""

    def __init__(self, folder: Path, url: str, locations: Mapping[str, Mapping[str, str]], module: str) -> None:
        self.folder = folder
        self.url = url
        self.ports = {name: free_port() for name in locations}
        self.web_port = free_port()
        self._module = module
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environments = locations
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "dagster.yaml", folder)
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
        until(lambda: self._answers(self.ports[name]), 60)

    def start_daemon(self) -> None:
        self._start("daemon", ["dagster-daemon", "run", "-w", "workspace.yaml"])

    def start_webserver(self) -> None:
        command = ["dagster-webserver", "-h", "127.0.0.1", "-p", str(self.web_port), "-w", "workspace.yaml"]
        self._start("webserver", command)
        until(lambda: self._answers(self.web_port), 60)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process and all it started: with SIGKILL as a power cut does, with SIGTERM as a shutdown."""
        process = self._processes.pop(name)
        for each in (number, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, each)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The webserver's answer to a GraphQL query."""
        url = f"http://127.0.0.1:{self.web_port}/graphql"
        answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def rows(self, query: str, *values: Any, url: str | None = None) -> list[dict[str, Any]]:
        with psycopg.connect(url or self.url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def runs(self, *statuses: str) -> list[dict[str, Any]]:
        """Dagster's runs in these statuses, newest first."""
        query = "SELECT run_id, pipeline_name AS job, status FROM dagster.runs WHERE status = ANY(%s) ORDER BY id DESC"
        return self.rows(query, list(statuses))

    def _start(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        wanted = os.environ | {
            "CIRCUIT_SYNC_DAGSTER_URL": dagster_url(self.url),
            "CIRCUIT_SYNC_DAGSTER_DIR": str(self.folder / "dagster"),
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *_as_modules(command)],
                cwd=self.folder,
                env=wanted | dict(environment or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @staticmethod
    def _answers(port: int) -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", port)) == 0


def _as_modules(command: list[str]) -> list[str]:
    modules = {"dagster": "dagster", "dagster-daemon": "dagster._daemon", "dagster-webserver": "dagster_webserver"}
    return [modules[command[0]], *command[1:]]
