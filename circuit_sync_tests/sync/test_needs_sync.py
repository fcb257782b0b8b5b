"""Which circuits need units, and why; behaviour 11."""

from datetime import UTC, datetime, timedelta

import pytest

from circuit_sync.sync.circuits.edits import edit_circuit
from circuit_sync.sync.log.due import statuses_needing_aggregates
from circuit_sync.sync.log.overview import overview
from circuit_sync.sync.people.users import NewUser, add_user
from circuit_sync.sync.units.sync import fetch_and_store_aggregates
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import (
    WO,
    aggregates,
    answer_units,
    asked,
    circuits,
    feet,
    open_units,
    split,
    sync_units,
    unit,
)

OLD_EDIT = "/Date(2026-01-05T21:48:22.216Z)/"


def reasons(desk: Desk, **options: object) -> dict[str, int]:
    """Why circuits are chosen now: opens a sync and leaves it."""
    sync_id = open_units(desk, **options)
    (log,) = desk.rows("SELECT context FROM sync_logs WHERE id = %s", sync_id)
    found: dict[str, int] = log["context"]["reasons"]
    return found


def test_a_circuit_never_synced_needs_units(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")

    assert reasons(desk) == {"never synced": 2}


def test_a_circuit_just_synced_needs_none(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk)

    assert reasons(desk) == {}


def test_a_circuit_changed_in_workstudio_since_needs_units(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk)
    edited = desk.clock() + timedelta(seconds=30)
    circuits(desk, WO, SS_EDITDATE=f"/Date({edited:%Y-%m-%dT%H:%M:%S.000Z})/")

    assert reasons(desk) == {"changed": 1}


def test_a_circuit_pending_permissions_needs_units_always(desk: Desk) -> None:
    circuits(desk, WO, VEGJOB_PRCENT=100, SS_EDITDATE=OLD_EDIT)
    answer_units(desk, WO)
    sync_units(desk)

    assert reasons(desk) == {"pending permissions": 1}


@pytest.mark.parametrize(
    ("synced", "now", "is_due"),
    [
        (datetime(2026, 3, 3, 4, 58, tzinfo=UTC), datetime(2026, 3, 3, 4, 58, 30, tzinfo=UTC), False),
        (datetime(2026, 3, 3, 4, 58, tzinfo=UTC), datetime(2026, 3, 3, 4, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 3, 4, 59, tzinfo=UTC), datetime(2026, 3, 4, 4, 58, tzinfo=UTC), False),
        (datetime(2026, 3, 8, 4, 58, tzinfo=UTC), datetime(2026, 3, 8, 4, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 9, 3, 58, tzinfo=UTC), datetime(2026, 3, 9, 3, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 1, 3, 59, tzinfo=UTC), datetime(2026, 11, 2, 4, 58, tzinfo=UTC), False),
    ],
    ids=["same evening", "over midnight", "next evening", "before the clocks go on", "after them", "25 hours"],
)
def test_a_circuit_not_synced_since_midnight_eastern_time_needs_units(
    desk: Desk, synced: datetime, now: datetime, is_due: bool
) -> None:
    desk.clock.instant = synced - timedelta(minutes=1)
    circuits(desk, WO, SS_EDITDATE=OLD_EDIT)
    answer_units(desk, WO)
    desk.clock.instant = synced
    sync_units(desk)
    desk.clock.instant = now

    assert reasons(desk) == ({"aged": 1} if is_due else {})


@pytest.mark.parametrize(
    "change",
    [
        "is_excluded = true",
        "planned_units_sync_enabled = false",
        "departed_at = now()",
    ],
)
def test_a_circuit_excluded_disabled_or_departed_needs_none(desk: Desk, change: str) -> None:
    circuits(desk, WO)
    desk.execute(f"UPDATE circuits SET {change}")

    assert reasons(desk) == {}


def test_a_departed_circuit_needs_units_again_when_it_is_seen_again(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    circuits(desk, WO)
    assert reasons(desk) == {"never synced": 1}
    circuits(desk, WO, "2026-0102")

    assert reasons(desk) == {"never synced": 2}


def test_only_circuits_of_the_wanted_statuses_are_chosen(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, "2026-0102", "2026-0103", status="REWRK")

    assert reasons(desk, statuses=["REWORK"]) == {"never synced": 2}
    assert desk.log()["api_status_filter"] == "REWRK"


# Circuits that close.


def test_a_circuit_that_closes_gets_one_last_aggregate(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)
    circuits(desk, WO, status="CLOSE")
    answer_units(desk, WO, unit(feet=2))
    assert statuses_needing_aggregates(desk.session) == {"CLOSE": 1}

    last = sync_units(desk)

    assert dict(last.reasons) == {"closed since": 1}
    assert feet(desk) == [2]
    assert desk.circuit(WO)["planned_units_sync_enabled"] is False
    desk.clock.advance(days=1)
    assert (reasons(desk), statuses_needing_aggregates(desk.session)) == ({}, {})


def test_a_circuit_that_closes_before_it_was_ever_synced_gets_its_last_aggregate(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, WO, status="CLOSE")
    answer_units(desk, WO, unit(feet=2))

    assert dict(sync_units(desk).reasons) == {"never synced": 1}
    assert (feet(desk), reasons(desk)) == ([2], {})


def test_a_circuit_that_closes_while_its_units_are_fetched_still_gets_its_last_aggregate(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_id = open_units(desk)

    def close(_done: int, _total: int) -> None:
        circuits(desk, WO, status="CLOSE")

    fetch_and_store_aggregates(desk.with_session(progress=close).session, sync_id)

    assert feet(desk) == [1]
    assert reasons(desk) == {"closed since": 1}


def test_a_last_aggregate_that_fails_stays_due(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    circuits(desk, WO, status="CLOSE")
    answer_units(desk, "2026-0102")
    desk.simulator.fault("status", match=WO)

    sync_units(desk)

    assert reasons(desk) == {"never synced": 1}


def test_a_circuit_closed_when_first_seen_is_not_fetched(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")
    asked(desk)

    assert dict(sync_units(desk).reasons) == {}
    assert asked(desk) == []


def test_a_circuit_closed_when_first_seen_is_fetched_when_forced_and_stays_disabled(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")
    answer_units(desk, WO, unit(feet=2))

    result = sync_units(desk, force=True)

    assert (dict(result.reasons), feet(desk)) == ({"forced": 1}, [2])
    assert desk.circuit(WO)["planned_units_sync_enabled"] is False
    assert reasons(desk) == {}


def test_a_circuit_that_is_reopened_is_kept_up_again(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")
    circuits(desk, WO, status="REWRK")

    assert reasons(desk) == {"never synced": 1}


def test_a_circuit_that_closes_again_after_its_last_aggregate_gets_another(desk: Desk) -> None:
    circuits(desk, WO)
    circuits(desk, WO, status="CLOSE")
    answer_units(desk, WO)
    sync_units(desk)
    circuits(desk, WO, status="REWRK")
    circuits(desk, WO, status="CLOSE")

    assert reasons(desk) == {"closed since": 1}


# What a person asks for.


def enabled_by_a_person(desk: Desk) -> None:
    add_user(desk.session, NewUser("Ada", "ada@example.com", "admin"))
    edit_circuit(desk.session, WO, person="ada@example.com", values={"planned_units_sync_enabled": "yes"})


def test_a_closed_circuit_that_a_person_enabled_stays_so_and_is_fetched_once_a_day(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE", SS_EDITDATE=OLD_EDIT)
    enabled_by_a_person(desk)
    answer_units(desk, WO, unit(feet=1))

    assert dict(sync_units(desk).reasons) == {"never synced": 1}
    assert desk.circuit(WO)["planned_units_sync_enabled"] is True
    assert reasons(desk) == {}
    desk.clock.advance(days=1)
    assert dict(sync_units(desk).reasons) == {"aged": 1}
    assert (reasons(desk), statuses_needing_aggregates(desk.session)) == ({}, {})


def test_a_circuit_that_a_person_enabled_is_fetched_at_once_when_it_closes_and_stays_enabled(desk: Desk) -> None:
    circuits(desk, WO, SS_EDITDATE=OLD_EDIT)
    desk.execute("UPDATE circuits SET planned_units_sync_enabled = false")
    enabled_by_a_person(desk)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)
    circuits(desk, WO, status="CLOSE", SS_EDITDATE=OLD_EDIT)

    assert dict(sync_units(desk).reasons) == {"closed since": 1}
    assert desk.circuit(WO)["planned_units_sync_enabled"] is True
    assert reasons(desk) == {}


def test_a_named_work_order_is_fetched_due_or_not_and_nothing_else(desk: Desk) -> None:
    circuits(desk, WO, f"{WO} A", "2026-0102")
    for name in (WO, "2026-0102"):
        answer_units(desk, name, unit(feet=1), split("A", 1))
    sync_units(desk)
    circuits(desk, "2026-0103", status="QC")
    asked(desk)

    result = sync_units(desk, work_orders=[WO])

    assert (dict(result.reasons), asked(desk)) == ({"forced": 2}, [WO])


@pytest.mark.parametrize("change", ["is_excluded = true", "departed_at = now()"])
def test_a_named_work_order_that_is_left_out_is_told(desk: Desk, change: str) -> None:
    circuits(desk, WO, "2026-0102")
    desk.execute(f"UPDATE circuits SET {change} WHERE work_order = '2026-0102'")
    answer_units(desk, WO, unit(feet=1))
    asked(desk)

    result = sync_units(desk, work_orders=["2026-0102", WO])

    assert asked(desk) == [WO]
    assert result.sync_status == "warning"
    assert result.message == "nothing was fetched for 2026-0102: every circuit of it is excluded or has departed"


def test_force_asks_for_every_circuit_of_the_statuses_but_excluded_and_departed_ones(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102", "2026-0103", "2026-0104")
    circuits(desk, WO, "2026-0102", "2026-0103")
    circuits(desk, "2026-0105", status="QC")
    desk.execute("UPDATE circuits SET is_excluded = true WHERE work_order = '2026-0103'")
    for name in (WO, "2026-0102"):
        answer_units(desk, name)
    sync_units(desk, statuses=["ACTIV"])

    assert reasons(desk, force=True, statuses=["ACTIV"]) == {"forced": 2}


# The same answer for whoever asks.


def test_sensors_overview_and_run_agree_on_what_is_due(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    circuits(desk, "2026-0103", status="QC")
    circuits(desk, "2026-0104", status="CLOSE")

    assert statuses_needing_aggregates(desk.session) == {"ACTIV": 2, "QC": 1}
    assert [dict(line) for line in overview(desk.session).due] == [
        {"status": "ACTIV", "reason": "never synced", "circuits": 2},
        {"status": "QC", "reason": "never synced", "circuits": 1},
    ]
    assert reasons(desk) == {"never synced": 3}


def test_what_failed_is_due_and_what_was_stored_is_not(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    answer_units(desk, WO)
    desk.simulator.fault("status", match="2026-0102")

    sync_units(desk)

    assert (len(aggregates(desk)), reasons(desk)) == (1, {"never synced": 1})
    assert desk.circuit("2026-0102")["last_planned_units_synced_at"] is None
