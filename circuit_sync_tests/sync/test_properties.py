"""What holds for any answers: repeated, reordered, counted, replayed."""

import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.simulator import CIRCUIT_HEADING, COMMENT_MARKER, circuits_table
from circuit_sync_tests.scenery import Desk, examples

Rows = list[dict[str, Any]]
Answers = dict[str, Rows]

few = settings(
    max_examples=examples(15),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""Each example empties the database that they share; shrinking one costs minutes and the examples are small."""

TABLES_AT_REST = ("circuits", "circuit_history", "circuit_ui_states", "circuit_user", "circuit_snapshots", "regions")

_dates = st.sampled_from(["/Date(2026-01-05T21:48:22.216Z)/", "2026-02-01T08:00:00Z", "/Date(1899-12-30)/", "", None])
_miles = st.one_of(st.decimals(0, 100, places=3).map(str), st.integers(0, 100), st.sampled_from(["", None, "12.5"]))
_text = st.one_of(
    st.sampled_from(["", " Line ", "LINE", None]), st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
)
_value = {
    "SS_EXT": st.sampled_from(["@", "@", "A", "B", "", None]),
    "REGION": st.sampled_from(["Lancaster", "Lehigh", " Lehigh", "", None]),
    "SS_TITLE": _text,
    "VEGJOB_LENGTH": _miles,
    "VEGJOB_LENGTHCOMP": _miles,
    "VEGJOB_PRCENT": st.sampled_from([0, 50, "99.99", 100, 100.0, None]),
    "SS_EDITDATE": _dates,
    "WPStartDate_Assessment_Xrefs_WP_STARTDATE": _dates,
    "SS_TAKENBY": st.sampled_from(["CONTRACTOR\\ann", "contractor\\ANN", "CONTRACTOR\\bob", "nobody", ""]),
    "VEGJOB_FORESTER": _text,
    "VEGJOB_CIRCCOMNTS": st.sampled_from([f"{COMMENT_MARKER} gate", f"{COMMENT_MARKER} dog", ""]),
    "UNITCOUNTS_LENGTHWRK": st.floats(0, 1e6),
}
_junk = st.sampled_from(
    [{"SS_JOBGUID": ""}, {"VEGJOB_LENGTH": "junk"}, {"VEGJOB_PRCENT": 101}, {"SS_EDITDATE": "junk"}, {"SS_WO": None}]
)


@st.composite
def rows_of(draw: st.DrawFn, *, dirty: bool = True) -> Rows:
    """Up to six rows of few circuits: repeated ones, split ones, a junk one now and then; the first is always there."""
    rows = []
    for number in [0, *draw(st.lists(st.integers(1, 5), max_size=5))]:
        row = {"SS_JOBGUID": f"guid-{number}", "SS_WO": f"wo-{number % 3}"} | draw(st.fixed_dictionaries(_value))
        if dirty and number and draw(st.integers(0, 9)) == 0:
            row |= draw(_junk)
        rows.append(row)
    return rows


def answers(*, dirty: bool = True) -> st.SearchStrategy[Answers]:
    """An answer for one to three statuses."""
    return st.lists(st.sampled_from(STATUS_CODES), min_size=1, max_size=3, unique=True).flatmap(
        lambda statuses: st.fixed_dictionaries(dict.fromkeys(statuses, rows_of(dirty=dirty)))
    )


def sync(desk: Desk, content: Answers) -> Any:
    """One sync of the answered statuses; the ever-present circuit of a status has a GUID of its own."""
    for status, rows in content.items():
        desk.answer(status, [_own(status, row) for row in rows])
    return desk.sync(*content)


def _own(status: str, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"SS_JOBGUID": f"guid-0-{status}"} if row.get("SS_JOBGUID") == "guid-0" else row


def emptied(desk: Desk) -> Desk:
    """The desk with an empty database and one user."""
    desk.forget()
    desk.execute("INSERT INTO users (name, email, ws_username) VALUES ('Ann', 'ann@example.org', 'CONTRACTOR\\Ann')")
    return desk


@few
@given(answers())
def test_syncing_the_same_answer_twice_changes_nothing(desk: Desk, content: Answers) -> None:
    sync(emptied(desk), content)
    held, told = desk.contents(TABLES_AT_REST), len(desk.events())

    again = sync(desk, content)

    assert desk.contents(TABLES_AT_REST) == held
    assert [event["name"] for event in desk.events()[told:]] == ["sync.started", "sync.completed"]
    assert again.counts["unchanged"] == again.counts["processed"]


@few
@given(answers(), answers(), st.randoms(use_true_random=False))
def test_any_order_of_rows_and_columns_and_keys_gives_the_same_database(
    desk: Desk, first: Answers, second: Answers, chance: random.Random
) -> None:
    sync(emptied(desk), first)
    sync(desk, second)
    in_order = desk.meaning()
    emptied(desk)

    for content in (first, second):
        for status, rows in content.items():
            desk.simulator.answer(status, _shuffled(status, rows, chance))
        desk.sync(*content)

    assert desk.meaning() == in_order


def _shuffled(status: str, rows: Rows, chance: random.Random) -> dict[str, Any]:
    heading = chance.sample(CIRCUIT_HEADING, len(CIRCUIT_HEADING))
    titled = [{"SS_TITLE": None, "WSREQ_STATUS": status} | _own(status, row) for row in rows]
    table = circuits_table(chance.sample(titled, len(titled)), heading)
    data_set = dict(reversed(table["DataSet"].items()))
    return {"DataSet": data_set, "Protocol": "DATASET"}


@few
@given(st.lists(answers(), min_size=1, max_size=3))
def test_the_counts_add_up(desk: Desk, contents: list[Answers]) -> None:
    emptied(desk)
    for content in contents:
        result = sync(desk, content)

        for counts in (result.counts, *result.per_status.values()):
            assert counts["created"] + counts["updated"] + counts["unchanged"] == counts["processed"]
            assert counts["processed"] + counts["rows_rejected"] + counts["rows_duplicate"] == counts["rows_received"]
        assert {status: counts["rows_received"] for status, counts in result.per_status.items()} == {
            status: len(content[status]) for status in STATUS_CODES if status in content
        }
        updated = [event for event in desk.events("circuit.updated") if event["sync_log_id"] == result.sync_id]
        assert len(updated) == result.counts["updated"] + result.counts["departed"]
        assert COMMENT_MARKER not in f"{desk.events()}{desk.rows('SELECT * FROM sync_logs')}{result}{desk.lines}"


@few
@given(st.lists(answers(), min_size=1, max_size=3), answers())
def test_replaying_a_sequence_ends_the_same_in_one_database_and_from_an_empty_one(
    desk: Desk, sequence: list[Answers], last: Answers
) -> None:
    emptied(desk)
    for content in [*sequence, last]:
        sync(desk, content)
    from_empty = desk.meaning()
    assert_history_is_whole(desk)

    for content in [*sequence, last]:
        sync(desk, content)

    assert desk.meaning() == from_empty
    assert_history_is_whole(desk)


@few
@given(st.lists(answers(dirty=False), min_size=1, max_size=2), answers(dirty=False))
def test_what_an_answer_names_is_stored_the_same_whatever_came_before(
    desk: Desk, earlier: list[Answers], last: Answers
) -> None:
    emptied(desk)
    for content in [*earlier, last]:
        sync(desk, content)
    after_others = _as_answered(desk)
    sync(emptied(desk), last)

    alone = _as_answered(desk)
    assert {guid: after_others[guid] for guid in alone} == alone


def _as_answered(desk: Desk) -> dict[str, dict[str, Any]]:
    """The circuits as their last answer alone makes them: neither ties to others nor what is enabled."""
    circuits = desk.meaning()["circuits"]
    return {
        row["job_guid"]: {k: v for k, v in row.items() if k not in ("parent", "planned_units_sync_enabled")}
        for row in circuits
    }


def assert_history_is_whole(desk: Desk) -> None:
    """Every circuit has one open row, no gap and no overlap, and the open row says what the circuit says."""
    broken = desk.rows("""
        SELECT circuit_id, valid_from, valid_to, next FROM (
            SELECT *, lead(valid_from) OVER (PARTITION BY circuit_id ORDER BY valid_from) AS next FROM circuit_history
        ) AS h
        WHERE valid_to IS DISTINCT FROM next OR valid_to <= valid_from
    """)
    assert broken == []
    assert (
        desk.rows("""
        SELECT c.id FROM circuits AS c JOIN circuit_ui_states AS u ON u.circuit_id = c.id
        LEFT JOIN circuit_history AS h ON h.circuit_id = c.id AND h.valid_to IS NULL
        WHERE (c.api_status, u.workflow_stage, c.region_id, c.taken_by, c.departed_at, c.miles_planned)
              IS DISTINCT FROM
              (h.api_status, h.workflow_stage, h.region_id, h.taken_by, h.departed_at, h.miles_planned)
    """)
        == []
    )
