from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from circuit_sync.orchestration.automation.decisions import (
    Cursor,
    Decision,
    RunUnderWay,
    Start,
    abandoned_syncs,
    aggregates_to_start,
    dead_runs,
    departed_to_start,
    read_log,
    snapshot_to_start,
)

MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)
SATURDAY = datetime(2026, 3, 7, 12, tzinfo=UTC)
GRACE = timedelta(seconds=20)
TIMEOUT = timedelta(seconds=60)


def sync(number: int, statuses: str = "ACTIV", **told: Any) -> dict[str, Any]:
    return {
        "id": number,
        "sync_type": "circuit_list",
        "sync_status": "completed",
        "api_status_filter": statuses,
        "circuits_created": 0,
        "circuits_updated": 0,
        "aggregates_created": 0,
        "context": {},
    } | told


def nobody(_day: date) -> str | None:
    return None


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor(7, (9, 11), {"QC": 9})
    assert Cursor.parse(cursor.text()) == cursor
    assert Cursor.parse(None) == Cursor()


def test_a_sync_that_ends_after_a_later_one_is_not_missed() -> None:
    new, cursor = read_log(Cursor(4), [sync(6)], under_way=[5])
    assert [found["id"] for found in new] == [6]
    again, cursor = read_log(cursor, [sync(5), sync(6)], under_way=[])
    assert [found["id"] for found in again] == [5]
    assert cursor == Cursor(6)


def test_aggregates_start_for_the_synced_statuses_that_need_units() -> None:
    decision = aggregates_to_start(Cursor(), [sync(3, "QC,REWRK,CLOSE")], [], {"QC": 4, "CLOSE": 1, "ACTIV": 9}, {})
    assert decision.starts == (Start(("QC",), 3), Start(("CLOSE",), 3))
    assert decision.reasons == ("REWRK: no circuit needs units",)
    assert decision.cursor == Cursor(3)


def test_neighbouring_statuses_start_as_one_run_named_after_the_latest_sync() -> None:
    decision = aggregates_to_start(Cursor(), [sync(3, "ACTIV"), sync(4, "QC")], [], {"ACTIV": 1, "QC": 1}, {})
    assert [start.run_key("sensor") for start in decision.starts] == ["sensor:4:ACTIV:QC"]


def test_a_status_that_an_aggregate_run_works_on_is_looked_at_again() -> None:
    first = aggregates_to_start(Cursor(), [sync(3)], [], {"ACTIV": 2}, {"ACTIV": "run-1"})
    assert first.starts == ()
    assert first.reasons == ("ACTIV: run run-1 is at it",)
    second = aggregates_to_start(first.cursor, [], [], {"ACTIV": 2}, {})
    assert second.starts == (Start(("ACTIV",), 3),)
    third = aggregates_to_start(second.cursor, [], [], {"ACTIV": 2}, {})
    assert third.starts == ()


def test_a_failed_sync_and_an_aggregate_sync_start_no_aggregates() -> None:
    syncs = [sync(3, sync_status="failed"), sync(4, sync_type="aggregates")]
    decision = aggregates_to_start(Cursor(), syncs, [], {"ACTIV": 2}, {})
    assert decision.starts == ()
    assert decision.reasons == ("no circuits were synced since the last look",)


@pytest.mark.parametrize(
    "told",
    [
        {"circuits_created": 1},
        {"circuits_updated": 1},
        {"context": {"departed": 2}},
        {"sync_type": "aggregates", "aggregates_created": 5},
        {"sync_type": "aggregates", "sync_status": "failed", "context": {"counts": {"stored": 5}}},
    ],
)
def test_a_change_refreshes_todays_snapshot(told: dict[str, Any]) -> None:
    decision = snapshot_to_start(Cursor(), [sync(3, **told)], [], MONDAY, nobody)
    assert decision.starts == (Start(("2026-03-09",), 3),)


def test_late_in_the_evening_today_is_still_the_eastern_date() -> None:
    late = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
    decision = snapshot_to_start(Cursor(), [sync(3, circuits_updated=1)], [], late, nobody)
    assert decision.starts == (Start(("2026-03-09",), 3),)


@pytest.mark.parametrize("told", [{}, {"sync_type": "snapshots", "circuits_updated": 3}])
def test_without_a_change_no_snapshot_is_taken(told: dict[str, Any]) -> None:
    decision = snapshot_to_start(Cursor(), [sync(3, **told)], [], MONDAY, nobody)
    assert decision.starts == ()
    assert decision.reasons == ("no circuit and no aggregate changed since the last look",)
    assert decision.cursor == Cursor(3)


def test_on_a_weekend_a_change_takes_no_snapshot_and_says_why() -> None:
    decision = snapshot_to_start(Cursor(), [sync(3, circuits_updated=1)], [], SATURDAY, nobody)
    assert decision.starts == ()
    assert "weekdays" in decision.reasons[0]


def test_a_change_during_a_snapshot_run_is_not_forgotten() -> None:
    first = snapshot_to_start(Cursor(), [sync(3, circuits_updated=1)], [], MONDAY, lambda _day: "run-1")
    assert first.starts == ()
    assert first.reasons == ("2026-03-09: run run-1 is at it",)
    second = snapshot_to_start(first.cursor, [], [], MONDAY, nobody)
    assert second.starts == (Start(("2026-03-09",), 3),)


