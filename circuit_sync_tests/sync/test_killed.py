"""SIGKILL at any moment of a sync: the database holds the old state or the new one, and the next sync heals."""

import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from circuit_sync.sync.log.closing import close_as_failed, open_syncs
from circuit_sync_tests.processes import start_sync
from circuit_sync_tests.scenery import Desk, until

ROWS = [{"SS_WO": f"wo-{number}", "VEGJOB_PRCENT": 50} for number in range(12)]
CHANGED = [
    *(row | {"VEGJOB_PRCENT": 100, "SS_TAKENBY": "CONTRACTOR\\new", "REGION": "New"} for row in ROWS[1:]),
    {"SS_WO": "new"},
]
IN_THE_DATABASE = {
    "while it opens its log": "LOCK TABLE sync_logs IN SHARE MODE",
    "before it waits its turn": "SELECT pg_advisory_xact_lock(hashtextextended('circuit_sync store circuits', 0))",
    "before its first call": "SELECT pg_advisory_xact_lock(hashtextextended('circuit_sync pace', 0))",
    "while it stages": "LOCK TABLE staged_circuits IN SHARE MODE",
    "while it creates regions": "LOCK TABLE regions IN SHARE MODE",
    "while it locks circuits": "SELECT FROM circuits WHERE work_order = 'wo-7' FOR UPDATE",
    "while it marks the departed": "SELECT FROM circuits WHERE work_order = 'wo-0' FOR UPDATE",
    "after it rewrote circuits": "LOCK TABLE circuit_ui_states IN SHARE MODE",
    "after it moved stages": "LOCK TABLE unlinked_planners IN SHARE MODE",
    "after it counted planners": "LOCK TABLE circuit_history IN SHARE MODE",
    "after it wrote history": "LOCK TABLE circuit_snapshots IN SHARE MODE",
}
"""What holds a sync up at a moment: moments in the order of a sync."""


def kill_once(desk: Desk, is_there: Callable[[], bool]) -> None:
    """A sync in a process of its own, killed as soon as it is where it should be."""
    child = start_sync(desk, ["ACTIV", "QC"])
    try:
        until(is_there)
    finally:
        child.kill()
        child.join()
    assert child.exitcode == -signal.SIGKILL


def kill_at(desk: Desk, lock: str) -> None:
    """The same, killed where it waits for what ``lock`` locks; its last statement may run on, but nobody commits it."""
    with psycopg.connect(desk.database.url) as holder:
        holder.execute(lock)  # type: ignore[arg-type]
        kill_once(desk, lambda: desk.waiting() > 0)
        holder.rollback()
    until(lambda: advisory_locks(desk) == 0)


def advisory_locks(desk: Desk) -> int:
    return int(
        desk.one(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )


def prepared(desk: Desk) -> dict[str, Any]:
    desk.answer("ACTIV", ROWS)
    desk.answer("QC", [])
    desk.sync("ACTIV", "QC")
    desk.answer("QC", [{"SS_WO": "wo-1"}])
    desk.answer("ACTIV", CHANGED[1:])
    return desk.contents()


def heal(desk: Desk) -> dict[str, Any]:
    """Closes what was left behind, as the sensor does, and syncs again."""
    abandoned = open_syncs(desk.session)
    assert [log.is_alive for log in abandoned] in ([], [False])
    for log in abandoned:
        assert close_as_failed(desk.session, log.id, "its process is gone")
        assert not close_as_failed(desk.session, log.id, "its process is gone")
    result = desk.sync("ACTIV", "QC")
    assert result.sync_status == "completed"
    assert desk.one("SELECT count(*) FROM staged_circuits") == 0
    assert desk.one("SELECT count(*) FROM sync_logs WHERE sync_status = 'started'") == 0
    return desk.meaning()


def new_state(desk: Desk) -> dict[str, Any]:
    """What the database says after the same two answers without any kill."""
    prepared(desk)
    desk.sync("ACTIV", "QC")
    meaning = desk.meaning()
    desk.forget()
    return meaning


def test_a_sync_killed_at_any_moment_in_the_database_leaves_the_old_state(desk: Desk) -> None:
    wanted = new_state(desk)
    for moment, lock in IN_THE_DATABASE.items():
        before = prepared(desk)

        kill_at(desk, lock)

        assert desk.contents() == before, moment
        assert heal(desk) == wanted, moment
        assert len(desk.events("circuit.workflow_changed")) == 11, moment
        desk.forget()


@pytest.mark.parametrize("match", ["health", "ACTIV", "QC"])
def test_a_sync_killed_during_a_call_leaves_the_old_state(desk: Desk, match: str) -> None:
    before = prepared(desk)
    desk.simulator.fault("delay", seconds=600, match=match, times=1)

    kill_once(desk, lambda: any(call.fault == "delay" for call in desk.simulator.calls))

    assert desk.contents() == before
    assert desk.log()["sync_status"] == "started"
    heal(desk)


def test_a_sync_killed_between_fetch_and_store_leaves_what_it_fetched_to_nobody(desk: Desk) -> None:
    before = prepared(desk)
    kill_at(desk, "LOCK TABLE regions IN SHARE MODE")
    assert desk.one("SELECT count(*) FROM staged_circuits") > 0

    heal(desk)

    assert desk.one("SELECT count(*) FROM staged_circuits") == 0
    assert before["circuits"] != desk.contents()["circuits"]


def test_a_sync_killed_after_its_commit_leaves_the_new_state(desk: Desk) -> None:
    wanted = new_state(desk)
    prepared(desk)
    child = start_sync(desk, ["ACTIV", "QC"])
    until(lambda: desk.one("SELECT count(*) FROM sync_logs WHERE sync_status = 'completed'") == 2)
    child.kill()
    child.join()

    assert desk.meaning() == wanted
    assert open_syncs(desk.session) == []
    assert desk.sync("ACTIV", "QC").counts["updated"] == 0
