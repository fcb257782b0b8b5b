"""What a look at an installation found: a line for each thing, and how the values of a view's columns look.

No value itself is in it: a column may hold a landowner's name.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Literal, get_args

from circuit_sync.domain.printable import one_line
from circuit_sync.domain.values import BadValue, clean_instant, clean_number, is_guid

Result = Literal["ok", "note", "not looked at", "wrong"]
"""In ascending order of what a person must see."""
MOST_NAMES = 40
LONGEST_NAME = 60
_ANY_NUMBER = Decimal("1e30")


@dataclass(frozen=True)
class LookLine:
    """One thing looked at. ``found``: what is so, or what is wrong and the cure. A ``note`` works, and may surprise."""

    part: str
    check: str
    result: Result
    found: str


@dataclass(frozen=True)
class Column:
    """A column of a view: the field it becomes, and how many of the rows hold which kind of value (no value)."""

    view: str
    column: str
    field: str
    state: Literal["found", "missing", "missing, required"]
    values: Mapping[str, int]


@dataclass
class Look:
    """What was found: a line for each thing, and the columns of both views."""

    lines: list[LookLine] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)

    @property
    def wrong(self) -> list[LookLine]:
        return [line for line in self.lines if line.result == "wrong"]

    def say(self, part: str, check: str, result: Result, found: str) -> None:
        self.lines.append(LookLine(part, check, result, found))


def worse(one: Result, other: Result) -> Result:
    """The one that a person should see."""
    return max(one, other, key=get_args(Result).index)


def kind_of(value: Any) -> str:
    """What kind of value WorkStudio sent; a text may read as a number, a date or a GUID."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    text = "" if value is None else str(value).replace("\0", "").strip()
    return next((kind for kind, fits in _KINDS.items() if fits(text)), "text")


def kinds_of(values: Iterable[Any]) -> dict[str, int]:
    """How many of each kind, the most frequent first."""
    return dict(Counter(map(kind_of, values)).most_common())


def listed(names: Sequence[str]) -> str:
    """Names that a server chose, on one line: each shortened, the first of many."""
    short = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in map(one_line, names)]
    more = len(short) - MOST_NAMES
    return ", ".join(short[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _is_number(text: str) -> bool:
    return _is_clean(partial(clean_number, places=0, low=-_ANY_NUMBER, high=_ANY_NUMBER), text)


def _is_date(text: str) -> bool:
    return _is_clean(clean_instant, text) and (text.startswith("/Date(") or text[:4].isdigit())


def _is_clean(clean: Callable[[str], object], text: str) -> bool:
    try:
        clean(text)
    except BadValue:
        return False
    return True


_KINDS = {"empty": lambda text: not text, "GUID": is_guid, "number as text": _is_number, "date": _is_date}
