"""Dagster's storage, as ``dagster.yaml`` names it, is what daemon and webserver load of us."""

import os
import subprocess
import sys
from pathlib import Path

from circuit_sync.database.urls import dagster_url

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
