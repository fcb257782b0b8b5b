"""Two syncs at once, of two processes: the second waits; nothing is lost, nothing told twice, nobody deadlocks."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from circuit_sync.database.locks import STORE, store_lock
from circuit_sync.database.log import sync_logs
from circuit_sync.database.progress.history import record_history
from circuit_sync.domain.errors import TransientError
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.events.catalogue import SyncFailed
from circuit_sync.events.outbox import emit
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync_tests.processes import start_sync
from circuit_sync_tests.scenery import PATIENCE, Desk, until

LINES = 40
HELD = "SELECT pg_advisory_xact_lock(hashtextextended('" + STORE + "', 0))"


@contextmanager
def process(desk: Desk, *statuses: str, **options: Any) -> Iterator[BaseProcess]:
    """A sync in a process of its own; it must end by itself and well."""
    child = start_sync(desk, statuses or ("ACTIV",), **options)
    try:
        yield child
        child.join(PATIENCE)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()


def test_the_second_sync_waits_until_the_first_has_stored(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "older"}])
    first = desk.fetch()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "newer"}])

    with process(desk):
        until(lambda: desk.waiting() == 1)
        assert desk.one("SELECT count(*) FROM sync_logs WHERE sync_status = 'started'") == 2
        desk.store(first)

    assert desk.circuit("1")["title"] == "newer"
    assert desk.column("SELECT sync_status FROM sync_logs ORDER BY id") == ["completed", "completed"]
    assert desk.one("SELECT count(*) FROM circuit_history") == 1


def test_two_syncs_at_once_tell_each_change_once(desk: Desk) -> None:
    rows = [{"SS_WO": f"wo-{number:02}", "VEGJOB_PRCENT": 50} for number in range(LINES)]
    desk.answer("ACTIV", rows)
    desk.sync()
    desk.answer("ACTIV", [row | {"VEGJOB_PRCENT": 100} for row in rows[1:]] + [{"SS_WO": "new"}])

    with process(desk), process(desk), process(desk):
        pass

    logs = desk.rows("SELECT circuits_created, circuits_updated, circuits_unchanged FROM sync_logs ORDER BY id")[1:]
    assert sorted(tuple(log.values()) for log in logs) == [(0, 0, LINES), (0, 0, LINES), (1, LINES - 1, 0)]
    assert len(desk.events("circuit.updated")) == LINES
    assert len(desk.events("circuit.workflow_changed")) == LINES - 1
    assert desk.one("SELECT count(*) FROM circuit_history") == LINES * 2 + 1


def test_syncs_that_move_circuits_to_and_fro_do_not_deadlock(desk: Desk) -> None:
    """Each of them locks, in one pass, what the other one locks in its other pass."""
    halves = [[{"SS_WO": f"{part}-{number}"} for number in range(10)] for part in "ab"]
    desk.answer("QC", halves[0])
    desk.answer("REWRK", halves[1])
    desk.sync("QC", "REWRK")
    desk.answer("QC", halves[1])
    desk.answer("REWRK", halves[0])

    with ThreadPoolExecutor(2) as threads, process(desk, "QC"), process(desk, "REWRK"):
        previews = [threads.submit(desk.preview, status) for status in ("REWRK", "QC")]
        assert all(preview.result().counts["processed"] == 10 for preview in previews)

    assert desk.rows(
        "SELECT api_status, left(work_order, 1) AS part, count(*) FROM circuits GROUP BY 1, 2 ORDER BY 1"
    ) == [
        {"api_status": "QC", "part": "b", "count": 10},
        {"api_status": "REWRK", "part": "a", "count": 10},
    ]


def test_a_second_sync_says_that_it_waits_and_gives_up_in_the_end(desk: Desk) -> None:
    said: list[str] = []
    with store_lock(desk.database, say=said.append):
        assert said == []
        with (
            pytest.raises(TransientError, match="another circuit sync has held the store"),
            store_lock(desk.database, say=said.append, wait_seconds=0.05),
        ):
            raise AssertionError("two hold the store")

    assert said == ["waiting for another circuit sync to finish (at most 0.000833333 minutes)"]
    with store_lock(desk.database, say=said.append):
        assert len(said) == 1


def test_a_sync_that_lost_its_hold_stores_nothing_over_a_newer_answer(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "older"}])
    sync_id = desk.fetch()
    desk.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "newer"}])
    with process(desk):
        pass

    with pytest.raises(TransientError, match="sync again"):
        desk.store(sync_id)

    assert desk.circuit("1")["title"] == "newer"


def test_a_snapshot_beside_a_sync_writes_the_history_of_no_circuit_twice(desk: Desk) -> None:
    """A change made by another program is found by both: one writes it down, whoever comes first."""
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2"}])
    desk.sync()
    desk.execute("UPDATE circuits SET is_excluded = true WHERE work_order = '1'")
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2", "VEGJOB_LENGTH": 99}])
    sync_id = desk.fetch()
    with ThreadPoolExecutor(1) as threads:
        with desk.database.transaction() as connection:
            record_history(connection, desk.clock() + timedelta(seconds=1))
            stored = threads.submit(desk.store, sync_id)
            until(lambda: desk.waiting() == 1)
        assert stored.result().sync_status == "completed"
    taken = take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest([desk.clock().date()])))

    assert taken.sync_status == "completed"
    assert desk.one("SELECT count(*) FROM circuit_history") == 4
    assert desk.one("SELECT count(*) FROM circuit_history WHERE valid_to <= valid_from") == 0


def test_a_sensor_that_closes_the_log_of_a_living_sync_does_not_deadlock_with_it(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "after"}])
    sync_id = desk.fetch()
    with ThreadPoolExecutor(1) as threads:
        with desk.database.transaction() as connection:
            sync_logs.fail(connection, sync_id, desk.clock(), "its process is gone")
            stored = threads.submit(desk.store, sync_id)
            until(lambda: desk.waiting() == 1)
            emit(connection, [SyncFailed(sync_id, "its process is gone", desk.clock())], desk.clock())
        with pytest.raises(TransientError, match="closed by somebody else"):
            stored.result()

    assert desk.events("circuit.updated") == []


def test_processes_begin_afresh() -> None:
    """Forked from a process with threads, a child could hang in a lock that no thread of its own holds."""
    from circuit_sync_tests.processes import PROCESSES

    assert isinstance(PROCESSES, type(multiprocessing.get_context("forkserver")))
