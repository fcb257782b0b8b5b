"""A circuit sync: what it stores, counts, logs and tells; behaviours 1, 4, 6, 16, 17 and 18."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from circuit_sync.domain.errors import PermanentError, TransientError, UsageError
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.simulator import CIRCUIT_HEADING, COMMENT_MARKER, Simulator, World
from circuit_sync.simulator.tables import guid_of
from circuit_sync.sync.circuits.sync import open_circuit_sync, preview_circuits
from circuit_sync.sync.installation.ownership import adopt_database
from circuit_sync_tests.scenery import Desk, session_for

GUID = guid_of("2026-0101", "@")
ALL = ("ACTIV", "QC", "REWRK", "CLOSE")


# The specification's own list, one for one.


def test_creates_new_circuits_from_an_answer(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_JOBGUID": "guid-1", "SS_WO": "2025-1234", "SS_TITLE": "Test Circuit"}])

    desk.sync("ACTIV")

    assert desk.rows("SELECT job_guid, work_order, title FROM circuits") == [
        {"job_guid": "guid-1", "work_order": "2025-1234", "title": "Test Circuit"}
    ]


def test_updates_existing_circuits_by_job_guid(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_TITLE": "before"}])
    desk.sync()
    before = desk.circuit("2026-0101")
    desk.answer("ACTIV", [{"SS_TITLE": "after", "SS_JOBGUID": GUID.lower()}])

    desk.sync()

    after = desk.circuit("2026-0101")
    assert (after["id"], after["job_guid"], after["title"]) == (before["id"], GUID, "after")
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] == desk.clock()


def test_creates_a_ui_state_for_new_circuits(desk: Desk) -> None:
    desk.answer("QC", [{}])

    desk.sync("QC")

    state = desk.rows("SELECT workflow_stage, stage_changed_by, stage_changed_at FROM circuit_ui_states")
    assert state == [{"workflow_stage": "qc", "stage_changed_by": "sync", "stage_changed_at": desk.clock()}]


def test_logs_a_sync_as_completed(desk: Desk) -> None:
    desk.answer("ACTIV", [{}, {}])

    result = desk.sync()

    log = desk.log()
    assert (log["sync_status"], log["circuits_processed"]) == ("completed", 2)
    assert (log["id"], log["sync_type"], log["error_message"]) == (result.sync_id, "circuit_list", None)
    assert log["completed_at"] == desk.clock()


def test_an_unavailable_server_fails_the_sync_and_its_log(desk: Desk) -> None:
    desk.simulator.fault("status", code=500)

    with pytest.raises(TransientError, match="HTTP 500"):
        desk.sync()

    assert desk.log()["sync_status"] == "failed"


# Behaviour 1: the order of a sync.


def test_a_sync_opens_its_log_asks_for_health_fetches_every_status_and_then_stores(desk: Desk) -> None:
    sync_id = open_circuit_sync(desk.session, CircuitSyncRequest(["CLOSE", "ACTIV"], trigger="scheduled", run_id="r1"))
    log = desk.log(sync_id)
    assert (log["sync_status"], log["sync_trigger"], log["api_status_filter"]) == (
        "started",
        "scheduled",
        "ACTIV,CLOSE",
    )
    assert (log["dagster_run_id"], log["started_at"], log["completed_at"]) == ("r1", desk.clock(), None)
    assert [call.view for call in desk.simulator.calls] == ["health"]
    assert [event["name"] for event in desk.events()] == ["sync.started"]

    desk.sync("CLOSE", "ACTIV")

    asked = [(call.view, call.value) for call in desk.simulator.calls[1:]]
    assert asked == [("health", None), ("circuits", "ACTIV"), ("circuits", "CLOSE")]


def test_nothing_is_stored_while_statuses_are_fetched(desk: Desk) -> None:
    before = desk.contents()

    desk.fetch(*ALL)

    assert desk.contents() == before
    assert desk.log()["sync_status"] == "started"


def test_several_statuses_are_stored_all_or_nothing(desk: Desk) -> None:
    desk.simulator.fault("status", code=503, match="CLOSE")
    before = desk.contents()

    with pytest.raises(TransientError, match="By Job Status = CLOSE"):
        desk.sync("QC", "REWRK", "CLOSE")

    assert desk.contents() == before
    assert desk.log()["sync_status"] == "failed"


def test_completion_and_data_are_one_transaction(desk: Desk) -> None:
    sync_id = desk.fetch("ACTIV")
    before = desk.contents()

    with desk.storing(sync_id, "LOCK TABLE circuit_history IN SHARE MODE") as stored:
        desk.execute("UPDATE sync_logs SET sync_status = 'failed' WHERE id = %s", sync_id)

    with pytest.raises(TransientError, match="closed by somebody else"):
        stored.result()
    assert desk.contents() == before
    assert [event["name"] for event in desk.events()] == ["sync.started"]


def test_a_sync_that_has_ended_is_not_stored_again(desk: Desk) -> None:
    sync_id = desk.fetch("ACTIV")
    desk.store(sync_id)
    before, told = desk.contents(), desk.events()

    with pytest.raises(PermanentError, match="has ended already"):
        desk.store(sync_id)

    assert (desk.contents(), desk.events(), desk.log()["sync_status"]) == (before, told, "completed")


def test_a_log_tells_how_long_the_sync_took(desk: Desk) -> None:
    sync_id = desk.fetch()
    desk.clock.advance(seconds=12.5)

    desk.store(sync_id)

    assert desk.log()["duration_seconds"] == Decimal("12.5")


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_cancelled_sync_closes_its_log(desk: Desk, ending: type[BaseException]) -> None:
    def cancel(line: str) -> None:
        if "circuits received" in line:
            raise ending

    session = session_for(desk.database, desk.simulator.base_url, desk.clock, log=cancel)
    cancelled = Desk(session, desk.simulator, desk.clock)

    with pytest.raises(ending):
        cancelled.sync()

    log = desk.log()
    assert (log["sync_status"], log["error_details"]["passing"]) == ("failed", False)
    assert "cancelled" in log["error_message"]
    assert [event["name"] for event in desk.events()] == ["sync.started", "sync.failed"]
    desk.sync()  # the store is free again


def test_one_run_has_one_circuit_sync(desk: Desk) -> None:
    open_circuit_sync(desk.session, CircuitSyncRequest(["ACTIV"], run_id="r1"))

    with pytest.raises(UsageError, match="r1"):
        open_circuit_sync(desk.session, CircuitSyncRequest(["ACTIV"], run_id="r1"))

    assert desk.one("SELECT count(*) FROM sync_logs") == 1


def test_what_was_fetched_goes_when_the_sync_ends(desk: Desk) -> None:
    desk.sync(*ALL)
    assert desk.one("SELECT count(*) FROM staged_circuits") == 0

    sync_id = desk.fetch(*ALL)
    desk.execute("UPDATE sync_logs SET sync_status = 'failed' WHERE id = %s", sync_id)
    open_circuit_sync(desk.session, CircuitSyncRequest(["ACTIV"]))
    assert desk.one("SELECT count(*) FROM staged_circuits") == 0


def test_what_was_fetched_and_got_lost_is_not_taken_for_an_empty_answer(desk: Desk) -> None:
    """After a crash of the server an unlogged table is empty."""
    desk.sync("ACTIV")
    sync_id = desk.fetch("ACTIV")
    desk.execute("TRUNCATE staged_circuits")
    before = desk.contents()

    with pytest.raises(TransientError, match="sync again"):
        desk.store(sync_id)

    assert desk.contents() == before
    assert desk.log()["sync_status"] == "failed"


def test_a_sync_whose_database_connections_break_closes_its_log(desk: Desk) -> None:
    sync_id = desk.fetch()
    desk.execute("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """)

    with pytest.raises(TransientError):
        desk.store(sync_id)

    assert desk.log(sync_id)["sync_status"] == "failed"
    desk.sync()


