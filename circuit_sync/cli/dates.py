"""Dates as they are typed."""

from datetime import date

from circuit_sync.domain.errors import UsageError

FIRST, LAST = date(2000, 1, 1), date(2100, 12, 31)


def parse_date(text: str | None) -> date | None:
    """The date; ``None`` for none. Raises ``UsageError`` for what is no date, or none of our time."""
    try:
        day = None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date: it looks like 2026-03-31") from None
    if day is not None and not FIRST <= day <= LAST:
        raise UsageError(f"{text!r} is too far away: allowed are {FIRST} to {LAST}")
    return day
