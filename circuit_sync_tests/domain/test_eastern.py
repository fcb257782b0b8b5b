"""Dates in Eastern Time, summer and winter."""

from datetime import UTC, date, datetime, timedelta

import pytest

from circuit_sync.domain.eastern import (
    eastern_date,
    end_of,
    is_weekday,
    latest_weekday,
    midnight,
    previous_weekday,
    weekdays_between,
)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 1, 15, 4, 59, tzinfo=UTC), date(2026, 1, 14)),
        (datetime(2026, 1, 15, 5, 0, tzinfo=UTC), date(2026, 1, 15)),
        (datetime(2026, 7, 15, 3, 59, tzinfo=UTC), date(2026, 7, 14)),
        (datetime(2026, 7, 15, 4, 0, tzinfo=UTC), date(2026, 7, 15)),
    ],
)
def test_a_day_begins_at_midnight_in_new_york(instant: datetime, day: date) -> None:
    assert eastern_date(instant) == day


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 3, 9), 24)])
def test_a_day_is_as_long_as_the_clock_change_makes_it(day: date, hours: int) -> None:
    assert end_of(day).astimezone(UTC) - midnight(day).astimezone(UTC) == timedelta(hours=hours)


def test_the_end_of_a_day_is_the_midnight_after() -> None:
    assert end_of(date(2026, 12, 31)) == midnight(date(2027, 1, 1))


def test_weekdays_are_monday_to_friday() -> None:
    week = [date(2026, 3, 2) + timedelta(days=number) for number in range(7)]
    assert [is_weekday(day) for day in week] == [True] * 5 + [False] * 2
    assert weekdays_between(week[0], week[6]) == week[:5]
    assert weekdays_between(week[5], week[6]) == []
    assert weekdays_between(week[1], week[0]) == []


@pytest.mark.parametrize(
    ("day", "latest", "previous"),
    [
        (date(2026, 3, 2), date(2026, 3, 2), date(2026, 2, 27)),
        (date(2026, 3, 6), date(2026, 3, 6), date(2026, 3, 5)),
        (date(2026, 3, 7), date(2026, 3, 6), date(2026, 3, 6)),
        (date(2026, 3, 8), date(2026, 3, 6), date(2026, 3, 6)),
    ],
)
def test_a_weekend_goes_back_to_its_friday(day: date, latest: date, previous: date) -> None:
    assert (latest_weekday(day), previous_weekday(day)) == (latest, previous)