# Behaviour 4: the upsert.


def test_every_column_of_the_view_reaches_its_field(desk: Desk) -> None:
    desk.answer(
        "ACTIV",
        [
            {
                "SS_JOBGUID": "8037bb16-e838-4b74-b5c4-9dbf9ed7202e",
                "SS_WO": " 2026-7 ",
                "SS_EXT": "B",
                "REGION": "Lehigh",
                "SS_TITLE": "A line",
                "SS_JOBTYPE": "Split_Assessment",
                "VEGJOB_CYCLETYPE": "Trim",
                "VEGJOB_CONTRACTOR": "Contractor",
                "VEGJOB_LENGTH": "57.79",
                "VEGJOB_LENGTHCOMP": 12.345,
                "VEGJOB_PRCENT": 21.36,
                "VEGJOB_PROJACRES": None,
                "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "/Date(2026-01-01)/",
                "SS_EDITDATE": "/Date(2025-12-05T20:12:44.142Z)/",
                "SS_TAKENBY": "CONTRACTOR\\ann",
                "VEGJOB_FORESTER": "Ann Other",
                "VEGJOB_CIRCCOMNTS": f"{COMMENT_MARKER} gate",
                "WSREQ_VERSION": 77,
                "WSREQ_BOUNDSGEOM": {"@sourceFormat": "DataObjectGeometry", "type": "Polygon", "coordinates": []},
            }
        ],
    )

    desk.sync()

    circuit = desk.circuit("2026-7", "B")
    expected: dict[str, Any] = {
        "job_guid": "{8037BB16-E838-4B74-B5C4-9DBF9ED7202E}",
        "region": "Lehigh",
        "title": "A line",
        "job_type": "Split_Assessment",
        "cycle_type": "Trim",
        "contractor": "Contractor",
        "taken_by": "CONTRACTOR\\ann",
        "total_miles": Decimal("57.79"),
        "miles_planned": Decimal("12.35"),
        "percent_complete": Decimal("21.36"),
        "total_acres": Decimal("0.00"),
        "start_date": date(2026, 1, 1),
        "api_status": "ACTIV",
        "api_modified_at": datetime(2025, 12, 5, 20, 12, 44, 142000, UTC),
        "departed_at": None,
        "user_modified_fields": {},
        "is_excluded": False,
        "planned_units_sync_enabled": True,
    }
    assert {name: circuit[name] for name in expected} == expected
    assert circuit["api_data"]["VEGJOB_FORESTER"] == "Ann Other"
    assert circuit["api_data"]["VEGJOB_CIRCCOMNTS"] == f"{COMMENT_MARKER} gate"
    assert circuit["api_data"]["WSREQ_VERSION"] == 77
    assert set(circuit["api_data"]) == {
        *("VEGJOB_LINENAME", "VEGJOB_CIRCCOMNTS", "VEGJOB_COSTMETHOD", "VEGJOB_GF", "VEGJOB_FORESTER", "SS_ASSIGNEDTO"),
        *("WSREQ_VERSION", "WSREQ_SYNCHVERSN", "UNITCOUNTS_LENGTHWRK", "UNITCOUNTS_NUMTREES"),
        *("VEGJOB_SERVCOMP", "VEGJOB_OPCO"),
    }


