"""The cells of the report's tables: escaped, and each kind of number written in one way."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

_MINUS = "\N{MINUS SIGN}"


def table(heads: Iterable[str], body: Iterable[Sequence[str]], foot: Sequence[str] = ()) -> str:
    """A table from rows of cells; ``heads`` are texts."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in body)
    last = f"<tfoot><tr>{''.join(foot)}</tr></tfoot>" if foot else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody>{last}</table></div>'


def name(text: str, kind: str = 'th scope="row"') -> str:
    """What a row is about."""
    return f"<{kind}>{escape(text)}</{kind.split(' ', maxsplit=1)[0]}>"


def cell(text: str, kind: str = "") -> str:
    """``text`` is HTML."""
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def count(number: Any) -> str:
    """A whole number; zeros stand back."""
    return cell(f"{number:,}") if number else cell("0", "none")


def change(number: Any, kind: str = "") -> str:
    """What was added is told with its sign; a correction stands out."""
    of_kind = "none" if not number else "less" if number < 0 else "more"
    return cell(signed(number) if number else "0", f"{of_kind} {kind}".strip())


def bar(share: float | None) -> str:
    """A percentage with its bar; empty without one."""
    if share is None:
        return cell("", "bar")
    return cell(f'<meter min="0" max="100" value="{min(100.0, max(0.0, share)):.1f}"></meter> {share:.0f} %', "bar")


def miles(number: Any) -> str:
    """Miles to a tenth."""
    return f"{Decimal(number):,.1f}"


def signed(number: Any) -> str:
    """A difference with its sign."""
    shown = f"{abs(number):,.1f}" if isinstance(number, Decimal) else f"{abs(number):,}"
    return f"{_MINUS if number < 0 else '+' if number > 0 else ''}{shown}"


def long(day: date) -> str:
    """A date as a sentence has it."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def short(day: date | None) -> str:
    """A date's cell; empty without one."""
    return cell(f"{day.day} {day:%b %Y}" if day else "")
