"""The tables of the report: escaped, and each kind of number written in one way."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import percent

_MINUS = "\N{MINUS SIGN}"

Column = tuple[str, str, Callable[[Any], str]]
"""Heading, name of the value in a line, and what writes its cell."""


def table(columns: Sequence[Column], lines: Lines, total: Line | None = None) -> str:
    """``lines`` with ``total`` below; ``percent`` is the value ``miles_planned`` in per cent of ``total_miles``."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading, _, _ in columns)
    body = "".join(_row(columns, line) for line in lines)
    foot = f"<tfoot>{_row(columns, total)}</tfoot>" if total else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>'


def _row(columns: Sequence[Column], line: Line) -> str:
    values = {**line, "percent": percent(line["miles_planned"], line["total_miles"])}
    return f"<tr>{''.join(cell(values[name]) for _, name, cell in columns)}</tr>"


def name(text: str) -> str:
    """What a row is about."""
    return f'<th scope="row">{escape(text)}</th>'


def text(value: str, kind: str = "") -> str:
    """A cell of the CSS class ``kind``."""
    return f'<td class="{kind}">{escape(value)}</td>' if kind else f"<td>{escape(value)}</td>"


def count(number: int) -> str:
    """A whole number; zeros stand back."""
    return text(f"{number:,}") if number else text("0", "none")


def change(number: Any, kind: str = "") -> str:
    """A difference; a correction stands out."""
    of_kind = "none" if not number else "less" if number < 0 else "more"
    return text(signed(number) if number else "0", f"{of_kind} {kind}".strip())


def bar(share: float | None) -> str:
    """A percentage with its bar; empty without one."""
    if share is None:
        return '<td class="bar"></td>'
    meter = f'<meter min="0" max="100" value="{min(100.0, max(0.0, share)):.1f}"></meter>'
    return f'<td class="bar">{meter} {share:.0f} %</td>'


def miles(number: Any) -> str:
    """Miles to a tenth; empty without a number."""
    return text("" if number is None else tenths(number))


def day(when: date | None) -> str:
    """A date; empty without one."""
    return text(f"{when.day} {when:%b %Y}" if when else "")


def tenths(number: Any) -> str:
    """A number to a tenth."""
    return f"{Decimal(number):,.1f}"


def signed(number: Any) -> str:
    """A difference with its sign."""
    shown = f"{abs(number):,.1f}" if isinstance(number, Decimal) else f"{abs(number):,}"
    return f"{_MINUS if number < 0 else '+' if number > 0 else ''}{shown}"


def long_date(day: date) -> str:
    """A date as a sentence has it."""
    return f"{day:%A}, {day.day} {day:%B %Y}"