CHANGES: list[tuple[str, Any, Any]] = [
    ("VEGJOB_LENGTH", 10.0, 10.01),
    ("VEGJOB_LENGTHCOMP", "5", "5.01"),
    ("VEGJOB_PRCENT", 50, 50.01),
    ("SS_EDITDATE", "/Date(2026-01-05T21:48:22.216Z)/", "/Date(2026-01-05T21:48:22.217Z)/"),
    ("SS_TITLE", "Line", "line"),
    ("SS_TITLE", "Line", "Line\u200b"),
    ("SS_TITLE", "Line", ""),
    ("SS_TAKENBY", "CONTRACTOR\\ann", "contractor\\ann"),
    ("SS_TAKENBY", "CONTRACTOR\\ann", ""),
    ("SS_WO", "2026-1", "2026-01"),
    ("REGION", "Lancaster", ""),
    ("REGION", "Lancaster", "Lehigh"),
    ("WPStartDate_Assessment_Xrefs_WP_STARTDATE", "/Date(2026-01-01)/", "/Date(1899-12-30)/"),
    ("VEGJOB_FORESTER", "", "Ann Other"),
    ("UNITCOUNTS_LENGTHWRK", 4.05339443882265, 4.05339443882266),
    ("VEGJOB_CIRCCOMNTS", "", "gate"),
]
SPELLINGS: list[tuple[str, Any, Any]] = [
    ("VEGJOB_LENGTH", 57.79, "57.79"),
    ("VEGJOB_LENGTH", 57.79, " 57.790 "),
    ("VEGJOB_LENGTH", 0, None),
    ("VEGJOB_LENGTH", 0, ""),
    ("VEGJOB_LENGTH", 0.0, "-0"),
    ("VEGJOB_LENGTH", 10.004, 10.0),
    ("SS_TITLE", "Line", " Li\0ne "),
    ("SS_JOBGUID", GUID, GUID.strip("{}").lower()),
    ("SS_EXT", "@", ""),
    ("REGION", "Lancaster", "LANCASTER"),
    ("WPStartDate_Assessment_Xrefs_WP_STARTDATE", "/Date(2026-01-01)/", "2026-01-01"),
    ("WPStartDate_Assessment_Xrefs_WP_STARTDATE", "", "/Date(2009-12-31)/"),
    ("SS_EDITDATE", "/Date(2026-01-05T21:48:22.216Z)/", "2026-01-05T16:48:22.216-05:00"),
    ("SS_TAKENBY", "", "nobody"),
    ("UNITCOUNTS_LENGTHWRK", 4.0, 4),
    ("VEGJOB_FORESTER", "", None),
]


