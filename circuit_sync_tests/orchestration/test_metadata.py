"""What the UI shows of WorkStudio's texts is text: nothing in it steers, links or draws (behaviour 22)."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from circuit_sync.domain.findings import Finding
from circuit_sync.domain.printable import is_printable, markdown, one_line
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.checks import _result

ACTIVE = [
    "![x](http://evil.example/p.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ `code` ~~gone~~",
    "https://evil.example www.evil.example",
    "&lt;b&gt; &#60;",
    "CONTRACTOR\\jlarch \\*",
    "# Heading\n\n> quoted\n\n| a | b |\n|---|---|",
]


def rendered(text: str) -> str:
    """The text that a reader of the Markdown sees, if it is one paragraph of plain text."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown(text))
    inline = [token for token in tokens if token.type == "inline"]
    children = inline[0].children or [] if inline else []
    assert {child.type for child in children} <= {"text", "text_special"}, tokens
    return "".join(child.content for child in children)


@pytest.mark.parametrize("text", ACTIVE)
def test_markdown_shows_what_was_written(text: str) -> None:
    assert rendered(text) == one_line(text)


@given(st.text(st.sampled_from("ab1 .-*_`~[]()<>!#&;|\\:/\n\x1b")))
def test_no_text_becomes_anything_but_text_within_a_line(text: str) -> None:
    assert rendered(f"a {text}") == one_line(f"a {text}")


@pytest.mark.parametrize("text", ["a\x1b]0;PWNED\x07", "a\nb", "\u202eevil", "\ud800"])
def test_tables_and_messages_hold_no_control_character(text: str) -> None:
    table = metadata.table([{"title": text, "miles": 1.5, "none": None}])
    assert [value for record in table.records for value in record.data.values() if not is_printable(str(value))] == []
    finding = Finding(False, text, lines=[{"region": text}])
    assert is_printable(_result(finding).description or "")
    found = _result(finding).metadata["found"]
    assert isinstance(found, dg.TableMetadataValue)
    assert is_printable(str(found.records[0].data["region"]))
