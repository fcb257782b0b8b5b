"""The roll-ups as Dagster sees them: which days make a week, what a partition shows, what follows what."""

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.definitions import defs
from circuit_sync.domain.eastern import eastern_date, latest_weekday, weekdays_between
from circuit_sync.domain.weeks import monday_of, week_ending
from circuit_sync.orchestration.columns import COLUMNS
from circuit_sync.orchestration.partitions import partition_tags, weekdays
from circuit_sync.orchestration.pictures import MOST_BYTES
from circuit_sync.orchestration.rollups import days_of_the_week, weeks
from circuit_sync.orchestration.weekly import span_of_weeks, weeks_after_days
from circuit_sync.workstudio.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for
from circuit_sync_tests.sync.snapshot_shelf import Shelf

EASTERN = ZoneInfo("America/New_York")
ROLL_UPS = ("regional_daily", "planner_daily", "regional_weekly", "planner_weekly")
NOW = datetime.now(EASTERN)
TODAY = latest_weekday(eastern_date(NOW))
MONDAY = monday_of(TODAY)
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def shelf(database: Database, configured: Simulator) -> Shelf:
    clock = Clock(NOW)
    return Shelf(Desk(session_for(database, configured.base_url, clock), configured, clock))


@pytest.fixture
def run(configured: Simulator, ephemeral: dg.DagsterInstance) -> Run:
    def run_job(job: str, *partitions: str) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(instance=ephemeral, tags=partition_tags(partitions))

    return run_job


def told(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dict[str, Any]]:
    """The metadata of each partition of an asset."""
    return {
        event.partition: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(asset)
    }


@pytest.mark.parametrize(
    ("now", "monday"),
    [
        (datetime(2026, 3, 9, 0, 0, tzinfo=EASTERN), "2026-03-09"),
        (datetime(2026, 3, 8, 23, 59, tzinfo=EASTERN), "2026-03-02"),
        (datetime(2026, 3, 6, 12, 0, tzinfo=EASTERN), "2026-03-02"),
        (datetime(2026, 11, 1, 1, 30, tzinfo=EASTERN), "2026-10-26"),
    ],
)
def test_the_week_under_way_is_a_partition_named_by_its_monday(now: datetime, monday: str) -> None:
    with dg.partition_loading_context(effective_dt=now):
        assert weeks.get_partition_keys()[-1] == monday


@pytest.mark.parametrize(
    ("monday", "friday"), [("2026-03-02", "2026-03-06"), ("2026-03-09", "2026-03-13"), ("2026-10-26", "2026-10-30")]
)
def test_a_week_is_fed_by_exactly_its_monday_to_friday(monday: str, friday: str) -> None:
    """Also over both changes of the clock, which fall on the Sundays 8 March and 1 November."""
    with dg.partition_loading_context(effective_dt=datetime(2026, 12, 1, tzinfo=EASTERN)):
        upstream = days_of_the_week.get_upstream_mapped_partitions_result_for_partitions(
            weeks.subset_with_partition_keys([monday]), weeks, weekdays
        )
        days = list(upstream.partitions_subset.get_partition_keys())
        expected = weekdays_between(date.fromisoformat(monday), date.fromisoformat(friday))
        assert days == [day.isoformat() for day in expected]
        for day in days:
            fed = days_of_the_week.get_downstream_partitions_for_partitions(
                weekdays.subset_with_partition_keys([day]), weekdays, weeks
            )
            assert list(fed.get_partition_keys()) == [monday]


@pytest.mark.parametrize(
    ("monday", "days"), [("2026-03-09", ["2026-03-09", "2026-03-10"]), ("2025-12-29", ["2026-01-01", "2026-01-02"])]
)
def test_the_first_week_and_the_one_under_way_need_no_day_that_is_none(monday: str, days: list[str]) -> None:
    """A backfill refuses a partition whose parents do not exist."""
    with dg.partition_loading_context(effective_dt=datetime(2026, 3, 10, 9, 0, tzinfo=EASTERN)):
        upstream = days_of_the_week.get_upstream_mapped_partitions_result_for_partitions(
            weeks.subset_with_partition_keys([monday]), weeks, weekdays
        )
        assert list(upstream.partitions_subset.get_partition_keys()) == days
        assert upstream.required_but_nonexistent_subset.is_empty


def test_one_run_takes_the_snapshots_and_rolls_them_up(run: Run, shelf: Shelf) -> None:
    assert run("sync_circuits", "ACTIV", "QC", "REWRK", "CLOSE").success
    result = run("create_daily_snapshots", TODAY.isoformat())
    regional = told(result, "regional_daily")[TODAY.isoformat()]
    snapshots = told(result, "daily_snapshots")[TODAY.isoformat()]["snapshots"]
    assert regional["circuits"] == snapshots > 0
    assert regional["dagster/row_count"] == shelf.desk.one("SELECT count(*) FROM regional_daily")
    assert told(result, "planner_daily")[TODAY.isoformat()]["circuits"] == snapshots
    records = [record.data for record in regional["rows"].records]
    assert {"region", "circuits", "total miles", "newly planned", "percent"} <= set(records[0])