def one_row_each(cases: list[tuple[str, Any, Any]], *, after: bool) -> list[dict[str, Any]]:
    """A circuit for each case, with the value before or after."""
    return [
        {"SS_WO": f"wo-{number}", "SS_JOBGUID": f"guid-{number}", column: values[after]}
        for number, (column, *values) in enumerate(cases)
    ]


def test_the_smallest_change_is_a_change(desk: Desk) -> None:
    desk.answer("ACTIV", one_row_each(CHANGES, after=False))
    desk.sync()
    desk.answer("ACTIV", one_row_each(CHANGES, after=True))

    result = desk.sync()

    told = desk.rows("SELECT c.job_guid FROM sync_events AS e JOIN circuits AS c ON c.id = e.circuit_id ORDER BY c.id")
    assert [row["job_guid"] for row in told] == [f"guid-{number}" for number in range(len(CHANGES))]
    assert (result.counts["updated"], result.counts["unchanged"]) == (len(CHANGES), 0)


def test_another_spelling_of_the_same_value_is_no_change(desk: Desk) -> None:
    desk.answer("ACTIV", one_row_each(SPELLINGS, after=False))
    desk.sync()
    held = desk.contents(["circuits", "circuit_history", "circuit_ui_states", "circuit_user", "regions"])
    desk.answer("ACTIV", one_row_each(SPELLINGS, after=True))

    result = desk.sync()

    assert desk.contents(held) == held
    assert (result.counts["updated"], result.counts["unchanged"]) == (0, len(SPELLINGS))
    assert desk.events("circuit.updated") == []


def test_counts_add_up_for_each_status_and_for_all(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2"}, {"SS_WO": "3"}])
    desk.sync("ACTIV")
    desk.answer(
        "ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2", "SS_TITLE": "new"}, {"SS_WO": "4"}, {"SS_WO": "4"}, {"SS_WO": ""}]
    )
    desk.answer("QC", [{"SS_WO": "3"}, {"SS_WO": "5"}])

    result = desk.sync("ACTIV", "QC")

    assert result.per_status == {
        "ACTIV": {
            "processed": 3,
            "created": 1,
            "updated": 1,
            "unchanged": 1,
            "rows_received": 5,
            "rows_rejected": 1,
            "rows_duplicate": 1,
        },
        "QC": {
            "processed": 2,
            "created": 1,
            "updated": 1,
            "unchanged": 0,
            "rows_received": 2,
            "rows_rejected": 0,
            "rows_duplicate": 0,
        },
    }
    log = desk.log()
    names = ("processed", "created", "updated", "unchanged")
    assert [log[f"circuits_{name}"] for name in names] == [5, 2, 2, 1]
    assert [log[name] for name in ("rows_received", "rows_rejected", "rows_duplicate")] == [7, 1, 1]
    assert log["context"]["per_status"] == result.per_status


def test_an_unknown_region_is_created_not_dropped(desk: Desk) -> None:
    desk.answer("ACTIV", [{"REGION": "Far East"}, {"REGION": "FAR EAST"}, {"REGION": "Nowhere"}, {"REGION": None}])

    desk.sync()

    assert desk.column("SELECT name FROM regions ORDER BY name") == ["FAR EAST", "Nowhere"]
    assert desk.one("SELECT count(*) FROM circuits WHERE region_id IS NULL") == 1
    assert desk.log()["context"]["new_regions"] == ["FAR EAST", "Nowhere"]


