import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import psycopg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.urls import dagster_url
from circuit_sync.definitions import defs
from circuit_sync.domain.errors import UsageError
from circuit_sync.environment import (
    BUNDLED,
    named_server,
    prepared_environment,
    project_dir,
    simulator,
    storage_url,
)
from circuit_sync.orchestration.terminal.execution import persistent_instance, run_job, tags_of_our_runs
from circuit_sync.settings import load_settings
from circuit_sync.simulator import Simulator
from circuit_sync_tests.scenery import PATIENCE, Clock, Desk, session_for


def test_a_database_without_a_workstudio_is_refused_before_anything_starts(
    configured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKSTUDIO_BASE_URL")
    with pytest.raises(UsageError, match="WORKSTUDIO_BASE_URL is not set"), prepared_environment(load_settings()):
        raise AssertionError("it must not start")


def test_what_needs_no_workstudio_runs_without_one(configured: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSTUDIO_BASE_URL")
    with prepared_environment(load_settings(), calls_workstudio=False) as settings:
        assert settings.workstudio_base_url is None


def test_the_environment_names_dagsters_storage_and_is_put_back(
    configured: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    with prepared_environment(load_settings()):
        assert os.environ["DAGSTER_HOME"] == str(project_dir())
        assert os.environ["CIRCUIT_SYNC_DAGSTER_URL"].startswith("postgresql+psycopg2://")
        assert "search_path%3Ddagster" in os.environ["CIRCUIT_SYNC_DAGSTER_URL"]
        assert Path(os.environ["CIRCUIT_SYNC_DAGSTER_DIR"]).is_dir()
    assert os.environ["DAGSTER_HOME"] == "/elsewhere"
    assert "CIRCUIT_SYNC_DAGSTER_URL" not in os.environ


@pytest.fixture
def history_since_march(configured: Simulator, database: Database) -> None:
    """Circuits were synced for the first time on Monday, 2 March 2026."""
    Desk(session_for(database, configured.base_url, clock := Clock()), configured, clock).sync("ACTIV")


@pytest.mark.parametrize(
    ("setting", "asked_from", "first"),
    [
        (None, None, "2026-03-02"),
        (None, date(2026, 2, 2), "2026-02-02"),
        (None, date(2026, 3, 9), "2026-03-02"),
        (None, date(1, 1, 1), "2026-03-02"),
        ("2025-06-02", None, "2025-06-02"),
        ("2026-03-09", date(2026, 3, 2), "2026-03-09"),
    ],
    ids=["history", "asked for", "asked for later", "absurd", "set", "set and asked for"],
)
def test_partitions_begin_where_data_can_unless_it_is_set(
    history_since_march: None,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    asked_from: date | None,
    first: str,
) -> None:
    if setting:
        monkeypatch.setenv("CIRCUIT_SYNC_FIRST_SNAPSHOT", setting)
    with prepared_environment(load_settings(), asked_from=asked_from) as settings:
        assert os.environ["CIRCUIT_SYNC_FIRST_SNAPSHOT"] == settings.circuit_sync_first_snapshot.isoformat() == first
    assert os.environ.get("CIRCUIT_SYNC_FIRST_SNAPSHOT") == setting


def test_a_storage_left_over_in_a_shell_is_not_the_embedded_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIRCUIT_SYNC_DATABASE_URL", raising=False)
    monkeypatch.setenv("CIRCUIT_SYNC_DAGSTER_URL", dagster_url("postgresql://postgres@127.0.0.1:9/yesterday"))
    assert "yesterday" not in storage_url(load_settings(), "postgresql://postgres@127.0.0.1:10/today")


@pytest.fixture
def third_database(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database, neither ours nor prepared for Dagster."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        yield f"{postgres_server.rsplit('/', 1)[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def test_a_commands_run_is_the_named_locations_in_the_configured_storage(
    configured: Simulator, database_url: str, third_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_DAGSTER_URL", dagster_url(third_database))
    monkeypatch.setenv("CIRCUIT_SYNC_LOCATION_NAME", "distribution")
    with prepared_environment(load_settings()), persistent_instance() as instance:
        assert os.environ["CIRCUIT_SYNC_DAGSTER_URL"] == dagster_url(third_database)
        outcome = run_job(defs, instance, "prune_events")
        assert tags_of_our_runs(defs) == {".dagster/repository": "__repository__@distribution"}
    assert outcome.succeeded, outcome.failure

    with psycopg.connect(third_database) as connection:
        runs = "SELECT run_id, value FROM dagster.runs JOIN dagster.run_tags USING (run_id) WHERE key = %s"
        found = connection.execute(runs, [".dagster/repository"]).fetchall()
        ours = connection.execute("SELECT to_regclass('public.sync_logs')").fetchone()
    assert found == [(outcome.run_id, "__repository__@distribution")]
    assert ours == (None,), "nothing of ours is made there"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT to_regclass('dagster.runs')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://u:SECRET@host/dagster", "looks like postgresql\\+psycopg2://"),
        ("postgresql+psycopg2://u:SECRET@host", "looks like postgresql\\+psycopg2://"),
        ("SECRET", "looks like postgresql\\+psycopg2://"),
        ("{ours}", "the schema of circuit_sync's own tables: end it with .options=-csearch_path%3Ddagster"),
        ("{ours}?options=-csearch_path%3Delsewhere", "its search_path names no schema that exists"),
    ],
)
def test_a_url_that_dagsters_storage_would_break_with_is_refused_in_one_line(
    configured: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch, url: str, complaint: str
) -> None:
    ours = database_url.replace("postgresql:", "postgresql+psycopg2:")
    monkeypatch.setenv("CIRCUIT_SYNC_DAGSTER_URL", url.format(ours=ours))
    refused = pytest.raises(UsageError, match=f"^CIRCUIT_SYNC_DAGSTER_URL.*{complaint}")
    with refused as told, prepared_environment(load_settings()):
        raise AssertionError("it must not start")
    assert "SECRET" not in str(told.value)
    assert "\n" not in str(told.value)


def test_the_database_remembers_the_simulator_by_name_and_a_server_by_its_url(
    configured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, name = named_server(load_settings())
    assert server is not None
    assert name is None
    monkeypatch.delenv("WORKSTUDIO_BASE_URL")
    monkeypatch.delenv("CIRCUIT_SYNC_DATABASE_URL")
    assert named_server(load_settings()) == (None, BUNDLED)


def test_the_simulator_answers_while_it_is_needed_and_is_gone_after(tmp_path: Path) -> None:
    with simulator(tmp_path / "simulator.json") as base_url:
        root = base_url.removesuffix("DDOProtocol/")
        with urlopen(root, timeout=PATIENCE) as answer:
            assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        urlopen(root, timeout=PATIENCE)
