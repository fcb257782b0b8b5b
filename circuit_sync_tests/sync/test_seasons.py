"""Seasons: finished work counts, each mile once, from history; and how they stand against their targets."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from circuit_sync.database.progress.states import dated_states
from circuit_sync.domain.eastern import last_instants, midnight, weekdays_between
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.domain.seasons import verdict
from circuit_sync.sync.progress.rollups import roll_up, roll_up_days
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync_tests.scenery import Desk, until
from circuit_sync_tests.sync.snapshot_shelf import Shelf

DAYS = weekdays_between(date(2026, 3, 2), date(2026, 3, 6))
MON, TUE, WED, THU, FRI = DAYS
NOON = timedelta(hours=12)
SUM = ("total_miles", "miles_planned", "miles_remaining", "miles_closed_unplanned")
CLOSED, GONE = {"api_status": "CLOSE"}, {"departed_at": midnight(MON)}


@dataclass
class Ledger:
    """Writes circuits with their history, and reads the seasons of it."""

    desk: Desk
    ids: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, *states: Mapping[str, Any], work_order: str = "", extension: str = "@") -> None:
        """A circuit with a state from noon of each of some days on; a state has a ``day``, MON if none is said."""
        begins = [midnight(state.get("day", MON)) + NOON for state in states]
        for state, begun, ended in zip(states, begins, [*begins[1:], None], strict=True):
            values = {"total_miles": 10, "miles_planned": 4, "start_date": date(2026, 1, 5)} | state
            values.pop("day", None)
            region = values.pop("region", "Lehigh")
            values["region_id"] = None if region is None else self.region(region)
            values |= {"work_order": work_order or name, "extension": extension}
            if name not in self.ids:
                self.ids[name] = self.desk.one(
                    "INSERT INTO circuits (job_guid, work_order, extension, api_status, content_hash)"
                    " VALUES (%s, %s, %s, 'ACTIV', '') RETURNING id",
                    name,
                    values["work_order"],
                    extension,
                )
            row = {"api_status": "ACTIV", "workflow_stage": "active", "is_excluded": False} | values
            row |= {"circuit_id": self.ids[name], "valid_from": begun, "valid_to": ended}
            places = ", ".join(["%s"] * len(row))
            self.desk.execute(f"INSERT INTO circuit_history ({', '.join(row)}) VALUES ({places})", *row.values())

    def region(self, name: str) -> int:
        return Shelf(self.desk).region(name)

    def seasons(self, day: date = FRI) -> list[dict[str, Any]]:
        """``season_daily`` of the date, computed anew, with each region's name."""
        roll_up(self.desk.session, [day], "season_daily")
        return self.desk.rows(
            "SELECT r.name AS region, d.* FROM season_daily AS d LEFT JOIN regions AS r ON r.id = d.region_id"
            " WHERE snapshot_date = %s ORDER BY season, region",
            day,
        )

    def season(self, day: date = FRI) -> dict[str, Any]:
        (row,) = self.seasons(day)
        assert row["total_miles"] == row["miles_planned"] + row["miles_remaining"] + row["miles_closed_unplanned"]
        return row

    def miles(self, day: date = FRI) -> tuple[Decimal, ...]:
        row = self.season(day)
        return tuple(row[name] for name in SUM)


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    return Ledger(desk)


def state(miles: float, planned: float, **values: Any) -> dict[str, Any]:
    return {"total_miles": miles, "miles_planned": planned} | values


def test_a_closed_circuit_counts_at_its_last_state_and_what_it_left_unplanned_is_told_apart(ledger: Ledger) -> None:
    ledger.write("open", state(100, 40))
    ledger.write("closed", state(50, 20), state(50, 45, day=WED, **CLOSED))
    assert ledger.miles(TUE) == (150, 60, 90, 0)
    assert ledger.miles(FRI) == (150, 85, 60, 5)
    row = ledger.season(FRI)
    assert (row["circuits"], row["circuits_closed"], row["circuits_departed"]) == (2, 1, 0)


def test_a_departed_circuit_counts_at_its_last_state_and_is_counted_apart(ledger: Ledger) -> None:
    ledger.write("open", state(100, 40))
    ledger.write("gone", state(50, 20), state(50, 20, day=WED, **GONE))
    assert ledger.miles(TUE) == ledger.miles(FRI) == (150, 60, 90, 0)
    assert [ledger.season(day)["circuits_departed"] for day in (TUE, FRI)] == [0, 1]


def test_seasons_that_two_compute_at_once_are_those_of_the_later(ledger: Ledger) -> None:
    ledger.write("open", state(100, 40))
    with ThreadPoolExecutor(1) as threads:
        with ledger.desk.database.transaction() as connection, dated_states(connection, last_instants([MON])):
            roll_up_days(connection, [MON], ledger.desk.clock())
            repaired = threads.submit(ledger.season, MON)
            until(lambda: ledger.desk.waiting() > 0)
        assert repaired.result()["circuits"] == 1


