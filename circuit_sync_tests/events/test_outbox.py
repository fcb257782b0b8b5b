"""An event is a row of the transaction that it tells of, followed by NOTIFY."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from circuit_sync.events.catalogue import (
    CircuitUpdated,
    CircuitWorkflowChanged,
    Event,
    PlannedUnitsSynced,
    SyncCompleted,
    SyncFailed,
    SyncStarted,
)
from circuit_sync.events.outbox import NOTIFY_CHANNEL, emit
from circuit_sync_tests.scenery import PATIENCE, Desk

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 9, 45, tzinfo=UTC)
ISO, LATER_ISO = "2026-03-02T09:30:00+00:00", "2026-03-02T09:45:00+00:00"

CATALOGUE: list[tuple[Event, str, list[str], dict[str, Any]]] = [
    (
        SyncStarted(1, "circuit_list", ("ACTIV", "QC"), "scheduled", NOW),
        "sync.started",
        ["dashboard", "sync-status"],
        {
            "sync_id": 1,
            "sync_type": "circuit_list",
            "statuses": ["ACTIV", "QC"],
            "trigger": "scheduled",
            "started_at": ISO,
        },
    ),
    (
        SyncCompleted(1, "warning", NOW, {"processed": 4, "created": 1, "updated": 2, "unchanged": 1}),
        "sync.completed",
        ["dashboard", "sync-status"],
        {
            "sync_id": 1,
            "circuits_processed": 4,
            "created": 1,
            "updated": 2,
            "unchanged": 1,
            "sync_status": "warning",
            "completed_at": ISO,
        },
    ),
    (
        SyncFailed(1, "WorkStudio is down", NOW, LATER),
        "sync.failed",
        ["sync-status"],
        {"sync_id": 1, "error": "WorkStudio is down", "retry_at": LATER_ISO, "completed_at": ISO},
    ),
    (
        CircuitWorkflowChanged(7, 1, "active", "qc", "sync"),
        "circuit.workflow_changed",
        ["dashboard", "circuit.7"],
        {"circuit_id": 7, "from": "active", "to": "qc", "changed_by": "sync"},
    ),
    (
        CircuitUpdated(7, 1, {"title": {"old": "a", "new": None}}),
        "circuit.updated",
        ["circuit.7"],
        {"circuit_id": 7, "changed": {"title": {"old": "a", "new": None}}},
    ),
    (
        PlannedUnitsSynced(7, 1, "2026-1", {"total_units": 3}, {"Approved": 2, "Pending": 1}, None),
        "planned_units.synced",
        ["circuit.7"],
        {
            "circuit_id": 7,
            "work_order": "2026-1",
            "totals": {"total_units": 3},
            "permission_counts": {"Approved": 2, "Pending": 1},
            "previous_totals": None,
        },
    ),
]


@pytest.mark.parametrize(("event", "name", "channels", "payload"), CATALOGUE, ids=[line[1] for line in CATALOGUE])
def test_an_event_is_written_as_the_contract_says(
    desk: Desk, event: Event, name: str, channels: list[str], payload: dict[str, Any]
) -> None:
    with desk.database.transaction() as connection:
        emit(connection, [event], NOW)

    (row,) = desk.events()
    circuit = payload.get("circuit_id")
    assert (row["name"], row["channels"], row["payload"]) == (name, channels, payload)
    assert (row["circuit_id"], row["sync_log_id"], row["occurred_at"]) == (circuit, 1, NOW)


def test_there_are_six_events() -> None:
    assert len({line[1] for line in CATALOGUE}) == 6


def notified(connection: psycopg.Connection[Any], seconds: float) -> int:
    return len(list(connection.notifies(timeout=seconds, stop_after=1)))


def test_who_listens_is_woken_once_the_event_can_be_read_and_not_before(desk: Desk) -> None:
    event = SyncFailed(1, "x", NOW)
    with psycopg.connect(desk.database.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
        with desk.database.transaction() as connection:
            emit(connection, [event, event], NOW)
            assert notified(listener, 0) == 0
        assert notified(listener, PATIENCE) == 1

    assert len(desk.events()) == 2


def test_an_event_of_what_was_rolled_back_is_told_to_nobody(desk: Desk) -> None:
    with psycopg.connect(desk.database.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
        with desk.database.rehearsal() as connection:
            emit(connection, [SyncFailed(1, "x", NOW)], NOW)
        with desk.database.transaction() as connection:
            connection.exec_driver_sql(f"NOTIFY {NOTIFY_CHANNEL}, 'the next one'")
        (notification,) = listener.notifies(timeout=PATIENCE, stop_after=1)

    assert notification.payload == "the next one"
    assert desk.events() == []


def test_no_event_is_no_row_and_no_lock(desk: Desk) -> None:
    with desk.database.transaction() as connection:
        emit(connection, [], NOW)
        held = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        assert held.scalar_one() == 0

    assert desk.events() == []


def test_a_sync_that_changes_much_tells_each_circuit_in_its_own_channel(desk: Desk) -> None:
    rows = [{"SS_WO": str(number), "VEGJOB_PRCENT": 10} for number in range(20)]
    desk.answer("ACTIV", rows)
    desk.sync()
    desk.answer("ACTIV", [row | {"VEGJOB_PRCENT": 20.5} for row in rows])
    desk.sync()

    events = desk.events("circuit.updated")
    assert [event["channels"] for event in events] == [[f"circuit.{event['circuit_id']}"] for event in events]
    assert len({event["circuit_id"] for event in events}) == 20
    changed = {"percent_complete": {"old": 10, "new": float(Decimal("20.5"))}}
    assert [event["payload"] for event in events] == [
        {"circuit_id": event["circuit_id"], "changed": changed} for event in events
    ]