def test_every_date_of_a_run_has_its_numbers(run: Run, shelf: Shelf) -> None:
    days = weekdays_between(MONDAY, TODAY)
    with dg.partition_loading_context(effective_dt=NOW):
        keys = [key for key in weekdays.get_partition_keys() if key >= days[0].isoformat()][:2]
    result = run("create_daily_snapshots", *keys)
    assert result.success
    for asset in ("regional_daily", "planner_daily"):
        shown = told(result, asset)
        assert list(shown) == keys
        assert all("circuits" in metadata for metadata in shown.values())


def test_pictures_are_png_and_small(run: Run, shelf: Shelf) -> None:
    for number in range(14):
        shelf.put(f"{number}", MONDAY, number, region=f"Region {number % 13}", taken_by=f"CONTRACTOR\\p{number}")
    shelf.roll_up(MONDAY)
    result = run("create_weekly_rollups", MONDAY.isoformat())
    regional = told(result, "regional_weekly")[MONDAY.isoformat()]
    planner = told(result, "planner_weekly")[MONDAY.isoformat()]
    for picture in (regional["progress"], regional["permissions"], planner["newly_planned"]):
        head, _, encoded = picture.removesuffix(")").partition("base64,")
        assert head.startswith("![")
        assert b64decode(encoded).startswith(b"\x89PNG")
        assert len(picture) < MOST_BYTES
    assert regional["week_ending"] == f"Friday, {week_ending(MONDAY)}"
    assert regional["dagster/row_count"] == 13


def test_imported_dates_are_named_on_their_partitions(run: Run, shelf: Shelf) -> None:
    shelf.put("1", MONDAY, 10, is_imported=True)
    shelf.roll_up(MONDAY)
    shown = told(run("create_weekly_rollups", MONDAY.isoformat()), "regional_weekly")[MONDAY.isoformat()]
    assert shown["imported"] == MONDAY.isoformat()


def test_a_week_without_snapshots_shows_none(run: Run, shelf: Shelf) -> None:
    shown = told(run("create_weekly_rollups", MONDAY.isoformat()), "regional_weekly")[MONDAY.isoformat()]
    assert (shown["dagster/row_count"], shown["circuits"]) == (0, 0)
    assert "progress" not in shown


@pytest.fixture
def evaluate(stored: dg.DagsterInstance) -> Callable[[str | None], dg.SensorResult]:
    """Looks whether weeks follow, from a cursor on."""

    def evaluate(cursor: str | None) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=stored, cursor=cursor, definitions=defs)
        result = weeks_after_days(context)
        assert isinstance(result, dg.SensorResult)
        return result

    return evaluate


def test_weeks_follow_their_days_once(
    stored: dg.DagsterInstance, evaluate: Callable[[str | None], dg.SensorResult]
) -> None:
    assert evaluate(None).run_requests in (None, [])
    for asset, day in (
        ("regional_daily", "2026-03-06"),
        ("planner_daily", "2026-03-06"),
        ("planner_daily", "2026-03-17"),
    ):
        stored.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))
    found = evaluate(None)
    (request,) = found.run_requests or ()
    assert partition_tags(["2026-03-02", "2026-03-16"]).items() <= request.tags.items()
    assert evaluate(found.cursor).run_requests in (None, [])


def test_what_was_rolled_up_without_a_date_is_passed_over(
    stored: dg.DagsterInstance, evaluate: Callable[[str | None], dg.SensorResult]
) -> None:
    stored.report_runless_asset_event(dg.AssetMaterialization("regional_daily"))
    found = evaluate(None)
    assert found.run_requests in (None, [])
    assert int(found.cursor or 0) > 0


def test_more_days_than_are_read_at_once_lose_none(
    stored: dg.DagsterInstance,
    evaluate: Callable[[str | None], dg.SensorResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("circuit_sync.orchestration.weekly.MOST_EVENTS", 2)
    for asset, day in (
        ("regional_daily", "2026-03-02"),
        ("regional_daily", "2026-03-03"),
        ("regional_daily", "2026-03-16"),
        ("planner_daily", "2026-03-02"),
    ):
        stored.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))
    first = evaluate(None)
    (request,) = evaluate(first.cursor).run_requests or ()
    assert "2026-03-16" in request.tags.values()


def test_weeks_of_one_week_are_one_partition() -> None:
    assert span_of_weeks(["2026-03-02", "2026-03-06"]) == ["2026-03-02"]


def test_columns_in_the_catalogue_are_those_of_the_database(shelf: Shelf) -> None:
    for table, columns in COLUMNS.items():
        found = shelf.desk.rows(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s",
            table,
        )
        assert {row["column_name"]: row["data_type"] for row in found} == {
            name: kind for name, (kind, _told) in columns.items()
        }
        assert all(told for _kind, told in columns.values())


def test_assets_carry_their_columns() -> None:
    for asset in ("circuit_aggregates", "daily_snapshots", *ROLL_UPS):
        schema = next(s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey(asset)).metadata
        assert "dagster/column_schema" in schema


def test_definitions_do_not_wait_for_matplotlib(tmp_path: Path) -> None:
    program = "import sys; from circuit_sync.definitions import defs; sys.exit('matplotlib' in sys.modules)"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False).returncode == 0
