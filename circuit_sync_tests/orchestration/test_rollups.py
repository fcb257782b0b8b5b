"""The roll-ups as Dagster sees them: which days make a week, what a partition shows, what follows what."""

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.descriptions import columns_of
from circuit_sync.definitions import defs
from circuit_sync.domain.eastern import eastern_date, latest_weekday, monday_of, week_ending, weekdays_between
from circuit_sync.orchestration.assets.partitions import partition_tags, weekdays
from circuit_sync.orchestration.assets.rollups import MOST_BYTES, days_of_the_week, weeks
from circuit_sync.simulator import Simulator
from circuit_sync_tests.scenery import Clock, Desk, session_for
from circuit_sync_tests.sync.snapshot_shelf import Shelf

EASTERN = ZoneInfo("America/New_York")
ROLL_UPS = ("regional_daily", "planner_daily", "regional_weekly", "planner_weekly")
ASSETS = ("daily_snapshots", *ROLL_UPS)
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
    def run_job(name: str, *partitions: str) -> dg.ExecuteInProcessResult:
        """A job, or an asset alone as its page starts it."""
        if name in ASSETS:
            job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey(name)})
        else:
            job = defs.resolve_job_def(name)
        return job.execute_in_process(instance=ephemeral, tags=partition_tags(partitions))

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


@pytest.mark.parametrize("started_as", ["create_daily_snapshots", "daily_snapshots"], ids=["job", "asset page"])
def test_whatever_takes_snapshots_rolls_them_up_and_shows_it(run: Run, shelf: Shelf, started_as: str) -> None:
    assert run("sync_circuits", "ACTIV", "QC", "REWRK", "CLOSE").success
    result = run(started_as, TODAY.isoformat())
    regional = told(result, "regional_daily")[TODAY.isoformat()]
    snapshots = told(result, "daily_snapshots")[TODAY.isoformat()]["snapshots"]
    assert regional["circuits"] == snapshots > 0
    assert regional["dagster/row_count"] == shelf.desk.one("SELECT count(*) FROM regional_daily")
    assert told(result, "planner_daily")[TODAY.isoformat()]["circuits"] == snapshots
    records = [record.data for record in regional["rows"].records]
    assert {"region", "circuits", "total miles", "newly planned", "percent"} <= set(records[0])
    weeks_shown = (
        told(result, "regional_weekly")[MONDAY.isoformat()],
        told(result, "planner_weekly")[MONDAY.isoformat()],
    )
    assert [week["circuits"] for week in weeks_shown] == [snapshots, snapshots]
    pictures = {"progress", "permissions"}
    assert pictures <= set(regional)
    assert pictures <= set(weeks_shown[0])
    assert "newly_planned" in weeks_shown[1]


def test_no_roll_up_is_older_than_its_snapshots(run: Run, shelf: Shelf) -> None:
    """Dagster calls an asset out of date whose input was materialised after it."""
    result = run("daily_snapshots", TODAY.isoformat())
    order = [event.asset_key.to_user_string() for event in result.all_events if event.is_step_materialization]  # type: ignore[union-attr]
    assert order == [
        "daily_snapshots",
        "regional_daily",
        "regional_weekly",
        "planner_daily",
        "planner_weekly",
        "season_daily",
    ]


def test_the_sync_log_closes_after_the_roll_ups_and_tells_their_time(run: Run, shelf: Shelf) -> None:
    assert run("daily_snapshots", TODAY.isoformat()).success
    log = shelf.desk.log()
    assert set(log["context"]["seconds"]) == {"snapshots", "roll_ups"}
    assert log["duration_seconds"] >= sum(log["context"]["seconds"].values())


