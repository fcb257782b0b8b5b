"""A configured environment, and Dagster instances that cost little."""

from collections.abc import Iterator

import dagster as dg
import pytest

from circuit_sync.simulator import Simulator, environment


@pytest.fixture
def configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, database_url: str, simulator: Simulator
) -> Simulator:
    """The settings name a fresh database and the simulator; calls are not paced and not tried again."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    for name, value in environment(simulator.base_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CIRCUIT_SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("WORKSTUDIO_RATE_LIMIT_DELAY", "0")
    monkeypatch.setenv("WORKSTUDIO_MAX_ATTEMPTS", "1")
    return simulator


@pytest.fixture(scope="session")
def ephemeral() -> Iterator[dg.DagsterInstance]:
    """In memory, shared: for runs."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="session")
def _stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def stored(_stored: dg.DagsterInstance) -> dg.DagsterInstance:
    """On disk, shared and empty: schedules and sensors ask an instance that others can open."""
    _stored.wipe()
    return _stored
