"""What a look at an installation found: a line for each thing, and how the values of a view's columns look.

No value itself is in it: a column may hold a landowner's name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

from circuit_sync.domain.printable import one_line
from circuit_sync.domain.values import BadValue, clean_instant, clean_number, is_guid

Result = Literal["ok", "note", "wrong", "not looked at"]

_ORDER: tuple[Result, ...] = ("ok", "note", "not looked at", "wrong")
MOST_NAMES = 40
LONGEST_NAME = 60
_ANY_NUMBER = Decimal("1e30")
_DATE_MARK = "/Date("


@dataclass(frozen=True)
class Line:
    """One thing looked at. ``found``: what is so, or what is wrong and the cure. A ``note`` works, and may surprise."""

    part: str
    check: str
    result: Result
    found: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Column:
    """A column of a view: the field it becomes, and how many of the rows hold which kind of value (no value)."""

    view: str
    column: str
    field: str
    state: Literal["found", "missing", "missing, required"]
    values: Mapping[str, int]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def worse(one: Result, other: Result) -> Result:
    """The one that a person should see."""
    return max(one, other, key=_ORDER.index)


def kind_of(value: Any) -> str:
    """What kind of value WorkStudio sent; a text that reads as a number, a date or a GUID is told as such."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    text = "" if value is None else str(value).replace("\0", "").strip()
    return next((kind for kind, fits in _KINDS.items() if fits(text)), "text")


def kinds_of(values: Iterable[Any]) -> dict[str, int]:
    """How many of each kind, the most frequent first."""
    return dict(Counter(map(kind_of, values)).most_common())


def names_told(names: Sequence[str]) -> str:
    """Names that a server chose, on one line: each shortened, the first of many."""
    told = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in map(one_line, names)]
    more = len(told) - MOST_NAMES
    return ", ".join(told[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _is_number(text: str) -> bool:
    try:
        clean_number(text, places=0, low=-_ANY_NUMBER, high=_ANY_NUMBER)
    except BadValue:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        clean_instant(text)
    except BadValue:
        return False
    return text.startswith(_DATE_MARK) or text[:4].isdigit()


def _is_empty(text: str) -> bool:
    return not text


_KINDS = {"empty": _is_empty, "GUID": is_guid, "number as text": _is_number, "date": _is_date}
