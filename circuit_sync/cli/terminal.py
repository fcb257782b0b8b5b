"""What reaches the terminal: tables on standard output, progress and complaints on standard error."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from circuit_sync.domain.eastern import EASTERN

WIDTH_OF_A_PIPE = 140

_SIGNS = {
    "created": ("+", "green"),
    "returned": ("+", "green"),
    "departed": ("-", "red"),
    "withheld": ("=", "cyan"),
}

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE)
err = Console(stderr=True, highlight=False)


def complain(line: str) -> None:
    """One line that says what is wrong."""
    err.print(f"[red]error:[/] {escape(' '.join(line.split()))}", soft_wrap=True)


def note(line: str) -> None:
    """One line that says what goes on."""
    err.print(escape(line), soft_wrap=True)


def say(line: str = "") -> None:
    """One line of the answer."""
    out.print(escape(line), soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A line on standard error that shows the latest step; where that is no terminal, a line for each step."""
    if not err.is_terminal:
        err.print(escape(title), soft_wrap=True)
        yield lambda line: err.print(f"  {escape(line)}", soft_wrap=True)
        return
    with err.status(escape(title)) as status:
        yield lambda line: status.update(f"{escape(title)} · {escape(line)}")


def table(title: str, records: Sequence[Mapping[str, Any]], *, total: bool = False) -> None:
    """A table of ``records``, whose keys are its columns; nothing if there are none."""
    if not records:
        return
    columns = list(dict.fromkeys(name for record in records for name in record))
    shown = Table(title=title, title_justify="left", title_style="bold", show_footer=total, header_style="dim")
    for place, name in enumerate(columns):
        numeric = all(_is_number(record.get(name)) for record in records)
        footer = _sum(records, name) if numeric else "all" if place == 0 else ""
        shown.add_column(name.replace("_", " "), footer=footer if total else "", justify="right" if numeric else "left")
    for record in records:
        shown.add_row(*(Text(_cell(record.get(name))) for name in columns))
    out.print(shown)
    out.print()


def difference(changes: Sequence[Mapping[str, Any]]) -> None:
    """Changes as lines: ``+`` created, ``~`` changed from → to, ``=`` withheld, ``-`` departed."""
    for change in changes:
        sign, style = _SIGNS.get(str(change.get("what")), ("~", "yellow"))
        line = f"{sign} {change.get('work_order')} {change.get('extension')}  {change.get('what')}"
        if change.get("field"):
            line += f"  {change['field']}: {_shown(change.get('old'))} → {_shown(change.get('new'))}"
        out.print(Text(line, style=style), soft_wrap=True)
    if changes:
        out.print()


def _shown(value: Any) -> str:
    return str(value) if value not in (None, "") else "(empty)"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool)) or _is_decimal(value)


def _is_decimal(value: Any) -> bool:
    return type(value).__name__ == "Decimal"


def _sum(records: Sequence[Mapping[str, Any]], name: str) -> str:
    return _cell(sum(record.get(name) or 0 for record in records))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(EASTERN):%Y-%m-%d %H:%M}"
    if isinstance(value, float) or _is_decimal(value):
        return f"{value:,.2f}".removesuffix(".00")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
