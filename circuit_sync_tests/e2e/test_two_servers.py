"""Two WorkStudio servers on one Dagster: two code locations, each with its settings and its database."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.simulator import Simulator, World, environment
from circuit_sync_tests.e2e.deployment import LONG, Deployment, Gate
from circuit_sync_tests.scenery import until

LOCATIONS = {"distribution": 20, "transmission": 40}
"""How many circuits each server has."""


class Pair:
    """Two locations, their simulators and databases, and a third database for Dagster."""

    def __init__(self, folder: str, stack: ExitStack, tmp: pytest.TempPathFactory) -> None:
        base = tmp.mktemp(folder)
        server = stack.enter_context(embedded_server(base))
        self.urls, self.gates, settings = {}, {name: Gate() for name in LOCATIONS}, {}
        for name, circuits in LOCATIONS.items():
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
            self.urls[name] = f"{server.rsplit('/', 1)[0]}/{name}"
            world, gate = World(circuits=circuits), self.gates[name]
            simulator = stack.enter_context(Simulator(world, advance=False, clock=gate))
            settings[name] = environment(simulator.base_url) | {
                "CIRCUIT_SYNC_ASSET_PREFIX": name,
                "CIRCUIT_SYNC_DATABASE_URL": self.urls[name],
                "CIRCUIT_SYNC_RETRY_DELAYS": "0",
                "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
                "WORKSTUDIO_TIMEOUT": "600",
                "WORKSTUDIO_MAX_ATTEMPTS": "1",
            }
        for url in (server, *self.urls.values()):
            with Database(url) as database:
                upgrade(database)
        self.deployment = stack.enter_context(
            Deployment(base / "dagster_home", server, settings, "circuit_sync_tests.e2e.fast", at_once=10)
        )

    def syncs(self, name: str, condition: str) -> int:
        query = f"SELECT count(*) FROM sync_logs WHERE sync_type = 'circuit_list' AND {condition}"
        return int(self.deployment.rows(query, url=self.urls[name])[0]["count"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair("pair", stack, tmp_path_factory)


def test_schedules_of_the_same_name_do_not_wait_for_each_other(pair: Pair) -> None:
    pair.gates["distribution"].shut()
    for name in LOCATIONS:
        pair.deployment.switch("every_minute", on=True, location=name)
    until(pair.gates["distribution"].is_held.is_set, LONG)
    until(lambda: pair.syncs("transmission", "sync_status = 'completed'") >= 2, LONG)
    assert pair.syncs("distribution", "true") == 1, "its own schedule waits for its own run"
    for name in LOCATIONS:
        pair.deployment.switch("every_minute", on=False, location=name)
    pair.gates["distribution"].open()
    until(lambda: pair.syncs("distribution", "sync_status = 'completed'") >= 1, LONG)


def test_each_fills_its_own_database_and_its_own_assets(pair: Pair) -> None:
    held = {
        name: pair.deployment.rows("SELECT count(*) FROM circuits", url=url)[0]["count"]
        for name, url in pair.urls.items()
    }
    assert 0 < held["distribution"] < held["transmission"]
    keys = {row["asset_key"] for row in pair.deployment.rows("SELECT asset_key FROM dagster.asset_keys")}
    assert {'["distribution", "circuits"]', '["transmission", "circuits"]'} <= keys
    assert not any(key.startswith('["circuits"') for key in keys)


def test_a_location_closes_its_own_dead_runs_and_leaves_the_others_alone(pair: Pair) -> None:
    runs = {}
    for name in LOCATIONS:
        pair.gates[name].shut()
        runs[name] = pair.deployment.launch("sync_circuits", "QC", location=name)
        until(pair.gates[name].is_held.is_set, LONG)
    dead, long = runs["distribution"], runs["transmission"]
    os.kill(pair.deployment.process_of(dead), signal.SIGKILL)
    pair.gates["distribution"].open()
    until(lambda: pair.deployment.status_of(dead) == "FAILURE", LONG)
    until(lambda: pair.syncs("distribution", "retry_of IS NOT NULL AND sync_status = 'completed'") == 1, LONG)
    pair.gates["transmission"].open()
    until(lambda: pair.deployment.status_of(long) == "SUCCESS", LONG)
    assert pair.syncs("transmission", "sync_status = 'failed'") == 0
