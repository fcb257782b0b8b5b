"""Whether dates hold what was taken of them, and where the first one lies."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from circuit_sync.domain.eastern import EASTERN, weekdays_between
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.sync.progress.rollups import roll_up
from circuit_sync.sync.progress.snapshots import (
    first_date_with_data,
    open_snapshots,
    take_snapshots,
)
from circuit_sync_tests.scenery import Desk, ask
from circuit_sync_tests.sync.snapshot_shelf import Shelf
from circuit_sync_tests.sync.units_desk import WO, circuits

DAYS = weekdays_between(date(2026, 2, 23), date(2026, 3, 6))
FRIDAY, SATURDAY, MONDAY, TUESDAY = date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    """Two circuits on each of ten days, rolled up."""
    shelf = Shelf(desk)
    for day in DAYS:
        for name, region in (("1", "Lehigh"), ("2", "Central")):
            shelf.put(name, day, day.day, region=region, total_units=day.day, units_pending=1)
    shelf.roll_up(*DAYS)
    return shelf


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=EASTERN).astimezone(UTC)


def found(shelf: Shelf, *dates: date) -> list[tuple[str, str]]:
    lines = ask(shelf.desk.session, "roll_ups_agree", *dates).lines
    return [(str(line["date"]), str(line["found"])) for line in lines]


def test_roll_ups_as_they_were_computed_agree(shelf: Shelf) -> None:
    assert ask(shelf.desk.session, "roll_ups_agree").passed
    assert ask(shelf.desk.session, "roll_ups_agree", *DAYS).passed


@pytest.mark.parametrize("table", ["regional_daily", "planner_daily"])
@pytest.mark.parametrize("asked", [(), DAYS[-1:]], ids=["all dates", "another date"])
def test_a_date_that_lacks_a_roll_up_is_found_whatever_is_asked(shelf: Shelf, table: str, asked: list[date]) -> None:
    shelf.desk.execute(f"DELETE FROM {table} WHERE snapshot_date = %s", DAYS[2])
    kind = "region" if table == "regional_daily" else "planner"
    assert found(shelf, *asked) == [(str(DAYS[2]), f"missing: by {kind}")]
    roll_up(shelf.desk.session, [DAYS[2]])
    assert found(shelf, *asked) == []


def test_a_date_that_lost_its_snapshots_is_found(shelf: Shelf) -> None:
    shelf.desk.execute("DELETE FROM circuit_snapshots WHERE snapshot_date = %s", DAYS[3])
    assert found(shelf, DAYS[0]) == [(str(DAYS[3]), "missing: snapshots")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE regional_daily SET circuits = circuits + 1",
        "UPDATE regional_daily SET miles_planned = miles_planned + 0.01",
        "UPDATE regional_daily SET total_miles = total_miles + 0.01",
        "UPDATE planner_daily SET total_units = total_units + 1",
        "UPDATE planner_daily SET units_pending = units_pending + 1",
        "UPDATE circuit_snapshots SET miles_planned = 0",
        "DELETE FROM regional_daily WHERE region_id = (SELECT min(id) FROM regions) AND true",
    ],
)
def test_sums_that_differ_are_found_for_the_dates_asked_for(shelf: Shelf, change: str) -> None:
    change = change.replace("AND true", "AND snapshot_date = %s")
    shelf.desk.execute(change if "%s" in change else f"{change} WHERE snapshot_date = %s", DAYS[4])
    expected = [(str(DAYS[4]), "the sums differ")]
    assert found(shelf) == found(shelf, *DAYS) == found(shelf, DAYS[4]) == expected
    assert found(shelf, DAYS[5]) == []


def test_snapshots_of_other_types_are_no_business_of_the_roll_ups(shelf: Shelf) -> None:
    shelf.put("1", date(2026, 1, 5), 1, snapshot_type="manual")
    shelf.put("1", DAYS[0], 1, snapshot_type="status_change")
    assert found(shelf) == []


def test_dates_that_were_taken_and_hold_nothing_are_told_with_their_reason(desk: Desk) -> None:
    circuits(desk, WO)
    before = [day for day in DAYS if day < MONDAY]
    for dates in (before, [MONDAY]):
        take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest(dates)))
    reason = "no snapshot of 5 dates, 2026-02-23 to 2026-02-27: before history begins (2026-03-02)"
    assert ask(desk.session, "dates_have_snapshots", *before).message == reason
    assert ask(desk.session, "dates_have_snapshots").message == reason, "asked by itself: of all that were ever taken"
    assert ask(desk.session, "dates_have_snapshots", MONDAY).passed


def test_a_date_on_which_nothing_was_open_says_that(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")
    take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest([MONDAY])))
    assert ask(desk.session, "dates_have_snapshots", MONDAY).message == "no snapshot of 2026-03-02: no circuit was open"


def imported_friday(desk: Desk) -> None:
    Shelf(desk).put("1", FRIDAY, 1, is_imported=True)


def synced_on(day: date) -> Callable[[Desk], None]:
    def sync(desk: Desk) -> None:
        desk.clock.instant = noon(day)
        circuits(desk, WO)

    return sync


@pytest.mark.parametrize(
    ("past", "today", "first"),
    [
        ((), TUESDAY, TUESDAY),
        ((), SATURDAY, FRIDAY),
        ((synced_on(MONDAY),), TUESDAY, MONDAY),
        ((synced_on(SATURDAY),), SATURDAY, FRIDAY),
        ((synced_on(SATURDAY),), TUESDAY, MONDAY),
        ((imported_friday,), TUESDAY, FRIDAY),
        ((synced_on(MONDAY), imported_friday), TUESDAY, FRIDAY),
    ],
    ids=["nothing", "nothing, weekend", "history", "today, weekend", "weekend", "imported", "history and imported"],
)
def test_the_first_date_is_the_first_that_can_have_data(
    desk: Desk, past: tuple[Callable[[Desk], None], ...], today: date, first: date
) -> None:
    for happened in past:
        happened(desk)
    desk.clock.instant = noon(today)
    assert first_date_with_data(desk.session) == first
