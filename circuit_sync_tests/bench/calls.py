"""Calls against the pace: how close to what the server's operator allows, and what a sync spends its time on."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import pace_lock
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.pace import Pace
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync.workstudio.simulator import CIRCUITS_VIEW, PLANNED_UNITS_VIEW, Simulator, World, environment
from circuit_sync_tests.bench.report import Report

CALLS = 40
BURST, PAUSE = 5, 0.5


def bench_pace(database: Database, report: Report) -> None:
    """``CALLS`` planned-units calls at three server times, one after the other and five at once."""
    for server_seconds in (0.0, 0.05, 0.3):
        for concurrency in (1, 5):
            world = World()
            with Simulator(world, delay=server_seconds) as simulator:
                server = Server(simulator.base_url, CIRCUITS_VIEW, PLANNED_UNITS_VIEW, concurrency=concurrency)
                credential = Credential(*next(iter(simulator.accounts.items())))
                work_orders = (world.work_orders * CALLS)[:CALLS]
                begun = time.perf_counter()
                with (
                    pace_lock(database) as lock,
                    Pace(BURST, PAUSE, lock=lock) as pace,
                    WorkStudio(server, credential, pace=pace) as client,
                ):
                    for _answer in client.fetch_many(work_orders):
                        pass
                    taken = time.perf_counter() - begun
            waves = math.ceil(BURST / concurrency) * CALLS / BURST
            allowed = (math.ceil(CALLS / BURST) - 1) * PAUSE + waves * server_seconds
            report.ratio(
                f"{CALLS} calls at {server_seconds * 1000:.0f} ms, concurrency {concurrency}: taken / allowed",
                taken / allowed,
                at_most=1.1 if concurrency == 1 else 1 / 0.95,
            )


def bench_command(folder: Path, report: Report) -> None:
    """``circuit-sync sync circuits`` of 200 circuits: the process, Dagster's start, and our part of it."""
    with Simulator(World(circuits=200)) as simulator:
        surroundings = os.environ | environment(simulator.base_url) | {"CIRCUIT_SYNC_STATE_DIR": str(folder / "state")}
        command = [sys.executable, "-m", "circuit_sync.cli", "sync", "circuits"]
        subprocess.run(command, env=surroundings, check=True, capture_output=True)
        begun = time.perf_counter()
        subprocess.run(command, env=surroundings, check=True, capture_output=True)
        whole = time.perf_counter() - begun
        listed = subprocess.run(
            [sys.executable, "-c", _OURS], env=surroundings, check=True, capture_output=True, text=True
        )
    ours = float(json.loads(listed.stdout))
    report.line("`circuit-sync sync circuits` of 200 circuits, whole process", whole, "s")
    report.line("  of which our sync, from its log's start to its end, pauses included", ours, "s")
    report.ratio("  Dagster, the embedded server and Python's imports / whole", (whole - ours) / whole, at_least=0.5)


_OURS = """
import sys
from circuit_sync.database.connection import Database
from circuit_sync.database.overview import latest_syncs
from circuit_sync.orchestration.local import url_in_use
from circuit_sync.settings import load_settings
with url_in_use(load_settings()) as url, Database(url) as database, database.transaction() as connection:
    sys.stdout.write(str(latest_syncs(connection, 1)[0]["seconds"]))
"""
