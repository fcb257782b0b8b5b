"""Dagster's storage, as ``dagster.yaml`` names it, is what daemon and webserver load of us."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from circuit_sync.database.urls import dagster_url
from circuit_sync.domain.errors import UsageError
from circuit_sync.orchestration.pinned_storage import CommandError, PinnedPostgresStorage

LOADED = """
import os, sys
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    instance.get_runs()
    print(instance.get_ref().storage_data.class_name)
print(*sorted(name for name in sys.modules if name.startswith("circuit_sync.")))
"""


def test_daemon_and_webserver_load_what_pins_sessions_and_nothing_else_of_ours(database_url: str) -> None:
    project = str(Path(__file__).parents[2])
    surroundings = os.environ | {
        "CIRCUIT_SYNC_DAGSTER_URL": dagster_url(database_url),
        "CIRCUIT_SYNC_DAGSTER_DIR": ".",
        "DAGSTER_HOME": project,
    }
    told = subprocess.check_output([sys.executable, "-c", LOADED], env=surroundings, text=True)
    kind, loaded = told.splitlines()[-2:]
    assert kind == "PinnedPostgresStorage"
    assert set(loaded.split()) == {
        "circuit_sync.database",
        "circuit_sync.database.dagster",
        "circuit_sync.database.dagster.sessions",
        "circuit_sync.database.sessions",
        "circuit_sync.database.sessions.driver",
        "circuit_sync.database.sessions.pinned",
        "circuit_sync.database.sessions.silence",
        "circuit_sync.database.urls",
        "circuit_sync.domain",
        "circuit_sync.domain.errors",
        "circuit_sync.domain.printable",
        "circuit_sync.orchestration",
        "circuit_sync.orchestration.pinned_storage",
    }


OURS = "postgresql://ann:p%40ss@db.example:5433/circuits"
ELSEWHERE = "postgresql+psycopg2://ann@db.example/shared?options=-csearch_path%3Dours"


@pytest.fixture
def started_by_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a command of Dagster's own: nothing is in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DAGSTER_URL", "DAGSTER_DIR", "STATE_DIR"):
        monkeypatch.setenv(f"CIRCUIT_SYNC_{name}", "")
    return tmp_path


@pytest.mark.parametrize(
    ("written", "url", "folder"),
    [
        (f"CIRCUIT_SYNC_DATABASE_URL={OURS}", dagster_url(OURS), ".circuit_sync/dagster"),
        (f"CIRCUIT_SYNC_DATABASE_URL={OURS}\nCIRCUIT_SYNC_STATE_DIR=state", dagster_url(OURS), "state/dagster"),
        (
            f"CIRCUIT_SYNC_DATABASE_URL={OURS}\nCIRCUIT_SYNC_DAGSTER_URL={ELSEWHERE}",
            ELSEWHERE,
            ".circuit_sync/dagster",
        ),
    ],
)
def test_what_dagster_yaml_needs_follows_from_the_file(
    started_by_dagster: Path, written: str, url: str, folder: str
) -> None:
    (started_by_dagster / ".env").write_text(written)
    PinnedPostgresStorage.config_type()
    assert os.environ["CIRCUIT_SYNC_DAGSTER_URL"] == url
    assert os.environ["CIRCUIT_SYNC_DAGSTER_DIR"] == str(started_by_dagster / folder)


def test_what_is_set_stays_as_it_is(started_by_dagster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (started_by_dagster / ".env").write_text(f"CIRCUIT_SYNC_DATABASE_URL={OURS}")
    monkeypatch.setenv("CIRCUIT_SYNC_DAGSTER_DIR", "/elsewhere")
    PinnedPostgresStorage.config_type()
    assert os.environ["CIRCUIT_SYNC_DAGSTER_DIR"] == "/elsewhere"


@pytest.mark.usefixtures("started_by_dagster")
def test_without_a_database_the_line_is_for_dagsters_commands_and_for_ours() -> None:
    with pytest.raises(CommandError, match=r"^CIRCUIT_SYNC_DATABASE_URL is not set, which Dagster's own commands need"):
        PinnedPostgresStorage.config_type()
    assert issubclass(CommandError, UsageError)
    assert issubclass(CommandError, click.ClickException)


def test_a_url_with_which_storage_would_break_is_a_line_too() -> None:
    with pytest.raises(CommandError, match=r"^CIRCUIT_SYNC_DAGSTER_URL is not a URL of Dagster's storage"):
        PinnedPostgresStorage.from_config_value(None, {"postgres_url": OURS})
