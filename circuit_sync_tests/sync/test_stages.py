"""The workflow stage, its event, its history and the snapshot of a status change: behaviours 8 and 14."""

from typing import Any

import pytest

from circuit_sync.database.circuits.stages import get_or_create_ui_state
from circuit_sync_tests.scenery import Desk


def stage(desk: Desk, work_order: str = "1") -> tuple[str, str]:
    circuit = desk.circuit(work_order)
    return circuit["workflow_stage"], circuit["stage_changed_by"]


def seen(desk: Desk, status: str, percent: float = 50) -> None:
    """One sync of ``status`` in which the circuit is found there."""
    desk.answer(status, [{"SS_WO": "1", "VEGJOB_PRCENT": percent}])
    desk.sync(status)


def moves(desk: Desk) -> list[tuple[Any, Any, Any]]:
    events = desk.events("circuit.workflow_changed")
    return [(event["payload"]["from"], event["payload"]["to"], event["payload"]["changed_by"]) for event in events]


def by_hand(desk: Desk, stage: str) -> None:
    desk.execute("UPDATE circuit_ui_states SET workflow_stage = %s, stage_changed_by = 'ann@example.org'", stage)


@pytest.mark.parametrize(
    ("status", "percent", "expected"),
    [
        ("ACTIV", 99.99, "active"),
        ("ACTIV", 100, "pending_permissions"),
        ("QC", 100, "qc"),
        ("REWRK", 0, "rework"),
        ("CLOSE", 100, "closed"),
    ],
)
def test_a_new_circuit_has_the_stage_of_its_status(desk: Desk, status: str, percent: float, expected: str) -> None:
    seen(desk, status, percent)

    assert stage(desk) == (expected, "sync")
    assert moves(desk) == []


def test_an_active_circuit_waits_for_permissions_once_all_is_planned_and_goes_back(desk: Desk) -> None:
    for percent in (99, 100, 100, 99.5):
        seen(desk, "ACTIV", percent)

    assert stage(desk) == ("active", "sync")
    assert moves(desk) == [("active", "pending_permissions", "sync"), ("pending_permissions", "active", "sync")]
    assert desk.circuit("1")["stage_changed_at"] == desk.clock()


def test_the_stage_moves_with_the_status(desk: Desk) -> None:
    for status in ("ACTIV", "QC", "REWRK", "CLOSE", "ACTIV"):
        seen(desk, status)

    assert [to for _, to, _ in moves(desk)] == ["qc", "rework", "closed", "active"]
    (first, *_) = desk.events("circuit.workflow_changed")
    circuit = desk.circuit("1")
    assert first["channels"] == ["dashboard", f"circuit.{circuit['id']}"]
    assert first["payload"]["circuit_id"] == first["circuit_id"] == circuit["id"]


def test_only_an_active_circuit_follows_its_percentage(desk: Desk) -> None:
    for percent in (50, 100, 50):
        seen(desk, "QC", percent)

    assert (stage(desk), moves(desk)) == (("qc", "sync"), [])


def test_a_stage_set_by_a_person_stays_until_the_status_changes_next(desk: Desk) -> None:
    seen(desk, "ACTIV", 50)
    by_hand(desk, "pending_permissions")
    for percent in (60, 100, 70):
        seen(desk, "ACTIV", percent)
        assert stage(desk) == ("pending_permissions", "ann@example.org")

    seen(desk, "QC", 70)

    assert stage(desk) == ("qc", "sync")
    assert moves(desk) == [("pending_permissions", "qc", "sync")]


def test_after_the_status_changed_the_stage_is_the_syncs_again(desk: Desk) -> None:
    seen(desk, "QC", 50)
    by_hand(desk, "active")
    seen(desk, "ACTIV", 60)
    assert (stage(desk), moves(desk)) == (("active", "sync"), [])

    seen(desk, "ACTIV", 100)

    assert stage(desk) == ("pending_permissions", "sync")


def test_a_departed_circuit_keeps_its_stage(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "2"}])

    desk.sync()

    assert (stage(desk), moves(desk)) == (("active", "sync"), [])


