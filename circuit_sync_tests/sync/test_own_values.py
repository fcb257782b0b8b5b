"""Each mile once: own values of split work orders, and differences that splitting leaves alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuit_sync.database.progress.rollups import replace_rollups
from circuit_sync.database.progress.seasons import replace_season_daily
from circuit_sync.database.progress.snapshots import replace_snapshots
from circuit_sync.database.progress.states import dated_states
from circuit_sync.domain.eastern import end_of, midnight, weekdays_between
from circuit_sync_tests.scenery import Desk, examples

DAYS = weekdays_between(date(2026, 3, 2), date(2026, 3, 9))
WEEKDAY = timedelta(hours=12)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class State:
    """One circuit at the end of one day. ``miles`` and ``planned`` in tenths."""

    name: str
    extension: str
    status: str = "ACTIV"
    departed: bool = False
    excluded: bool = False
    miles: int = 0
    planned: int = 0
    planner: str = "A\\ash"

    @property
    def is_shown(self) -> bool:
        return self.status != "CLOSE" and not self.departed and not self.excluded


@dataclass(frozen=True)
class Whole:
    """A work order on one day: its main assessment, what it comes to, and whether its splits are contained."""

    main: State | None
    splits: Sequence[State]
    contained: bool
    miles: int
    planned: int


def whole(states: Sequence[State]) -> Whole:
    """Behaviour 19, said once more, plainly."""
    splits = [s for s in states if s.extension != "@" and not s.departed]
    mains = sorted((s for s in states if s.extension == "@"), key=lambda s: (s.departed, s.status == "CLOSE", s.name))
    main = mains[0] if mains else None
    if main is None or not splits:
        return Whole(main, splits, True, main.miles if main else 0, main.planned if main else 0)
    together = sum(s.miles for s in splits)
    contained = not (together * 10 > main.miles * 11 and together > main.miles + 10)
    return Whole(main, splits, contained, max(main.miles, together), max(main.planned, sum(s.planned for s in splits)))


def own_of(state: State, of: Whole) -> tuple[int, int]:
    if state is of.main and of.splits and of.contained:
        return of.miles - sum(s.miles for s in of.splits), of.planned - sum(s.planned for s in of.splits)
    return state.miles, state.planned


_amount = st.integers(0, 600)


@st.composite
def _courses(draw: st.DrawFn) -> list[list[State]]:
    """For each day the circuits of one work order, known by then."""
    names = ["g-main", "g-split-1", "g-split-2", "g-twin"][: draw(st.integers(1, 4))]
    extensions = {"g-main": "@", "g-split-1": "C_a", "g-split-2": "C_ba", "g-twin": draw(st.sampled_from(["@", "C_b"]))}
    known_from = {name: draw(st.integers(0, 2)) for name in names}
    days: list[list[State]] = []
    for place in range(len(DAYS)):
        states = []
        for name in names:
            if place < known_from[name]:
                continue
            miles = draw(_amount)
            state = State(
                name,
                extensions[name],
                draw(st.sampled_from(["ACTIV", "ACTIV", "QC", "CLOSE"])),
                draw(st.sampled_from([False, False, False, True])),
                draw(st.sampled_from([False, False, False, False, True])),
                miles,
                draw(st.integers(0, miles)),
                draw(st.sampled_from(["A\\ash", "B\\birch"])),
            )
            states.append(state)
        if draw(st.booleans()) and states and states[0].extension == "@":
            together = sum(s.miles for s in states if s.extension != "@" and not s.departed)
            planned = sum(s.planned for s in states if s.extension != "@" and not s.departed)
            states[0] = replace(states[0], miles=together + draw(st.integers(0, 50)), planned=planned)
        days.append(states)
    return days


class Books:
    """Writes the course of work orders into circuits and their history, and reads what comes of it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.ids: dict[str, int] = {}

    def empty(self) -> None:
        self.desk.execute(
            "TRUNCATE circuits, circuit_history, circuit_snapshots, regional_daily, planner_daily, season_daily CASCADE"
        )
        self.ids.clear()

    def write(self, work_order: str, course: Sequence[Sequence[State]]) -> None:
        guids = {state.name: f"{state.name} {work_order}" for states in course for state in states}
        extensions = {state.name: state.extension for states in course for state in states}
        with psycopg.connect(self.desk.database.url) as connection:
            for name, guid in guids.items():
                made = connection.execute(
                    "INSERT INTO circuits (job_guid, work_order, extension, api_status, content_hash)"
                    " VALUES (%s, %s, %s, 'ACTIV', '') RETURNING id",
                    (guid, work_order, extensions[name]),
                ).fetchone()
                assert made
                self.ids[guid] = made[0]
            connection.cursor().executemany(
                "INSERT INTO circuit_history (circuit_id, valid_from, valid_to, api_status, workflow_stage, taken_by,"
                " is_excluded, departed_at, total_miles, miles_planned, work_order, extension)"
                " VALUES (%s, %s, %s, %s, 'active', %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        self.ids[guids[state.name]],
                        begins,
                        None if day == DAYS[-1] else begins + timedelta(days=3 if day.weekday() == 4 else 1),
                        state.status,
                        state.planner,
                        state.excluded,
                        begins if state.departed else None,
                        Decimal(state.miles) / 10,
                        Decimal(state.planned) / 10,
                        work_order,
                        state.extension,
                    )
                    for day, states in zip(DAYS, course, strict=True)
                    for begins in [midnight(day) + WEEKDAY]
                    for state in states
                ],
            )

    def take(self, *days: date) -> None:
        with self.desk.database.transaction() as connection:
            untils = {day: end_of(day) - INSTANT for day in days}
            with dated_states(connection, untils):
                replace_snapshots(connection, untils, end_of(days[-1]))
            replace_rollups(connection, days, end_of(days[-1]))

    def snapshots(self) -> dict[tuple[date, int], Mapping[str, Any]]:
        rows = self.desk.rows("SELECT * FROM circuit_snapshots ORDER BY snapshot_date, circuit_id")
        return {(row["snapshot_date"], row["circuit_id"]): row for row in rows}

    def added(self, table: str, column: str, by: str = "snapshot_date") -> dict[Any, Decimal]:
        rows = self.desk.rows(f"SELECT {by} AS key, sum({column}) AS added FROM {table} GROUP BY 1 ORDER BY 1")
        return {row["key"]: row["added"] for row in rows}


