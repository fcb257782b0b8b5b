"""What every command checks of its arguments."""

from collections.abc import Sequence
from datetime import date

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.values import is_unicode

FIRST, LAST = date(2000, 1, 1), date(2100, 12, 31)


def check_arguments(words: Sequence[str]) -> None:
    """Raises ``UsageError`` for an empty argument, as a shell makes of an unset variable, and for invalid UTF-8."""
    before = ""
    for word in words:
        option, value = word.split("=", 1) if word.startswith("--") and "=" in word else (before, word)
        if not value.strip():
            what = option if option.startswith("-") else "an argument"
            raise UsageError(f"{what} is empty: give it a value, or leave it out")
        if not is_unicode(word):
            raise UsageError(f"{word!r} is not UTF-8 text")
        before = word


def parse_date(text: str | None) -> date | None:
    """``None`` for none. Raises ``UsageError`` for what is not a date, or is not between ``FIRST`` and ``LAST``."""
    try:
        day = None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date: it looks like 2026-03-31") from None
    if day is not None and not FIRST <= day <= LAST:
        raise UsageError(f"{text!r} is too far away: allowed are {FIRST} to {LAST}")
    return day
