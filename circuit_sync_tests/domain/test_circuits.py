"""An answer, normalised: which rows are kept, which are rejected and with which words."""

from typing import Any

import pandas as pd
import pytest

from circuit_sync.domain.circuits import CircuitAnswer, settle_duplicates, transform_collection

GOOD: dict[str, Any] = {"job_guid": "g", "work_order": "1", "extension": "@", "api_status": "ACTIV"}
API_NAMES = {"total_miles": "VEGJOB_LENGTH", "job_guid": "SS_JOBGUID"}


def transformed(*rows: dict[str, Any], **options: Any) -> CircuitAnswer:
    names = dict.fromkeys(name for row in (GOOD, *rows) for name in row)
    frame = pd.DataFrame({name: [(GOOD | row).get(name) for row in rows] for name in names}, dtype=object)
    return transform_collection(frame, status="ACTIV", columns=API_NAMES, **options)


def test_a_good_row_is_kept_with_its_place_in_the_answer() -> None:
    answer = transformed({"total_miles": "1.5"}, {"job_guid": "h"})

    assert answer.circuits["row"].tolist() == [1, 2]
    assert answer.circuits["job_guid"].tolist() == ["g", "h"]
    assert (answer.rejected, answer.received) == ((), 2)


@pytest.mark.parametrize(
    ("wrong", "column", "reason"),
    [
        ({"job_guid": " "}, "SS_JOBGUID", "is empty but required"),
        ({"job_guid": None}, "SS_JOBGUID", "is empty but required"),
        ({"job_guid": "x" * 3000}, "SS_JOBGUID", "is longer than 200 characters"),
        ({"work_order": ""}, "work_order", "is empty but required"),
        ({"work_order": "x" * 3000}, "work_order", "is longer than 200 characters"),
        ({"extension": "x" * 3000}, "extension", "is longer than 200 characters"),
        ({"region": "x" * 3000}, "region", "is longer than 200 characters"),
        ({"taken_by": "C\\" + "x" * 3000}, "taken_by", "is longer than 200 characters"),
        ({"api_status": "SA"}, "api_status", "is not one of ACTIV, QC, REWRK, CLOSE"),
        ({"api_status": None}, "api_status", "is empty but required"),
        ({"total_miles": "junk"}, "VEGJOB_LENGTH", "not a number"),
        ({"total_miles": float("inf")}, "VEGJOB_LENGTH", "not a finite number"),
        ({"total_miles": 10_000_000_000}, "VEGJOB_LENGTH", "not between -9999999999.99 and 9999999999.99"),
        ({"percent_complete": -0.01}, "percent_complete", "not between 0 and 100"),
        ({"percent_complete": 100.01}, "percent_complete", "not between 0 and 100"),
        ({"start_date": "/Date(2026-02-30)/"}, "start_date", "not a date"),
        ({"title": "a\ud800"}, "title", "holds a lone surrogate, which is not Unicode text"),
        ({"title": ["a"]}, "title", "not a plain value"),
        ({"VEGJOB_CIRCCOMNTS": "COMMENT-SECRET \ud800"}, "VEGJOB_CIRCCOMNTS", "holds a lone surrogate"),
    ],
)
def test_a_row_is_rejected_with_its_column_and_the_reason(wrong: dict[str, Any], column: str, reason: str) -> None:
    answer = transformed({}, wrong, {"job_guid": "h"})

    (rejected,) = answer.rejected
    assert (rejected.status, rejected.row, rejected.column) == ("ACTIV", 2, column)
    assert rejected.reason.startswith(reason)
    assert answer.circuits["row"].tolist() == [1, 3]
    assert "SECRET" not in str(rejected)


def test_a_rejected_row_tells_which_circuit_it_was_as_far_as_it_could_be_read() -> None:
    (first, second) = transformed({"total_miles": "junk"}, {"job_guid": "", "work_order": "2"}).rejected

    assert (first.job_guid, first.work_order, first.extension) == ("g", "1", "@")
    assert (second.job_guid, second.work_order, second.extension) == (None, "2", "@")


def test_rows_that_do_not_fit_the_heading_are_rejected_and_counted() -> None:
    answer = transformed({}, misshapen=(3,))

    assert [(row.row, row.reason) for row in answer.rejected] == [(4, "the row is shorter or longer than the heading")]
    assert answer.received == 2


def test_a_planner_without_a_backslash_is_none() -> None:
    rows = [{"taken_by": name} for name in ("CONTRACTOR\\ann", "ann", "", None)]

    assert transformed(*rows).circuits["taken_by"].tolist() == ["CONTRACTOR\\ann", None, None, None]


def test_equal_content_has_an_equal_fingerprint_whatever_its_spelling_and_place() -> None:
    first, second, third = transformed(
        {"total_miles": 0, "VEGJOB_GF": "a", "VEGJOB_OPCO": 1},
        {"total_miles": None, "VEGJOB_GF": "a ", "VEGJOB_OPCO": 1},
        {"total_miles": 0.01, "VEGJOB_GF": "a", "VEGJOB_OPCO": 1},
    ).circuits["content_hash"]

    assert first == second != third


def test_what_the_view_did_not_send_is_no_part_of_the_kept_data() -> None:
    answer = transformed({"VEGJOB_GF": None, "VEGJOB_OPCO": None, "title": None}, absent=("title", "VEGJOB_GF"))

    assert answer.circuits["api_data"].tolist() == ['{"VEGJOB_OPCO":null}']
    assert answer.absent == ("title", "VEGJOB_GF")


def edited(guid: str, instant: str | None, title: str = "") -> dict[str, Any]:
    return {"job_guid": guid, "api_modified_at": instant, "title": title}


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("2026-01-02", "2026-01-01", 0),
        ("2026-01-01", "2026-01-02", 1),
        ("2026-01-01", None, 0),
        (None, "9999-12-31", 1),
        (None, None, 1),
        ("2026-01-01", "2026-01-01", 1),
    ],
)
def test_of_two_answers_the_newer_edit_and_else_the_later_status_wins(
    first: str | None, second: str | None, kept: int
) -> None:
    answers = [transformed(edited("g", first)), transformed(edited("g", second), edited("h", None))]

    settled, lost = settle_duplicates(answers)

    assert ["g" in answer.circuits["job_guid"].tolist() for answer in settled] == [kept == 0, kept == 1]
    assert lost == ["g"]


def test_within_one_answer_the_order_of_rows_decides_nothing() -> None:
    rows = [edited("g", "2026-01-01", title) for title in ("a", "b", "c")]
    kept = set()
    for order in (rows, rows[::-1], rows[1:] + rows[:1]):
        settled, lost = settle_duplicates([transformed(*order)])
        kept.add(settled[0].circuits["title"].item())
        assert lost == ["g", "g"]

    assert len(kept) == 1


def test_an_empty_answer_is_one() -> None:
    answer = transform_collection(pd.DataFrame({"job_guid": []}, dtype=object), status="QC", columns={})

    assert (len(answer.circuits), answer.received, answer.rejected) == (0, 0, ())
    assert settle_duplicates([answer]) == ([answer], [])
