import os
from pathlib import Path
from urllib.request import urlopen

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.orchestration.local import BUNDLED, named_server, prepared_environment, project_dir, simulator
from circuit_sync.settings import load_settings
from circuit_sync.workstudio.simulator import Simulator


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
        with urlopen(root, timeout=5) as answer:
            assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        urlopen(root, timeout=5)