def test_a_new_region_gets_a_code_of_its_own_where_its_name_is_another_ones_code(desk: Desk) -> None:
    desk.execute("INSERT INTO regions (name, code) VALUES ('Lehigh Valley', 'LEHIGH')")
    desk.answer("ACTIV", [{"REGION": "Lehigh"}])

    desk.sync()

    assert desk.circuit("2026-0101")["region"] == "Lehigh"
    assert desk.one("SELECT count(DISTINCT code) FROM regions") == 2


def test_columns_are_found_by_heading(desk: Desk) -> None:
    desk.answer("ACTIV", [{}])
    desk.sync()
    held = desk.versions("circuits")
    desk.answer("ACTIV", [{"VEGJOB_NEW": "ignored"}], heading=[*reversed(CIRCUIT_HEADING), "VEGJOB_NEW"])

    desk.sync()

    assert desk.versions("circuits") == held


def test_a_column_that_the_view_lost_leaves_what_is_known(desk: Desk) -> None:
    """Nothing is known of a field without a column, be it one of ours or one kept in ``api_data``."""
    rows = [{"VEGJOB_FORESTER": "Ann", "VEGJOB_LENGTH": 57.79, "REGION": "Lehigh"}]
    desk.answer("ACTIV", rows)
    desk.sync()
    held = desk.versions("circuits")
    lost = {"VEGJOB_FORESTER", "VEGJOB_LENGTH", "REGION", "SS_EDITDATE", "SS_TAKENBY", "SS_TITLE"}
    desk.answer("ACTIV", rows, heading=[name for name in CIRCUIT_HEADING if name not in lost])

    result = desk.sync()

    assert result.counts["unchanged"] == 1
    assert desk.versions("circuits") == held


def test_a_circuit_first_seen_without_an_optional_column_has_no_value_there(desk: Desk) -> None:
    desk.answer("ACTIV", [{}], heading=["SS_JOBGUID", "SS_WO", "WSREQ_STATUS"])

    desk.sync()

    circuit = desk.circuit("2026-0101")
    assert (circuit["extension"], circuit["title"], circuit["total_miles"]) == ("@", None, 0)


def test_a_change_tells_field_by_field_what_was_and_what_is(desk: Desk) -> None:
    desk.answer("ACTIV", [{"REGION": "Lehigh", "VEGJOB_LENGTH": 1, "VEGJOB_FORESTER": "Ann", "SS_TITLE": "L"}])
    desk.sync()
    desk.answer("ACTIV", [{"REGION": "York", "VEGJOB_LENGTH": 2.5, "VEGJOB_FORESTER": None, "SS_TITLE": "L"}])

    result = desk.sync()

    (event,) = desk.events("circuit.updated")
    assert event["payload"]["changed"] == {
        "region": {"old": "Lehigh", "new": "York"},
        "total_miles": {"old": 1.0, "new": 2.5},
        "api_data.VEGJOB_FORESTER": {"old": "Ann", "new": None},
    }
    circuit = desk.circuit("2026-0101")
    assert (event["channels"], event["circuit_id"]) == ([f"circuit.{circuit['id']}"], circuit["id"])
    assert event["sync_log_id"] == result.sync_id
    assert [(line["field"], line["old"], line["new"]) for line in result.changes] == [
        ("api_data.VEGJOB_FORESTER", "Ann", ""),
        ("region", "Lehigh", "York"),
        ("total_miles", "1.00", "2.50"),
    ]


def test_history_has_a_row_only_where_its_own_columns_changed(desk: Desk) -> None:
    desk.answer("ACTIV", [{"VEGJOB_LENGTHCOMP": 1}])
    desk.sync()
    first = desk.clock()
    desk.answer("ACTIV", [{"VEGJOB_LENGTHCOMP": 1, "SS_TITLE": "another", "SS_EDITDATE": "/Date(2026-02-01)/"}])
    desk.sync()
    assert desk.one("SELECT count(*) FROM circuit_history") == 1
    desk.answer("ACTIV", [{"VEGJOB_LENGTHCOMP": 2}])

    desk.sync()

    history = desk.rows("SELECT miles_planned, valid_from, valid_to FROM circuit_history ORDER BY valid_from")
    assert history == [
        {"miles_planned": 1, "valid_from": first, "valid_to": desk.clock()},
        {"miles_planned": 2, "valid_from": desk.clock(), "valid_to": None},
    ]


