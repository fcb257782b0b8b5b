"""What sensors ask: what is due, which syncs ended and stored something."""

import json
from collections.abc import Callable

import pytest

from circuit_sync.database.migrate import upgrade
from circuit_sync.domain.errors import TransientError
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.events.outbox import prune_events
from circuit_sync.sync.log.due import database_identity, statuses_needing_aggregates, syncs_ended
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync.sync.session import Session
from circuit_sync.sync.units.sync import complete_aggregate_sync, fetch_and_store_aggregates
from circuit_sync_tests.database.databases import made
from circuit_sync_tests.scenery import MONDAY, Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, open_units, sync_units, unit

Ended = list[tuple[int, str, str]]


def ended(desk: Desk, stored: str | None = None) -> Ended:
    return [(sync.sync_id, sync.sync_type, sync.sync_status) for sync in syncs_ended(desk.session, stored)[0]]


def cursor(desk: Desk) -> str:
    """Where a sensor that looks now will go on."""
    return syncs_ended(desk.session, None)[1].text()


def test_statuses_are_counted_only_where_a_circuit_needs_units(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    circuits(desk, "2026-0103", status="REWRK")
    circuits(desk, "2026-0104", status="CLOSE")
    for name in (WO, "2026-0102", "2026-0103"):
        answer_units(desk, name)
    sync_units(desk, work_orders=[WO])

    assert statuses_needing_aggregates(desk.session) == {"ACTIV": 1, "REWRK": 1}
    sync_units(desk)
    assert statuses_needing_aggregates(desk.session) == {}


def test_what_is_aged_is_judged_by_the_clock_that_is_passed_in(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk)
    assert statuses_needing_aggregates(desk.session) == {}

    desk.clock.advance(days=1)

    assert statuses_needing_aggregates(desk.session) == {"ACTIV": 1}


def test_what_ended_well_since_the_cursor_is_told_once_oldest_first(desk: Desk) -> None:
    before = cursor(desk)
    circuits(desk, WO)
    first = cursor(desk)
    answer_units(desk, WO, unit("XPOLE"))
    sync_units(desk)
    open_units(desk, force=True)

    assert ended(desk, before) == [(1, "circuit_list", "completed"), (2, "aggregates", "warning")]
    assert ended(desk, first) == [(2, "aggregates", "warning")]
    assert ended(desk, cursor(desk)) == []


def test_a_sync_that_ends_after_a_later_one_is_not_missed(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    slow = open_units(desk)
    desk.sync("QC")
    read = cursor(desk)

    fetch_and_store_aggregates(desk.session, slow)
    complete_aggregate_sync(desk.session, slow)

    assert ended(desk, read) == [(slow, "aggregates", "completed")]


def test_snapshots_are_not_told_of(desk: Desk) -> None:
    take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest(dates=[MONDAY.date()])))

    assert ended(desk) == []


@pytest.mark.parametrize("stored", [0, 1])
def test_a_failed_aggregate_sync_is_told_of_if_it_stored_something(desk: Desk, stored: int) -> None:
    names = [f"2026-010{number}" for number in range(4)]
    circuits(desk, *names)
    read = cursor(desk)
    answer_units(desk, names[0], unit())
    for name in names[stored:]:
        desk.simulator.fault("status", match=name)

    with pytest.raises(TransientError):
        sync_units(desk)

    assert len(ended(desk, read)) == stored


def test_what_an_ended_sync_changed_is_told(desk: Desk) -> None:
    circuits(desk, WO)
    desk.sync("ACTIV")
    again = desk.sync("ACTIV")
    (first, _, last), _ = syncs_ended(desk.session, None)

    assert (first.has_changes, first.has_departures, first.statuses) == (True, False, ["ACTIV"])
    assert (last.sync_id, last.has_changes) == (again.sync_id, False)


def test_a_circuit_that_departed_is_a_change_and_a_departure(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    read = cursor(desk)
    circuits(desk, WO)
    ((sync,), _) = syncs_ended(desk.session, read)

    assert (sync.has_changes, sync.has_departures) == (True, True)


def restored_to_an_older_state(desk: Desk) -> None:
    desk.execute("DELETE FROM sync_events WHERE id = (SELECT max(id) FROM sync_events)")


def another_database(desk: Desk) -> None:
    desk.execute("UPDATE database_settings SET value = 'other' WHERE name = 'identity'")


def pruned(desk: Desk) -> None:
    desk.sync("ACTIV")
    desk.clock.advance(days=100)
    prune_events(desk.database, desk.clock())


@pytest.mark.parametrize("happened", [restored_to_an_older_state, another_database, pruned])
def test_a_cursor_that_says_nothing_of_this_database_begins_with_every_sync(
    desk: Desk, happened: Callable[[Desk], None]
) -> None:
    circuits(desk, WO)
    lost = cursor(desk)
    happened(desk)
    number = desk.one("SELECT count(*) FROM sync_logs")

    found, found_cursor = syncs_ended(desk.session, lost)

    assert len(found) == number
    assert ended(desk, found_cursor.text()) == []


def test_a_database_that_was_restored_starts_runs_under_new_keys(desk: Desk) -> None:
    circuits(desk, WO)
    before, lost = database_identity(desk.session), cursor(desk)
    restored_to_an_older_state(desk)

    _, found = syncs_ended(desk.session, lost)

    assert found.database == database_identity(desk.session) != before


def test_two_databases_have_identities_of_their_own(postgres_server: str, desk: Desk) -> None:
    with made(postgres_server) as other:
        upgrade(other)
        upgrade(other)
        first = database_identity(Session(other))
        assert first == database_identity(Session(other)) != database_identity(desk.session)


def test_a_cursor_of_log_ids_goes_on_with_what_it_had_not_seen_and_what_waits_in_it(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    slow = open_units(desk)
    seen = desk.sync("QC").sync_id
    stored = json.dumps({"after": slow - 1, "seen": [seen], "waiting": {"ACTIV": 1}})
    fetch_and_store_aggregates(desk.session, slow)
    complete_aggregate_sync(desk.session, slow)

    found, read = syncs_ended(desk.session, stored)

    assert slow in [sync.sync_id for sync in found]
    assert read.waiting == {"ACTIV": 1}
    assert ended(desk, read.text()) == []


def test_a_cursor_of_log_ids_that_are_not_here_begins_with_every_sync(desk: Desk) -> None:
    circuits(desk, WO)

    assert ended(desk, json.dumps({"after": 99, "seen": [], "waiting": {}})) == [(1, "circuit_list", "completed")]
