"""Regions and planners are found by their names without regard to case, in a database of any locale."""

from collections.abc import Iterator

import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.simulator import Simulator
from circuit_sync.sync.people.users import NewUser, add_user, link_to_user
from circuit_sync_tests.database.databases import made
from circuit_sync_tests.scenery import Clock, Desk, session_for

SAO_JOSE = ("São José", "SÃO JOSÉ", "Sa\u0303o Jose\u0301", "são josé")
ANNE = ("ACME\\Änne Weiß", "acme\\ÄNNE WEISS", "ACME\\A\u0308nne Weiss")


@pytest.fixture(params=["LOCALE_PROVIDER libc LOCALE 'C'", ""], ids=["C", "the embedded server's"])
def database(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[Database]:
    with made(postgres_server, request.param) as database:
        upgrade(database)
        yield database


@pytest.fixture
def desk(database: Database, simulator: Simulator, clock: Clock) -> Desk:
    return Desk(session_for(database, simulator.base_url, clock), simulator, clock)


def answered(desk: Desk, regions: tuple[str, ...] = ("North",), planners: tuple[str, ...] = ("",)) -> None:
    pairs = [(region, planner) for region in regions for planner in planners]
    desk.answer(
        "ACTIV",
        [
            {"SS_WO": f"wo-{number}", "REGION": region, "SS_TAKENBY": planner}
            for number, (region, planner) in enumerate(pairs)
        ],
    )
    desk.sync()


def test_spellings_of_a_region_are_one_region(desk: Desk) -> None:
    answered(desk, SAO_JOSE)
    answered(desk, SAO_JOSE[::-1])

    (region,) = desk.rows("SELECT name, code FROM regions")
    assert region["name"] in SAO_JOSE
    assert region["code"] == region["name"].upper()
    assert desk.one("SELECT count(*) FROM circuits WHERE region_id IS NOT NULL") == len(SAO_JOSE)


def test_regions_whose_upper_case_is_one_get_two_codes(desk: Desk) -> None:
    answered(desk, ("I\u0307l", "\u0131l", "il"))

    assert desk.one("SELECT count(DISTINCT code) FROM regions") == desk.one("SELECT count(*) FROM regions") == 3


def test_spellings_of_a_planner_are_one_planner_shown_as_workstudio_sends_it(desk: Desk) -> None:
    answered(desk, planners=ANNE)
    answered(desk, planners=ANNE)

    (planner,) = desk.rows("SELECT ws_username, occurrence_count FROM unlinked_planners")
    assert (planner["ws_username"] in ANNE, planner["occurrence_count"]) == (True, len(ANNE))
    assert sorted(desk.column("SELECT taken_by FROM circuits")) == sorted(ANNE)


def test_a_user_is_linked_to_every_spelling(desk: Desk) -> None:
    answered(desk, SAO_JOSE[:1], ANNE)

    gained = add_user(desk.session, NewUser("Änne", "aenne@example.com", ws_username=ANNE[1], regions=[SAO_JOSE[2]]))

    assert gained == len(ANNE)
    assert desk.one("SELECT count(*) FROM user_regions") == 1


def test_a_planner_is_linked_by_any_spelling_to_a_user_by_any(desk: Desk) -> None:
    answered(desk, planners=ANNE)
    add_user(desk.session, NewUser("Änne", "aenne@example.com"))

    assert link_to_user(desk.session, ANNE[2], "ÄNNE") == len(ANNE)