def test_history_stays_without_gap_or_overlap_when_the_clock_goes_back(desk: Desk) -> None:
    for number, hours in enumerate((0, 5, -3, 0, 1)):
        desk.clock.advance(hours=hours)
        desk.answer("ACTIV", [{"VEGJOB_LENGTHCOMP": number}])
        desk.sync()

    history = desk.rows("SELECT valid_from, valid_to, miles_planned FROM circuit_history ORDER BY valid_from")
    ends = [row["valid_to"] for row in history]
    assert ends == [*(row["valid_from"] for row in history[1:]), None]
    assert history[-1]["miles_planned"] == 4


# Behaviour 6: duplicates.


def test_of_a_circuit_found_twice_the_newer_edit_wins(desk: Desk) -> None:
    newer, older = "/Date(2026-02-02T08:00:00Z)/", "/Date(2026-02-01T08:00:00Z)/"
    desk.answer("ACTIV", [{"SS_EDITDATE": newer, "SS_TITLE": "newer"}])
    desk.answer("QC", [{"SS_EDITDATE": older, "SS_TITLE": "older"}])

    result = desk.sync("ACTIV", "QC")

    circuit = desk.circuit("2026-0101")
    assert (circuit["api_status"], circuit["title"]) == ("ACTIV", "newer")
    assert result.counts["rows_duplicate"] == 1
    assert desk.log()["error_details"]["duplicates"] == [GUID]


@pytest.mark.parametrize("edited", ["/Date(2026-02-01T08:00:00Z)/", None])
def test_of_a_circuit_edited_at_the_same_time_the_later_status_wins(desk: Desk, edited: str | None) -> None:
    desk.answer("CLOSE", [{"SS_EDITDATE": edited}])
    desk.answer("QC", [{"SS_EDITDATE": edited}])

    desk.sync("CLOSE", "QC")

    assert desk.circuit("2026-0101")["api_status"] == "CLOSE"


def test_which_of_two_equally_old_rows_wins_does_not_hang_on_their_order(desk: Desk) -> None:
    rows = [{"SS_WO": "1", "SS_TITLE": title} for title in ("one", "two")]
    titles = set()
    for order in (rows, rows[::-1]):
        desk.answer("ACTIV", order)
        desk.sync()
        titles.add(desk.circuit("1")["title"])

    assert len(titles) == 1


def test_a_circuit_that_moved_between_two_fetched_statuses_is_not_departed(desk: Desk) -> None:
    desk.answer("QC", [{"SS_WO": "1"}])
    desk.sync("QC")
    desk.answer("QC", [])
    desk.answer("REWRK", [{"SS_WO": "1"}])

    result = desk.sync("QC", "REWRK")

    assert (result.counts["updated"], result.counts["departed"]) == (1, 0)
    assert result.sync_status == "completed"
    assert desk.circuit("1")["api_status"] == "REWRK"


# Splits.


@pytest.mark.parametrize("order", [["@", "A", "B"], ["B", "A", "@"]])
def test_splits_are_tied_to_their_main_assessment_whatever_the_order(desk: Desk, order: list[str]) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_EXT": extension} for extension in order] + [{"SS_WO": "2"}])

    desk.sync()

    main = desk.circuit("1")
    parents = desk.rows("SELECT extension, parent_circuit_id AS parent FROM circuits WHERE work_order = '1' ORDER BY 1")
    assert [(row["extension"], row["parent"]) for row in parents] == [("@", None), ("A", main["id"]), ("B", main["id"])]
    assert desk.circuit("2")["parent_circuit_id"] is None


def test_a_split_is_tied_when_its_main_assessment_comes_a_day_later(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_EXT": "A"}])
    desk.sync("ACTIV")
    assert desk.circuit("1", "A")["parent_circuit_id"] is None
    desk.clock.advance(days=1)
    desk.answer("QC", [{"SS_WO": "1"}])

    desk.sync("QC")

    assert desk.circuit("1", "A")["parent_circuit_id"] == desk.circuit("1")["id"]


def test_of_two_main_assessments_of_a_work_order_the_same_one_is_the_parent_in_any_order(desk: Desk) -> None:
    rows = [{"SS_WO": "1", "SS_JOBGUID": "g2"}, {"SS_WO": "1", "SS_JOBGUID": "g1"}, {"SS_WO": "1", "SS_EXT": "A"}]
    parents = set()
    for order in (rows, rows[::-1]):
        desk.forget()
        desk.answer("ACTIV", order)
        desk.sync()
        parents |= set(desk.column("SELECT m.job_guid FROM circuits c JOIN circuits m ON m.id = c.parent_circuit_id"))

    assert len(parents) == 1


def test_a_split_that_becomes_a_main_assessment_has_no_parent_any_more(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "1", "SS_EXT": "A"}])
    desk.sync()
    guid = desk.circuit("1", "A")["job_guid"]
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2", "SS_EXT": "@", "SS_JOBGUID": guid}])

    desk.sync()

    assert desk.circuit("2")["parent_circuit_id"] is None