def test_a_circuit_without_ui_state_gets_one_where_it_is_asked_for(desk: Desk) -> None:
    seen(desk, "ACTIV", 100)
    desk.execute("DELETE FROM circuit_ui_states")
    circuit_id = desk.circuit("1")["id"]

    with desk.database.transaction() as connection:
        made = get_or_create_ui_state(connection, circuit_id, desk.clock())
        found = get_or_create_ui_state(connection, circuit_id, desk.clock.advance(days=1))

    assert made == found
    assert (made.workflow_stage, made.stage_changed_by) == ("pending_permissions", "sync")


def test_history_knows_the_stage(desk: Desk) -> None:
    seen(desk, "ACTIV", 50)
    seen(desk, "ACTIV", 100)

    stages = desk.column("SELECT workflow_stage FROM circuit_history ORDER BY valid_from")
    assert stages == ["active", "pending_permissions"]


def test_a_change_made_beside_the_sync_enters_history_with_the_next_one(desk: Desk) -> None:
    seen(desk, "ACTIV", 50)
    by_hand(desk, "rework")
    desk.execute("UPDATE circuits SET is_excluded = true")

    seen(desk, "ACTIV", 50)

    history = desk.rows("SELECT workflow_stage, is_excluded, valid_from FROM circuit_history WHERE valid_to IS NULL")
    assert history == [{"workflow_stage": "rework", "is_excluded": True, "valid_from": desk.clock()}]


def test_a_change_of_status_inserts_its_snapshot_at_once(desk: Desk) -> None:
    seen(desk, "ACTIV", 50)
    desk.execute(
        "INSERT INTO circuit_aggregates (circuit_id, aggregate_date, is_rollup, total_units, units_approved)"
        " SELECT id, d::date, r, n, n FROM circuits,"
        " (VALUES ('2026-03-01', false, 7), ('2026-02-01', false, 3), ('2026-03-01', true, 99)) AS v (d, r, n)"
    )
    assert desk.one("SELECT count(*) FROM circuit_snapshots") == 0

    seen(desk, "QC", 75)

    (snapshot,) = desk.rows("SELECT * FROM circuit_snapshots")
    expected = {
        "circuit_id": desk.circuit("1")["id"],
        "snapshot_type": "status_change",
        "api_status": "QC",
        "workflow_stage": "qc",
        "percent_complete": 75,
        "total_units": 7,
        "units_approved": 7,
        "as_of": desk.clock(),
        "created_at": desk.clock(),
    }
    assert {name: snapshot[name] for name in expected} == expected
    assert str(snapshot["snapshot_date"]) == "2026-03-02"


def test_each_change_of_status_has_its_snapshot_and_other_changes_none(desk: Desk) -> None:
    for status, percent in (("ACTIV", 10), ("ACTIV", 100), ("QC", 100), ("REWRK", 100)):
        seen(desk, status, percent)

    assert desk.column("SELECT api_status FROM circuit_snapshots ORDER BY id") == ["QC", "REWRK"]


def test_a_snapshot_is_dated_in_eastern_time(desk: Desk) -> None:
    seen(desk, "ACTIV")
    desk.clock.advance(hours=18)  # 03:30 in UTC of the next day, 22:30 in New York

    seen(desk, "QC")

    assert str(desk.one("SELECT snapshot_date FROM circuit_snapshots")) == "2026-03-02"


def test_a_status_change_that_is_rolled_back_leaves_no_snapshot(desk: Desk) -> None:
    seen(desk, "ACTIV")
    desk.answer("QC", [{"SS_WO": "1"}])
    sync_id = desk.fetch("QC")

    with desk.storing(sync_id, "LOCK TABLE circuit_snapshots IN SHARE MODE") as stored:
        desk.execute("UPDATE sync_logs SET sync_status = 'failed' WHERE id = %s", sync_id)

    with pytest.raises(Exception, match="closed by somebody else"):
        stored.result()
    assert desk.one("SELECT count(*) FROM circuit_snapshots") == 0
    assert moves(desk) == []
