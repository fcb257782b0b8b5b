import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from circuit_sync.domain.ended_syncs import Cursor, EndedSync
from circuit_sync.orchestration.automation.decisions import (
    Decision,
    Start,
    aggregates_to_start,
    departed_to_start,
    snapshot_to_start,
)

MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)
SATURDAY = datetime(2026, 3, 7, 12, tzinfo=UTC)
START = Cursor("here", 40)
FIRST = date(2026, 1, 1)


def sync(number: int, statuses: str = "ACTIV", **told: Any) -> EndedSync:
    facts = {"has_changes": False, "has_departures": False, "sync_type": "circuit_list", "sync_status": "completed"}
    return EndedSync(number, statuses=statuses.split(","), **facts | told)  # type: ignore[arg-type]


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor("here", 7, {"QC": 9})
    assert Cursor(**json.loads(cursor.text())) == cursor


def test_aggregates_start_for_the_synced_statuses_that_need_units() -> None:
    decision = aggregates_to_start([sync(3, "QC,REWRK,CLOSE")], START, {"QC": 4, "CLOSE": 1, "ACTIV": 9}, {})
    assert decision.starts == (Start(("QC",), 3), Start(("CLOSE",), 3))
    assert decision.reasons == ("REWRK: no circuit needs units",)
    assert decision.cursor == START


def test_neighbouring_statuses_start_as_one_run_named_after_the_latest_sync() -> None:
    decision = aggregates_to_start([sync(3, "ACTIV"), sync(4, "QC")], START, {"ACTIV": 1, "QC": 1}, {})
    assert decision.starts == (Start(("ACTIV", "QC"), 4),)


def test_a_status_that_an_aggregate_run_works_on_is_looked_at_again() -> None:
    first = aggregates_to_start([sync(3)], START, {"ACTIV": 2}, {"ACTIV": "run-1"})
    assert first.starts == ()
    assert first.reasons == ("ACTIV: run run-1 works on it",)
    second = aggregates_to_start([], first.cursor, {"ACTIV": 2}, {})
    assert second.starts == (Start(("ACTIV",), 3),)
    third = aggregates_to_start([], second.cursor, {"ACTIV": 2}, {})
    assert third.starts == ()


def test_an_aggregate_sync_starts_no_aggregates() -> None:
    decision = aggregates_to_start([sync(4, sync_type="aggregates")], START, {"ACTIV": 2}, {})
    assert decision.starts == ()
    assert decision.reasons == ("no circuits were synced since the last look",)


def test_a_change_refreshes_todays_snapshot() -> None:
    decision = snapshot_to_start([sync(3, has_changes=True)], START, MONDAY, FIRST, {})
    assert decision == Decision((Start(("2026-03-09",), 3),), START, ())


def test_late_in_the_evening_today_is_still_the_eastern_date() -> None:
    late = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
    decision = snapshot_to_start([sync(3, has_changes=True)], START, late, FIRST, {})
    assert decision.starts == (Start(("2026-03-09",), 3),)


def test_without_a_change_no_snapshot_is_taken() -> None:
    decision = snapshot_to_start([sync(3)], START, MONDAY, FIRST, {})
    assert decision == Decision((), START, ("no circuit and no aggregate changed since the last look",))


def test_on_a_weekend_a_change_takes_no_snapshot_and_says_why() -> None:
    decision = snapshot_to_start([sync(3, has_changes=True)], START, SATURDAY, FIRST, {})
    assert decision.starts == ()
    assert "weekdays" in decision.reasons[0]


def test_a_change_during_a_snapshot_run_is_not_forgotten() -> None:
    first = snapshot_to_start([sync(3, has_changes=True)], START, MONDAY, FIRST, {date(2026, 3, 9): "run-1"})
    assert first.starts == ()
    assert first.reasons == ("2026-03-09: run run-1 works on it",)
    second = snapshot_to_start([], first.cursor, MONDAY, FIRST, {})
    assert second.starts == (Start(("2026-03-09",), 3),)


ENABLED = ("ACTIV", "QC", "REWRK", "CLOSE")
LEFT = {"has_departures": True}


def missing_from(**fetched: str) -> Callable[[Collection[int]], Mapping[int, Sequence[str]]]:
    """Circuits of these syncs (``s3="ACTIV"``) were not seen since."""
    found = {int(sync[1:]): statuses.split(",") for sync, statuses in fetched.items()}
    return lambda asked: {sync: statuses for sync, statuses in found.items() if sync in asked}


def test_what_left_its_status_is_looked_for_once_under_the_others() -> None:
    still = missing_from(s3="ACTIV")
    first = departed_to_start([sync(3, **LEFT)], START, still, ENABLED, {}, MONDAY)
    assert first.starts == (Start(("QC", "REWRK", "CLOSE"), 3),)
    second = departed_to_start([], first.cursor, still, ENABLED, {}, MONDAY)
    assert second.starts == ()
    assert second.reasons == ("no circuit departed since the last look",)


def test_others_that_do_not_lie_side_by_side_are_one_run_each() -> None:
    decision = departed_to_start([sync(3, **LEFT)], START, missing_from(s3="QC,REWRK"), ENABLED, {}, MONDAY)
    assert decision.starts == (Start(("ACTIV",), 3), Start(("CLOSE",), 3))


def test_a_status_that_is_not_enabled_is_not_asked_for() -> None:
    decision = departed_to_start([sync(3, **LEFT)], START, missing_from(s3="ACTIV"), ("ACTIV", "QC"), {}, MONDAY)
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
    decision = departed_to_start([sync(3, **LEFT)], START, still, enabled, {}, MONDAY)
    assert decision == Decision((), START, (reason,))


def test_a_run_over_the_other_statuses_may_find_what_departed_and_is_waited_for() -> None:
    still = missing_from(s3="ACTIV")
    first = departed_to_start([sync(3, **LEFT)], START, still, ENABLED, {"QC": "run-1"}, MONDAY)
    assert first.starts == ()
    assert first.reasons == ("sync 3: circuits departed; run run-1 may find them",)
    found = departed_to_start([], first.cursor, missing_from(), ENABLED, {}, MONDAY)
    assert found.reasons == ("sync 3: what departed was seen again",)
    lost = departed_to_start([], first.cursor, still, ENABLED, {}, MONDAY)
    assert lost.starts == (Start(("QC", "REWRK", "CLOSE"), 3),)


def test_on_a_weekend_departures_wait_for_mondays_syncs() -> None:
    decision = departed_to_start([sync(3, **LEFT)], START, missing_from(s3="ACTIV"), ENABLED, {}, SATURDAY)
    assert decision == Decision((), START, ("circuits departed in sync 3: Monday's syncs look for them",))
