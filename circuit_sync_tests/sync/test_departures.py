"""Nothing vanishes: behaviour 7."""

from collections.abc import Iterable
from typing import Any

import pytest

from circuit_sync.domain.errors import PermanentError
from circuit_sync.simulator import CIRCUIT_HEADING
from circuit_sync.sync.circuits.departures import is_shrunken
from circuit_sync.sync.log.closing import close_as_failed
from circuit_sync_tests.scenery import Desk


def rows(numbers: Iterable[int], **values: Any) -> list[dict[str, Any]]:
    return [{"SS_WO": f"wo-{number:02}", **values} for number in numbers]


def departed(desk: Desk) -> list[str]:
    return desk.column("SELECT work_order FROM circuits WHERE departed_at IS NOT NULL ORDER BY 1")


def lacking(desk: Desk, status: str, came: Iterable[int], held: int = 20) -> None:
    """A first answer with ``held`` circuits, then one with ``came``."""
    desk.answer(status, rows(range(held)))
    desk.sync(status)
    desk.answer(status, rows(came))


def test_a_missing_circuit_is_marked_departed_and_otherwise_left_alone(desk: Desk) -> None:
    desk.answer("ACTIV", rows([1, 2]))
    desk.sync()
    before = desk.circuit("wo-02")
    desk.answer("ACTIV", rows([1]))

    result = desk.sync()

    after = desk.circuit("wo-02")
    assert after == before | {"departed_at": desk.clock()}
    assert (result.counts["departed"], result.sync_status) == (1, "completed")
    (event,) = desk.events("circuit.updated")
    assert (event["circuit_id"], event["payload"]["changed"]["departed_at"]["old"]) == (after["id"], None)
    history = desk.rows(
        "SELECT departed_at, valid_to FROM circuit_history WHERE circuit_id = %s ORDER BY valid_from", after["id"]
    )
    assert history == [
        {"departed_at": None, "valid_to": desk.clock()},
        {"departed_at": desk.clock(), "valid_to": None},
    ]
    assert {"work_order": "wo-02", "what": "departed"}.items() <= result.changes[0].items()


def test_a_departed_circuit_departs_once(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(19))
    desk.sync()
    held = desk.contents(["circuits", "circuit_history"])

    assert desk.sync().counts["departed"] == 0
    assert desk.contents(held) == held


def test_a_departed_circuit_that_comes_back_is_here_again(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(19))
    desk.sync()
    desk.answer("ACTIV", rows(range(20)))

    result = desk.sync()

    assert departed(desk) == []
    assert (result.counts["returned"], result.counts["updated"], result.counts["unchanged"]) == (1, 1, 19)
    changed = desk.events("circuit.updated")[-1]["payload"]["changed"]
    assert list(changed) == ["departed_at"]
    assert changed["departed_at"]["new"] is None


def test_a_circuit_that_moved_on_comes_back_under_its_new_status(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(19))
    desk.sync("ACTIV")
    desk.answer("QC", rows([19]))

    desk.sync("QC")

    circuit = desk.circuit("wo-19")
    assert (circuit["departed_at"], circuit["api_status"], circuit["workflow_stage"]) == (None, "QC", "qc")


def test_a_sync_of_one_status_says_nothing_of_circuits_of_another(desk: Desk) -> None:
    desk.answer("QC", rows([1]))
    desk.sync("QC")
    desk.answer("ACTIV", rows([2]))

    desk.sync("ACTIV")

    assert departed(desk) == []


def test_a_shrunken_answer_stores_what_came_and_marks_nobody(desk: Desk) -> None:
    lacking(desk, "ACTIV", [])
    desk.answer("ACTIV", rows(range(8), SS_TITLE="new") + rows([99]))

    result = desk.sync()

    assert departed(desk) == []
    assert (result.counts["updated"], result.counts["created"], result.counts["departed"]) == (8, 1, 0)
    assert desk.log()["sync_status"] == result.sync_status == "warning"
    assert "only 8 of 20 circuits came" in desk.log()["error_message"]
    assert "--accept-departures" in desk.log()["error_message"]


def test_half_of_the_circuits_is_believed(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(10))

    assert desk.sync().sync_status == "completed"
    assert len(departed(desk)) == 10


def test_an_answer_of_as_many_other_circuits_stores_nothing_and_fails_for_good(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(100, 120))
    before = desk.contents()

    with pytest.raises(PermanentError, match="ACTIV: only 0 of 20 circuits came, and 20 new ones"):
        desk.sync()

    assert desk.contents() == before
    log = desk.log()
    assert (log["sync_status"], log["error_details"]["passing"]) == ("failed", False)
    assert "WORKSTUDIO_CIRCUITS_VIEW" in log["error_message"]
    assert "--accept-departures" in log["error_message"]