def test_an_excluded_circuit_does_not_count(ledger: Ledger) -> None:
    ledger.write("open", state(100, 40))
    ledger.write("cancelled", state(50, 20), state(50, 20, day=WED, is_excluded=True))
    assert [ledger.season(day)["circuits"] for day in (TUE, FRI)] == [2, 1]
    assert ledger.miles(FRI) == (100, 40, 60, 0)


SPLITS = {
    "in progress": ({}, {}, {}),
    "one in another status": ({}, {"api_status": "QC"}, {}),
    "one closed": ({}, CLOSED, {}),
    "both closed": ({}, CLOSED, CLOSED),
    "all closed": (CLOSED, CLOSED, CLOSED),
    "one departed": ({}, GONE, {}),
    "one closed and departed": ({}, GONE | CLOSED, {}),
    "both departed": ({}, GONE, GONE),
    "main departed": (GONE, {}, {}),
    "main and one departed": (GONE, GONE, {}),
    "all departed": (GONE, GONE, GONE),
    "main closed": (CLOSED, {}, {}),
    "main closed, one departed": (CLOSED, GONE, {}),
}


@pytest.mark.parametrize(("main", "left", "right"), SPLITS.values(), ids=SPLITS.keys())
def test_each_mile_of_a_split_work_order_counts_once(
    ledger: Ledger, main: dict[str, Any], left: dict[str, Any], right: dict[str, Any]
) -> None:
    ledger.write("main", state(60, 30), state(60, 30, day=WED, **main), work_order="1")
    ledger.write("left", state(35, 20), state(35, 20, day=WED, **left), work_order="1", extension="C_a")
    ledger.write("right", state(20, 5), state(20, 5, day=WED, **right), work_order="1", extension="C_ba")
    ledger.write("other", state(100, 100))
    before, after = ledger.season(TUE), ledger.season(FRI)
    assert (before["total_miles"], before["miles_planned"]) == (160, 130)
    assert (after["total_miles"], after["miles_planned"]) == (160, 130)
    assert after["circuits"] == 4


def test_a_circuit_that_was_split_anew_counts_its_miles_once(ledger: Ledger) -> None:
    ledger.write("main", state(60, 30), work_order="1")
    ledger.write("old", state(60, 30), state(60, 30, day=WED, **GONE), work_order="1", extension="C_a")
    ledger.write("left", state(40, 20, day=WED), work_order="1", extension="C_b")
    ledger.write("right", state(20, 10, day=WED), work_order="1", extension="C_c")
    assert ledger.miles(TUE) == ledger.miles(FRI) == (60, 30, 30, 0)


def test_a_departed_split_that_its_main_one_shows_no_longer_counts_for_itself(ledger: Ledger) -> None:
    ledger.write("main", state(60, 30), state(20, 10, day=WED), work_order="1")
    ledger.write("split", state(40, 20), state(40, 20, day=WED, **GONE), work_order="1", extension="C_a")
    assert ledger.miles(TUE) == ledger.miles(FRI) == (60, 30, 30, 0)


def test_where_splits_are_not_contained_a_departed_one_counts_for_itself_too(ledger: Ledger) -> None:
    ledger.write("main", state(10, 0), work_order="1")
    ledger.write("left", state(30, 10), work_order="1", extension="C_a")
    ledger.write("gone", state(8, 5), state(8, 5, day=WED, **GONE), work_order="1", extension="C_b")
    assert ledger.miles(TUE) == ledger.miles(FRI) == (48, 15, 33, 0)


def test_a_season_is_the_year_in_which_circuits_begin_as_of_the_date(ledger: Ledger) -> None:
    ledger.write("1", {"start_date": date(2025, 12, 31)}, {"start_date": date(2026, 1, 1), "day": WED})
    ledger.write("2", {"start_date": None, "region": None})
    ledger.write("3", {"start_date": date(2025, 6, 1), "region": "Central"})
    found = {
        day: [(row["region"], row["season"], row["circuits"]) for row in ledger.seasons(day)] for day in (TUE, FRI)
    }
    assert found[TUE] == [("Central", 2025, 1), ("Lehigh", 2025, 1), (None, None, 1)]
    assert found[FRI] == [("Central", 2025, 1), ("Lehigh", 2026, 1), (None, None, 1)]


