"""Who holds which circuit: behaviour 9."""

from typing import Any

from circuit_sync.domain.circuits import extract_planners
from circuit_sync_tests.scenery import Desk

ANN = "CONTRACTOR\\ann"


def add_user(desk: Desk, email: str, ws_username: str | None) -> int:
    desk.execute("INSERT INTO users (name, email, ws_username) VALUES (%s, %s, %s)", email, email, ws_username)
    return int(desk.one("SELECT id FROM users WHERE email = %s", email))


def links(desk: Desk) -> list[tuple[Any, ...]]:
    query = """
        SELECT c.work_order, u.email, l.assignment_source FROM circuit_user AS l
        JOIN circuits AS c ON c.id = l.circuit_id JOIN users AS u ON u.id = l.user_id ORDER BY 1, 2
    """
    return [tuple(row.values()) for row in desk.rows(query)]


def unlinked(desk: Desk) -> dict[str, int]:
    rows = desk.rows("SELECT ws_username, occurrence_count FROM unlinked_planners WHERE linked_user_id IS NULL")
    return {row["ws_username"]: row["occurrence_count"] for row in rows}


def taken(*holders: Any) -> list[dict[str, Any]]:
    return [{"SS_WO": f"wo-{number}", "SS_TAKENBY": holder} for number, holder in enumerate(holders)]


def test_a_planner_is_linked_by_user_name_without_regard_to_case(desk: Desk) -> None:
    add_user(desk, "ann", "Contractor\\Ann")
    desk.answer("ACTIV", taken(ANN, "CONTRACTOR\\ANN"))

    desk.sync()

    assert links(desk) == [("wo-0", "ann", "api_sync"), ("wo-1", "ann", "api_sync")]
    assert desk.column("SELECT DISTINCT assigned_at FROM circuit_user") == [desk.clock()]
    assert unlinked(desk) == {}


def test_a_link_is_never_removed(desk: Desk) -> None:
    add_user(desk, "ann", ANN)
    add_user(desk, "bob", "CONTRACTOR\\bob")
    for holder in (ANN, "CONTRACTOR\\bob", ""):
        desk.answer("ACTIV", taken(holder))
        desk.sync()

    assert links(desk) == [("wo-0", "ann", "api_sync"), ("wo-0", "bob", "api_sync")]
    assert desk.circuit("wo-0")["taken_by"] is None


def test_a_manual_link_stays_manual(desk: Desk) -> None:
    user = add_user(desk, "ann", ANN)
    desk.answer("ACTIV", taken(""))
    desk.sync()
    desk.execute("INSERT INTO circuit_user SELECT id, %s, 'manual', '2026-01-01' FROM circuits", user)
    before = desk.contents(["circuit_user"])
    desk.answer("ACTIV", taken(ANN))

    desk.sync()

    assert desk.contents(["circuit_user"]) == before


def test_an_unlinked_planner_is_counted_by_the_circuits_that_name_him_now(desk: Desk) -> None:
    desk.answer("ACTIV", taken(ANN, "contractor\\ANN", "CONTRACTOR\\bob", "", "nobody", None))
    desk.sync()
    first_seen = desk.clock()
    assert unlinked(desk) == {ANN: 2, "CONTRACTOR\\bob": 1} or unlinked(desk) == {ANN.upper(): 2, "CONTRACTOR\\bob": 1}
    desk.sync()
    desk.answer("ACTIV", taken(ANN, "", "", "", "", ""))

    desk.sync()

    rows = desk.rows("SELECT lower(ws_username) AS name, * FROM unlinked_planners ORDER BY 1")
    assert [(row["name"], row["occurrence_count"]) for row in rows] == [("contractor\\ann", 1), ("contractor\\bob", 0)]
    assert {row["first_seen_at"] for row in rows} == {first_seen}
    assert rows[0]["last_seen_at"] == desk.clock() > rows[1]["last_seen_at"]


def test_a_departed_circuit_names_nobody_now(desk: Desk) -> None:
    desk.answer("ACTIV", taken(ANN, "CONTRACTOR\\bob"))
    desk.sync()
    desk.answer("ACTIV", taken(ANN))

    desk.sync()

    assert unlinked(desk) == {ANN: 1, "CONTRACTOR\\bob": 0}


def test_a_user_added_later_is_linked_to_all_circuits_that_name_him(desk: Desk) -> None:
    desk.answer("ACTIV", taken(ANN, ANN))
    desk.sync()
    add_user(desk, "ann", ANN.lower())

    desk.sync("QC")

    assert [work_order for work_order, *_ in links(desk) if work_order.startswith("wo-")] == ["wo-0", "wo-1"]
    assert ANN not in unlinked(desk)


def test_linking_an_unlinked_planner_to_a_user_of_another_name_links_all_his_circuits(desk: Desk) -> None:
    user = add_user(desk, "boss", None)
    desk.answer("ACTIV", taken(ANN, "CONTRACTOR\\bob"))
    desk.sync()
    desk.execute("UPDATE unlinked_planners SET linked_user_id = %s WHERE ws_username = %s", user, ANN)
    desk.answer("ACTIV", [*taken(ANN, "CONTRACTOR\\bob"), {"SS_WO": "wo-9", "SS_TAKENBY": ANN}])

    desk.sync()

    assert links(desk) == [("wo-0", "boss", "api_sync"), ("wo-9", "boss", "api_sync")]
    assert desk.one("SELECT occurrence_count FROM unlinked_planners WHERE ws_username = %s", ANN) == 2


def test_the_forester_of_a_circuit_is_no_identity(desk: Desk) -> None:
    add_user(desk, "Ann Other", "Ann Other")
    desk.answer("ACTIV", [{"SS_TAKENBY": "", "VEGJOB_FORESTER": "Ann Other"}])

    desk.sync()

    assert links(desk) == []


def test_planners_are_extracted_once_each_in_order() -> None:
    import pandas as pd

    frame = pd.DataFrame({"taken_by": [ANN, None, "CONTRACTOR\\bob", "contractor\\ANN"]}, dtype=object)
    assert extract_planners(frame) == [ANN, "CONTRACTOR\\bob"]
