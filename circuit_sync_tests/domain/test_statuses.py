"""The statuses, in every spelling that a person or an answer may use."""

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import API_STATUSES, STATUS_CODES, WORKFLOW_STAGES, parse_status, parse_statuses


@pytest.mark.parametrize(
    ("text", "code"), [("ACTIV", "ACTIV"), (" activ ", "ACTIV"), ("REWORK", "REWRK"), ("rework", "REWRK"), ("Qc", "QC")]
)
def test_a_status_is_known_in_any_case_and_by_its_alias(text: str, code: str) -> None:
    assert parse_status(text) == code


@pytest.mark.parametrize("text", ["", "SA", "DEF", "ACTIVE", "ACTIV,QC"])
def test_an_unknown_status_is_named_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_status(text)
    line = f"unknown status {text!r}: allowed are ACTIV, QC, REWRK, CLOSE (REWORK means REWRK)"
    assert str(refusal.value) == line


def test_statuses_come_once_each_in_their_order() -> None:
    assert parse_statuses(["close", "REWORK", "ACTIV", "REWRK"]) == ("ACTIV", "REWRK", "CLOSE")
    assert parse_statuses([]) == ()


def test_each_status_has_the_caption_and_the_stage_of_the_protocol() -> None:
    told = {status.code: (status.caption, status.stage) for status in API_STATUSES}
    assert told == {
        "ACTIV": ("In Progress", "active"),
        "QC": ("QC", "qc"),
        "REWRK": ("Rework", "rework"),
        "CLOSE": ("Closed", "closed"),
    }
    assert tuple(told) == STATUS_CODES
    assert {stage for _, stage in told.values()} | {"pending_permissions"} == set(WORKFLOW_STAGES)
