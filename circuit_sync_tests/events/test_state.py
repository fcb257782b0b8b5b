"""The numbers of the live page."""

from typing import Any

from circuit_sync.events.page import common_state, state_for
from circuit_sync.events.tokens import Holder, find_holder
from circuit_sync_tests.events.listening import NOW, token_of
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.test_snapshots import snap
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, sync_units


def state(desk: Desk) -> dict[str, Any]:
    """What a planner who holds nothing is told."""
    desk.execute(
        "INSERT INTO users (name, email, role) VALUES ('Pat', 'pat@example.com', 'planner') ON CONFLICT DO NOTHING"
    )
    token = token_of(desk.database, "pat@example.com")
    with desk.database.transaction() as connection:
        holder = find_holder(connection, NOW, token=token)
        assert isinstance(holder, Holder)
        return state_for(connection, holder, common_state(connection))


def units_of_statuses(desk: Desk) -> list[tuple[str, int]]:
    return [(sync["status"], sync["sync_id"]) for sync in state(desk)["syncs"] if sync["kind"] == "aggregates"]


def test_a_sync_of_single_work_orders_is_no_statuses_last_sync(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk, work_orders=(WO,))
    assert units_of_statuses(desk) == []

    whole = sync_units(desk, statuses=("ACTIV",), force=True).sync_id
    sync_units(desk, work_orders=(WO,))

    assert units_of_statuses(desk) == [("ACTIV", whole)]


def test_an_event_of_a_sync_tells_its_type_and_of_how_many_work_orders_it_was(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    whole, part = sync_units(desk).sync_id, sync_units(desk, work_orders=(WO,)).sync_id
    shots = snap(desk).sync_id

    told = {
        event["payload"]["sync_id"]: (event["sync_type"], event["sync_work_orders"])
        for event in state(desk)["events"]
        if event["name"] == "sync.completed"
    }

    assert told == {
        1: ("circuit_list", 0),
        whole: ("aggregates", 0),
        part: ("aggregates", 1),
        shots: ("snapshots", 0),
    }
