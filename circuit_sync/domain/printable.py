"""What leaves the program: tables for people, and text that neither steers a terminal nor begins a line in a log."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]
Lines = Sequence[Line]
"""A table for people: each line by the names of its columns."""

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls: line breaks, escape sequences
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # line separators, other ways of writing
    "\ud800-\udfff\U000e0000-\U000e007f]"  # surrogates and invisible tags
)
_MARKDOWN = re.compile(r"[\\`*_\[\]<>#~|&!]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def printable(text: str) -> str:
    """``text`` with a blank in place of each character that a terminal, or a reader's eye, would obey."""
    return _STEERING.sub(" ", text)


def one_line(text: str) -> str:
    """``text`` on one line, without outer or repeated blanks."""
    return " ".join(printable(text).split())


def markdown(text: str) -> str:
    """``text`` on one line, which Markdown shows as it is written: no link, no picture, no HTML, no emphasis."""
    return _MARKDOWN.sub(r"\\\g<0>", one_line(text))


def is_printable(text: str) -> bool:
    """Whether ``printable`` would leave it as it is."""
    return _STEERING.search(text) is None


def printable_lines(text: str) -> str:
    """A document of several lines, each made printable."""
    return "\n".join(map(printable, text.split("\n")))