@pytest.mark.parametrize(("came", "new", "is_foreign"), [(9, 11, True), (9, 10, False), (9, 50, True), (0, 19, False)])
def test_a_shrunken_answer_is_anothers_if_it_names_as_many_new_circuits_as_are_missing(
    desk: Desk, came: int, new: int, is_foreign: bool
) -> None:
    lacking(desk, "ACTIV", [*range(came), *range(100, 100 + new)])

    if is_foreign:
        with pytest.raises(PermanentError, match=f"only {came} of 20 circuits came, and {new} new ones"):
            desk.sync()
    else:
        assert desk.sync().counts["created"] == new
        assert f"only {came} of 20 circuits came" in desk.log()["error_message"]
    assert departed(desk) == []


def test_many_new_circuits_beside_half_of_the_held_ones_are_believed(desk: Desk) -> None:
    lacking(desk, "ACTIV", [*range(10), *range(100, 200)])

    assert desk.sync().sync_status == "completed"
    assert len(departed(desk)) == 10


def test_rejected_and_repeated_rows_of_another_server_count_once_each(desk: Desk) -> None:
    lacking(desk, "ACTIV", [])
    strangers = rows(range(100, 110)) * 3 + rows(range(110, 120), VEGJOB_LENGTH="junk")
    desk.answer("ACTIV", strangers)

    with pytest.raises(PermanentError, match="and 20 new ones"):
        desk.sync()


def test_another_servers_answer_is_never_believed_by_repetition(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(100, 120))

    for _ in range(4):
        with pytest.raises(PermanentError):
            desk.sync()
    assert desk.one("SELECT count(*) FROM circuits") == 20


def test_another_servers_answer_for_one_status_stores_nothing_of_the_others(desk: Desk) -> None:
    lacking(desk, "QC", range(100, 120))
    desk.answer("CLOSE", rows([50]))

    with pytest.raises(PermanentError, match="QC: only 0 of 20"):
        desk.sync("QC", "CLOSE")
    assert desk.one("SELECT count(*) FROM circuits") == 20


def test_the_operator_may_look_at_and_accept_an_answer_of_other_circuits(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(100, 120))

    looked = desk.preview(accept_departures=True)
    result = desk.sync(accept_departures=True)

    assert (looked.counts["created"], looked.counts["departed"]) == (20, 20)
    assert (result.sync_status, result.counts["created"], len(departed(desk))) == ("completed", 20, 20)


def test_circuits_known_under_other_statuses_are_not_new(desk: Desk) -> None:
    desk.answer("QC", rows(range(100, 120)))
    desk.sync("QC")
    lacking(desk, "ACTIV", range(100, 120))

    result = desk.sync("ACTIV")

    assert (result.sync_status, result.counts["updated"]) == ("warning", 20)
    assert departed(desk) == []


def test_fewer_than_ten_circuits_may_be_followed_by_others(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(100, 109), held=9)

    assert desk.sync().sync_status == "completed"
    assert len(departed(desk)) == 9


def test_fewer_than_ten_circuits_may_shrink(desk: Desk) -> None:
    lacking(desk, "ACTIV", [0], held=9)

    assert desk.sync().sync_status == "completed"
    assert len(departed(desk)) == 8


@pytest.mark.parametrize("held", [1, 9, 20])
def test_an_empty_answer_where_there_were_circuits_is_never_taken_for_all_gone(desk: Desk, held: int) -> None:
    lacking(desk, "ACTIV", [], held=held)

    assert desk.sync().sync_status == "warning"
    assert departed(desk) == []


def test_an_empty_answer_where_nothing_was_is_an_answer(desk: Desk) -> None:
    desk.simulator.answer("ACTIV", {"Protocol": "DATASET", "DataSet": {"Heading": [], "Data": []}})

    assert desk.sync().sync_status == "completed"


def test_three_answers_in_a_row_that_agree_are_believed(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(5))
    assert [desk.sync().counts["departed"] for _ in range(3)] == [0, 0, 15]
    assert desk.log()["sync_status"] == "warning"

    assert desk.sync().sync_status == "completed"


def test_only_what_all_three_answers_lacked_is_departed(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(5))
    desk.sync()
    desk.answer("ACTIV", rows([0, 1, 2, 18, 19]))
    desk.sync()
    desk.answer("ACTIV", rows([0, 1, 2]))

    desk.sync()

    assert departed(desk) == [f"wo-{number:02}" for number in range(5, 18)]


def test_a_full_answer_in_between_begins_the_count_anew(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(5))
    desk.sync()
    desk.sync()
    desk.answer("ACTIV", rows(range(20)))
    desk.sync()
    desk.answer("ACTIV", rows(range(5)))

    assert [desk.sync().counts["departed"] for _ in range(3)] == [0, 0, 15]


def test_failed_syncs_and_syncs_of_other_statuses_do_not_count(desk: Desk) -> None:
    lacking(desk, "ACTIV", range(5))
    desk.sync()
    desk.simulator.fault("unauthorized", times=1)
    with pytest.raises(Exception, match="401"):
        desk.sync("ACTIV")
    desk.sync("QC")

    assert [desk.sync("ACTIV").counts["departed"] for _ in range(2)] == [0, 15]


