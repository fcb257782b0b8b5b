"""Dagster's own commands in a copy of the project's folder: with what ``.env`` says, or one line."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from circuit_sync.simulator import Simulator, environment
from circuit_sync_tests.e2e.deployment import LONG, PROGRAMS, PROJECT, free_port
from circuit_sync_tests.scenery import PATIENCE, Desk, until

FILES = ("pyproject.toml", "dagster.yaml", "workspace.yaml")
MODULE = ("-m", "circuit_sync.definitions")
LAUNCH = ("dg", "launch", "--assets", "circuits", "--partition", "ACTIV")
COMMANDS = {
    ("dg", "list", "defs"): "daily_snapshots",
    ("dg", "check", "defs"): "All definitions loaded successfully",
    ("dagster", "asset", "list", *MODULE): "circuit_aggregates",
    ("dagster", "job", "list"): "Job: sync_circuits",
    ("dagster", "job", "print", "-j", "sync_circuits"): "Job: sync_circuits",
}
NEED_STORAGE = [
    *(command for command in COMMANDS if "asset" not in command),
    LAUNCH,
    ("dg", "dev"),
    ("dagster", "dev"),
    ("dagster", "job", "execute", "-j", "prune_events", *MODULE),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "circuit_sync", tmp_path / "circuit_sync")
    return tmp_path


def surroundings() -> dict[str, str]:
    """The environment without a setting of ours."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CIRCUIT_SYNC_", "WORKSTUDIO_"))}
    own.pop("DAGSTER_HOME", None)
    return own | {"PYTHONWARNINGS": "ignore", "COLUMNS": "300"}


def run(folder: Path, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAMS / command[0], *command[1:]],
        cwd=folder,
        env=surroundings(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def configure(folder: Path, **settings: str) -> None:
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_needs_no_more_than_a_database_in_the_file(
    folder: Path, database_url: str, command: tuple[str, ...]
) -> None:
    configure(folder, CIRCUIT_SYNC_DATABASE_URL=database_url)
    done = run(folder, command)
    assert done.returncode == 0, done.stderr
    assert COMMANDS[command] in done.stdout + done.stderr


def test_a_launched_asset_is_a_run_in_the_database_and_a_sync_in_its_log(
    folder: Path, desk: Desk, simulator: Simulator
) -> None:
    url = desk.database.url
    configure(folder, CIRCUIT_SYNC_DATABASE_URL=url, **environment(simulator.base_url))
    done = run(folder, LAUNCH)
    assert done.returncode == 0, done.stderr
    log = desk.log()
    assert (log["api_status_filter"], log["sync_status"]) == ("ACTIV", "completed")
    assert desk.column("SELECT run_id FROM dagster.runs WHERE status = 'SUCCESS'") == [log["dagster_run_id"]]
    assert {path.name for path in (folder / ".circuit_sync").iterdir()} == {"dagster"}


@pytest.mark.parametrize("command", [("dg", "dev"), ("dagster", "dev")], ids=" ".join)
def test_the_ui_is_served_with_the_definitions_of_the_folder(
    folder: Path, database_url: str, simulator: Simulator, command: tuple[str, ...]
) -> None:
    configure(folder, CIRCUIT_SYNC_DATABASE_URL=database_url, **environment(simulator.base_url))
    port = free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    query = "{ assetsOrError { ... on AssetConnection { nodes { key { path } } } } }"

    def assets() -> set[str]:
        try:
            answer = httpx.post(url, json={"query": query}, timeout=PATIENCE).json()
        except httpx.TransportError:
            return set()
        return {node["key"]["path"][0] for node in answer["data"]["assetsOrError"]["nodes"]}

    arguments = [PROGRAMS / command[0], *command[1:], "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(arguments, cwd=folder, env=surroundings(), start_new_session=True) as serving:
        try:
            until(lambda: "daily_snapshots" in assets(), LONG)
        finally:
            os.killpg(serving.pid, signal.SIGINT)
            serving.wait(LONG)


@pytest.mark.parametrize("command", NEED_STORAGE, ids=" ".join)
def test_a_command_without_a_database_says_in_one_line_what_to_do(folder: Path, command: tuple[str, ...]) -> None:
    done = run(folder, command)
    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if " - dagster - " not in line]
    assert said.startswith("Error: CIRCUIT_SYNC_DATABASE_URL is not set, which Dagster's own commands need: name a")


def test_without_the_schema_of_dagsters_tables_the_line_says_how_it_is_made(folder: Path, desk: Desk) -> None:
    desk.execute("DROP SCHEMA dagster")
    configure(folder, CIRCUIT_SYNC_DATABASE_URL=desk.database.url)
    done = run(folder, ("dagster", "job", "list"))
    assert done.returncode == 2
    assert "run `circuit-sync db upgrade`, which makes it" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
