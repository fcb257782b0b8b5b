"""Dates as they are typed."""

from datetime import date

from circuit_sync.domain.errors import UsageError


def parse_date(text: str | None) -> date | None:
    """The date; ``None`` for none. Raises ``UsageError`` for what is no date."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date: it looks like 2026-03-31") from None
