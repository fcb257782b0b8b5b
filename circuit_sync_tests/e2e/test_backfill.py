"""A backfill of sixty past weekdays, started as the page of ``daily_snapshots`` starts it, under a real daemon."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.domain.eastern import (
    EASTERN,
    eastern_date,
    latest_weekday,
    previous_weekday,
    week_ending,
    weekdays_between,
    weeks_of,
)
from circuit_sync.environment import first_partition
from circuit_sync.settings import load_settings
from circuit_sync.simulator import Simulator, World, environment
from circuit_sync.sync.progress.report import report_page, week_progress
from circuit_sync.sync.session import Session
from circuit_sync_tests.e2e.deployment import Deployment
from circuit_sync_tests.scenery import Clock, Desk, session_for, until

TODAY = latest_weekday(eastern_date(datetime.now(UTC)))
YESTERDAY = previous_weekday(TODAY)
DAYS = weekdays_between(YESTERDAY - timedelta(days=110), YESTERDAY)[-60:]
SYNCED = DAYS[::10]
"""The dates of the six syncs; at each circuit ``n`` has come ``n`` miles further."""
REGIONS = {"Lehigh": (1, 2), "Central": (3, 4, 5)}
DAILY = ("daily_snapshots", "regional_daily", "planner_daily", "season_daily")
WEEKLY = ("regional_weekly", "planner_weekly")

_BACKFILL = """mutation ($wanted: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $wanted) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_STATUS = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status error { message } } ... on PythonError { message } } }"""
_SHOWN = """query ($key: AssetKeyInput!, $day: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionStats { numMaterialized numFailed } staleStatus(partition: $day)
    assetMaterializations(partitions: [$day], limit: 1) { metadataEntries { label } } } } }"""


class Past:
    """A deployment whose database knows sixty weekdays of history, and no snapshot of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        url = stack.enter_context(embedded_server(folder))
        self.database = stack.enter_context(Database(url))
        upgrade(self.database)
        simulator = stack.enter_context(Simulator(World(circuits=5), advance=False))
        clock = Clock()
        desk = Desk(session_for(self.database, simulator.base_url, clock), simulator, clock)
        for number, day in enumerate(SYNCED):
            clock.instant = datetime(day.year, day.month, day.day, 12, tzinfo=EASTERN).astimezone(UTC)
            desk.answer("ACTIV", _circuits(number))
            desk.sync("ACTIV")
        settings = environment(simulator.base_url) | {
            "CIRCUIT_SYNC_DATABASE_URL": url,
            "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
            **first_partition(load_settings(), self.database),
        }
        self.deployment = stack.enter_context(
            Deployment(folder / "home", url, {"circuit_sync": settings}, "circuit_sync.definitions", at_once=3)
        )

    def backfill(self, asset: str, days: Sequence[date]) -> None:
        """What *Materialize* on the asset's page starts for several partitions; waits for its end."""
        wanted = {"assetSelection": [{"path": [asset]}], "partitionNames": [day.isoformat() for day in days]}
        started = self.deployment.ask(_BACKFILL, wanted=wanted)["launchPartitionBackfill"]
        assert "backfillId" in started, started

        def ended() -> bool:
            found = self.deployment.ask(_STATUS, id=started["backfillId"])["partitionBackfillOrError"]
            assert not found["status"].endswith("FAILED"), found
            return str(found["status"]).startswith("COMPLETED")

        until(ended, 300)

    def shown(self, asset: str, day: date) -> dict[str, Any]:
        """What the asset's page tells of a partition."""
        found = self.deployment.ask(_SHOWN, key={"path": [asset]}, day=day.isoformat())
        return dict(found["assetNodeOrError"])


def _circuits(number: int) -> list[dict[str, Any]]:
    """What WorkStudio lists at a sync: no splits, so that what adds up can be worked out by hand."""
    return [
        {
            "SS_JOBGUID": f"guid-{n}",
            "SS_WO": f"2026-000{n}",
            "SS_EXT": "@",
            "REGION": region,
            "SS_TAKENBY": f"CONTRACTOR\\{region}",
            "VEGJOB_LENGTH": 100,
            "VEGJOB_LENGTHCOMP": 10 + n * number,
        }
        for region, numbers in REGIONS.items()
        for n in numbers
    ]


def _synced_by(day: date) -> int:
    return sum(synced <= day for synced in SYNCED) - 1


def _planned(region: str, day: date) -> int:
    return sum(10 + n * _synced_by(day) for n in REGIONS[region])