def test_roll_ups_that_fail_fail_the_sync_and_leave_the_snapshots_as_they_were(run: Run, shelf: Shelf) -> None:
    shelf.put("1", TODAY, 7)
    shelf.desk.execute("ALTER TABLE planner_daily ADD CONSTRAINT never CHECK (false) NOT VALID")
    shelf.desk.execute("UPDATE circuits SET total_miles = 100, miles_planned = 8")
    before = shelf.desk.contents(["circuit_snapshots"])
    with pytest.raises(dg.Failure, match="never"):
        run("daily_snapshots", TODAY.isoformat())
    log = shelf.desk.log()
    assert (log["sync_type"], log["sync_status"]) == ("snapshots", "failed")
    assert shelf.desk.contents(["circuit_snapshots"]) == before


def test_a_later_date_that_was_corrected_is_shown_anew(run: Run, shelf: Shelf) -> None:
    monday, tuesday, next_week = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 12)
    for day, planned in ((monday, 10), (tuesday, 12), (next_week, 15)):
        shelf.put("1", day, planned, is_imported=True)
    result = run("daily_snapshots", tuesday.isoformat())
    for table in ("regional_daily", "planner_daily"):
        shown = told(result, table)
        assert [shown[day.isoformat()]["miles_planned_change"] for day in (tuesday, next_week)] == [2, 3]
        assert set(shown) == {tuesday.isoformat(), next_week.isoformat()}
    assert set(told(result, "daily_snapshots")) == {tuesday.isoformat()}
    for view in ("regional_weekly", "planner_weekly"):
        assert set(told(result, view)) == {"2026-03-02", "2026-03-09"}


def test_a_roll_up_is_repaired_by_itself_with_its_weeks(run: Run, shelf: Shelf) -> None:
    shelf.put("1", MONDAY, 10, is_imported=True)
    result = run("planner_daily", MONDAY.isoformat())
    assert told(result, "planner_daily")[MONDAY.isoformat()]["miles_planned"] == 10
    assert told(result, "planner_weekly")[MONDAY.isoformat()]["miles_planned"] == 10
    assert told(result, "regional_daily") == told(result, "daily_snapshots") == {}
    assert shelf.regional(MONDAY) == {}


def test_every_date_of_a_run_has_its_numbers(run: Run, shelf: Shelf) -> None:
    days = weekdays_between(MONDAY - timedelta(days=7), TODAY)
    keys = [day.isoformat() for day in days][:2]
    result = run("create_daily_snapshots", *keys)
    assert result.success
    for asset in ("regional_daily", "planner_daily"):
        shown = told(result, asset)
        assert list(shown) == keys
        assert all("circuits" in metadata for metadata in shown.values())


@pytest.mark.parametrize("asset", ASSETS)
def test_an_empty_date_says_so_first(run: Run, shelf: Shelf, asset: str) -> None:
    """As it is stored: a partition is green, and holds nothing."""
    assert run("sync_circuits", "ACTIV").success
    day = monday_of(MONDAY - timedelta(days=1)).isoformat()
    first, shown = next(iter(told(run("daily_snapshots", day), asset)[day].items()))
    assert (first, shown) == ("empty", f"before history begins ({eastern_date(NOW)})")


def test_without_any_history_an_empty_date_says_that(run: Run, shelf: Shelf) -> None:
    shown = told(run("daily_snapshots", TODAY.isoformat()), "daily_snapshots")[TODAY.isoformat()]
    assert next(iter(shown.items())) == ("empty", "no circuit was synced yet, so there is no history")


def test_a_date_with_snapshots_does_not_call_itself_empty(run: Run, shelf: Shelf) -> None:
    assert run("sync_circuits", "ACTIV").success
    result = run("daily_snapshots", TODAY.isoformat())
    for asset in ASSETS:
        assert all("empty" not in shown for shown in told(result, asset).values())


