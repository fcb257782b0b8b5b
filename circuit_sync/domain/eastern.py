"""Dates in Eastern Time, the zone every schedule, snapshot and aggregate is dated in, and their weeks.

A week is Monday to Friday, named by the Friday it ends on; a weekend belongs to the week before it.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

TIME_ZONE = "America/New_York"
EASTERN = ZoneInfo(TIME_ZONE)


def eastern_date(instant: datetime) -> date:
    """The calendar date in Eastern Time at ``instant`` (timezone-aware)."""
    return instant.astimezone(EASTERN).date()


def midnight(day: date) -> datetime:
    """The first instant of ``day`` in Eastern Time."""
    return datetime.combine(day, time(), EASTERN)


def end_of(day: date) -> datetime:
    """The first instant after ``day`` in Eastern Time."""
    return midnight(day + timedelta(days=1))


def last_instants(days: Iterable[date]) -> dict[date, datetime]:
    """Each of ``days`` with the last instant that belongs to it."""
    return {day: end_of(day) - timedelta(microseconds=1) for day in days}


def is_weekday(day: date) -> bool:
    """Monday to Friday."""
    return day.weekday() < 5


def latest_weekday(day: date) -> date:
    """``day`` itself, or the Friday before if it is a weekend."""
    return day - timedelta(days=max(0, day.weekday() - 4))


def next_weekday(day: date) -> date:
    """``day`` itself, or the Monday after if it is a weekend."""
    return day if is_weekday(day) else day + timedelta(days=7 - day.weekday())


def previous_weekday(day: date) -> date:
    """The last weekday before ``day``."""
    return latest_weekday(day - timedelta(days=1))


def weekdays_between(first: date, last: date) -> list[date]:
    """Every weekday from ``first`` to ``last``, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if is_weekday(day)]


def monday_of(day: date) -> date:
    """The day on which the week of ``day`` begins."""
    return day - timedelta(days=day.weekday())


def week_ending(day: date) -> date:
    """The Friday on which the week of ``day`` ends."""
    return monday_of(day) + timedelta(days=4)


def weeks_of(days: Iterable[date]) -> list[date]:
    """The Fridays of the weeks that ``days`` lie in, in their order, each once."""
    return sorted({week_ending(day) for day in days})
