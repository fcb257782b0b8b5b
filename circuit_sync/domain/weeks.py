"""Working weeks: Monday to Friday, named by the Friday they end on. A weekend belongs to the week before it."""

from collections.abc import Iterable
from datetime import date, timedelta


def monday_of(day: date) -> date:
    """The day on which the week of ``day`` begins."""
    return day - timedelta(days=day.weekday())


def week_ending(day: date) -> date:
    """The Friday on which the week of ``day`` ends."""
    return monday_of(day) + timedelta(days=4)


def weeks_of(days: Iterable[date]) -> list[date]:
    """The Fridays of the weeks that ``days`` lie in, in their order, each once."""
    return sorted({week_ending(day) for day in days})
