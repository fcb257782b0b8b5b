from typing import Any

import pytest

from circuit_sync.domain.circuit_fields import API_DATA_COLUMNS
from circuit_sync.workstudio.answers import decode
from circuit_sync.workstudio.ddotable import Table, read_table
from circuit_sync.workstudio.errors import MalformedAnswer
from circuit_sync.workstudio.views import CIRCUIT_FIELDS, CIRCUITS, PLANNED_UNITS, UNIT_FIELDS

from .scripted_server import table

CIRCUIT_HEADING = ["SS_JOBGUID", "SS_WO", "WSREQ_STATUS"]
GEOMETRY = {"@sourceFormat": "DataObjectGeometry", "type": "Point", "coordinates": [-76.1, 39.8]}


def read_circuits(answer: Any) -> Table:
    return read_table(answer, fields=CIRCUITS.fields, required=CIRCUITS.required)


def read_units(answer: Any) -> Table:
    return read_table(answer, fields=PLANNED_UNITS.fields, required=PLANNED_UNITS.required)


def test_columns_are_found_by_heading_and_renamed_to_fields() -> None:
    frame = read_circuits(table(["WSREQ_STATUS", "NEW", "SS_WO", "SS_JOBGUID"], ["QC", 1, "2026-1", "{A}"])).frame
    assert list(frame.columns) == [*CIRCUIT_FIELDS.values(), *API_DATA_COLUMNS]
    assert frame[["job_guid", "work_order", "api_status"]].to_numpy().tolist() == [["{A}", "2026-1", "QC"]]


def test_optional_column_the_view_lost_is_null_throughout() -> None:
    frame = read_circuits(table(CIRCUIT_HEADING, ["{A}", "1", "QC"], ["{B}", "2", "QC"])).frame
    assert frame["title"].tolist() == [None, None]
    assert {str(dtype) for dtype in frame.dtypes} == {"object"}


def test_values_stay_as_they_came() -> None:
    values = ["{A}", " 2026-1\0 ", None, float("inf"), "57.79", True]
    heading = [*CIRCUIT_HEADING, "VEGJOB_LENGTH", "VEGJOB_LENGTHCOMP", "SS_TITLE"]
    frame = read_circuits(table(heading, values)).frame
    fields = ["job_guid", "work_order", "api_status", "total_miles", "miles_planned", "title"]
    assert frame[fields].to_numpy().tolist() == [values]


def test_geometry_and_landowners_free_text_never_reach_the_frame() -> None:
    secret = "Jane Doe 555-0100"
    heading = [*UNIT_FIELDS, "VEGUNIT_ASSNOTE", "VEGUNIT_PARCELCOMMENTS", "SSUNITS_GEOMETRY"]
    row = [GEOMETRY if name == "VEGUNIT_FORESTER" else "x" for name in UNIT_FIELDS]
    frame = read_units(table(heading, [*row, secret, secret, GEOMETRY])).frame
    assert list(frame.columns) == list(UNIT_FIELDS.values())
    assert frame.loc[0, "forester"] is None
    assert secret not in frame.to_csv()


def test_nested_junk_in_a_plain_column_becomes_text() -> None:
    frame = read_circuits(table([*CIRCUIT_HEADING, "VEGJOB_LENGTH"], ["{A}", [1], "QC", {"a": 1}])).frame
    assert frame[["work_order", "total_miles"]].to_numpy().tolist() == [["[1]", '{"a": 1}']]


def test_misshapen_rows_are_reported_and_the_good_ones_kept() -> None:
    good = ["{A}", "1", "QC"]
    answer = table(CIRCUIT_HEADING, good, good[:2], [*good, 4], good)
    answer["DataSet"]["Data"] += [None, "text"]
    read = read_circuits(answer)
    assert read.misshapen == (1, 2, 4, 5)
    assert read.frame.index.tolist() == [0, 3]
    assert read.received == 6


@pytest.mark.parametrize("data_set", [{"Data": []}, {"Heading": [], "Data": []}, {"Heading": None, "Data": []}])
def test_no_rows_are_an_answer_with_or_without_a_heading(data_set: dict[str, Any]) -> None:
    read = read_circuits({"Protocol": "DATASET", "DataSet": data_set})
    assert read.received == 0
    assert "job_guid" in read.frame.columns


