"""What the terminal shows: tables on standard output, progress and errors on standard error.

Names and titles come from WorkStudio: all output goes through here and is made printable first.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.printable import Lines, one_line, printable

WIDTH_OF_A_PIPE = 140

_SIGNS = {
    "created": ("+", "green"),
    "returned": ("+", "green"),
    "departed": ("-", "red"),
    "withheld": ("=", "cyan"),
}


class _Terminal(Console):
    """Reads the encoding, which decides what it may draw with, from the stream at each write."""

    @property
    def encoding(self) -> str:
        return (getattr(self.file, "encoding", None) or "utf-8").lower()


_is_a_pipe = sys.stdout is None or not sys.stdout.isatty()
out = _Terminal(highlight=False, width=WIDTH_OF_A_PIPE if _is_a_pipe else None)
err = _Terminal(stderr=True, highlight=False)


def complain(line: str) -> None:
    """One line that says what is wrong."""
    err.print(f"[red]error:[/] {escape(one_line(line))}", soft_wrap=True)


def note(line: str) -> None:
    """One line that says what goes on."""
    err.print(_plain(line), soft_wrap=True)


def say(line: str = "") -> None:
    """One line of the answer."""
    out.print(_plain(line), soft_wrap=True)


def _plain(line: str) -> str:
    return escape(printable(line))


class Progress:
    """The latest step on one line of a terminal; where standard error is not one, a line for each step."""

    def __init__(self, title: str, status: Status | None) -> None:
        self._title = title
        self._status = status
        self._line = ""

    def line(self, text: str) -> None:
        """A step."""
        self._line = text
        if self._status is None:
            err.print(f"  {_plain(text)}", soft_wrap=True)
        else:
            self._show(text)

    def tick(self, done: int, total: int) -> None:
        """How far the step is."""
        self._show(f"{done} of {total} · {self._line}")

    def _show(self, text: str) -> None:
        if self._status is not None:
            line = f"{self._title} · {text}"
            self._status.update(_plain(line[: max(20, err.width - 4)]))


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Shows what goes on meanwhile, on standard error."""
    if err.is_terminal:
        with err.status(_plain(title)) as status:
            yield Progress(title, status)
    else:
        err.print(_plain(title), soft_wrap=True)
        yield Progress(title, None)


def table(title: str, records: Lines, *, total: bool = False) -> None:
    """A table of ``records``, whose keys are its columns; nothing if there are none."""
    if not records:
        return
    columns = list(dict.fromkeys(name for record in records for name in record))
    out.print(Text(printable(title), style="bold"), soft_wrap=True)
    shown = Table(box=box.SIMPLE_HEAD, show_footer=total, header_style="dim", pad_edge=False)
    for place, name in enumerate(columns):
        values = [record[name] for record in records if record.get(name) is not None]
        is_numeric = all(map(_is_number, values))
        footer = _cell(sum(values)) if is_numeric else "all" if place == 0 else ""
        heading, footer = _plain(name.replace("_", " ")), footer if total else ""
        shown.add_column(heading, footer=footer, justify="right" if is_numeric else "left")
    for record in records:
        shown.add_row(*(Text(_cell(record.get(name))) for name in columns))
    out.print(shown)


def difference(changes: Lines) -> None:
    """Changes as lines: ``+`` created or returned, ``~`` changed from → to, ``=`` withheld, ``-`` departed."""
    for change in changes:
        sign, style = _SIGNS.get(str(change.get("what")), ("~", "yellow"))
        line = f"{sign} {change.get('work_order')} {change.get('extension')}  {change.get('what')}"
        if change.get("field"):
            line += f"  {change['field']}: {_shown(change.get('old'))} → {_shown(change.get('new'))}"
        out.print(Text(printable(line), style=style), soft_wrap=True)
    if changes:
        out.print()


def _shown(value: Any) -> str:
    return str(value) if value not in (None, "") else "(empty)"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(EASTERN):%Y-%m-%d %H:%M}"
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}".removesuffix(".00")
    if _is_number(value):
        return f"{value:,}"
    return printable(str(value))
