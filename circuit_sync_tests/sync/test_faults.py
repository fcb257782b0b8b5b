"""Every case of WorkStudio's "Answers" and every dirty value, with the database compared before and after."""

import json
from typing import Any

import pytest

from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError
from circuit_sync.domain.values import LONGEST_NAME
from circuit_sync.simulator import CIRCUIT_HEADING, COMMENT_MARKER, SERVICE_PASSWORD, circuits_table
from circuit_sync_tests.scenery import Desk

ROWS = [{"SS_WO": f"wo-{number}", "VEGJOB_CIRCCOMNTS": f"{COMMENT_MARKER} {number}"} for number in range(4)]
CHANGED = [row | {"SS_TITLE": "after"} for row in ROWS]


def prepared(desk: Desk) -> dict[str, Any]:
    """Circuits in the database, another answer on the server; returns the database as it is."""
    desk.answer("ACTIV", ROWS)
    desk.answer("QC", [])
    desk.sync("ACTIV", "QC")
    desk.answer("ACTIV", CHANGED)
    return desk.contents()


# Answers that are none: nothing changes but the log.

FATAL: list[tuple[dict[str, Any], type[CircuitSyncError], str]] = [
    ({"kind": "status", "code": 500}, TransientError, "HTTP 500"),
    ({"kind": "status", "code": 503, "retry_after": "0"}, TransientError, "HTTP 503"),
    ({"kind": "status", "code": 429}, TransientError, "HTTP 429"),
    ({"kind": "cut"}, TransientError, "connection was cut"),
    ({"kind": "half"}, TransientError, "connection was cut"),
    ({"kind": "html"}, TransientError, "cut or not JSON"),
    ({"kind": "not_json"}, TransientError, "cut or not JSON"),
    ({"kind": "unauthorized"}, PermanentError, "HTTP 401"),
    ({"kind": "status", "code": 403}, PermanentError, "HTTP 403"),
    ({"kind": "status", "code": 404}, PermanentError, "HTTP 404"),
    ({"kind": "error", "message": "View definition not found."}, PermanentError, "View definition not found"),
    ({"kind": "error_lower"}, PermanentError, "refused the request"),
    ({"kind": "no_heading"}, PermanentError, "without a Heading"),
    ({"kind": "missing_column", "column": "SS_JOBGUID"}, PermanentError, "required column SS_JOBGUID"),
    ({"kind": "missing_column", "column": "SS_WO"}, PermanentError, "required column SS_WO"),
    ({"kind": "missing_column", "column": "WSREQ_STATUS"}, PermanentError, "required column WSREQ_STATUS"),
]
BODIES: list[tuple[Any, type[CircuitSyncError], str]] = [
    (b"", TransientError, "cut or not JSON"),
    (b"\xff\xfe", TransientError, "cut or not JSON"),
    ([], PermanentError, "not an object"),
    ({}, PermanentError, "no DataSet"),
    ({"Protocol": "DATASET", "DataSet": None}, PermanentError, "no DataSet"),
    ({"Protocol": "DATASET", "DataSet": {"Heading": ["SS_WO"], "Data": None}}, PermanentError, "not a list of rows"),
    ({"Protocol": "DATASET", "DataSet": {"Heading": "SS_WO", "Data": []}}, PermanentError, "not a list of column"),
    (
        {"Protocol": "DATASET", "DataSet": {"Heading": ["SS_JOBGUID", "SS_WO", "WSREQ_STATUS"], "Data": [["a"], 7]}},
        PermanentError,
        "none of the 2 rows",
    ),
    (
        {"Protocol": "DATASET", "DataSet": {"Heading": ["SS_JOBGUID", "SS_WO", "WSREQ_STATUS", "SS_WO"], "Data": []}},
        PermanentError,
        "more than once",
    ),
]


def check_failed(desk: Desk, kind: type[CircuitSyncError], told: str, before: dict[str, Any]) -> None:
    """One sync that must fail so, and leave everything but its log as it was."""
    told_before = len(desk.events())
    with pytest.raises(kind, match=told) as failure:
        desk.sync("ACTIV")
    log = desk.log()
    assert (log["sync_status"], log["error_message"]) == ("failed", str(failure.value))
    assert log["error_details"]["passing"] is failure.value.transient
    assert log["completed_at"] == desk.clock()
    started, failed = desk.events()[told_before:]
    assert (started["name"], failed["name"], failed["channels"]) == ("sync.started", "sync.failed", ["sync-status"])
    assert failed["payload"] == {
        "sync_id": log["id"],
        "error": str(failure.value),
        "retry_at": None,
        "completed_at": desk.clock().isoformat(),
    }
    assert desk.contents() == before
    assert desk.one("SELECT count(*) FROM staged_circuits") == 0
    secrets = (COMMENT_MARKER, SERVICE_PASSWORD)
    assert not any(secret in f"{desk.log()}{desk.events()}{desk.lines}{failure.value}" for secret in secrets)
    assert "\n" not in str(failure.value)


