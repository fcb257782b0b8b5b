"""Single values, as WorkStudio sends them and as they are kept: its table of value kinds, line by line."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuit_sync.domain.values import (
    LONGEST_NAME,
    BadValue,
    clean_date,
    clean_guid,
    clean_instant,
    clean_json,
    clean_name,
    clean_number,
    clean_text,
)

GUID = "{8037BB16-E838-4B74-B5C4-9DBF9ED7202E}"


def number(value: Any) -> Decimal:
    return clean_number(value, places=2, low=Decimal("-99.99"), high=Decimal("99.99"))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("/Date(2026-01-01)/", date(2026, 1, 1)),
        ("/Date(2025-12-05T20:12:44.142Z)/", date(2025, 12, 5)),
        ("2026-01-01", date(2026, 1, 1)),
        (" 2026-01-01T23:59:59Z\0", date(2026, 1, 1)),
        ("/Date(1899-12-30)/", None),
        ("/Date(2009-12-31)/", None),
        ("/Date(2010-01-01)/", date(2010, 1, 1)),
        ("/Date()/", None),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_a_date_is_read_in_each_of_its_spellings(raw: Any, clean: date | None) -> None:
    assert clean_date(raw) == clean


@pytest.mark.parametrize(
    "raw", ["/Date(2026-13-01)/", "2026-02-30", "yesterday", "/Date(junk)/", 20260101, 1.5, True, "2026-01-01\ud800"]
)
def test_an_impossible_date_is_refused(raw: Any) -> None:
    with pytest.raises(BadValue, match="not a date"):
        clean_date(raw)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("/Date(2025-12-05T20:12:44.142Z)/", datetime(2025, 12, 5, 20, 12, 44, 142000, UTC)),
        ("2025-12-05T15:12:44.142-05:00", datetime(2025, 12, 5, 20, 12, 44, 142000, UTC)),
        ("2025-12-05T20:12:44", datetime(2025, 12, 5, 20, 12, 44, tzinfo=UTC)),
        ("/Date(2026-01-01)/", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2010-01-01T01:00:00+05:00", None),
        ("0001-01-01T00:00:00+05:00", None),
    ],
)
def test_an_instant_is_kept_in_utc(raw: str, clean: datetime | None) -> None:
    assert clean_instant(raw) == clean


@pytest.mark.parametrize(
    "raw",
    [
        "{8037BB16-E838-4B74-B5C4-9DBF9ED7202E}",
        "8037bb16-e838-4b74-b5c4-9dbf9ed7202e",
        " {8037bb16-E838-4b74-b5c4-9dbf9ed7202e}\0 ",
    ],
)
def test_a_guid_is_kept_in_upper_case_with_braces(raw: str) -> None:
    assert clean_guid(raw) == GUID


@pytest.mark.parametrize("opaque", ["guid-1", "{guid-1}", "8037bb16e8384b74b5c49dbf9ed7202e"])
def test_an_opaque_text_that_is_no_guid_is_kept_as_it_came(opaque: str) -> None:
    assert clean_guid(opaque) == opaque


@pytest.mark.parametrize("blank", [None, "", " ", "\0"])
def test_a_blank_guid_is_none(blank: str | None) -> None:
    assert clean_guid(blank) is None


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (57.79, "57.79"),
        ("57.79", "57.79"),
        (" +57.790 ", "57.79"),
        (12, "12.00"),
        ("1e1", "10.00"),
        (".5", "0.50"),
        ("5.", "5.00"),
        (0.005, "0.01"),
        ("-0.005", "-0.01"),
        (1.005, "1.01"),
        (2.675, "2.68"),
        ("1e-300", "0.00"),
        ("0e999", "0.00"),
        (-0.0, "0.00"),
        ("", "0.00"),
        ("  \0", "0.00"),
        (None, "0.00"),
        (99.994, "99.99"),
    ],
)
def test_a_number_is_rounded_half_up_as_a_decimal(raw: Any, clean: str) -> None:
    assert str(number(raw)) == clean


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("junk", "not a number"),
        ("1,5", "not a number"),
        ("1 5", "not a number"),
        ("0x10", "not a number"),
        ("1_000", "not a number"),
        ("١٢", "not a number"),
        ("NaN", "not a number"),
        ("Infinity", "not a number"),
        (True, "not a number"),
        (float("nan"), "not a finite number"),
        (float("-inf"), "not a finite number"),
        (99.995, "not between -99.99 and 99.99"),
        ("-100", "not between -99.99 and 99.99"),
        ("1e400", "not between -99.99 and 99.99"),
        (10**400, "not between -99.99 and 99.99"),
    ],
)
def test_junk_and_what_is_out_of_range_is_refused_without_being_quoted(raw: Any, reason: str) -> None:
    with pytest.raises(BadValue) as refusal:
        number(raw)
    assert str(refusal.value) == reason


@pytest.mark.parametrize("raw", [10**10, 1e10, 1e15, -1e15, "1e19", 1e20, "-12345678901234567890.123"])
@pytest.mark.parametrize(("places", "most"), [(2, "9999999999.99"), (4, "9999999999.9999"), (18, "2147483647")])
def test_a_number_beyond_its_columns_range_is_refused_however_many_places_count(
    raw: Any, places: int, most: str
) -> None:
    with pytest.raises(BadValue, match=f"not between -{most} and {most}"):
        clean_number(raw, places=places, low=-Decimal(most), high=Decimal(most))


@given(st.decimals(-99, 99, allow_nan=False, places=6))
def test_a_number_means_the_same_as_json_number_and_as_text(value: Decimal) -> None:
    assert number(float(value)) == number(str(float(value)))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (" a b ", "a b"),
        ("a\0b\0", "ab"),
        ("\0 a", "a"),
        ("\u00a0CAFÉ 🌳\n", "CAFÉ 🌳"),
        ("", None),
        ("\t\0 ", None),
        (None, None),
        (2025, "2025"),
        (1.5, "1.5"),
    ],
)
def test_text_is_freed_of_nul_and_outer_blanks(raw: Any, clean: str | None) -> None:
    assert clean_text(raw) == clean


@given(st.text())
def test_cleaning_a_text_twice_changes_it_no_more(value: str) -> None:
    try:
        once = clean_text(value)
    except BadValue:
        return
    assert clean_text(once) == once


@pytest.mark.parametrize("raw", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_refused(raw: str) -> None:
    with pytest.raises(BadValue, match="lone surrogate"):
        clean_text(raw)
    with pytest.raises(BadValue, match="lone surrogate"):
        clean_json({"deep": [raw]})


@pytest.mark.parametrize("raw", [True, [], {}])
def test_what_is_no_text_is_refused(raw: Any) -> None:
    with pytest.raises(BadValue, match="not a text"):
        clean_text(raw)


def test_a_name_is_no_longer_than_an_index_takes() -> None:
    assert clean_name(" " + "🌳" * LONGEST_NAME) == "🌳" * LONGEST_NAME
    with pytest.raises(BadValue, match=f"longer than {LONGEST_NAME} characters"):
        clean_name("a" * (LONGEST_NAME + 1))


def test_json_is_cleaned_all_the_way_down() -> None:
    assert clean_json({" a\0": [" b ", {"c": 1.5}, None, True, ""]}) == {"a": ["b", {"c": 1.5}, None, True, None]}
    for raw in (float("nan"), [float("inf")], {"a": 2**63}):
        with pytest.raises(BadValue):
            clean_json(raw)