def _change(region: str, day: date) -> int:
    return sum(REGIONS[region]) if day in SYNCED[1:] else 0


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with ExitStack() as stack:
        found = Past(tmp_path_factory.mktemp("past"), stack)
        found.backfill("daily_snapshots", DAYS)
        yield found


def test_every_date_is_rolled_up_by_region_and_planner(past: Past) -> None:
    expected = [(day, region, _planned(region, day), _change(region, day)) for day in DAYS for region in REGIONS]
    regional = past.deployment.rows(
        "SELECT snapshot_date, name, miles_planned, miles_planned_change FROM regional_daily"
        " JOIN regions ON regions.id = region_id WHERE snapshot_date <= %s",
        YESTERDAY,
    )
    planner = past.deployment.rows(
        "SELECT snapshot_date, split_part(taken_by, chr(92), 2) AS name, miles_planned, miles_planned_change"
        " FROM planner_daily WHERE snapshot_date <= %s",
        YESTERDAY,
    )
    for found in (regional, planner):
        assert sorted(tuple(row.values()) for row in found) == sorted(expected)


def test_every_season_is_right(past: Past) -> None:
    found = past.deployment.rows(
        "SELECT snapshot_date, name, sum(miles_planned) AS planned, sum(circuits) AS circuits FROM season_daily"
        " JOIN regions ON regions.id = region_id WHERE snapshot_date <= %s GROUP BY 1, 2",
        YESTERDAY,
    )
    expected = [(day, region, _planned(region, day), len(REGIONS[region])) for day in DAYS for region in REGIONS]
    assert sorted(tuple(row.values()) for row in found) == sorted(expected)


def test_every_week_is_right(past: Past) -> None:
    found = past.deployment.rows(
        "SELECT week_ending, name, miles_planned, miles_planned_change FROM regional_weekly"
        " JOIN regions ON regions.id = region_id WHERE week_ending < %s",
        week_ending(YESTERDAY),
    )
    fridays = [friday for friday in weeks_of(DAYS) if friday < week_ending(YESTERDAY)]
    expected = [
        (
            friday,
            region,
            _planned(region, friday),
            sum(_change(region, day) for day in DAYS if week_ending(day) == friday),
        )
        for friday in fridays
        for region in REGIONS
    ]
    assert sorted(tuple(row.values()) for row in found) == sorted(expected)


@pytest.mark.parametrize("asset", DAILY + WEEKLY)
def test_its_partitions_are_green_and_up_to_date(past: Past, asset: str) -> None:
    """Today's may be there as well: a sensor takes it after the syncs."""
    day = week_ending(YESTERDAY) - timedelta(days=4) if asset in WEEKLY else YESTERDAY
    shown = past.shown(asset, day)
    least = len(weeks_of(DAYS)) if asset in WEEKLY else len(DAYS)
    assert shown["partitionStats"]["numMaterialized"] in (least, least + 1)
    assert shown["partitionStats"]["numFailed"] == 0
    assert shown["staleStatus"] == "FRESH"
    labels = [entry["label"] for entry in shown["assetMaterializations"][0]["metadataEntries"]]
    assert "empty" not in labels
    picture = {"daily_snapshots": "snapshots", "planner_daily": "newly_planned", "planner_weekly": "newly_planned"} | {
        "season_daily": "burn_up"
    }
    assert picture.get(asset, "progress") in labels


def test_the_report_of_a_week_adds_up(past: Past) -> None:
    day = SYNCED[3]
    week = week_progress(Session(past.database), day)
    changes = {planner.planner: planner.totals["miles_planned_change"] for planner in week.planners}
    assert changes == {f"CONTRACTOR\\{region}": Decimal(sum(numbers)) for region, numbers in REGIONS.items()}
    assert "miles planned this week" in report_page(week)


def test_its_log_and_its_checks_cover_the_roll_ups(past: Past) -> None:
    (log,) = past.deployment.rows(
        "SELECT * FROM sync_logs WHERE sync_type = 'snapshots' AND jsonb_array_length(context -> 'dates') = 60"
    )
    assert log["sync_status"] == "completed"
    assert set(log["context"]["seconds"]) == {"snapshots", "roll_ups"}
    checks = "SELECT check_name, execution_status FROM dagster.asset_check_executions WHERE run_id = %s"
    found = {row["check_name"]: row["execution_status"] for row in past.deployment.rows(checks, log["dagster_run_id"])}
    assert found["roll_ups_agree"] == found["dates_have_snapshots"] == "SUCCEEDED"