@pytest.fixture
def books(desk: Desk) -> Books:
    return Books(desk)


def _contents(books: Books) -> list[Any]:
    hidden = {"id", "created_at", "computed_at", "as_of"}
    return [
        sorted(
            tuple(sorted((name, str(value)) for name, value in row.items() if name not in hidden))
            for row in books.desk.rows(f"SELECT * FROM {table}")
        )
        for table in ("circuit_snapshots", "regional_daily", "planner_daily")
    ]


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(courses=st.lists(_courses(), min_size=1, max_size=6))
def test_each_mile_counts_once_however_a_work_order_is_split(books: Books, courses: list[list[list[State]]]) -> None:
    books.empty()
    for number, course in enumerate(courses):
        books.write(str(number), course)
    books.take(*DAYS)
    snapshots = books.snapshots()
    levels = dict.fromkeys(DAYS, Decimal(0))
    for number, course in enumerate(courses):
        for day, states in zip(DAYS, course, strict=True):
            of = whole(states)
            for state in states:
                circuit = books.ids[f"{state.name} {number}"]
                assert ((day, circuit) in snapshots) == state.is_shown
                if not state.is_shown:
                    continue
                row = snapshots[day, circuit]
                own = own_of(state, of)
                assert (row["total_miles"], row["miles_planned"]) == (
                    state.miles / Decimal(10),
                    state.planned / Decimal(10),
                )
                assert (row["own_total_miles"], row["own_miles_planned"]) == (
                    own[0] / Decimal(10),
                    own[1] / Decimal(10),
                )
                levels[day] += row["own_total_miles"]
            if of.main and of.splits and of.contained:
                parts = [of.main, *of.splits]
                assert sum(own_of(part, of)[0] for part in parts) == of.miles
                assert sum(own_of(part, of)[1] for part in parts) == of.planned
    told = books.added("regional_daily", "total_miles")
    assert {day: told.get(day, 0) for day in DAYS} == levels
    at_once = _contents(books)
    books.desk.execute("TRUNCATE circuit_snapshots, regional_daily, planner_daily")
    for day in (DAYS[0], *DAYS[3:], DAYS[2], DAYS[1]):
        books.take(day)
    assert _contents(books) == at_once


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=_courses())
def test_a_work_orders_differences_add_up_to_the_difference_of_what_it_comes_to(
    books: Books, course: list[list[State]]
) -> None:
    books.empty()
    books.write("1", course)
    books.take(*DAYS)
    changes = books.added("regional_daily", "miles_planned_change")
    assert changes == books.added("planner_daily", "miles_planned_change")
    sure = [
        (place, of)
        for place, states in enumerate(course)
        if (of := whole(states)).main and of.main.is_shown and of.contained
    ]
    for (first, before), (last, after) in pairwise(sure):
        if before.main is None or after.main is None or before.main.name != after.main.name:
            continue
        if any(s.extension == "@" and s.name != after.main.name for states in course for s in states):
            continue
        between = sum(changes.get(day, Decimal(0)) for day in DAYS[first + 1 : last + 1])
        assert between == (after.planned - before.planned) / Decimal(10)