ENABLED = ("ACTIV", "QC", "REWRK", "CLOSE")
LEFT = {"context": {"departed": 2}}


def missing_from(**fetched: str) -> Callable[[Collection[int]], Mapping[int, Sequence[str]]]:
    """Circuits of these syncs (``s3="ACTIV"``) were not seen since."""
    found = {int(sync[1:]): statuses.split(",") for sync, statuses in fetched.items()}
    return lambda asked: {sync: statuses for sync, statuses in found.items() if sync in asked}


def test_what_left_its_status_is_looked_for_once_under_the_others() -> None:
    still = missing_from(s3="ACTIV")
    first = departed_to_start(Cursor(), [sync(3, **LEFT)], [], still, ENABLED, {}, MONDAY)
    assert first.starts == (Start(("QC", "REWRK", "CLOSE"), 3),)
    assert first.starts[0].run_key("departed_circuits") == "departed_circuits:3:QC:CLOSE"
    second = departed_to_start(first.cursor, [], [], still, ENABLED, {}, MONDAY)
    assert second.starts == ()
    assert second.reasons == ("no circuit departed since the last look",)


def test_others_that_do_not_lie_side_by_side_are_one_run_each() -> None:
    decision = departed_to_start(Cursor(), [sync(3, **LEFT)], [], missing_from(s3="QC,REWRK"), ENABLED, {}, MONDAY)
    assert decision.starts == (Start(("ACTIV",), 3), Start(("CLOSE",), 3))


def test_a_status_that_is_not_enabled_is_not_asked_for() -> None:
    decision = departed_to_start(Cursor(), [sync(3, **LEFT)], [], missing_from(s3="ACTIV"), ("ACTIV", "QC"), {}, MONDAY)
    assert decision.starts == (Start(("QC",), 3),)


@pytest.mark.parametrize(
    ("still", "enabled", "reason"),
    [
        (missing_from(), ENABLED, "sync 3: what departed was seen again"),
        (
            missing_from(s3="ACTIV"),
            ("ACTIV",),
            "sync 3: circuits departed, and no other status is enabled where they could be",
        ),
    ],
)
def test_nothing_is_asked_for_where_nothing_can_be_found(
    still: Callable[[Collection[int]], Mapping[int, Sequence[str]]], enabled: Sequence[str], reason: str
) -> None:
    decision = departed_to_start(Cursor(), [sync(3, **LEFT)], [], still, enabled, {}, MONDAY)
    assert decision == Decision((), Cursor(3), (reason,))


def test_a_run_over_the_other_statuses_may_find_what_departed_and_is_waited_for() -> None:
    still = missing_from(s3="ACTIV")
    first = departed_to_start(Cursor(), [sync(3, **LEFT)], [], still, ENABLED, {"QC": "run-1"}, MONDAY)
    assert first.starts == ()
    assert first.reasons == ("sync 3: circuits departed; run run-1 may find them",)
    found = departed_to_start(first.cursor, [], [], missing_from(), ENABLED, {}, MONDAY)
    assert found.reasons == ("sync 3: what departed was seen again",)
    lost = departed_to_start(first.cursor, [], [], still, ENABLED, {}, MONDAY)
    assert lost.starts == (Start(("QC", "REWRK", "CLOSE"), 3),)


def test_on_a_weekend_departures_wait_for_mondays_syncs() -> None:
    decision = departed_to_start(Cursor(), [sync(3, **LEFT)], [], missing_from(s3="ACTIV"), ENABLED, {}, SATURDAY)
    assert decision == Decision((), Cursor(3), ("circuits departed in sync 3: Monday's syncs look for them",))


def under_way(status: str, seconds: float) -> RunUnderWay:
    return RunUnderWay("run-1", status, MONDAY - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("run", "dead"),
    [
        (under_way("STARTED", 21), True),
        (under_way("CANCELING", 21), True),
        (under_way("STARTED", 19), False),
        (under_way("STARTING", 59), False),
        (under_way("STARTING", 61), True),
    ],
)
def test_a_run_without_its_lock_is_dead_after_the_grace(run: RunUnderWay, dead: bool) -> None:
    def holds(alive: bool) -> Callable[[str], bool]:
        return lambda _run_id: alive

    found = dead_runs([run], holds(False), MONDAY, grace=GRACE, start_timeout=TIMEOUT)
    assert found == ([run] if dead else [])
    assert dead_runs([run], holds(True), MONDAY, grace=GRACE, start_timeout=TIMEOUT) == []


def test_a_started_sync_is_abandoned_when_nobody_holds_its_run() -> None:
    syncs = [
        {"id": 1, "dagster_run_id": "dead", "is_alive": False},
        {"id": 2, "dagster_run_id": "alive", "is_alive": True},
        {"id": 3, "dagster_run_id": None, "is_alive": False},
    ]
    assert [found["id"] for found in abandoned_syncs(syncs)] == [1]
