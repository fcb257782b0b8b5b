"""A person's edits win: behaviour 10, also while a sync runs."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from circuit_sync.simulator import CIRCUIT_HEADING
from circuit_sync_tests.scenery import Desk, until

EDIT = """
    UPDATE circuits SET {column} = %s, user_modified_fields = user_modified_fields || %s WHERE work_order = %s
"""


def edit(desk: Desk, work_order: str, column: str, value: Any, field: str | None = None) -> None:
    mark = Jsonb({field or column: {"by": "ann@example.org", "at": "2026-03-01T12:00:00Z"}})
    desk.execute(EDIT.format(column=column), value, mark, work_order)


EDIT_OF_1 = EDIT.format(column="title") % ("'by hand'", "'{\"title\": {}}'", "'1'")


VALUES: list[tuple[str, str, Any, Any]] = [
    ("title", "SS_TITLE", "by hand", "from the API"),
    ("taken_by", "SS_TAKENBY", None, "CONTRACTOR\\bob"),
    ("total_miles", "VEGJOB_LENGTH", Decimal("1.50"), 2.5),
    ("percent_complete", "VEGJOB_PRCENT", Decimal("12.00"), 13),
    ("start_date", "WPStartDate_Assessment_Xrefs_WP_STARTDATE", None, "/Date(2026-02-02)/"),
    ("contractor", "VEGJOB_CONTRACTOR", "by hand", ""),
]


def test_an_edited_field_keeps_its_value_and_the_others_follow(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": field} for field, *_ in VALUES])
    desk.sync()
    for field, _, by_hand, _ in VALUES:
        edit(desk, field, field, by_hand)
    offered = [{"SS_WO": field, column: value, "VEGJOB_CYCLETYPE": "new"} for field, column, _, value in VALUES]
    desk.answer("ACTIV", offered)

    result = desk.sync()

    assert [desk.circuit(field)[field] for field, *_ in VALUES] == [by_hand for _, _, by_hand, _ in VALUES]
    assert desk.column("SELECT DISTINCT cycle_type FROM circuits") == ["new"]
    assert (result.counts["withheld"], result.counts["updated"]) == (len(VALUES), len(VALUES))


def test_what_an_edit_withheld_is_reported_at_every_sync_and_rewrites_nothing(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    edit(desk, "1", "title", "by hand")
    held = desk.versions("circuits")

    for _ in range(2):
        result = desk.sync()

        assert result.counts["withheld"] == 1
        assert (result.counts["updated"], result.counts["unchanged"]) == (0, 1)
        line = {
            "work_order": "1",
            "extension": "@",
            "what": "withheld",
            "field": "title",
            "old": "by hand",
            "new": "api",
        }
        assert line in result.changes
        withheld = {"work_order": "1", "extension": "@", "field": "title", "kept": "by hand", "offered": "api"}
        assert desk.log()["error_details"]["withheld"] == [withheld]
    assert desk.versions("circuits") == held
    assert desk.events("circuit.updated") == []


def test_withheld_values_are_shown_however_much_else_changed(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    edit(desk, "1", "title", "by hand")
    desk.answer("ACTIV", [{"SS_WO": str(number + 1), "SS_TITLE": "api"} for number in range(80)])

    assert "withheld" in [line["what"] for line in desk.sync().changes]


def test_an_edit_that_says_the_same_as_the_api_withholds_nothing(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "same"}])
    desk.sync()
    edit(desk, "1", "title", "same")

    assert desk.sync().counts["withheld"] == 0


@pytest.mark.parametrize("field", ["region", "region_id"])
def test_an_edited_region_stays(desk: Desk, field: str) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "REGION": "Lehigh"}, {"SS_WO": "2", "REGION": "York"}])
    desk.sync()
    edit(desk, "1", "region_id", desk.circuit("2")["region_id"], field)

    result = desk.sync()

    assert desk.circuit("1")["region"] == "York"
    assert [(line["old"], line["new"]) for line in result.changes] == [("York", "Lehigh")]


def test_the_names_of_edited_fields_may_be_a_plain_list(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    desk.execute("UPDATE circuits SET title = 'by hand', user_modified_fields = '[\"title\"]'")

    desk.sync()

    assert desk.circuit("1")["title"] == "by hand"


def test_a_forced_sync_overrides_edits(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    edit(desk, "1", "title", "by hand")

    result = desk.sync(force=True)

    assert desk.circuit("1")["title"] == "api"
    assert (result.counts["updated"], result.counts["withheld"]) == (1, 0)


def test_what_a_forced_sync_overrode_follows_workstudio_again(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    edit(desk, "1", "title", "by hand")
    edit(desk, "1", "is_excluded", value=True)
    desk.sync(force=True)
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "newer"}])

    desk.sync()

    circuit = desk.circuit("1")
    assert (circuit["title"], list(circuit["user_modified_fields"])) == ("newer", ["is_excluded"])


def test_an_edit_stays_with_a_circuit_that_departs_and_comes_back(desk: Desk) -> None:
    rows = [{"SS_WO": "1", "SS_TITLE": "api"}, {"SS_WO": "2"}]
    desk.answer("ACTIV", rows)
    desk.sync()
    edit(desk, "1", "title", "by hand")
    for answer in (rows[1:], rows):
        desk.answer("ACTIV", answer)
        desk.sync()

    assert (desk.circuit("1")["title"], desk.circuit("1")["departed_at"]) == ("by hand", None)


def test_a_reopened_circuit_that_a_person_disabled_stays_disabled(desk: Desk) -> None:
    desk.answer("CLOSE", [{"SS_WO": "1"}])
    desk.sync("CLOSE")
    edit(desk, "1", "planned_units_sync_enabled", False)
    desk.answer("ACTIV", [{"SS_WO": "1"}])

    desk.sync("ACTIV")

    assert desk.circuit("1")["planned_units_sync_enabled"] is False


# While a sync runs.


def test_an_edit_between_fetch_and_store_is_not_lost(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "from the API"}])
    sync_id = desk.fetch()
    edit(desk, "1", "title", "by hand")

    result = desk.store(sync_id)

    assert desk.circuit("1")["title"] == "by hand"
    assert result.counts["withheld"] == 1


def test_an_edit_that_is_committed_while_the_store_waits_for_its_row_is_not_lost(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}, {"SS_WO": "2"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "from the API"}, {"SS_WO": "2", "SS_TITLE": "from the API"}])
    sync_id = desk.fetch()

    with desk.storing(sync_id, EDIT_OF_1) as result:
        pass

    assert (desk.circuit("1")["title"], desk.circuit("2")["title"]) == ("by hand", "from the API")
    assert result.result().counts["withheld"] == 1


def test_an_edit_of_a_circuit_that_did_not_differ_until_then_is_not_lost(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}, {"SS_WO": "2", "SS_TITLE": "api"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}, {"SS_WO": "2", "SS_TITLE": "changed"}])
    sync_id = desk.fetch()

    with desk.storing(sync_id, "SELECT FROM circuits WHERE work_order = '2' FOR UPDATE") as result:
        edit(desk, "1", "title", "by hand")

    assert (desk.circuit("1")["title"], desk.circuit("2")["title"]) == ("by hand", "changed")
    assert result.result().sync_status == "completed"


def test_a_person_who_comes_during_the_store_waits_for_it_and_wins(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1"}])
    desk.sync()
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "from the API", "VEGJOB_LENGTH": 99}])
    sync_id = desk.fetch()

    with ThreadPoolExecutor(1) as person:
        with desk.storing(sync_id, "LOCK TABLE circuit_history IN SHARE MODE"):
            edited = person.submit(edit, desk, "1", "title", "by hand")
            until(lambda: desk.waiting() > 1)
        edited.result()

    circuit = desk.circuit("1")
    assert (circuit["title"], circuit["total_miles"]) == ("by hand", 99)
    assert desk.sync().counts["withheld"] == 1


def test_a_change_of_a_column_that_the_view_lost_is_not_undone_by_a_forced_sync(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": "1", "SS_TITLE": "api"}])
    desk.sync()
    desk.answer(
        "ACTIV", [{"SS_WO": "1", "VEGJOB_LENGTH": 99}], [name for name in CIRCUIT_HEADING if name != "SS_TITLE"]
    )
    sync_id = desk.fetch(force=True)

    with desk.storing(sync_id, EDIT_OF_1):
        pass

    assert (desk.circuit("1")["title"], desk.circuit("1")["total_miles"]) == ("by hand", 99)
