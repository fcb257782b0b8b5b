"""Roll-ups: levels at the end of a date, differences to the snapshot before, weeks ending Friday."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuit_sync.domain.eastern import monday_of, week_ending, weekdays_between, weeks_of
from circuit_sync.domain.errors import UsageError
from circuit_sync.sync.progress.rollups import read_weeks, roll_up
from circuit_sync_tests.scenery import Desk, examples
from circuit_sync_tests.sync.snapshot_shelf import PLANNER, Shelf

MON, TUE, WED, THU, FRI = weekdays_between(date(2026, 3, 2), date(2026, 3, 6))
NEXT_MON = date(2026, 3, 9)
DAYS = weekdays_between(date(2026, 3, 2), date(2026, 3, 13))
MEASURES = ("miles_planned", "total_units", "units_approved", "units_refused", "units_pending")


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    return Shelf(desk)


@pytest.mark.parametrize(
    ("day", "friday"),
    [(MON, FRI), (FRI, FRI), (date(2026, 3, 7), FRI), (date(2026, 3, 8), FRI), (NEXT_MON, date(2026, 3, 13))],
)
def test_a_week_ends_on_its_friday_and_a_weekend_belongs_to_the_week_before(day: date, friday: date) -> None:
    assert week_ending(day) == friday
    assert monday_of(day) == date.fromordinal(friday.toordinal() - 4)


def test_weeks_are_told_once_and_in_order() -> None:
    assert weeks_of([NEXT_MON, MON, FRI]) == [FRI, date(2026, 3, 13)]


def test_a_region_counts_circuits_by_status_and_stage_and_adds_their_miles(shelf: Shelf) -> None:
    shelf.put("1", MON, 10)
    shelf.put("2", MON, 100, workflow_stage="pending_permissions", total_units=7, units_approved=3, units_pending=4)
    shelf.put("3", MON, 20, api_status="QC", workflow_stage="qc", total_miles=30)
    shelf.put("4", MON, 5, region="Central", api_status="REWRK", workflow_stage="rework")
    shelf.put("5", MON, 5, region=None)
    shelf.roll_up(MON)
    found = shelf.regional(MON)
    assert set(found) == {"Lehigh", "Central", None}
    lehigh = found["Lehigh"]
    assert (lehigh["circuits"], lehigh["circuits_activ"], lehigh["circuits_qc"], lehigh["circuits_rewrk"]) == (
        3,
        2,
        1,
        0,
    )
    assert (lehigh["stage_active"], lehigh["stage_pending_permissions"], lehigh["stage_qc"]) == (1, 1, 1)
    assert (lehigh["total_miles"], lehigh["miles_planned"], lehigh["miles_remaining"]) == (230, 130, 100)
    assert (lehigh["total_units"], lehigh["units_approved"], lehigh["units_pending"]) == (7, 3, 4)
    assert found["Central"]["stage_rework"] == 1


def test_only_daily_snapshots_are_rolled_up(shelf: Shelf) -> None:
    shelf.put("1", MON, 10)
    shelf.put("1", MON, 11, snapshot_type="manual")
    shelf.put("1", MON, 12, snapshot_type="status_change")
    shelf.roll_up(MON)
    assert shelf.regional(MON)["Lehigh"]["miles_planned"] == 10


def test_a_difference_is_told_on_the_day_it_ends_and_a_correction_is_negative(shelf: Shelf) -> None:
    for day, planned in ((MON, 10), (TUE, 12.5), (WED, 11), (FRI, 11)):
        shelf.put("1", day, planned)
    shelf.roll_up(*DAYS)
    assert shelf.changes([MON, TUE, WED, FRI]) == [0, Decimal("2.5"), Decimal("-1.5"), 0]


def test_a_circuits_first_snapshot_changes_nothing_and_one_that_returns_counts_since_it_left(shelf: Shelf) -> None:
    shelf.put("1", MON, 40)
    shelf.put("2", TUE, 5)
    shelf.put("1", NEXT_MON, 43)
    shelf.roll_up(*DAYS)
    assert shelf.changes([MON, TUE, NEXT_MON]) == [0, 0, 3]


def test_a_date_taken_anew_corrects_the_date_that_refers_to_it(shelf: Shelf) -> None:
    shelf.put("1", MON, 10)
    shelf.put("1", WED, 15)
    shelf.roll_up(MON, TUE, WED)
    shelf.put("1", TUE, 12)
    shelf.roll_up(TUE)
    assert shelf.changes([MON, TUE, WED]) == [0, 2, 3]


def test_a_circuit_that_a_date_lost_is_its_followers_first(shelf: Shelf) -> None:
    """As when an imported date is imported again without it."""
    shelf.put("1", MON, 10)
    shelf.put("1", WED, 18)
    shelf.roll_up(MON, TUE, WED)
    assert shelf.changes([WED]) == [8]
    shelf.desk.execute("DELETE FROM circuit_snapshots WHERE snapshot_date = %s", MON)
    shelf.put("2", MON, 1)
    shelf.roll_up(MON)
    assert shelf.changes([WED]) == [0]


def test_a_planner_is_one_whatever_the_case_and_linked_to_the_user(shelf: Shelf) -> None:
    user = shelf.desk.one(
        "INSERT INTO users (name, email, ws_username) VALUES ('Jo Larch', 'jo@example.com', 'contractor\\Larch')"
        " RETURNING id"
    )
    other = shelf.desk.one("INSERT INTO users (name, email) VALUES ('Ash', 'ash@example.com') RETURNING id")
    shelf.desk.execute(
        "INSERT INTO unlinked_planners (ws_username, first_seen_at, last_seen_at, linked_user_id)"
        " VALUES ('CONTRACTOR\\ash', now(), now(), %s)",
        other,
    )
    shelf.put("1", MON, 10)
    shelf.put("2", MON, 20, taken_by="contractor\\LARCH")
    shelf.put("3", MON, 30, taken_by="CONTRACTOR\\ASH", region="Central")
    shelf.put("4", MON, 1, taken_by="CONTRACTOR\\nobody-known")
    shelf.put("5", MON, 1, taken_by=None)
    shelf.roll_up(MON)
    found = shelf.planner(MON)
    assert {planner.lower(): row["circuits"] for (planner, _), row in found.items() if planner}[PLANNER.lower()] == 2
    assert (None, "Lehigh") in found
    weeks = shelf.desk.rows("SELECT * FROM planner_weekly")
    assert {row["user_id"]: row["miles_planned"] for row in weeks if row["user_id"]} == {user: 30, other: 30}
    assert {row["circuits"] for row in weeks if row["user_id"] is None} == {1}


def test_a_circuit_that_changes_hands_counts_for_who_holds_it_that_day(shelf: Shelf) -> None:
    shelf.put("1", MON, 10)
    shelf.put("1", TUE, 14, taken_by="CONTRACTOR\\birch", region="Central")
    shelf.roll_up(MON, TUE)
    assert shelf.planner(TUE)[("CONTRACTOR\\birch", "Central")]["miles_planned_change"] == 4
    assert set(shelf.planner(TUE)) == {("CONTRACTOR\\birch", "Central")}


def test_a_week_has_the_levels_of_its_last_snapshot_and_the_differences_of_its_days(shelf: Shelf) -> None:
    for day, planned in ((date(2026, 2, 27), 10), (MON, 12), (WED, 15), (THU, 14), (NEXT_MON, 30)):
        shelf.put("1", day, planned)
    shelf.put("2", MON, 50, region="Central")
    shelf.put("2", TUE, 51, region="Central")
    shelf.roll_up(date(2026, 2, 27), *DAYS)
    week = shelf.week(FRI)
    assert week["Lehigh"]["last_snapshot_date"] == THU
    assert (week["Lehigh"]["miles_planned"], week["Lehigh"]["miles_planned_change"]) == (14, 4)
    assert (week["Central"]["circuits"], week["Central"]["miles_planned"]) == (0, 0), "closed before the week ended"
    assert week["Central"]["miles_planned_change"] == 1, "what was planned before counts all the same"
    assert shelf.week(date(2026, 3, 13))["Lehigh"]["miles_planned_change"] == 16


def test_a_date_without_snapshots_has_no_rows_and_loses_those_it_had(shelf: Shelf) -> None:
    shelf.put("1", MON, 10)
    shelf.roll_up(MON)
    shelf.desk.execute("DELETE FROM circuit_snapshots")
    shelf.roll_up(MON)
    assert shelf.regional(MON) == {}
    assert shelf.planner(MON) == {}


def test_rolling_up_again_yields_the_same(shelf: Shelf) -> None:
    for day in DAYS:
        shelf.put("1", day, day.day)
    shelf.roll_up(*DAYS)
    before = shelf.desk.rows("SELECT * FROM planner_daily ORDER BY snapshot_date")
    shelf.roll_up(*DAYS[3:6])
    assert shelf.desk.rows("SELECT * FROM planner_daily ORDER BY snapshot_date") == before


def test_what_is_told_of_the_periods_has_names_and_the_last_weeks(shelf: Shelf) -> None:
    shelf.put("1", MON, 10, is_imported=True)
    shelf.put("1", TUE, 12)
    found = roll_up(shelf.desk.session, [MON, TUE, WED])["regional_daily"]
    assert [line["region"] for line in found.lines[MON]] == ["Lehigh"]
    assert found.lines[WED] == []
    assert [line["snapshot_date"] for line in found.history] == [MON, TUE]
    assert found.imported == [MON]
    assert roll_up(shelf.desk.session, [TUE])["planner_daily"].lines[TUE][0]["planner"] == PLANNER
    assert read_weeks(shelf.desk.session, "regional_weekly", [FRI]).lines[FRI][0]["miles_planned_change"] == 2
    assert read_weeks(shelf.desk.session, "planner_weekly", [FRI]).imported == [MON]


def test_no_date_is_a_mistake_told_in_one_line(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="no date to roll up"):
        roll_up(shelf.desk.session, [])


_miles = st.decimals(0, 60, places=2)
_history = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(DAYS)),
    st.fixed_dictionaries(
        {
            "planned": _miles,
            "region": st.sampled_from(["Lehigh", "Central", None]),
            "taken_by": st.sampled_from([PLANNER, PLANNER.lower(), "CONTRACTOR\\birch", None]),
            "total_units": st.integers(0, 50),
            "units_approved": st.integers(0, 50),
        }
    ),
    min_size=1,
    max_size=20,
)
few = settings(
    max_examples=examples(12),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _fill(shelf: Shelf, history: dict[tuple[str, date], dict[str, Any]]) -> None:
    shelf.desk.execute("TRUNCATE circuit_snapshots, regional_daily, planner_daily")
    for (name, day), values in history.items():
        shelf.put(name, day, **values)


@few
@given(history=_history, cuts=st.lists(st.sampled_from(DAYS), max_size=3))
def test_differences_over_a_range_add_up_to_the_difference_of_its_ends(
    shelf: Shelf, history: dict[tuple[str, date], dict[str, Any]], cuts: list[date]
) -> None:
    """In whatever order the dates are rolled up; for each circuit between its first and its last snapshot."""
    _fill(shelf, history)
    shelf.roll_up(*DAYS)
    for cut in cuts:
        shelf.roll_up(cut)
    expected = Decimal(0)
    for name in {name for name, _day in history}:
        days = sorted(day for other, day in history if other == name)
        expected += history[name, days[-1]]["planned"] - history[name, days[0]]["planned"]
    assert sum(shelf.changes(DAYS)) == expected
    planners = shelf.desk.one("SELECT sum(miles_planned_change) FROM planner_daily")
    weeks = shelf.desk.one("SELECT sum(miles_planned_change) FROM planner_weekly")
    assert planners == weeks == expected


@few
@given(history=_history)
def test_a_roll_up_equals_the_sum_of_its_snapshots(
    shelf: Shelf, history: dict[tuple[str, date], dict[str, Any]]
) -> None:
    _fill(shelf, history)
    shelf.roll_up(*DAYS)
    sums = "count(*) AS circuits, sum(total_miles) AS miles, sum(miles_planned) AS planned, sum(total_units) AS units"
    expected = shelf.desk.rows(
        f"SELECT snapshot_date, {sums}, sum(total_miles - miles_planned) AS remaining"
        " FROM circuit_snapshots GROUP BY snapshot_date ORDER BY 1"
    )
    rolled = (
        "SELECT snapshot_date, sum(circuits) AS circuits, sum(total_miles) AS miles, sum(miles_planned) AS planned,"
        " sum(total_units) AS units, sum(miles_remaining) AS remaining FROM {} GROUP BY snapshot_date ORDER BY 1"
    )
    assert shelf.desk.rows(rolled.format("regional_daily")) == expected
    assert shelf.desk.rows(rolled.format("planner_daily")) == expected
