"""A preview shows what a sync would do, and does nothing: behaviour 15."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from circuit_sync.database.locks import store_lock
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync_tests.scenery import Desk, until

EVERYTHING = ("regions", "unlinked_planners", "circuits", "circuit_ui_states", "circuit_user", "circuit_history")
LOGS = ("sync_logs", "sync_events", "staged_circuits", "database_settings", "circuit_snapshots")


def prepared(desk: Desk) -> None:
    """A database, and an answer that would create, change, withhold, move and make depart."""
    desk.answer("ACTIV", [{"SS_WO": str(number), "SS_TITLE": "before", "VEGJOB_PRCENT": 50} for number in range(4)])
    desk.sync()
    desk.execute(
        "UPDATE circuits SET title = 'by hand', user_modified_fields = '{\"title\": {}}' WHERE work_order = '2'"
    )
    desk.answer(
        "ACTIV",
        [
            {"SS_WO": "0", "SS_TITLE": "before", "VEGJOB_PRCENT": 50, "REGION": "Brand New", "SS_TAKENBY": "C\\new"},
            {"SS_WO": "1", "SS_TITLE": "after", "VEGJOB_PRCENT": 100},
            {"SS_WO": "2", "SS_TITLE": "before", "VEGJOB_PRCENT": 50},
            {"SS_WO": "4"},
            {"SS_WO": "5", "VEGJOB_LENGTH": "junk"},
        ],
    )


def test_a_preview_changes_nothing_at_all(desk: Desk) -> None:
    prepared(desk)
    before = desk.contents((*EVERYTHING, *LOGS))

    desk.preview()

    assert desk.contents((*EVERYTHING, *LOGS)) == before


def test_a_preview_shows_what_would_be_created_changed_withheld_and_departed(desk: Desk) -> None:
    prepared(desk)

    lines = desk.preview().changes

    shown = {(line["what"], line["work_order"], line["field"], line["old"], line["new"]) for line in lines}
    assert shown == {
        ("departed", "3", "", None, None),
        ("withheld", "2", "title", "by hand", "before"),
        ("stage", "1", "workflow_stage", "active", "pending_permissions"),
        ("changed", "0", "region", "Lancaster", "Brand New"),
        ("changed", "0", "taken_by", "CONTRACTOR\\planner1", "C\\new"),
        ("changed", "1", "title", "before", "after"),
        ("changed", "1", "api_data.VEGJOB_LINENAME", "before", "after"),
        ("changed", "1", "percent_complete", "50.00", "100.00"),
        ("created", "4", "", None, None),
    }


def test_a_preview_says_what_the_sync_then_does(desk: Desk) -> None:
    prepared(desk)

    preview = desk.preview()
    sync = desk.sync()

    assert (preview.counts, preview.per_status) == (sync.counts, sync.per_status)
    assert (preview.changes, preview.rejected, preview.message) == (sync.changes, sync.rejected, sync.message)


def test_a_preview_of_an_empty_database_leaves_it_empty(desk: Desk) -> None:
    before = desk.contents((*EVERYTHING, *LOGS))
    assert desk.preview("ACTIV", "QC", "REWRK", "CLOSE").counts["created"] == 60

    assert desk.contents((*EVERYTHING, *LOGS)) == before
    assert {table for table, rows in before.items() if rows} == {"database_settings"}, "its identity"


def test_a_preview_may_be_forced_or_accept_departures(desk: Desk) -> None:
    prepared(desk)
    assert desk.preview(force=True).counts["withheld"] == 0
    desk.answer("ACTIV", [])

    assert desk.preview().counts["departed"] == 0
    assert desk.preview(accept_departures=True).counts["departed"] == 4


def test_a_preview_does_not_count_as_an_answer_that_agrees(desk: Desk) -> None:
    prepared(desk)
    desk.answer("ACTIV", [])
    for _ in range(3):
        desk.preview()

    assert desk.sync().counts["departed"] == 0


def test_a_preview_that_fails_leaves_nothing(desk: Desk) -> None:
    prepared(desk)
    before = desk.contents((*EVERYTHING, *LOGS))
    for kind in ("unauthorized", "missing_column", "error"):
        desk.simulator.clear_faults()
        desk.simulator.fault(kind)
        with pytest.raises(CircuitSyncError):
            desk.preview()

    assert desk.contents((*EVERYTHING, *LOGS)) == before


def test_a_preview_that_waits_keeps_nobody_from_writing_events(desk: Desk) -> None:
    """Else it and a run that holds what it waits for would wait for each other."""
    prepared(desk)
    events = "SELECT pg_try_advisory_xact_lock(hashtextextended('circuit_sync events', 0))"
    with ThreadPoolExecutor(1) as threads, psycopg.connect(desk.database.url) as run:
        run.execute("LOCK TABLE circuit_history IN SHARE MODE")
        preview = threads.submit(desk.preview)
        until(lambda: desk.waiting() > 0)

        assert run.execute(events).fetchall() == [(True,)]

        run.rollback()
        assert preview.result().counts["created"] == 1


def test_a_preview_waits_for_the_sync_that_stores(desk: Desk) -> None:
    """Else the two could lock the same circuits in different orders."""
    prepared(desk)
    with ThreadPoolExecutor(1) as threads:
        with store_lock(desk.database, say=desk.lines.append):
            preview = threads.submit(desk.preview)
            until(lambda: any("waiting for another circuit sync" in line for line in desk.lines))
            assert not preview.done()
        assert preview.result().counts["created"] == 1

    desk.sync()  # and lets the next one in