def test_units_are_those_of_circuits_whose_units_were_ever_fetched(ledger: Ledger) -> None:
    ledger.write("1", {})
    ledger.write("2", {}, CLOSED | {"day": WED})
    ledger.desk.execute(
        "INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units, units_pending) VALUES"
        " (%s, %s, 7, 3), (%s, %s, 9, 4)",
        *(ledger.ids["2"], MON, ledger.ids["2"], FRI),
    )
    shown = [
        tuple(ledger.season(day)[name] for name in ("circuits_with_units", "total_units", "units_pending"))
        for day in (TUE, THU, FRI)
    ]
    assert shown == [(1, 7, 3), (1, 7, 3), (1, 9, 4)]


def test_a_season_ends_28_days_after_its_last_change_or_with_its_target(ledger: Ledger) -> None:
    ledger.write("1", {}, CLOSED | {"day": WED})
    last, first_without = WED + timedelta(days=27), WED + timedelta(days=28)
    assert ledger.season(last)["circuits_closed"] == 1
    assert ledger.seasons(first_without) == []
    set_target(ledger, first_without + timedelta(days=7))
    assert ledger.season(first_without + timedelta(days=7))["circuits_closed"] == 1
    assert ledger.seasons(first_without + timedelta(days=8)) == []
    set_target(ledger, first_without - timedelta(days=7), "Lehigh")
    assert ledger.seasons(first_without) == [], "a region's own target goes before that of every region"


def test_a_departed_circuit_keeps_no_season_going(ledger: Ledger) -> None:
    ledger.write("1", {}, GONE | {"day": WED})
    assert ledger.season(WED + timedelta(days=27))["circuits_departed"] == 1
    assert ledger.seasons(WED + timedelta(days=28)) == []


def test_imported_dates_have_no_season(desk: Desk) -> None:
    shelf = Shelf(desk)
    shelf.put("1", MON, 10, is_imported=True)
    shelf.roll_up(MON)
    assert shelf.regional(MON)["Lehigh"]["circuits"] == 1
    assert desk.rows("SELECT * FROM season_daily") == []


def _without_hands(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("id", "computed_at")} for row in rows]