def test_keys_are_found_in_either_case() -> None:
    answer = {"protocol": "DATASET", "dataSet": {"heading": CIRCUIT_HEADING, "data": [["{A}", "1", "QC"]]}}
    assert read_circuits(answer).received == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "no DataSet"),
        ("text", "no DataSet"),
        ({"Protocol": "DATASET"}, "no DataSet"),
        ({"DataSet": [1]}, "no DataSet"),
        ({"DataSet": {}}, "not a list of rows"),
        ({"DataSet": {"Heading": ["SS_WO"], "Data": None}}, "not a list of rows"),
        ({"DataSet": {"Heading": "SS_WO", "Data": []}}, "not a list of column names"),
        ({"DataSet": {"Heading": [1], "Data": []}}, "not a list of column names"),
        ({"DataSet": {"Heading": [], "Data": [["secret"]]}}, "without a Heading"),
        ({"DataSet": {"Data": [["secret"]]}}, "without a Heading"),
        ({"DataSet": {"Heading": CIRCUIT_HEADING, "Data": [["secret"], {}]}}, "none of the 2 rows"),
        (table([*CIRCUIT_HEADING, "SS_WO"], ["{A}", "1", "QC", "2"]), "column SS_WO more than once"),
        (table(["SS_JOBGUID", "SS_WO"], ["{A}", "secret"]), "required column WSREQ_STATUS"),
        (table(["SS_JOBGUID"]), "required column SS_WO, WSREQ_STATUS"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason_and_without_its_content(answer: Any, reason: str) -> None:
    with pytest.raises(MalformedAnswer, match=reason) as caught:
        read_circuits(answer)
    assert "secret" not in str(caught.value)
    assert not caught.value.transient


def test_unknown_column_named_twice_is_ignored() -> None:
    assert read_circuits(table([*CIRCUIT_HEADING, "X", "X"], ["{A}", "1", "QC", 1, 2])).received == 1


def test_lenient_json_of_the_field_is_read() -> None:
    assert decode(b'\xef\xbb\xbf[NaN, -Infinity, "\\ud800"]')[1:] == [float("-inf"), "\ud800"]


@pytest.mark.parametrize(
    "raw", [bytes([code]) for code in range(32)] + [b"\r\n", b"\0\0", b"\\\\\t", b'\\"\n', b"\x7f"]
)
def test_a_raw_control_character_within_a_string_is_read_as_it_is(raw: bytes) -> None:
    read = raw.replace(b"\\\\", b"\\").replace(b'\\"', b'"').decode()
    assert decode(b'{"a": ["x' + raw + b'y", 1], "' + raw + b'": "\\u0041\\n"}') == {"a": [f"x{read}y", 1], read: "A\n"}


@pytest.mark.parametrize("body", [b'{"a": 1}\0', b'{"a"\x01: 1}', b'{"a": "\t', b'["a\tb"'])
def test_a_control_character_outside_of_a_string_is_no_json(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode(body)


def test_a_number_of_any_length_is_one_value() -> None:
    assert decode(b"[%s, -%s, 1e999, 12]" % (b"9" * 5000, b"9" * 5000)) == [
        float("inf"),
        float("-inf"),
        float("inf"),
        12,
    ]


def test_a_heading_is_found_whatever_blanks_and_nul_bytes_stand_around_it() -> None:
    answer = table(["SS_JOBGUID\0", " SS_WO", "WSREQ_STATUS\t"], ["{A}", "1", "QC"])
    read = read_table(answer, fields={"SS_WO": "work_order"}, required=["SS_JOBGUID", "WSREQ_STATUS"])
    assert read.frame["work_order"].tolist() == ["1"]


def test_a_value_nested_too_deeply_is_one_junk_value() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    read = read_table(table(["SS_WO", "A"], ["1", deep]), fields={"SS_WO": "work_order", "A": "a"})
    assert read.frame["a"].tolist() == ["nested too deeply"]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1', b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")])
def test_what_is_no_json_or_no_utf8_does_not_decode(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode(body)


def test_documented_columns_are_all_wanted() -> None:
    assert len(CIRCUIT_FIELDS) == 16
    assert len(API_DATA_COLUMNS) == 12
    assert set(CIRCUITS.required) <= set(CIRCUIT_FIELDS)
    assert set(PLANNED_UNITS.required) <= set(UNIT_FIELDS)
