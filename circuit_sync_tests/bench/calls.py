"""Calls against the pace: how close to what the server's operator allows, and what a sync spends its time on."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import pace_lock
from circuit_sync.simulator import CIRCUITS_VIEW, PLANNED_UNITS_VIEW, Simulator, World, environment
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.pace import Pace
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync_tests.bench.measuring import in_turns, seconds
from circuit_sync_tests.bench.report import Report

CALLS = 20
BURST, PAUSE = 5, 0.5


def bench_pace(database: Database, report: Report) -> None:
    """``CALLS`` planned-units calls at three server times, one after the other and five at once.

    The peer makes the same calls with httpx alone: five, a pause, the next five.
    """
    for server_seconds in (0.0, 0.05, 0.3):
        for concurrency in (1, 5):
            world = World()
            with Simulator(world, delay=server_seconds) as simulator:
                credential = Credential(*next(iter(simulator.accounts.items())))
                work_orders = (world.work_orders * CALLS)[:CALLS]
                server = Server(simulator.base_url, CIRCUITS_VIEW, PLANNED_UNITS_VIEW, concurrency=concurrency)
                ours, bare = in_turns(
                    partial(_fetch, database, server, credential, work_orders),
                    partial(_fetch_bare, server, credential, work_orders),
                )
            report.ratio(
                f"{CALLS} calls at {server_seconds * 1000:.0f} ms, concurrency {concurrency}: ours / bare calls, paced",
                ours / bare,
                at_most=1.1,
            )


def _fetch(database: Database, server: Server, credential: Credential, work_orders: Sequence[str]) -> float:
    """Seconds until the last answer; the pause after it is left to whoever calls next."""
    begun = time.perf_counter()
    with (
        pace_lock(database) as lock,
        Pace(BURST, PAUSE, lock=lock) as pace,
        WorkStudio(server, credential, pace=pace) as client,
    ):
        for _answer in client.fetch_many(work_orders):
            pass
        return time.perf_counter() - begun


def _fetch_bare(server: Server, credential: Credential, work_orders: Sequence[str]) -> float:
    auth = (credential.username, credential.password)
    begun = time.perf_counter()
    with httpx.Client(auth=auth, timeout=60) as client, ThreadPoolExecutor(server.concurrency) as threads:

        def call(work_order: str) -> None:
            wanted = {"ClassName": "TViewFilter", "FilterName": "WO#", "FilterValue": work_order}
            asked = {"Protocol": "GETVIEWDATA", "ViewDefinitionGuid": PLANNED_UNITS_VIEW, "ViewFilter": wanted}
            client.post(f"{server.base_url}GETVIEWDATA", json=asked).raise_for_status().json()

        for first in range(0, len(work_orders), BURST):
            time.sleep(PAUSE if first else 0)
            list(threads.map(call, work_orders[first : first + BURST]))
    return time.perf_counter() - begun


def bench_command(folder: Path, report: Report) -> None:
    """``circuit-sync sync circuits`` of 200 circuits: the process, Dagster's start, and our part of it."""
    with Simulator(World(circuits=200)) as simulator:
        surroundings = os.environ | environment(simulator.base_url) | {"CIRCUIT_SYNC_STATE_DIR": str(folder / "state")}
        command = [sys.executable, "-m", "circuit_sync.cli", "sync", "circuits"]
        run = partial(subprocess.run, env=surroundings, check=True, capture_output=True)
        run(command)
        whole, ours = in_turns(
            lambda: seconds(lambda: run(command)), lambda: float(run([sys.executable, "-c", _OURS]).stdout)
        )
    report.line("`circuit-sync sync circuits` of 200 circuits, whole process", whole, "s")
    report.line("  of which our sync, from its log's start to its end, pauses included", ours, "s")
    report.ratio("  Dagster, the embedded server and Python's imports / whole", (whole - ours) / whole, at_least=0.5)


def bench_start_up(url: str, report: Report) -> None:
    """``circuit-sync status`` on a server that runs already: a command that migrates and computes nothing."""
    run = partial(subprocess.run, env=os.environ | {"CIRCUIT_SYNC_DATABASE_URL": url}, check=True, capture_output=True)
    status = [sys.executable, "-m", "circuit_sync.cli", "status"]
    bare = [sys.executable, "-c", "import sqlalchemy, psycopg"]
    run(status)
    ours, imports = in_turns(lambda: seconds(lambda: run(status)), lambda: seconds(lambda: run(bare)), times=5)
    report.line("`circuit-sync status`, whole process", ours, "s")
    report.ratio('  ours / python -c "import sqlalchemy, psycopg"', ours / imports, at_most=4)


_OURS = """
import sys
from circuit_sync.database.connection import Database
from circuit_sync.database.log.overview import latest_syncs
from circuit_sync.environment import url_in_use
from circuit_sync.settings import load_settings
with url_in_use(load_settings()) as url, Database(url) as database, database.transaction() as connection:
    sys.stdout.write(str(latest_syncs(connection, 1)[0]["seconds"]))
"""
