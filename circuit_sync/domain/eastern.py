"""Dates in Eastern Time, the zone every schedule, snapshot and aggregate is dated in."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
TIME_ZONE = "America/New_York"


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