def test_an_answer_that_is_none_changes_no_circuit(desk: Desk) -> None:
    before = prepared(desk)
    for fault, kind, told in FATAL:
        desk.simulator.clear_faults()
        desk.simulator.fault(**fault, match="circuits")
        check_failed(desk, kind, told, before)

    desk.simulator.clear_faults()
    assert desk.sync("ACTIV").counts["updated"] == 4


def test_a_body_that_is_no_table_changes_no_circuit(desk: Desk) -> None:
    before = prepared(desk)
    for body, kind, told in BODIES:
        desk.simulator.answer("ACTIV", body)
        check_failed(desk, kind, told, before)


def test_a_server_that_is_down_changes_no_circuit(desk: Desk) -> None:
    before = prepared(desk)
    desk.simulator.stop()

    check_failed(desk, TransientError, "no connection could be made", before)

    desk.simulator.start()
    desk.sync("ACTIV")


def test_a_server_that_answers_too_late_changes_no_circuit(desk: Desk) -> None:
    from circuit_sync_tests.scenery import session_for

    before = prepared(desk)
    impatient = session_for(desk.database, desk.simulator.base_url, desk.clock, timeout=0.2)
    desk.simulator.fault("delay", seconds=600, match="circuits", times=1)

    check_failed(Desk(impatient, desk.simulator, desk.clock), TransientError, "timed out", before)


def test_a_fault_that_passes_within_five_attempts_costs_nothing_but_calls(desk: Desk) -> None:
    prepared(desk)
    for kind in ("cut", "half", "html", "not_json"):
        desk.simulator.fault(kind, times=1, match="ACTIV")

    result = desk.patiently(5).sync("ACTIV")

    assert (result.sync_status, result.counts["updated"]) == ("completed", 4)
    assert (result.calls["calls"], result.calls["retries"]) == (5, 4)
    assert desk.log()["context"]["calls"]["retries"] == 4


@pytest.mark.parametrize(
    "answer",
    [
        {"Protocol": "DATASET", "DataSet": {"Heading": [], "Data": []}},
        {"Protocol": "DATASET", "DataSet": {"Heading": list(CIRCUIT_HEADING), "Data": []}},
        {"protocol": "dataset", "dataset": {"heading": None, "data": []}},
    ],
)
def test_nothing_matches_is_an_answer_and_marks_nobody(desk: Desk, answer: dict[str, Any]) -> None:
    before = prepared(desk)
    desk.simulator.answer("ACTIV", answer)

    assert desk.sync("ACTIV").sync_status == "warning"

    after = desk.contents()
    del before["unlinked_planners"], after["unlinked_planners"]
    assert after == before


# Dirty values: the rule of WorkStudio's value kinds, or a rejected row; the good rows come through either way.

CLEANED: list[tuple[str, Any, str, Any]] = [
    ("SS_TITLE", " A\0 line\0 ", "title", "A line"),
    ("SS_TITLE", "CAFÉ 🌳 \u202e", "title", "CAFÉ 🌳 \u202e"),
    ("SS_TITLE", {"@sourceFormat": "DataObjectGeometry", "type": "Point", "coordinates": []}, "title", None),
    ("SS_TITLE", 7, "title", "7"),
    ("REGION", "  ", "region", None),
    ("SS_EXT", None, "extension", "@"),
    ("VEGJOB_LENGTH", "1e1", "total_miles", 10),
    ("VEGJOB_LENGTH", "0e999", "total_miles", 0),
    ("VEGJOB_PROJACRES", "9999999999.99", "total_acres", 9999999999.99),
    ("VEGJOB_PRCENT", "100.004", "percent_complete", 100),
    ("SS_EDITDATE", "/Date(9999-12-31T23:59:59.999Z)/", "departed_at", None),
    ("WPStartDate_Assessment_Xrefs_WP_STARTDATE", "1899-12-30", "start_date", None),
    ("SS_TAKENBY", "nobody", "taken_by", None),
    ("VEGJOB_GF", {"deep": ["junk", None]}, "departed_at", None),
    ("SS_JOBGUID", "a" * LONGEST_NAME, "departed_at", None),
]
REJECTED: list[tuple[str, Any, str]] = [
    ("SS_JOBGUID", "", "is empty but required"),
    ("SS_JOBGUID", "".join(chr(0x4E00 + number) for number in range(3000)), "is longer than 200 characters"),
    ("SS_WO", " \0", "is empty but required"),
    ("WSREQ_STATUS", "SA", "is not one of ACTIV, QC, REWRK, CLOSE"),
    ("REGION", "".join(chr(0x4E00 + number) for number in range(3000)), "is longer than 200 characters"),
    ("VEGJOB_LENGTH", "junk", "not a number"),
    ("VEGJOB_LENGTH", float("nan"), "not a finite number"),
    ("VEGJOB_LENGTH", float("inf"), "not a finite number"),
    ("VEGJOB_LENGTH", [1], "not a number"),
    ("VEGJOB_LENGTHCOMP", 1e10, "not between -9999999999.99 and 9999999999.99"),
    ("VEGJOB_PRCENT", 100.01, "not between 0 and 100"),
    ("VEGJOB_PRCENT", -1, "not between 0 and 100"),
    ("SS_EDITDATE", "/Date(2026-13-01)/", "not a date"),
    ("WPStartDate_Assessment_Xrefs_WP_STARTDATE", 20260101, "not a date"),
    ("SS_TITLE", "A \ud800 line", "holds a lone surrogate, which is not Unicode text"),
    ("SS_TITLE", True, "not a text"),
    ("VEGJOB_GF", "\udc00", "holds a lone surrogate, which is not Unicode text"),
    ("WSREQ_VERSION", float("nan"), "not a finite number"),
]