def test_a_backfill_equals_what_was_taken_that_evening(desk: Desk) -> None:
    main = {"SS_WO": "1", "REGION": "Lehigh", "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "/Date(2026-01-05)/"}
    split = main | {"SS_EXT": "C_a"}
    old = main | {"SS_WO": "2", "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "/Date(1899-12-30)/"}
    evenings: list[list[dict[str, Any]]] = [
        [main | {"VEGJOB_LENGTH": 60, "VEGJOB_LENGTHCOMP": 10}, old],
        [main | {"VEGJOB_LENGTH": 60, "VEGJOB_LENGTHCOMP": 12}, split | {"VEGJOB_LENGTH": 30, "VEGJOB_LENGTHCOMP": 9}],
        [main | {"VEGJOB_LENGTH": 60, "VEGJOB_LENGTHCOMP": 25}, old | {"REGION": "Central"}],
        [split | {"VEGJOB_LENGTH": 30, "VEGJOB_LENGTHCOMP": 30}, old],
    ]
    query = "SELECT * FROM season_daily ORDER BY snapshot_date, season, region_id"
    for day, rows in zip(DAYS, evenings, strict=False):
        desk.clock.instant = midnight(day) + timedelta(hours=20)
        desk.answer("ACTIV", rows)
        desk.sync(accept_departures=True)
        take(desk, day)
    taken = _without_hands(desk.rows(query))
    assert len({row["snapshot_date"] for row in taken}) == len(evenings)
    assert any(row["circuits_departed"] for row in taken)
    desk.execute("TRUNCATE season_daily")
    take(desk, *DAYS[: len(evenings)])
    assert _without_hands(desk.rows(query)) == taken


def take(desk: Desk, *days: date) -> None:
    take_snapshots(desk.session, open_snapshots(desk.session, SnapshotRequest(days)))


def set_target(ledger: Ledger, finish_on: date, region: str | None = None, season: int = 2026) -> None:
    ledger.desk.execute(
        "INSERT INTO season_targets (region_id, season, finish_on) VALUES (%s, %s, %s)",
        None if region is None else ledger.region(region),
        season,
        finish_on,
    )


def course(
    ledger: Ledger,
    *points: tuple[date, float],
    total: float = 100,
    region: str | None = None,
    season: int | None = 2026,
) -> None:
    """``season_daily`` as if these miles had been planned by these dates."""
    for day, planned in points:
        ledger.desk.execute(
            "INSERT INTO season_daily (snapshot_date, region_id, season, circuits, total_miles, miles_planned,"
            " miles_remaining) VALUES (%s, %s, %s, 1, %s, %s, %s)",
            *(day, region and ledger.region(region), season, total, planned, total - planned),
        )


def progress(ledger: Ledger, day: date) -> dict[str, Any]:
    (row,) = ledger.desk.rows("SELECT * FROM season_progress WHERE snapshot_date = %s", day)
    return row


NOW = date(2026, 6, 1)


def ago(days: int) -> date:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("points", "pace", "end"),
    [
        ([(ago(56), 0), (ago(28), 20), (ago(14), 21), (NOW, 40)], 5, NOW + timedelta(days=84)),
        ([(ago(14), 30), (NOW, 40)], 5, NOW + timedelta(days=84)),
        ([(ago(1), 39), (NOW, 40)], 7, NOW + timedelta(days=60)),
        ([(NOW, 40)], None, None),
        ([(ago(28), 40), (NOW, 40)], 0, None),
        ([(ago(28), 44), (NOW, 40)], -1, None),
        ([(ago(28), 0), (NOW, 0.01)], 0, None),
        ([(ago(28), 90), (NOW, 100)], Decimal("2.5"), NOW),
    ],
    ids=["four weeks", "less history", "a day", "first date", "nothing planned", "less planned", "hardly", "done"],
)
def test_the_pace_is_that_of_the_last_four_weeks(
    ledger: Ledger, points: list[tuple[date, float]], pace: float | None, end: date | None
) -> None:
    course(ledger, *points)
    row = progress(ledger, NOW)
    assert (row["miles_per_week"], row["projected_end"]) == (pace, end)


@pytest.mark.parametrize(
    ("finish_on", "needed", "overdue", "stands"),
    [
        (NOW + timedelta(days=42), 10, False, "42 days late"),
        (NOW + timedelta(days=84), 5, False, "on time"),
        (NOW, None, False, "84 days late"),
        (ago(1), None, True, "overdue"),
        (None, None, False, "no target"),
    ],
)
def test_a_target_says_which_pace_is_needed(
    ledger: Ledger, finish_on: date | None, needed: float | None, overdue: bool, stands: str
) -> None:
    course(ledger, (ago(28), 20), (NOW, 40))
    if finish_on:
        set_target(ledger, finish_on)
    row = progress(ledger, NOW)
    assert (row["finish_on"], row["needed_miles_per_week"], row["is_overdue"]) == (finish_on, needed, overdue)
    assert verdict(row) == stands


def test_a_season_that_is_done_is_not_overdue_and_needs_nothing(ledger: Ledger) -> None:
    course(ledger, (ago(28), 90), (ago(7), 100), (NOW, 101))
    set_target(ledger, ago(3))
    assert (progress(ledger, ago(7))["needed_miles_per_week"], progress(ledger, NOW)["is_overdue"]) == (0, False)
    assert verdict(progress(ledger, NOW)) == "done"


def test_a_target_without_region_is_every_regions_that_has_none_of_its_own(ledger: Ledger) -> None:
    for region in ("Lehigh", "Central", None):
        course(ledger, (NOW, 40), region=region)
    course(ledger, (NOW, 40), region="Lehigh", season=None)
    course(ledger, (NOW, 40), region="Lehigh", season=2025)
    set_target(ledger, date(2026, 11, 30))
    set_target(ledger, date(2026, 10, 30), "Central")
    rows = ledger.desk.rows(
        "SELECT r.name AS region, season, finish_on FROM season_progress LEFT JOIN regions AS r ON r.id = region_id"
    )
    assert {(row["region"], row["season"]): row["finish_on"] for row in rows} == {
        ("Lehigh", 2026): date(2026, 11, 30),
        ("Central", 2026): date(2026, 10, 30),
        (None, 2026): date(2026, 11, 30),
        ("Lehigh", None): None,
        ("Lehigh", 2025): None,
    }


def _nodes(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", ()) for node in _nodes(part))]


def test_one_date_is_read_by_index_however_long_the_past_is(ledger: Ledger) -> None:
    """In a database that nobody ever analyzed."""
    ledger.desk.execute("ALTER TABLE season_daily SET (autovacuum_enabled = false)")
    ledger.desk.execute(
        "INSERT INTO season_daily (snapshot_date, season, total_miles, miles_planned)"
        " SELECT date '2024-01-01' + day, 2000 + season, 1000, day FROM generate_series(0, 800) AS day,"
        " generate_series(1, 20) AS season"
    )
    with psycopg.connect(ledger.desk.database.url) as connection:
        told = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM season_progress WHERE snapshot_date = '2025-06-02'"
        ).fetchone()
    assert told
    plan = (told[0] if isinstance(told[0], list) else json.loads(told[0]))[0]["Plan"]
    reads = [node for node in _nodes(plan) if node.get("Relation Name") == "season_daily"]
    assert reads
    assert {node["Node Type"] for node in reads} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert plan["Actual Rows"] == 20
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 600, "of some 300 pages of the whole table"
