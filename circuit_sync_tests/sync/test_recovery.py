"""What a dead run leaves behind is found and closed."""

from datetime import timedelta

import pytest

from circuit_sync.database.locks import run_lock
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.sync.log.closing import CANCELLED, close_as_failed, fail_unopened, open_syncs
from circuit_sync.sync.units.sync import complete_aggregate_sync, fetch_and_store_aggregates
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, feet, open_units, sync_units, unit

REASON = "its run is gone: killed, or its machine restarted"


def test_an_open_sync_is_alive_as_long_as_its_run_holds_its_lock(desk: Desk) -> None:
    circuits(desk, WO)
    sync_id = open_units(desk, run_id="r1")

    with run_lock(desk.database, "r1"):
        (held,) = open_syncs(desk.session)
    (left,) = open_syncs(desk.session)

    assert (held.id, held.run_id, held.is_alive) == (sync_id, "r1", True)
    assert (left.id, left.started_at, left.is_alive) == (sync_id, desk.clock(), False)


def test_a_sync_without_a_run_has_no_sign_of_life(desk: Desk) -> None:
    circuits(desk, WO)
    open_units(desk)

    assert [sync.is_alive for sync in open_syncs(desk.session)] == [False]


def test_syncs_that_ended_are_not_open(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    sync_units(desk)

    assert open_syncs(desk.session) == []


def test_an_abandoned_sync_is_closed_once_as_failed_for_a_passing_reason_and_told(desk: Desk) -> None:
    circuits(desk, WO)
    sync_id = open_units(desk, run_id="r1")

    assert close_as_failed(desk.session, sync_id, REASON)
    assert not close_as_failed(desk.session, sync_id, REASON)

    log = desk.log(sync_id)
    assert (log["sync_status"], log["error_message"]) == ("failed", REASON)
    assert log["error_details"]["passing"] is True
    (event,) = desk.events("sync.failed")
    assert (event["payload"]["sync_id"], event["payload"]["error"]) == (sync_id, REASON)


def test_a_sync_taken_for_dead_stores_nothing_more(desk: Desk) -> None:
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    sync_id = open_units(desk)
    close_as_failed(desk.session, sync_id, REASON)

    with pytest.raises(CircuitSyncError):
        fetch_and_store_aggregates(desk.session, sync_id)
    with pytest.raises(CircuitSyncError):
        complete_aggregate_sync(desk.session, sync_id)

    assert feet(desk) == []
    assert desk.log(sync_id)["error_message"] == REASON
    assert len(desk.events("sync.failed")) == 1


def test_what_a_dead_sync_had_chosen_goes_with_the_next_one(desk: Desk) -> None:
    circuits(desk, WO)
    dead = open_units(desk)
    close_as_failed(desk.session, dead, REASON)

    alive = open_units(desk)

    assert desk.column("SELECT DISTINCT sync_log_id FROM staged_choices") == [alive]


def test_an_abandoned_sync_of_a_cancelled_run_is_not_tried_again(desk: Desk) -> None:
    desk = desk.with_session(retry_delays=(timedelta(minutes=15),))
    circuits(desk, WO)
    sync_id = open_units(desk, run_id="r1")

    assert close_as_failed(desk.session, sync_id, CANCELLED, transient=False)

    assert (desk.log(sync_id)["error_message"], desk.log(sync_id)["retry_at"]) == (CANCELLED, None)


def test_a_run_has_one_sync_log_that_tells_of_its_end(desk: Desk) -> None:
    circuits(desk, WO)
    sync_id = open_units(desk, run_id="r1")
    unopened = CircuitSyncRequest(["ACTIV"], run_id="r1")

    assert fail_unopened(desk.session, unopened, REASON, transient=True) is None

    assert desk.column("SELECT id FROM sync_logs WHERE dagster_run_id = 'r1'") == [sync_id]
