"""What people change of a circuit: recorded, kept from syncs, given back; stages set by hand."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator import COMMENT_MARKER
from circuit_sync.sync.circuits.edits import edit_circuit, set_stage, show_circuit
from circuit_sync.sync.people.users import NewUser, add_user
from circuit_sync_tests.scenery import Desk, until

WO = "2025-1930"
ROW = {"SS_WO": WO, "SS_TITLE": "api", "VEGJOB_LENGTH": 10, "VEGJOB_PRCENT": 50, "SS_TAKENBY": "CONTRACTOR\\ann"}


@pytest.fixture
def at_desk(desk: Desk) -> Desk:
    """A desk with one circuit, and Eve, who edits it."""
    desk.answer("ACTIV", [ROW, {"SS_WO": WO, "SS_EXT": "A", "REGION": "Lehigh"}])
    desk.sync()
    add_user(desk.session, NewUser("Eve", "eve@example.com", role="admin"))
    desk.clock.advance(minutes=5)
    return desk


def edit(desk: Desk, *give_back: str, **values: str) -> Any:
    return edit_circuit(desk.session, WO, person="eve@example.com", values=values, give_back=give_back)


def marks(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = desk.circuit(WO)["user_modified_fields"]
    return found


@pytest.mark.parametrize(
    ("field", "text", "stored", "api_value"),
    [
        ("title", " by hand ", "by hand", "api"),
        ("title", "", None, "api"),
        ("job_type", "Assessment", "Assessment", "Assessment Dx"),
        ("contractor", "OTHER", "OTHER", "CONTRACTOR"),
        ("taken_by", "CONTRACTOR\\bob", "CONTRACTOR\\bob", "CONTRACTOR\\ann"),
        ("region", "LEHIGH", "Lehigh", "Lancaster"),
        ("total_miles", "57.795", Decimal("57.80"), 10),
        ("percent_complete", "", Decimal(0), 50),
        ("start_date", "/Date(2026-02-02)/", date(2026, 2, 2), "2026-01-01"),
        ("is_excluded", "yes", True, False),
        ("planned_units_sync_enabled", "False", False, True),
    ],
)
def test_an_edit_is_stored_recorded_and_told(at_desk: Desk, field: str, text: str, stored: Any, api_value: Any) -> None:
    edited = edit(at_desk, **{field: text})

    circuit = at_desk.circuit(WO)
    assert circuit[field] == stored
    assert circuit["updated_at"] == at_desk.clock()
    by = at_desk.one("SELECT id FROM users")
    assert marks(at_desk) == {field: {"by": by, "at": at_desk.clock().isoformat(), "api_value": api_value}}
    (event,) = at_desk.events("circuit.updated")
    assert event["payload"] == {"circuit_id": circuit["id"], "changed": {field: dict(edited.changed[field])}}
    assert event["payload"]["changed"][field]["old"] == api_value


def test_an_edit_outlasts_syncs_and_is_dated_in_history(at_desk: Desk) -> None:
    edit(at_desk, total_miles="12.5", taken_by="CONTRACTOR\\bob")

    assert at_desk.sync().counts["withheld"] == 2

    circuit = at_desk.circuit(WO)
    assert (circuit["total_miles"], circuit["taken_by"]) == (Decimal("12.5"), "CONTRACTOR\\bob")
    history = at_desk.rows("SELECT * FROM circuit_history WHERE circuit_id = %s ORDER BY valid_from", circuit["id"])
    assert [(row["total_miles"], row["valid_to"] is None) for row in history] == [(10, False), (Decimal("12.5"), True)]
    planners = at_desk.rows("SELECT ws_username, occurrence_count FROM unlinked_planners ORDER BY 1")
    assert [(row["ws_username"].split("\\")[1], row["occurrence_count"]) for row in planners] == [
        ("ann", 0),
        ("bob", 1),
        ("planner1", 1),
    ]


def test_setting_what_is_there_already_keeps_it_from_syncs_and_tells_nobody(at_desk: Desk) -> None:
    assert edit(at_desk, title="api", region="lancaster", total_miles="10.0").changed == {}

    assert at_desk.events("circuit.updated") == []
    at_desk.answer("ACTIV", [ROW | {"SS_TITLE": "newer"}])
    at_desk.sync(accept_departures=True)
    assert at_desk.circuit(WO)["title"] == "api"


def test_a_field_given_back_holds_what_the_api_said_before_the_first_edit_and_then_what_it_says(at_desk: Desk) -> None:
    edit(at_desk, title="once", start_date="", total_miles="1", is_excluded="1", region="Lehigh")
    edit(at_desk, title="twice")
    assert marks(at_desk)["title"]["api_value"] == "api"

    edited = edit(at_desk, "title", "start_date", "total_miles", "is_excluded", "region")

    assert edited.changed["title"] == {"old": "twice", "new": "api"}
    circuit = at_desk.circuit(WO)
    assert (circuit["title"], circuit["start_date"], circuit["region"]) == ("api", date(2026, 1, 1), "Lancaster")
    assert (circuit["total_miles"], circuit["is_excluded"]) == (10, False)
    assert marks(at_desk) == {}
    at_desk.answer("ACTIV", [ROW | {"SS_TITLE": "newer"}, {"SS_WO": WO, "SS_EXT": "A", "REGION": "Lehigh"}])
    assert at_desk.sync().counts["withheld"] == 0
    assert at_desk.circuit(WO)["title"] == "newer"


def test_marks_that_another_program_left_are_given_back_too(at_desk: Desk) -> None:
    at_desk.execute("""UPDATE circuits SET user_modified_fields = '["region_id", "title"]', title = 'theirs'""")

    assert edit(at_desk, "region", total_miles="3").changed == {"total_miles": {"old": 10.0, "new": 3.0}}

    assert set(marks(at_desk)) == {"title", "total_miles"}
    shown = {line["field"]: line["by"] for line in show_circuit(at_desk.session, WO).edits}
    assert shown == {"title": None, "total_miles": "Eve"}


def test_the_stage_follows_a_percentage_set_by_a_person(at_desk: Desk) -> None:
    assert edit(at_desk, percent_complete="100").stage == ("active", "pending_permissions")

    assert at_desk.circuit(WO)["stage_changed_by"] == "sync"
    (event,) = at_desk.events("circuit.workflow_changed")
    assert (event["payload"]["from"], event["payload"]["to"]) == ("active", "pending_permissions")
    assert edit(at_desk, "percent_complete").stage == ("pending_permissions", "active")


def test_a_stage_set_by_a_person_is_theirs_until_the_status_changes(at_desk: Desk) -> None:
    moved = set_stage(at_desk.session, WO, None, "QC", person="Eve")

    assert moved.stage == ("active", "qc")
    circuit = at_desk.circuit(WO)
    assert (circuit["workflow_stage"], circuit["stage_changed_by"]) == ("qc", "eve@example.com")
    assert circuit["stage_changed_at"] == at_desk.clock()
    (event,) = at_desk.events("circuit.workflow_changed")
    assert event["payload"] == {
        "circuit_id": circuit["id"],
        "from": "active",
        "to": "qc",
        "changed_by": "eve@example.com",
    }
    newest = "SELECT workflow_stage FROM circuit_history WHERE circuit_id = %s AND valid_to IS NULL"
    assert at_desk.one(newest, circuit["id"]) == "qc"
    edit(at_desk, percent_complete="100")
    at_desk.sync()
    assert at_desk.circuit(WO)["workflow_stage"] == "qc"
    at_desk.answer("REWRK", [ROW])
    at_desk.sync("REWRK")
    assert at_desk.circuit(WO)["workflow_stage"] == "rework"


def test_the_stage_it_has_may_be_made_a_persons_without_an_event(at_desk: Desk) -> None:
    assert set_stage(at_desk.session, WO, "a", "active", person="Eve").stage is None

    assert at_desk.circuit(WO, "A")["stage_changed_by"] == "eve@example.com"
    assert at_desk.events("circuit.workflow_changed") == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"values": {"api_status": "QC"}}, "api_status is WorkStudio's alone: a person may set region, title, "),
        ({"values": {"colour": "red"}}, "unknown field 'colour': a person may set "),
        ({"give_back": ["job_guid"]}, "job_guid is WorkStudio's alone"),
        ({"give_back": ["title"]}, f"nobody has set title of {WO} @"),
        ({"give_back": ["title"], "values": {"title": "x"}}, "title cannot be both set and given back"),
        ({"values": {"total_miles": "see map"}}, "total_miles: 'see map': not a number"),
        ({"values": {"total_miles": "-5"}}, "total_miles: '-5': is negative"),
        ({"values": {"miles_planned": "-0.01"}}, "miles_planned: '-0.01': is negative"),
        ({"values": {"total_acres": "-1e3"}}, "total_acres: '-1e3': is negative"),
        ({"values": {"total_miles": "nan"}}, "total_miles: 'nan': not a number"),
        ({"values": {"total_miles": "1e999"}}, "total_miles: '1e999': not between"),
        ({"values": {"percent_complete": "101"}}, "percent_complete: '101': not between 0 and 100"),
        ({"values": {"start_date": "1999-01-01"}}, "a date is 2010-01-01 or later"),
        ({"values": {"taken_by": "ann"}}, "a planner looks like CONTRACTOR\\user"),
        ({"values": {"is_excluded": "perhaps"}}, "is_excluded: 'perhaps': neither yes nor no"),
        ({"values": {"region": "Atlantis"}}, "unknown region 'Atlantis': known are Lancaster, Lehigh"),
        ({"values": {"title": "x"}, "person": "Mallory"}, "no user named 'Mallory'"),
        ({"values": {"title": "x"}, "work_order": "1999-1"}, "no circuit has the work order '1999-1'"),
        ({"values": {"title": "x"}, "extension": "Z"}, f"{WO} has no extension Z: there are @, A"),
    ],
)
def test_wrong_input_is_one_clear_line_and_changes_nothing(
    at_desk: Desk, arguments: dict[str, Any], complaint: str
) -> None:
    before = at_desk.contents()

    with pytest.raises(UsageError) as raised:
        edit_circuit(at_desk.session, **({"work_order": WO, "extension": None, "person": "Eve"} | arguments))

    assert complaint in str(raised.value)
    assert at_desk.contents() == before


def test_an_unknown_stage_is_refused(at_desk: Desk) -> None:
    with pytest.raises(UsageError, match="allowed are active, pending_permissions, qc, rework, closed"):
        set_stage(at_desk.session, WO, None, "done", person="Eve")


def test_of_two_circuits_under_one_name_the_one_that_is_there_is_meant(at_desk: Desk) -> None:
    at_desk.answer("QC", [{"SS_WO": WO, "SS_JOBGUID": "{second}"}])
    at_desk.sync("QC")
    with pytest.raises(UsageError, match="give one of their GUIDs"):
        edit(at_desk, title="x")

    edit_circuit(at_desk.session, "{second}", person="Eve", values={"title": "by guid"})
    at_desk.execute("UPDATE circuits SET departed_at = now() WHERE job_guid <> '{second}'")
    edit(at_desk, title="by work order")

    assert at_desk.one("SELECT title FROM circuits WHERE job_guid = '{second}'") == "by work order"


def test_an_edit_waits_for_the_sync_that_holds_the_circuit_and_starts_from_what_it_stored(at_desk: Desk) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as threads:
        with at_desk.database.transaction() as sync:
            sync.exec_driver_sql("UPDATE circuits SET title = 'newer', region_id = (SELECT max(id) FROM regions)")
            editing = threads.submit(edit, at_desk, title="by hand", region="Lancaster")
            until(lambda: at_desk.one(waiting) > 0)
        editing.result(10)

    assert (marks(at_desk)["title"]["api_value"], marks(at_desk)["region"]["api_value"]) == ("newer", "Lehigh")
    assert at_desk.circuit(WO)["title"] == "by hand"


def test_a_circuit_is_shown_in_full_without_free_text(at_desk: Desk) -> None:
    at_desk.answer("ACTIV", [ROW | {"VEGJOB_CIRCCOMNTS": COMMENT_MARKER, "VEGJOB_GF": "Gale"}])
    at_desk.sync(accept_departures=True)
    add_user(at_desk.session, NewUser("Ann", "ann@example.com", ws_username="CONTRACTOR\\ann"))
    edit(at_desk, title="by hand")
    circuit = at_desk.circuit(WO)["id"]
    for day, units in (("2026-03-02", 4), ("2026-03-03", 5)):
        at_desk.execute(
            "INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units) VALUES (%s, %s, %s)",
            circuit,
            day,
            units,
        )

    shown = show_circuit(at_desk.session, WO)

    fields = {line["field"]: line["value"] for line in shown.fields}
    assert (fields["title"], fields["region"], fields["workflow_stage"]) == ("by hand", "Lancaster", "active")
    assert fields["VEGJOB_GF"] == "Gale"
    assert COMMENT_MARKER not in str(shown)
    (line,) = shown.edits
    assert line == {
        "field": "title",
        "value": "by hand",
        "by": "Eve",
        "at": at_desk.clock(),
        "WorkStudio's then": "api",
    }
    assert [(link["user"], link["source"]) for link in shown.links] == [("Ann", "api_sync")]
    assert [(row["of"], row["units"]) for row in shown.aggregates] == [("this circuit", 5)]
    assert {line["field"]: line["value"] for line in show_circuit(at_desk.session, WO, "A").fields}[
        "split_of"
    ] == f"{WO} @"
