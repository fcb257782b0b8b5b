"""Single values as WorkStudio sends them, made ours (the rules are those of the server's value kinds).

Each function takes one raw JSON value and returns the clean one, or raises ``BadValue`` with a reason that never
quotes the value: it may be a landowner's free text.
"""

import math
import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

EARLIEST_DATE = date(2010, 1, 1)
LONGEST_NAME = 200
"""Characters of an indexed text: an index entry holds 2,700 bytes, two such texts at most 1,600."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WRAPPED_DATE = re.compile(r"/Date\((.*)\)/", re.DOTALL)
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\}?")


class BadValue(ValueError):
    """A value that makes its row a rejected one; its text is the reason."""


def clean_text(value: Any) -> str | None:
    """Text without NUL bytes and outer blanks; ``None`` where nothing is left. A number becomes its text."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadValue("not a text")
    text = value.replace("\0", "").strip()
    if not (text.isascii() or is_unicode(text)):
        raise BadValue("holds a lone surrogate, which is not Unicode text")
    return text or None


def clean_name(value: Any) -> str | None:
    """Text that things are found by, which may not be of any length."""
    text = clean_text(value)
    if text is not None and len(text) > LONGEST_NAME:
        raise BadValue(f"is longer than {LONGEST_NAME} characters")
    return text


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be stored: a lone surrogate has no UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_guid(value: Any) -> str | None:
    """A GUID in upper case with braces, so that equal ones are equal; an opaque text stays as it came."""
    text = clean_name(value)
    if text is None:
        return None
    guid = _GUID.fullmatch(text)
    return f"{{{guid.group(1).upper()}}}" if guid else text


def is_guid(text: str) -> bool:
    """Whether ``text`` is a GUID, with braces or without."""
    return _GUID.fullmatch(text) is not None


def clean_number(value: Any, *, places: int, low: Decimal, high: Decimal) -> Decimal:
    """A number rounded half up to ``places`` decimals, within ``low`` and ``high``. Empty and null are 0."""
    if value is None:
        value = 0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadValue("not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue("not a finite number")
    text = (value.replace("\0", "").strip() or "0") if isinstance(value, str) else repr(value)
    if not _NUMBER.fullmatch(text):
        raise BadValue("not a number")
    number = Decimal(text)
    # What no rounding brings into the range may have more digits than a Decimal can be rounded with.
    if low - 1 <= number <= high + 1:
        number = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP) + 0
    if not low <= number <= high:
        raise BadValue(f"not between {low} and {high}")
    return number


def clean_instant(value: Any) -> datetime | None:
    """An instant in UTC from ``/Date(…)/`` or ISO 8601; empty, null and anything before 2010 is ``None``."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadValue("not a date")
    text = value.replace("\0", "").strip()
    if wrapped := _WRAPPED_DATE.fullmatch(text):
        text = wrapped.group(1).strip()
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except OverflowError:
        return None
    except ValueError:
        raise BadValue("not a date") from None
    return instant if instant.date() >= EARLIEST_DATE else None


def clean_date(value: Any) -> date | None:
    """The date of ``clean_instant``."""
    instant = clean_instant(value)
    return instant.date() if instant else None


def clean_json(value: Any) -> Any:
    """A JSON value fit for ``jsonb``: texts cleaned, NaN, infinity and what exceeds 64 bits refused."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue("not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise BadValue("beyond 64 bits")
    if isinstance(value, dict):
        return {clean_text(key) or "": clean_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    return value
