"""``Retry-After``, as servers write it: seconds, also with a fraction, or an HTTP date."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_asked(text: str | None, now: datetime, *, longest: float = math.inf) -> float | None:
    """The seconds that a server asks to be left alone, from 0 to ``longest``; ``None`` if it does not, or nonsense."""
    given = (text or "").strip()
    try:
        seconds = float(given)
    except ValueError:
        seconds = _seconds_until(given, now)
    return None if math.isnan(seconds) else min(max(0.0, seconds), longest)


def _seconds_until(text: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(text)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return math.nan