def answer_raw(desk: Desk, rows: list[dict[str, Any]]) -> None:
    """An answer as Python's own encoder writes it: NaN, Infinity and lone surrogates included."""
    desk.simulator.answer("ACTIV", json.dumps(circuits_table(rows)).encode())


def test_a_dirty_value_is_cleaned_and_its_row_stored(desk: Desk) -> None:
    answer_raw(desk, [{"SS_WO": str(number), column: raw} for number, (column, raw, *_) in enumerate(CLEANED)])

    result = desk.sync()

    stored = [desk.circuit(str(number))[field] for number, (_, _, field, _) in enumerate(CLEANED)]
    assert [float(value) if hasattr(value, "quantize") else value for value in stored] == [row[3] for row in CLEANED]
    assert (result.counts["processed"], result.counts["rows_rejected"]) == (len(CLEANED), 0)
    assert desk.sync().counts["unchanged"] == len(CLEANED)


def test_a_bad_row_is_rejected_and_never_stops_the_good_ones(desk: Desk) -> None:
    good = [{"SS_WO": f"good-{number}"} for number in range(3)]
    bad = [
        {"SS_WO": f"bad-{n}", column: raw, "VEGJOB_CIRCCOMNTS": COMMENT_MARKER}
        for n, (column, raw, _) in enumerate(REJECTED)
    ]
    answer_raw(desk, good[:1] + bad + good[1:])

    result = desk.sync()

    assert desk.column("SELECT work_order FROM circuits ORDER BY 1") == ["good-0", "good-1", "good-2"]
    listed = [
        {"status": "ACTIV", "row": n + 2, "column": c, "reason": reason} for n, (c, _, reason) in enumerate(REJECTED)
    ]
    log = desk.log()
    assert [row | told for row, told in zip(log["error_details"]["rejected"], listed, strict=True)] == list(
        result.rejected
    )
    assert (log["sync_status"], log["rows_rejected"], log["rows_received"]) == ("warning", len(bad), len(bad) + 3)
    assert f"{len(bad)} of {len(bad) + 3} rows were rejected" in log["error_message"]
    assert COMMENT_MARKER not in f"{log}{desk.events()}{desk.lines}{result}"


def test_a_rejected_row_leaves_its_circuit_as_it_was(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "0"}, {"SS_WO": "1"}])
    desk.sync()
    before = desk.contents(["circuit_history", "circuit_ui_states", "circuit_user"]), desk.circuit("0")
    bad = [{"SS_WO": "0", column: raw} for column, raw, _ in REJECTED if column not in ("SS_WO", "SS_JOBGUID")]
    for row in bad:
        answer_raw(desk, [row, {"SS_WO": "1"}])
        desk.sync()

    assert (desk.contents(["circuit_history", "circuit_ui_states", "circuit_user"]), desk.circuit("0")) == before


def test_rows_shorter_or_longer_than_the_heading_are_rejected_with_their_place(desk: Desk) -> None:
    table = circuits_table([{"SS_WO": str(number)} for number in range(5)])
    data = table["DataSet"]["Data"]
    data[1], data[2], data[3] = data[1][:-1], [*data[2], "more"], {"no": "list"}
    desk.simulator.answer("ACTIV", table)

    result = desk.sync()

    assert desk.column("SELECT work_order FROM circuits ORDER BY 1") == ["0", "4"]
    assert [(row["row"], row["column"]) for row in result.rejected] == [(2, ""), (3, ""), (4, "")]


def test_a_rejected_duplicate_does_not_hide_the_good_row(desk: Desk) -> None:
    newer = {"SS_EDITDATE": "/Date(2026-02-02)/", "VEGJOB_LENGTH": "junk"}
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "1"} | newer])

    result = desk.sync()

    assert (result.counts["created"], result.counts["rows_rejected"], result.counts["rows_duplicate"]) == (1, 1, 0)