# Which circuits are enabled for planned units.


def test_a_circuit_closed_when_first_seen_is_not_enabled_until_it_is_reopened(desk: Desk) -> None:
    desk.answer("CLOSE", [{"SS_WO": "1"}])
    desk.sync("CLOSE")
    assert desk.circuit("1")["planned_units_sync_enabled"] is False
    desk.answer("ACTIV", [{"SS_WO": "1"}])

    desk.sync("ACTIV")

    assert desk.circuit("1")["planned_units_sync_enabled"] is True


def test_a_circuit_that_closes_stays_enabled_for_its_last_aggregate(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}])
    desk.sync("ACTIV")
    desk.answer("CLOSE", [{"SS_WO": "1"}])

    desk.sync("CLOSE")

    assert desk.circuit("1")["planned_units_sync_enabled"] is True


# Events of the sync itself.


def test_a_sync_tells_when_it_started_and_completed(desk: Desk) -> None:
    desk.answer("ACTIV", [{}, {"SS_WO": ""}])
    sync_id = desk.fetch("ACTIV", trigger="scheduled")
    started_at = desk.clock()
    completed_at = desk.clock.advance(minutes=1)
    desk.store(sync_id)

    started, completed = desk.events()
    assert (started["name"], completed["name"]) == ("sync.started", "sync.completed")
    assert started["payload"] == {
        "sync_id": sync_id,
        "sync_type": "circuit_list",
        "statuses": ["ACTIV"],
        "trigger": "scheduled",
        "started_at": started_at.isoformat(),
    }
    assert completed["payload"] == {
        "sync_id": sync_id,
        "circuits_processed": 1,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "sync_status": "warning",
        "completed_at": completed_at.isoformat(),
    }
    assert started["channels"] == completed["channels"] == ["dashboard", "sync-status"]


# Behaviour 16: no free text in motion.


def test_comments_are_stored_and_never_told(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    comment = {"VEGJOB_CIRCCOMNTS": f"{COMMENT_MARKER} gate code 4711"}
    desk.answer("ACTIV", [{"SS_WO": "1"} | comment, {"SS_WO": "2", "VEGJOB_LENGTH": "junk"} | comment])
    first = desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "VEGJOB_CIRCCOMNTS": f"{COMMENT_MARKER} dog"}, {"SS_WO": ""} | comment])
    preview = desk.preview()
    second = desk.sync()
    desk.simulator.fault("missing_column", column="SS_WO")
    with pytest.raises(Exception, match="SS_WO") as failure:
        desk.sync()

    assert COMMENT_MARKER in desk.circuit("1")["api_data"]["VEGJOB_CIRCCOMNTS"]
    (event,) = desk.events("circuit.updated")
    assert event["payload"]["changed"] == {"api_data.VEGJOB_CIRCCOMNTS": {"changed": True}}
    for result in (preview, second):
        assert {"field": "api_data.VEGJOB_CIRCCOMNTS", "new": "(not shown)"}.items() <= result.changes[-1].items()
    told = [desk.rows("SELECT * FROM sync_logs"), desk.events(), desk.lines, first, preview, second, failure.value]
    assert COMMENT_MARKER not in f"{told}{capfd.readouterr()}"