def checked(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_a_run_over_dates_before_history_fails_a_check_that_says_why(run: Run, shelf: Shelf) -> None:
    assert run("sync_circuits", "ACTIV").success
    before = [day.isoformat() for day in weekdays_between(MONDAY - timedelta(days=7), MONDAY - timedelta(days=3))]
    found = checked(run("daily_snapshots", *before))["dates_have_snapshots"]
    assert not found.passed
    assert found.description is not None
    assert f"5 dates, {before[0]} to {before[-1]}: before history begins" in found.description
    assert checked(run("daily_snapshots", TODAY.isoformat()))["dates_have_snapshots"].passed


def test_each_run_checks_its_roll_ups_and_that_no_date_lacks_them(run: Run, shelf: Shelf) -> None:
    shelf.put("1", MONDAY, 10, is_imported=True)
    found = checked(run("daily_snapshots", TODAY.isoformat()))["roll_ups_agree"]
    assert found.passed is (MONDAY == TODAY)
    assert checked(run("daily_snapshots", MONDAY.isoformat()))["roll_ups_agree"].passed


def test_pictures_are_png_and_small(run: Run, shelf: Shelf) -> None:
    for number in range(14):
        shelf.put(f"{number}", MONDAY, number, region=f"Region {number % 13}", taken_by=f"CONTRACTOR\\p{number}")
    shelf.roll_up(MONDAY)
    result = run("regional_weekly", MONDAY.isoformat())
    regional = told(result, "regional_weekly")[MONDAY.isoformat()]
    planner = told(run("planner_weekly", MONDAY.isoformat()), "planner_weekly")[MONDAY.isoformat()]
    for picture in (regional["progress"], regional["permissions"], planner["newly_planned"]):
        head, _, encoded = picture.removesuffix(")").partition("base64,")
        assert head.startswith("![")
        assert b64decode(encoded).startswith(b"\x89PNG")
        assert len(picture) < MOST_BYTES
    assert regional["week_ending"] == f"Friday, {week_ending(MONDAY)}"
    assert regional["dagster/row_count"] == 13


def test_a_season_shows_its_numbers_how_it_stands_and_its_burn_up(run: Run, shelf: Shelf) -> None:
    assert run("sync_circuits", "ACTIV", "QC", "REWRK", "CLOSE").success
    shown = told(run("daily_snapshots", TODAY.isoformat()), "season_daily")[TODAY.isoformat()]
    records = [record.data for record in shown["rows"].records]
    assert shown["dagster/row_count"] == len(records) == shelf.desk.one("SELECT count(*) FROM season_daily") > 0
    assert {"season", "region", "closed", "departed", "remaining", "target", "stands"} <= set(records[0])
    assert shown["circuits"] == shelf.desk.one("SELECT count(*) FROM circuits WHERE NOT is_excluded")
    encoded = shown["burn_up"].removesuffix(")").partition("base64,")[2]
    assert b64decode(encoded).startswith(b"\x89PNG")
    assert len(shown["burn_up"]) < MOST_BYTES


def test_imported_dates_are_named_on_their_partitions(run: Run, shelf: Shelf) -> None:
    shelf.put("1", MONDAY, 10, is_imported=True)
    shelf.roll_up(MONDAY)
    shown = told(run("regional_weekly", MONDAY.isoformat()), "regional_weekly")[MONDAY.isoformat()]
    assert shown["imported"] == MONDAY.isoformat()


def test_a_week_without_snapshots_shows_none(run: Run, shelf: Shelf) -> None:
    shown = told(run("regional_weekly", MONDAY.isoformat()), "regional_weekly")[MONDAY.isoformat()]
    assert (shown["dagster/row_count"], shown["circuits"]) == (0, 0)
    assert "progress" not in shown


def test_assets_carry_their_columns_as_the_database_describes_them() -> None:
    for asset in ("circuit_aggregates", "daily_snapshots", *ROLL_UPS, "season_daily"):
        metadata = next(s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey(asset)).metadata
        shown = [(c.name, c.type, c.description) for c in metadata["dagster/column_schema"].columns]
        table = "circuit_snapshots" if asset == "daily_snapshots" else asset
        assert shown == [(column.name, column.kind, column.text) for column in columns_of(table)]


def test_definitions_do_not_wait_for_matplotlib(tmp_path: Path) -> None:
    program = "import sys; from circuit_sync.definitions import defs; sys.exit('matplotlib' in sys.modules)"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False).returncode == 0
