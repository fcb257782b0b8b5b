"""Syncs in processes of their own, begun from a server that has imported everything: each costs some milliseconds."""

import multiprocessing
import sys
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from circuit_sync.database.connection import Database
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.sync.circuits.sync import fetch_circuits, open_circuit_sync, store_circuits
from circuit_sync_tests.scenery import Clock, Desk, session_for

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["circuit_sync_tests.processes"])


def start_sync(desk: Desk, statuses: Sequence[str], **options: Any) -> BaseProcess:
    """Begins a sync of the desk's database and simulator in a process of its own, a minute after the last one."""
    assert desk.session.server is not None
    now = desk.clock.advance(minutes=1)
    arguments = (desk.database.url, desk.session.server.base_url, now, tuple(statuses), options)
    # The child needs nothing of the program that started the tests, and importing that again would cost a second.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        process = PROCESSES.Process(target=_sync, args=arguments, daemon=True)
        process.start()
    finally:
        sys.modules["__main__"] = main
    return process


def _sync(url: str, base_url: str, now: datetime, statuses: tuple[str, ...], options: dict[str, Any]) -> None:
    with Database(url) as database:
        session = session_for(database, base_url, Clock(now))
        sync_id = open_circuit_sync(session, CircuitSyncRequest(statuses, **options))
        fetch_circuits(session, sync_id)
        store_circuits(session, sync_id)
