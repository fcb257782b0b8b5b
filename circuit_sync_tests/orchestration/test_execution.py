"""A job in this process whose Dagster keeps its runs in a database of its own, which goes away."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from circuit_sync.database.connection import Database, DatabaseUnavailable
from circuit_sync.definitions import defs
from circuit_sync.environment import prepared_environment
from circuit_sync.orchestration.terminal.execution import persistent_instance, run_job
from circuit_sync.settings import load_settings
from circuit_sync.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for


class Storage:
    """Dagster's database: as a listener, it goes away at the first line that a step logs."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.name = f"dagster_{uuid4().hex[:12]}"
        self.url = f"{server.rsplit('/', 1)[0]}/{self.name}"

    def line(self, _text: str) -> None:
        self.execute("ALTER DATABASE {} ALLOW_CONNECTIONS false")
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self.name])

    def tick(self, _done: int, _total: int) -> None:
        """Nothing."""

    def execute(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(self.name)))


@pytest.fixture
def storage(
    configured: Simulator, postgres_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Storage]:
    storage = Storage(postgres_server)
    storage.execute("CREATE DATABASE {}")
    monkeypatch.setenv("CIRCUIT_SYNC_DAGSTER_URL", storage.url.replace("postgresql:", "postgresql+psycopg2:"))
    monkeypatch.setenv("CIRCUIT_SYNC_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_wanted: 0.001)
    yield storage
    storage.execute("DROP DATABASE {} WITH (FORCE)")


def test_a_sync_whose_dagster_loses_its_storage_is_closed_to_be_tried_again_and_the_storage_is_named(
    storage: Storage, database: Database, configured: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        prepared_environment(load_settings()),
        persistent_instance() as instance,
        pytest.raises(DatabaseUnavailable, match=rf"/{storage.name} is not available: .*; what was not stored is not"),
    ):
        run_job(defs, instance, "sync_circuits", partitions=["QC"], listener=storage)
    log = Desk(session_for(database, configured.base_url, Clock()), configured, Clock()).log()
    assert (log["sync_status"], log["error_details"]["cancelled"]) == ("failed", False)
    assert log["retry_at"] is not None
    assert "Exception while writing" not in capfd.readouterr().err
