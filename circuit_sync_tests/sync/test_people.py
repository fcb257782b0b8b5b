"""Users and planners: who is who, and whose circuits are whose."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.sync.people.users import NewUser, add_user, link_to_user, planners, users
from circuit_sync_tests.scenery import Desk, until

ANN, BOB = "CONTRACTOR\\ann", "CONTRACTOR\\bob"
LINKS = "SELECT c.work_order FROM circuit_user AS l JOIN circuits AS c ON c.id = l.circuit_id ORDER BY 1"


def taken(desk: Desk, *holders: str) -> None:
    """A sync of circuits ``wo-0``, ``wo-1``, … that these planners hold."""
    desk.answer("ACTIV", [{"SS_WO": f"wo-{number}", "SS_TAKENBY": holder} for number, holder in enumerate(holders)])
    desk.sync()


def ann(**options: Any) -> NewUser:
    return NewUser(**({"name": "Ann", "email": "ann@example.com"} | options))


def test_a_new_user_gets_every_circuit_that_names_them_as_the_next_sync_would(desk: Desk) -> None:
    taken(desk, ANN, BOB, ANN.upper())

    assert add_user(desk.session, ann(ws_username="contractor\\ANN", ws_user_guid="{0-guid}")) == 2

    assert desk.column(LINKS) == ["wo-0", "wo-2"]
    (user,) = desk.rows("SELECT * FROM users")
    assert (user["ws_username"], user["ws_user_guid"], user["is_ws_linked"]) == ("contractor\\ANN", "{0-guid}", True)
    (line,) = planners(desk.session)
    assert (line["ws_username"], line["circuits"]) == (BOB, 1)
    before = desk.contents(("circuit_user", "unlinked_planners"))["circuit_user"]
    desk.sync()
    assert desk.contents(("circuit_user",))["circuit_user"] == before


def test_a_user_without_a_workstudio_name_is_not_linked(desk: Desk) -> None:
    taken(desk, ANN)

    assert add_user(desk.session, ann(role="admin", regions=["LANCASTER", "lancaster"])) == 0

    assert desk.column(LINKS) == []
    assert users(desk.session) == [
        {
            "name": "Ann",
            "email": "ann@example.com",
            "role": "admin",
            "ws_username": None,
            "regions": "Lancaster",
            "circuits": 0,
        }
    ]
    assert desk.one("SELECT is_ws_linked FROM users") is False


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        (ann(role="boss"), "unknown role 'boss': allowed are planner, general_foreman, admin, sudo_admin"),
        (ann(regions=["Atlantis"]), "unknown region 'Atlantis': known are Lancaster"),
        (ann(email="ann"), "'ann' is not an e-mail address"),
        (ann(name=" "), "the name is empty"),
        (ann(name="Ann\x1b]0;PWNED\x07"), "the name 'Ann\\x1b]0;PWNED\\x07' holds a control character"),
        (ann(name="Ann\nerror: forged"), "holds a control character"),
        (ann(name="\u202enna"), "holds a control character"),
        (ann(email="ann\t@example.com"), "holds a control character"),
        (ann(ws_username="CONTRACTOR\\a\nb"), "looks like CONTRACTOR\\user"),
        (ann(ws_user_guid="a\x9bb"), "holds a control character"),
        (ann(ws_username="ann"), "looks like CONTRACTOR\\user"),
        (ann(email="BOB@example.com"), "the e-mail BOB@example.com is taken by Bob (bob@example.com)"),
        (ann(ws_username=BOB.upper()), f"the WorkStudio name {BOB.upper()} is taken by Bob (bob@example.com)"),
        (ann(ws_username="CONTRACTOR\\bobby"), "CONTRACTOR\\bobby is taken by Bob (bob@example.com)"),
    ],
)
def test_wrong_input_is_one_clear_line_and_adds_nobody(desk: Desk, new: NewUser, complaint: str) -> None:
    taken(desk, "CONTRACTOR\\bobby")
    add_user(desk.session, NewUser("Bob", "bob@example.com", ws_username=BOB))
    link_to_user(desk.session, "CONTRACTOR\\bobby", "bob@example.com")

    with pytest.raises(UsageError) as raised:
        add_user(desk.session, new)

    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)
    assert desk.one("SELECT count(*) FROM users") == 1


def test_an_unknown_region_before_the_first_sync_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(UsageError, match="before the first circuit sync"):
        add_user(desk.session, ann(regions=["Lancaster"]))


def test_planners_are_listed_with_what_they_hold_now_and_when_they_were_seen(desk: Desk) -> None:
    taken(desk, ANN, BOB)
    first = desk.clock()
    taken(desk, ANN, ANN)
    add_user(desk.session, NewUser("Bob", "bob@example.com", ws_username=BOB))

    assert planners(desk.session) == [
        {
            "ws_username": ANN,
            "circuits": 2,
            "first_seen_at": first,
            "last_seen_at": desk.clock(),
            "linked_to": None,
        }
    ]
    assert [(line["ws_username"], line["linked_to"]) for line in planners(desk.session, everyone=True)] == [
        (ANN, None),
        (BOB, "bob@example.com"),
    ]


def test_linking_a_planner_links_all_their_circuits_and_names_the_user(desk: Desk) -> None:
    taken(desk, ANN, BOB, ANN)
    add_user(desk.session, ann())

    assert link_to_user(desk.session, ANN.lower(), "Ann") == 2

    assert desk.column(LINKS) == ["wo-0", "wo-2"]
    (user,) = desk.rows("SELECT id, ws_username, is_ws_linked FROM users")
    assert (user["ws_username"], user["is_ws_linked"]) == (ANN, True)
    assert desk.column("SELECT linked_user_id FROM unlinked_planners ORDER BY ws_username") == [user["id"], None]
    assert link_to_user(desk.session, ANN, "Ann") == 0


def test_a_user_with_another_workstudio_name_keeps_theirs_and_gets_new_circuits_of_both(desk: Desk) -> None:
    taken(desk, ANN, BOB)
    add_user(desk.session, ann(ws_username=ANN))

    assert link_to_user(desk.session, BOB, ANN) == 1

    assert desk.one("SELECT ws_username FROM users") == ANN
    taken(desk, ANN, BOB, BOB)
    assert desk.column(LINKS) == ["wo-0", "wo-1", "wo-2"]
    assert planners(desk.session) == []


def test_a_manual_link_stays_manual(desk: Desk) -> None:
    taken(desk, ANN)
    add_user(desk.session, ann())
    desk.execute("INSERT INTO circuit_user SELECT c.id, u.id, 'manual' FROM circuits AS c, users AS u")

    assert link_to_user(desk.session, ANN, "Ann") == 0

    assert desk.column("SELECT assignment_source FROM circuit_user") == ["manual"]


@pytest.mark.parametrize(
    ("planner", "user", "complaint"),
    [
        ("CONTRACTOR\\nobody", "Ann", f"no unlinked planner is named 'CONTRACTOR\\nobody': known are {ANN}"),
        (ANN, "Nobody", "no user named 'Nobody'"),
        (BOB, "Ann", f"{BOB} is linked to Bob (bob@example.com) already"),
    ],
)
def test_who_cannot_be_linked_is_told_why(desk: Desk, planner: str, user: str, complaint: str) -> None:
    taken(desk, ANN, BOB)
    add_user(desk.session, ann())
    add_user(desk.session, NewUser("Bob", "bob@example.com", ws_username=BOB))
    before = desk.contents()

    with pytest.raises(UsageError) as raised:
        link_to_user(desk.session, planner, user)

    assert complaint in str(raised.value)
    assert desk.contents() == before


def test_linking_waits_for_a_sync_that_holds_one_of_the_circuits(desk: Desk) -> None:
    taken(desk, ANN, ANN)
    add_user(desk.session, ann())
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as threads:
        with desk.database.transaction() as sync:
            sync.exec_driver_sql("SELECT id FROM circuits WHERE work_order = 'wo-1' FOR NO KEY UPDATE")
            linking = threads.submit(link_to_user, desk.session, ANN, "Ann")
            until(lambda: desk.one(waiting) > 0)
            # What the sync does next: it touches every unlinked planner, which linking must not hold yet.
            sync.exec_driver_sql("UPDATE unlinked_planners SET last_seen_at = now()")
        assert linking.result(10) == 2
