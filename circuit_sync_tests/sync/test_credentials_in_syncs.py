"""Whose account a whole sync uses, and what its log says of it."""

from dataclasses import replace
from typing import Any

import pytest

from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.test_credentials import KEYS, WRONG, asked, person, right, state
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, sync_units, unit


def _with_keys(desk: Desk) -> Desk:
    return replace(desk, session=replace(desk.session, secret_keys=KEYS))


def _used(desk: Desk) -> list[dict[str, Any]]:
    found = desk.one("SELECT context -> 'credentials' FROM sync_logs ORDER BY id DESC LIMIT 1")
    assert isinstance(found, list)
    return found


def test_units_are_asked_for_as_the_planner_who_holds_the_circuit(desk: Desk) -> None:
    desk = _with_keys(desk)
    planner = person(desk, "mbirch", right("mbirch"))
    circuits(desk, WO, SS_TAKENBY="CONTRACTOR\\mbirch")
    answer_units(desk, WO, unit())
    seen = len(desk.simulator.calls)

    sync_units(desk)

    assert asked(desk, seen) == ["mbirch"]
    assert _used(desk) == [{"credential_id": state(desk, planner)["id"], "calls": 1, "refused": 0}]


def test_a_refused_planner_counts_and_the_service_account_answers(desk: Desk) -> None:
    desk = _with_keys(desk)
    planner = person(desk, "mbirch", WRONG)
    circuits(desk, WO, SS_TAKENBY="CONTRACTOR\\mbirch")
    answer_units(desk, WO, unit())

    result = sync_units(desk)

    assert (result.sync_status, result.counts["circuits"]) == ("completed", 1)
    assert state(desk, planner)["fail_count"] == 1
    assert {"credential_id": "service", "calls": 1, "refused": 0} in _used(desk)


def test_a_circuit_list_is_asked_for_as_whoever_started_it_else_as_service(desk: Desk) -> None:
    desk = _with_keys(desk)
    planner = person(desk, "mbirch", right("mbirch"))
    desk.answer("ACTIV", [{"SS_WO": WO}])

    desk.sync("ACTIV", triggered_by="mbirch@example.com")
    assert _used(desk) == [{"credential_id": state(desk, planner)["id"], "calls": 1, "refused": 0}]

    desk.sync("ACTIV")
    assert _used(desk) == [{"credential_id": "service", "calls": 1, "refused": 0}]


@pytest.mark.parametrize("account", ["none", "wrong", "not verified"])
def test_who_asked_for_it_and_has_no_working_account_is_told_that_another_was_used(desk: Desk, account: str) -> None:
    desk = _with_keys(desk)
    if account == "none":
        desk.execute("INSERT INTO users (name, email) VALUES ('mbirch', 'mbirch@example.com')")
    else:
        person(desk, "mbirch", WRONG if account == "wrong" else right("mbirch"), verified=account == "wrong")
    desk.answer("ACTIV", [{"SS_WO": WO}])

    result = desk.sync("ACTIV", triggered_by="mbirch@example.com")

    assert result.sync_status == "warning"
    assert result.message == (
        "the account of the person who asked for it is not verified or was refused: another one was used"
    )


def test_a_preview_is_asked_for_as_whoever_started_it(desk: Desk) -> None:
    desk = _with_keys(desk)
    person(desk, "mbirch", right("mbirch"))
    desk.answer("ACTIV", [{"SS_WO": WO}])
    seen = len(desk.simulator.calls)

    desk.preview("ACTIV", triggered_by="mbirch@example.com")

    assert asked(desk, seen) == ["mbirch"]
