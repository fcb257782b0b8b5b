"""What sensors ask: what is due, which syncs ended and stored something."""

import pytest

from circuit_sync.domain.errors import PassingError
from circuit_sync.sync.log.due import latest_finished_syncs, statuses_needing_aggregates
from circuit_sync.sync.progress.snapshots import SnapshotRequest, open_snapshots, take_snapshots
from circuit_sync_tests.scenery import MONDAY, Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, open_units, sync_units, unit


def finished(desk: Desk, after: int = 0) -> list[tuple[int, str, str]]:
    return [(log["id"], log["sync_type"], log["sync_status"]) for log in latest_finished_syncs(desk.session, after)]


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


def test_finished_syncs_are_those_that_ended_well_after_the_cursor_oldest_first(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit("XPOLE"))
    sync_units(desk)
    open_units(desk, force=True)

    assert finished(desk) == [(1, "circuit_list", "completed"), (2, "aggregates", "warning")]
    assert finished(desk, after=1) == [(2, "aggregates", "warning")]
    assert finished(desk, after=2) == []


def test_snapshots_are_not_told_of(desk: Desk) -> None:
    take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest(dates=[MONDAY.date()])))

    assert finished(desk) == []


@pytest.mark.parametrize("stored", [0, 1])
def test_a_failed_aggregate_sync_is_told_of_if_it_stored_something(desk: Desk, stored: int) -> None:
    names = [f"2026-010{number}" for number in range(4)]
    circuits(desk, *names)
    answer_units(desk, names[0], unit())
    for name in names[stored:]:
        desk.simulator.fault("status", match=name)

    with pytest.raises(PassingError):
        sync_units(desk)

    assert len(finished(desk, after=1)) == stored