def _is_shown_by_main(split: State, states: Sequence[State], of: Whole) -> bool:
    """Of a departed split: whether a main assessment shows its miles still."""
    mains = [s for s in states if s.extension == "@" and not s.excluded]
    contains = of.contained or not of.splits
    return contains and any(split.miles * 10 <= m.miles * 11 or split.miles <= m.miles + 10 for m in mains)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(courses=st.lists(_courses(), min_size=1, max_size=4))
def test_a_season_counts_each_mile_once_whatever_closes_or_departs(
    books: Books, courses: list[list[list[State]]]
) -> None:
    books.empty()
    for number, course in enumerate(courses):
        books.write(str(number), course)
    with books.desk.database.transaction() as connection:
        untils = {day: end_of(day) - INSTANT for day in DAYS}
        with dated_states(connection, untils):
            replace_season_daily(connection, untils, end_of(DAYS[-1]))
    found = {row["snapshot_date"]: row for row in books.desk.rows("SELECT * FROM season_daily")}
    for place, day in enumerate(DAYS):
        counted = []
        for course in courses:
            of = whole(course[place])
            for state in course[place]:
                if state.excluded:
                    continue
                gone = state.departed and state.extension != "@" and _is_shown_by_main(state, course[place], of)
                counted.append((state, (0, 0) if gone else own_of(state, of)))
        if not counted:
            assert day not in found
            continue
        row = found[day]
        assert row["circuits"] == len(counted)
        assert row["circuits_closed"] == sum(state.status == "CLOSE" for state, _own in counted)
        assert row["circuits_departed"] == sum(state.departed for state, _own in counted)
        assert row["total_miles"] * 10 == sum(miles for _state, (miles, _planned) in counted)
        assert row["miles_planned"] * 10 == sum(planned for _state, (_miles, planned) in counted)
        remaining = sum(miles - planned for state, (miles, planned) in counted if state.status != "CLOSE")
        assert row["miles_remaining"] * 10 == remaining
        assert row["miles_closed_unplanned"] == row["total_miles"] - row["miles_planned"] - row["miles_remaining"]


def _course(*days: Sequence[State]) -> list[Sequence[State]]:
    return [*days, *[days[-1]] * (len(DAYS) - len(days))]