def test_a_comment_that_cannot_be_stored_is_not_quoted_either(desk: Desk) -> None:
    body = (
        b'{"Protocol": "DATASET", "DataSet": {"Heading": ["SS_JOBGUID", "SS_WO", "WSREQ_STATUS", "VEGJOB_CIRCCOMNTS"],'
    )
    body += b'"Data": [["g1", "1", "ACTIV", "COMMENT-SECRET \\ud800"], ["g2", "2", "ACTIV", "COMMENT-SECRET"]]}}'
    desk.simulator.answer("ACTIV", body)

    result = desk.sync()

    assert [(row["column"], row["job_guid"]) for row in result.rejected] == [("VEGJOB_CIRCCOMNTS", "g1")]
    assert COMMENT_MARKER not in f"{desk.log()}{desk.events()}{result}{desk.lines}"
    assert desk.circuit("2")["api_data"]["VEGJOB_CIRCCOMNTS"] == COMMENT_MARKER


# Behaviour 17: one database, one server.


def test_a_database_filled_by_one_workstudio_refuses_another_until_it_is_adopted(desk: Desk) -> None:
    desk.sync("ACTIV")
    before, logs = desk.contents(), desk.one("SELECT count(*) FROM sync_logs")
    with Simulator(World(circuits=5), advance=False) as other:
        elsewhere = Desk(session_for(desk.database, other.base_url, desk.clock), other, desk.clock)
        for refused in (elsewhere.sync, elsewhere.preview):
            with pytest.raises(UsageError, match="db adopt") as refusal:
                refused("ACTIV")
            assert desk.simulator.base_url.lower() in str(refusal.value)
            assert other.base_url.lower() in str(refusal.value)
        assert desk.contents() == before
        assert desk.one("SELECT count(*) FROM sync_logs") == logs

        assert adopt_database(elsewhere.session) == (desk.simulator.base_url.lower(), other.base_url.lower())
        elsewhere.sync("ACTIV")

    with pytest.raises(UsageError, match="db adopt"):
        desk.sync("ACTIV")


def test_the_case_of_a_url_makes_no_other_workstudio(desk: Desk) -> None:
    desk.sync("ACTIV")
    shouting = session_for(desk.database, desk.simulator.base_url.replace("DDOProtocol", "DDOPROTOCOL"), desk.clock)

    assert Desk(shouting, desk.simulator, desk.clock).sync("ACTIV").sync_status == "completed"


# Behaviour 18: bad input.


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"statuses": ["OPEN"]}, r"unknown status 'OPEN': allowed are ACTIV, QC, REWRK, CLOSE"),
        ({"statuses": []}, "no status to sync"),
        ({"statuses": ["ACTIV"], "triggered_by": "ghost"}, "no user named 'ghost'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(desk: Desk, wrong: dict[str, Any], told: str) -> None:
    for use in (open_circuit_sync, preview_circuits):
        with pytest.raises(UsageError, match=told) as refusal:
            use(desk.session, CircuitSyncRequest(**wrong))
        assert "\n" not in str(refusal.value)
    assert desk.simulator.calls == []
    assert desk.one("SELECT count(*) FROM sync_logs") == 0


def test_rework_is_accepted_wherever_a_status_is(desk: Desk) -> None:
    desk.answer("REWRK", [{"SS_WO": "1", "WSREQ_STATUS": "REWORK"}])

    result = desk.sync("rework")

    assert desk.circuit("1")["api_status"] == "REWRK"
    assert desk.circuit("1")["workflow_stage"] == "rework"
    assert list(result.per_status) == ["REWRK"]


def test_a_sync_remembers_who_asked_for_it(desk: Desk) -> None:
    desk.execute(
        "INSERT INTO users (name, email, ws_username) VALUES ('Ann', 'ann@example.org', 'CONTRACTOR\\ann'),"
        " ('Ann', 'other@example.org', NULL)"
    )
    for name in ("ANN@example.org", "contractor\\ANN"):
        desk.sync("ACTIV", triggered_by=name)
        assert desk.log()["triggered_by"] == 1

    with pytest.raises(UsageError, match="2 users named 'Ann'"):
        desk.sync("ACTIV", triggered_by="Ann")


def test_a_sync_of_the_whole_world_changes_nothing_the_second_time(desk: Desk) -> None:
    first = desk.sync(*ALL)
    held = desk.contents([table for table in desk.contents() if table != "unlinked_planners"])
    told = len(desk.events())

    second = desk.sync(*ALL)

    assert first.counts["created"] == second.counts["unchanged"] == 60
    assert desk.contents(held) == held
    assert [event["name"] for event in desk.events()[told:]] == ["sync.started", "sync.completed"]
    assert desk.clock() - desk.log()["started_at"] == timedelta(0)