def test_the_operator_may_accept_the_departures(desk: Desk) -> None:
    lacking(desk, "ACTIV", [0])

    result = desk.sync(accept_departures=True)

    assert (result.counts["departed"], result.sync_status) == (19, "completed")


def test_circuits_that_moved_to_another_fetched_status_do_not_make_an_answer_shrunken(desk: Desk) -> None:
    lacking(desk, "QC", range(4))
    desk.answer("REWRK", rows(range(4, 20)))

    result = desk.sync("QC", "REWRK")

    assert (result.sync_status, result.counts["departed"], result.counts["updated"]) == ("completed", 0, 16)


def test_each_status_is_judged_by_itself(desk: Desk) -> None:
    for status, first in (("QC", 0), ("CLOSE", 20)):
        desk.answer(status, rows(range(first, first + 20)))
    desk.sync("QC", "CLOSE")
    desk.answer("QC", rows(range(3)))
    desk.answer("CLOSE", rows(range(20, 39)))

    result = desk.sync("QC", "CLOSE")

    assert departed(desk) == ["wo-39"]
    assert "QC: only 3 of 20" in str(result.message)


def test_a_row_repeated_over_and_over_does_not_make_an_answer_whole(desk: Desk) -> None:
    lacking(desk, "ACTIV", [0] * 20)

    assert desk.sync().sync_status == "warning"
    assert departed(desk) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"VEGJOB_LENGTH": "junk"},
        {"SS_JOBGUID": "", "VEGJOB_LENGTH": 1},
        {"SS_JOBGUID": "", "SS_EXT": True},
        {"SS_WO": "", "SS_TITLE": "kept by its guid", "SS_JOBGUID": "guid-1"},
    ],
)
def test_a_circuit_whose_row_was_rejected_was_still_there(desk: Desk, spoilt: dict[str, Any]) -> None:
    desk.answer("ACTIV", [{"SS_WO": "wo-01", "SS_JOBGUID": "guid-1"}, {"SS_WO": "wo-02"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "wo-01", "SS_JOBGUID": "guid-1"} | spoilt, {"SS_WO": "wo-02"}])

    result = desk.sync()

    assert (result.counts["rows_rejected"], result.counts["departed"]) == (1, 0)


def test_while_a_row_cannot_be_told_nobody_departs_until_three_answers_agree(desk: Desk) -> None:
    """A row shorter than the heading may be any circuit's."""
    lacking(desk, "ACTIV", range(19))
    desk.simulator.fault("short_row")

    results = [desk.sync() for _ in range(3)]

    assert [result.counts["departed"] for result in results] == [0, 0, 2]
    assert "1 row of the answer cannot be identified" in str(results[0].message)


def test_an_answer_with_more_rejected_rows_than_are_listed_marks_none_of_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuit_sync.sync.circuits.sync.REJECTED_LISTED", 3)
    desk.answer("ACTIV", rows(range(8)))
    desk.sync()
    desk.answer("ACTIV", rows(range(6), VEGJOB_LENGTH="junk") + rows([6, 7]))

    results = [desk.sync() for _ in range(3)]

    assert [(result.counts["rows_rejected"], result.counts["departed"]) for result in results] == [(6, 0)] * 3
    assert len(desk.log()["error_details"]["rejected"]) == 3


def test_a_sync_that_fails_before_it_stores_lists_no_more_of_them_either(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuit_sync.sync.log.closing.REJECTED_LISTED", 3)
    desk.answer("ACTIV", rows(range(8), VEGJOB_LENGTH="junk"))
    sync_id = desk.fetch("ACTIV")

    close_as_failed(desk.session, sync_id, "killed")

    assert len(desk.log(sync_id)["error_details"]["rejected"]) == 3


def test_rejected_rows_count_as_come(desk: Desk) -> None:
    desk.answer("ACTIV", rows(range(20)))
    desk.sync()
    desk.answer("ACTIV", rows(range(9)) + rows([9], VEGJOB_PRCENT=101))

    result = desk.sync()

    assert result.counts["departed"] == 10
    assert "only" not in str(result.message)


def test_a_missing_column_of_the_heading_departs_nobody(desk: Desk) -> None:
    desk.answer("ACTIV", rows(range(3)))
    desk.sync()
    desk.answer("ACTIV", rows(range(3)), heading=[name for name in CIRCUIT_HEADING if name != "SS_EXT"])

    desk.sync()

    assert departed(desk) == []


@pytest.mark.parametrize(
    ("held", "came", "rows", "shrunken"),
    [
        (0, 0, 0, False),
        (1, 0, 0, True),
        (1, 0, 1, False),
        (1, 1, 1, False),
        (9, 1, 1, False),
        (10, 4, 4, True),
        (10, 4, 400, True),
        (10, 5, 5, False),
        (11, 5, 5, True),
    ],
)
def test_an_answer_is_shrunken_below_half_of_ten_or_more_of_those_held(
    held: int, came: int, rows: int, shrunken: bool
) -> None:
    assert is_shrunken(held=held, came=came, rows=rows) is shrunken