MAIN = State("g-main", "@", miles=600, planned=100, planner="A\\ash")
LEFT = State("g-split-1", "C_a", miles=300, planned=60, planner="B\\birch")
RIGHT = State("g-split-2", "C_b", miles=300, planned=40, planner="C\\cedar")


def planned_by(books: Books, day: date) -> dict[str, Decimal]:
    rows = books.desk.rows(
        "SELECT taken_by, miles_planned_change AS miles FROM planner_daily WHERE snapshot_date = %s", day
    )
    return {row["taken_by"]: row["miles"] for row in rows if row["miles"]}


def test_the_day_on_which_a_circuit_is_split_plans_nothing_for_anybody(books: Books) -> None:
    books.write("1", _course([MAIN], [MAIN, LEFT, RIGHT]))
    books.take(*DAYS)
    assert planned_by(books, DAYS[1]) == {}
    assert books.added("regional_daily", "total_miles") == dict.fromkeys(DAYS, 60)
    assert books.added("regional_daily", "miles_planned") == dict.fromkeys(DAYS, 10)


def test_what_is_planned_in_a_split_counts_once_for_its_holder_also_when_the_main_one_follows_later(
    books: Books,
) -> None:
    moved = replace(LEFT, planned=67)
    books.write("1", _course([MAIN, LEFT, RIGHT], [MAIN, moved, RIGHT], [replace(MAIN, planned=107), moved, RIGHT]))
    books.take(*DAYS)
    assert planned_by(books, DAYS[1]) == {"B\\birch": Decimal("0.7")}
    assert planned_by(books, DAYS[2]) == {}


def test_a_closed_split_counts_for_the_main_one_on_its_last_day_and_its_miles_leave_the_region(books: Books) -> None:
    closed = replace(LEFT, status="CLOSE", planned=70)
    books.write("1", _course([MAIN, LEFT, RIGHT], [replace(MAIN, planned=110), closed, RIGHT]))
    books.take(*DAYS)
    assert planned_by(books, DAYS[1]) == {"A\\ash": 1}
    assert books.added("regional_daily", "total_miles")[DAYS[1]] == 30


def test_what_was_planned_in_a_split_that_came_and_went_while_the_main_one_was_closed_counts_once(books: Books) -> None:
    closed, moved = replace(MAIN, status="CLOSE"), replace(LEFT, planned=110)
    back = [replace(MAIN, planned=150), replace(moved, departed=True)]
    books.write("1", _course([MAIN], [closed, LEFT], [replace(closed, planned=150), moved], back))
    books.take(*DAYS)
    assert [planned_by(books, day) for day in DAYS[1:5]] == [{}, {"B\\birch": 5}, {}, {}]
    at_once = _contents(books)
    for day in (DAYS[3], DAYS[2], DAYS[4], DAYS[1]):
        books.take(day)
    assert _contents(books) == at_once


def test_splits_that_are_more_than_their_main_one_are_counted_one_by_one(books: Books) -> None:
    books.write("1", _course([replace(MAIN, miles=100, planned=10), LEFT, RIGHT]))
    books.take(*DAYS)
    assert books.added("regional_daily", "total_miles")[DAYS[0]] == 70
    (told,) = {row["splits_contained"] for row in books.snapshots().values() if row["main_circuit_id"] is None}
    assert told is False


def test_units_that_move_to_a_new_split_change_nothing(books: Books) -> None:
    books.write("1", _course([MAIN], [MAIN, LEFT]))
    for name, units in (("g-main 1", {DAYS[0]: 100, DAYS[1]: 70}), ("g-split-1 1", {DAYS[1]: 30, DAYS[2]: 35})):
        for day, count in units.items():
            books.desk.execute(
                "INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units, units_pending)"
                " VALUES (%s, %s, %s, %s)",
                books.ids[name],
                day,
                count,
                count,
            )
    books.take(*DAYS)
    assert list(books.added("regional_daily", "total_units_change").values()) == [0, 0, 5, 0, 0, 0]
    assert list(books.added("regional_daily", "total_units").values()) == [100, 100, 105, 105, 105, 105]
