"""When data is too old: weekends and the hours before the first sync raise nothing."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from circuit_sync.domain.freshness import StatusAge, judge_snapshots, judge_statuses, weekday_time, working_day

EASTERN = ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    """In March 2026: the 6th is a Friday, the clock changes on Sunday the 8th."""
    return datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=EASTERN)


def is_fresh(status: str, synced: str, now: str) -> bool:
    line = StatusAge(status, synced_at=at(synced), first_tried_at=at(synced))
    return judge_statuses([line], at(now)).passed


@pytest.mark.parametrize(
    ("synced", "now", "fresh"),
    [
        ("05 04:31", "05 17:30", True),
        ("05 04:31", "05 17:32", False),
        ("05 16:31", "06 05:30", True),
        ("05 16:31", "06 05:32", False),
        ("06 16:31", "07 12:00", True),
        ("06 16:31", "08 23:59", True),
        ("06 16:31", "09 04:29", True),
        ("06 16:31", "09 05:30", True),
        ("06 16:31", "09 05:32", False),
        ("06 04:31", "07 12:00", False),
        ("06 04:31", "09 04:00", False),
    ],
)
def test_activ_is_at_most_half_a_weekday_old(synced: str, now: str, fresh: bool) -> None:
    assert is_fresh("ACTIV", synced, now) is fresh


@pytest.mark.parametrize(
    ("synced", "now", "fresh"),
    [
        ("02 04:31", "09 12:00", True),
        ("02 04:31", "10 05:29", True),
        ("02 04:31", "10 05:31", False),
        ("06 09:00", "14 12:00", True),
        ("06 09:00", "15 12:00", True),
        ("06 09:00", "16 05:29", True),
        ("06 09:00", "16 05:31", False),
    ],
)
def test_the_others_are_at_most_8_days_old(synced: str, now: str, fresh: bool) -> None:
    assert is_fresh("QC", synced, now) is fresh


@pytest.mark.parametrize(
    ("now", "day"),
    [("06 05:29", 5), ("06 05:31", 6), ("07 12:00", 6), ("08 23:59", 6), ("09 05:29", 6), ("09 05:31", 9)],
)
def test_a_day_counts_once_its_first_sync_has_had_its_time(now: str, day: int) -> None:
    assert working_day(at(now)) == date(2026, 3, day)


def test_a_status_that_was_never_synced_ages_from_its_first_attempt() -> None:
    never = StatusAge("ACTIV", synced_at=None, first_tried_at=None)
    assert judge_statuses([never], at("05 17:32")).passed
    tried = replace(never, first_tried_at=at("05 04:30"))
    finding = judge_statuses([tried], at("05 17:32"))
    assert not finding.passed
    assert finding.message == "too old: ACTIV: never"


def test_the_finding_names_the_status_and_when_it_was_synced() -> None:
    line = StatusAge("ACTIV", synced_at=at("05 04:31"), first_tried_at=None)
    finding = judge_statuses([line], at("05 18:00"))
    assert finding.message == "too old: ACTIV: 2026-03-05 04:31 EST"
    assert finding.severity == "error"


def test_weekday_time_stands_still_on_weekends() -> None:
    assert weekday_time(at("06 16:30"), at("09 04:30")) == timedelta(hours=12)
    assert weekday_time(at("07 01:00"), at("08 23:00")) == timedelta()
    assert weekday_time(at("05 04:30"), at("05 16:30")) == timedelta(hours=12)


WEEK = {date(2026, 3, day) for day in (2, 3, 4, 5, 6)}
BEGUN = date(2026, 2, 2)


@pytest.mark.parametrize(
    ("taken", "now", "missing"),
    [
        (WEEK, "06 23:00", []),
        (WEEK, "07 12:00", []),
        (WEEK, "09 05:59", []),
        (WEEK, "09 06:01", ["2026-03-09"]),
        (WEEK - {date(2026, 3, 4)}, "06 12:00", ["2026-03-04"]),
        (WEEK - {date(2026, 3, 6)}, "07 12:00", ["2026-03-06"]),
    ],
)
def test_a_weekday_without_a_snapshot_is_missing_once_its_time_has_come(
    taken: set[date], now: str, missing: list[str]
) -> None:
    assert [line["date"] for line in judge_snapshots(taken, BEGUN, at(now)).lines] == missing


def test_before_history_no_snapshot_is_missing() -> None:
    assert judge_snapshots(set(), None, at("06 12:00")).passed
    assert judge_snapshots(set(), date(2026, 3, 6), at("06 12:00")).passed
    finding = judge_snapshots(set(), date(2026, 3, 4), at("06 12:00"))
    assert finding.message == "no snapshot of 2026-03-05, 2026-03-06"
