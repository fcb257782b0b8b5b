"""Daily snapshots, computed from history; behaviour 14."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuit_sync.domain.eastern import EASTERN, eastern_date, end_of, is_weekday, weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.sync.progress.snapshots import SnapshotResult, open_snapshots, take_snapshots
from circuit_sync_tests.scenery import MONDAY, Desk, examples
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, split, sync_units, unit

MON, TUE, WED = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
INSTANT = timedelta(microseconds=1)


def snap(desk: Desk, *days: date, **options: Any) -> SnapshotResult:
    """Takes the snapshots of these dates, of today if none is named."""
    request = SnapshotRequest(dates=days or (eastern_date(desk.clock()),), **options)
    return take_snapshots(desk.session, open_snapshots(desk.session, request))


def shots(desk: Desk, day: date, kind: str = "daily") -> dict[str, dict[str, Any]]:
    """The snapshots of a date by circuit, without what tells when they were written."""
    rows = desk.rows(
        "SELECT s.*, concat_ws(' ', c.work_order, nullif(c.extension, '@')) AS name FROM circuit_snapshots AS s"
        " JOIN circuits AS c ON c.id = s.circuit_id WHERE s.snapshot_date = %s AND s.snapshot_type = %s",
        day,
        kind,
    )
    return {row.pop("name"): {k: v for k, v in row.items() if k not in {"id", "created_at"}} for row in rows}


def miles(desk: Desk, day: date) -> dict[str, float]:
    return {name: float(row["miles_planned"]) for name, row in shots(desk, day).items()}


def at(desk: Desk, *when: int) -> None:
    """Sets the clock to a time of 2026 in Eastern Time."""
    desk.clock.instant = datetime(2026, *when, tzinfo=EASTERN).astimezone(UTC)


# The specification's own list, one for one.


def test_creates_snapshots_for_circuits_that_are_not_closed(desk: Desk) -> None:
    for number, status in enumerate(("ACTIV", "QC", "REWRK"), start=1):
        circuits(desk, f"2026-010{number}", status=status)

    result = snap(desk)

    assert {name: row["api_status"] for name, row in shots(desk, MON).items()} == {
        "2026-0101": "ACTIV",
        "2026-0102": "QC",
        "2026-0103": "REWRK",
    }
    assert (result.sync_status, dict(result.counts)) == ("completed", {"snapshots": 3, "dates": 1})


def test_skips_closed_circuits(desk: Desk) -> None:
    circuits(desk, WO, status="CLOSE")

    snap(desk)

    assert shots(desk, MON) == {}


# What a snapshot is.


def test_a_snapshot_of_today_is_the_state_now(desk: Desk) -> None:
    circuits(desk, WO, VEGJOB_LENGTH=20, VEGJOB_LENGTHCOMP=5, VEGJOB_PRCENT=25, SS_TAKENBY="CONTRACTOR\\ann")
    answer_units(
        desk,
        WO,
        unit(feet=1.5),
        unit("REM612", JOBVEGETATIONUNITS_NUMTREES=3, VEGUNIT_PERMSTAT="Refused"),
        unit("HCB", JOBVEGETATIONUNITS_ACRES=0.25, VEGUNIT_PERMSTAT=""),
    )
    sync_units(desk)

    snap(desk)

    (row,) = shots(desk, MON).values()
    measures = ("total_miles", "miles_planned", "percent_complete", "total_linear_ft")
    assert [float(row[name]) for name in measures] == [20, 5, 25, 1.5]
    assert [row[f"total_{name}"] for name in ("units", "trees")] == [3, 3]
    assert [row[f"units_{name}"] for name in ("approved", "refused", "pending")] == [1, 1, 1]
    assert (row["taken_by"], row["api_status"], row["workflow_stage"]) == ("CONTRACTOR\\ann", "ACTIV", "active")
    assert row["as_of"] == desk.clock()
    assert desk.one("SELECT name FROM regions WHERE id = %s", row["region_id"]) == "Lancaster"


def test_a_snapshot_taken_again_replaces_todays(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102", VEGJOB_LENGTHCOMP=5)
    snap(desk)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=6)

    snap(desk)

    assert miles(desk, MON) == {WO: 6}
    assert desk.one("SELECT count(*) FROM circuit_snapshots") == 1


def test_a_snapshot_of_yesterday_is_the_state_at_the_end_of_that_date_in_eastern_time(desk: Desk) -> None:
    circuits(desk, WO, VEGJOB_LENGTHCOMP=1)
    at(desk, 3, 2, 23, 58)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=2)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=3)

    snap(desk, MON, TUE)

    assert (miles(desk, MON), miles(desk, TUE)) == ({WO: 2}, {WO: 3})
    assert shots(desk, MON)[WO]["as_of"] == end_of(MON) - INSTANT


@pytest.mark.parametrize(("offset", "counted"), [(-1, 2), (0, 1), (1, 1)])
def test_a_change_at_midnight_belongs_to_the_new_date(desk: Desk, offset: int, counted: int) -> None:
    circuits(desk, WO, VEGJOB_LENGTHCOMP=1)
    desk.clock.instant = end_of(MON).astimezone(UTC) + offset * INSTANT - timedelta(minutes=1)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=2)

    snap(desk, MON)

    assert miles(desk, MON) == {WO: counted}


@pytest.mark.parametrize(
    ("day", "utc_end"),
    [
        (date(2026, 3, 6), datetime(2026, 3, 7, 5, tzinfo=UTC)),
        (date(2026, 3, 9), datetime(2026, 3, 10, 4, tzinfo=UTC)),
        (date(2026, 10, 30), datetime(2026, 10, 31, 4, tzinfo=UTC)),
        (date(2026, 11, 2), datetime(2026, 11, 3, 5, tzinfo=UTC)),
    ],
    ids=["before the clocks go on", "after", "before they go back", "after that"],
)
def test_a_date_ends_at_midnight_eastern_time_whatever_the_clocks(desk: Desk, day: date, utc_end: datetime) -> None:
    for number, instant in enumerate((utc_end - timedelta(hours=2), utc_end - INSTANT, utc_end), start=1):
        desk.clock.instant = instant - timedelta(minutes=1)
        circuits(desk, WO, VEGJOB_LENGTHCOMP=number)

    snap(desk, day)

    assert miles(desk, day) == {WO: 2}
    assert shots(desk, day)[WO]["as_of"] == utc_end - INSTANT


def test_a_change_of_a_weekend_is_in_mondays_snapshot(desk: Desk) -> None:
    circuits(desk, WO, VEGJOB_LENGTHCOMP=1)
    at(desk, 3, 7, 12)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=2)
    at(desk, 3, 10, 12)

    snap(desk, date(2026, 3, 6), date(2026, 3, 9))

    assert (miles(desk, date(2026, 3, 6)), miles(desk, date(2026, 3, 9))) == ({WO: 1}, {WO: 2})


def test_aggregates_are_those_of_the_date_or_the_latest_before_it(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    answer_units(desk, "2026-0102", unit(feet=7))
    for day, value in ((2, 1), (4, 2), (6, 3)):
        at(desk, 3, day, 12)
        answer_units(desk, WO, unit(feet=value))
        sync_units(desk, force=True)
    at(desk, 3, 9, 12)

    snap(desk, *weekdays_between(MON, date(2026, 3, 9)))

    found = [float(shots(desk, day)[WO]["total_linear_ft"]) for day in weekdays_between(MON, date(2026, 3, 9))]
    assert found == [1, 1, 2, 2, 3, 3]
    assert shots(desk, WED)["2026-0102"]["total_linear_ft"] == 7
    snap(desk, date(2026, 3, 5))
    assert shots(desk, date(2026, 3, 5))[WO]["total_linear_ft"] == 2


def test_a_circuit_without_aggregates_yet_has_no_units(desk: Desk) -> None:
    circuits(desk, WO)
    at(desk, 3, 4, 12)
    answer_units(desk, WO, unit(feet=1))
    sync_units(desk)

    snap(desk, TUE, WED)

    assert [shots(desk, day)[WO]["total_units"] for day in (TUE, WED)] == [0, 1]


def test_a_snapshot_has_a_circuits_own_units_not_the_roll_up(desk: Desk) -> None:
    circuits(desk, WO, f"{WO} A")
    answer_units(desk, WO, unit(feet=1), split("A", 2))
    sync_units(desk)

    snap(desk)

    assert {name: float(row["total_linear_ft"]) for name, row in shots(desk, MON).items()} == {WO: 1, f"{WO} A": 2}


# What is left out.


def test_circuits_closed_as_of_the_date_are_left_out_and_those_closed_later_are_not(desk: Desk) -> None:
    circuits(desk, WO)
    at(desk, 3, 3, 12)
    circuits(desk, WO, status="CLOSE")
    at(desk, 3, 4, 12)
    circuits(desk, WO, status="REWRK")

    snap(desk, MON, TUE, WED)

    assert [list(shots(desk, day)) for day in (MON, TUE, WED)] == [[WO], [], [WO]]


def test_circuits_departed_as_of_the_date_are_left_out(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    at(desk, 3, 3, 12)
    circuits(desk, WO)
    at(desk, 3, 4, 12)
    circuits(desk, WO, "2026-0102")

    snap(desk, MON, TUE, WED)

    assert [len(shots(desk, day)) for day in (MON, TUE, WED)] == [2, 1, 2]


def test_circuits_excluded_as_of_the_date_are_left_out(desk: Desk) -> None:
    circuits(desk, WO)
    for day, excluded in ((3, True), (4, False)):
        at(desk, 3, day, 12)
        desk.execute("UPDATE circuits SET is_excluded = %s", excluded)
        snap(desk)

    snap(desk, MON, TUE, WED)

    assert [len(shots(desk, day)) for day in (MON, TUE, WED)] == [1, 0, 1]


# Before history, weekends, dates to come.


def test_before_history_begins_there_is_no_snapshot_and_it_is_said(desk: Desk) -> None:
    circuits(desk, WO)

    result = snap(desk, date(2026, 2, 26), date(2026, 2, 27), MON)

    told = "no snapshot for 2026-02-26 to 2026-02-27: history begins 2026-03-02 04:31 EST"
    assert (result.sync_status, result.message) == ("warning", told)
    assert result.history_since == MONDAY + timedelta(minutes=1)
    assert {day: counts["snapshots"] for day, counts in result.per_date.items()} == {
        "2026-02-26": 0,
        "2026-02-27": 0,
        "2026-03-02": 1,
    }
    assert (desk.log()["sync_status"], desk.log()["error_message"]) == ("warning", told)
    assert told in desk.lines[-1]


def test_without_any_history_there_is_no_snapshot_and_it_is_said(desk: Desk) -> None:
    result = snap(desk)

    assert (result.sync_status, result.history_since) == ("warning", None)
    assert result.message == "no snapshot for 2026-03-02: no circuit was synced yet, so there is no history"


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([date(2026, 2, 28)], "2026-02-28 is a Saturday: snapshots are taken of weekdays, Monday to Friday"),
        ([MON, date(2026, 3, 1)], "2026-03-01 is a Sunday: snapshots are taken of weekdays, Monday to Friday"),
        ([TUE], "2026-03-03 is to come: the latest date that has a snapshot is 2026-03-02 (Eastern Time)"),
        ([], "no date to take snapshots of: name at least one weekday"),
    ],
)
def test_weekends_and_dates_to_come_are_refused_in_one_line(desk: Desk, days: Sequence[date], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_snapshots(desk.session, SnapshotRequest(dates=days))

    assert str(raised.value) == told
    assert desk.rows("SELECT * FROM sync_logs") == []


def test_a_date_begins_at_midnight_eastern_time(desk: Desk) -> None:
    at(desk, 3, 2, 23, 59)
    with pytest.raises(UsageError, match="is to come"):
        snap(desk, TUE)

    at(desk, 3, 3, 0, 0)
    assert snap(desk, TUE).per_date == {"2026-03-03": {"snapshots": 0}}


# Repeatable, replaced as a whole, logged.


def test_a_backfill_repeated_has_the_same_result(desk: Desk) -> None:
    days = weekdays_between(MON, date(2026, 3, 6))
    for number, day in enumerate(days):
        at(desk, 3, day.day, 12)
        circuits(desk, WO, "2026-0102", VEGJOB_LENGTHCOMP=number)
    snap(desk, *days)
    before = [shots(desk, day) for day in days[:-1]]
    desk.clock.advance(days=30)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=9)

    snap(desk, *days)

    assert [shots(desk, day) for day in days[:-1]] == before
    assert desk.one("SELECT count(*) FROM circuit_snapshots") == 10


def test_a_date_is_replaced_as_a_whole_and_other_dates_and_kinds_are_left_alone(desk: Desk) -> None:
    circuits(desk, WO)
    at(desk, 3, 3, 12)
    snap(desk, MON, TUE)
    desk.execute(
        "INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type, api_status, workflow_stage, as_of)"
        " SELECT id, '2026-03-02', 'manual', 'ACTIV', 'active', now() FROM circuits"
    )
    desk.execute("UPDATE circuit_snapshots SET miles_planned = 99")

    snap(desk, MON)

    assert (miles(desk, MON), miles(desk, TUE)) == ({WO: 5}, {WO: 99})
    assert shots(desk, MON, "manual")[WO]["miles_planned"] == 99


def test_imported_snapshots_of_dates_before_history_are_kept(desk: Desk) -> None:
    circuits(desk, WO)
    desk.execute(
        "INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type, api_status, workflow_stage, as_of,"
        " is_imported) SELECT id, '2026-02-27', 'daily', 'ACTIV', 'active', now(), true FROM circuits"
    )

    result = snap(desk, date(2026, 2, 27), MON)

    assert (len(shots(desk, date(2026, 2, 27))), result.message) == (1, None)
    assert result.per_date == {"2026-02-27": {"snapshots": 1, "imported": 1}, "2026-03-02": {"snapshots": 1}}


def test_a_date_named_twice_is_taken_once(desk: Desk) -> None:
    circuits(desk, WO)

    assert snap(desk, MON, MON).counts == {"snapshots": 1, "dates": 1}


def test_the_log_and_the_events_tell_what_was_taken(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    events = len(desk.events())

    result = snap(desk, trigger="scheduled", run_id="r1")

    log = desk.log()
    assert (log["id"], log["sync_type"], log["sync_status"]) == (result.sync_id, "snapshots", "completed")
    assert (log["sync_trigger"], log["dagster_run_id"], log["circuits_processed"]) == ("scheduled", "r1", 2)
    started, completed = desk.events()[events:]
    assert (started["name"], started["payload"]["sync_type"]) == ("sync.started", "snapshots")
    assert (completed["name"], completed["payload"]["circuits_processed"]) == ("sync.completed", 2)


def test_snapshots_that_fail_leave_the_old_ones_and_close_the_log(desk: Desk) -> None:
    circuits(desk, WO)
    snap(desk)
    before = desk.versions("circuit_snapshots")
    desk.execute("ALTER TABLE circuit_snapshots ADD CHECK (miles_planned < 6)")
    circuits(desk, WO, VEGJOB_LENGTHCOMP=6)

    with pytest.raises(Exception, match="violates check constraint"):
        snap(desk)

    assert desk.versions("circuit_snapshots") == before
    assert desk.log()["sync_status"] == "failed"


def test_a_clock_that_runs_ahead_elsewhere_makes_no_circuit_vanish(desk: Desk) -> None:
    circuits(desk, WO, VEGJOB_LENGTHCOMP=1)
    desk.clock.advance(minutes=30)
    circuits(desk, WO, VEGJOB_LENGTHCOMP=2)
    desk.clock.advance(minutes=-10)

    snap(desk)

    assert miles(desk, MON) == {WO: 2}


# Changes of status, and history in bounded space.


def test_a_change_of_status_is_a_snapshot_at_once(desk: Desk) -> None:
    circuits(desk, WO, "2026-0102")
    answer_units(desk, WO, unit(feet=3))
    answer_units(desk, "2026-0102")
    sync_units(desk)
    circuits(desk, WO, status="CLOSE", VEGJOB_LENGTHCOMP=10)

    (row,) = shots(desk, MON, "status_change").values()
    assert (row["api_status"], row["workflow_stage"], row["as_of"]) == ("CLOSE", "closed", desk.clock())
    assert (row["miles_planned"], row["total_linear_ft"]) == (10, 3)


def test_every_change_of_status_of_a_day_is_kept(desk: Desk) -> None:
    for status in ("ACTIV", "QC", "REWRK", "QC"):
        circuits(desk, WO, status=status)

    assert desk.column("SELECT api_status FROM circuit_snapshots ORDER BY id") == ["QC", "REWRK", "QC"]


def test_syncs_and_snapshots_in_which_nothing_changed_add_no_history(desk: Desk) -> None:
    for _ in range(4):
        circuits(desk, WO, "2026-0102")
        for name in (WO, "2026-0102"):
            answer_units(desk, name, unit(feet=1))
        sync_units(desk)
        snap(desk)
        desk.clock.advance(days=1)

    assert desk.one("SELECT count(*) FROM circuit_history") == 2
    assert desk.one("SELECT count(*) FROM circuit_aggregates") == 2


# A snapshot taken that evening is the one that is backfilled later.

CHANGES = st.sampled_from(["miles", "done", "status", "planner", "leave", "exclude", "units", "nothing"])
NEXT = {"ACTIV": "QC", "QC": "CLOSE", "CLOSE": "ACTIV"}
DAYS = st.lists(st.lists(st.tuples(CHANGES, st.integers(0, 3)), max_size=3), min_size=3, max_size=5)


@settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(DAYS, st.sampled_from([date(2026, 3, 2), date(2026, 3, 5), date(2026, 10, 29)]))
def test_the_snapshot_of_an_evening_is_the_one_that_is_backfilled_later(
    desk: Desk, days: list[list[tuple[str, int]]], first: date
) -> None:
    desk.forget()
    rows: dict[str, dict[str, Any]] = {f"2026-010{number}": {} for number in range(4)}
    evenings: dict[date, dict[str, dict[str, Any]]] = {}
    for number, changes in enumerate(days):
        day = first + timedelta(days=number)
        desk.clock.instant = datetime(day.year, day.month, day.day, 8, tzinfo=EASTERN).astimezone(UTC)
        _live(desk, rows, changes, day)
        desk.clock.instant = end_of(day).astimezone(UTC) - timedelta(minutes=1)
        if is_weekday(day):
            snap(desk)
            evenings[day] = shots(desk, day)
    desk.clock.advance(days=400)
    desk.execute("UPDATE circuits SET miles_planned = 77, api_status = 'CLOSE'")

    snap(desk, *evenings)

    for day, then in evenings.items():
        assert _but_instants(shots(desk, day)) == _but_instants(then)


def _live(desk: Desk, rows: dict[str, dict[str, Any]], changes: list[tuple[str, int]], day: date) -> None:
    """A day on which circuits change as told; then they are synced, and the units of those that are told."""
    with_units = []
    for change, which in changes:
        name = f"2026-010{which}"
        row = rows[name]
        if change == "exclude":
            desk.execute("UPDATE circuits SET is_excluded = NOT is_excluded WHERE work_order = %s", name)
        elif change == "units":
            with_units.append(name)
            answer_units(desk, name, *(unit(feet=day.day) for _ in range(which)))
        else:
            row |= {
                "miles": {"VEGJOB_LENGTHCOMP": day.day + which},
                "done": {"VEGJOB_PRCENT": 50 if row.get("VEGJOB_PRCENT") == 100 else 100},
                "status": {"WSREQ_STATUS": NEXT[row.get("WSREQ_STATUS", "ACTIV")]},
                "planner": {"SS_TAKENBY": f"CONTRACTOR\\p{day.day}"},
                "leave": {"gone": not row.get("gone")},
                "nothing": {},
            }[change]
    for status in ("ACTIV", "QC", "CLOSE"):
        listed = [
            {"SS_WO": name} | {key: value for key, value in row.items() if key != "gone"}
            for name, row in rows.items()
            if row.get("WSREQ_STATUS", "ACTIV") == status and not row.get("gone")
        ]
        desk.answer(status, listed)
    desk.sync("ACTIV", "QC", "CLOSE", accept_departures=True)
    known = desk.column("SELECT work_order FROM circuits WHERE work_order = ANY(%s)", with_units)
    if known:
        sync_units(desk, work_orders=known)


def _but_instants(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in row.items() if key != "as_of"} for name, row in found.items()}
