from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from circuit_sync.definitions import defs
from circuit_sync.orchestration.automation.schedules import schedules
from circuit_sync.orchestration.terminal.execution import origin_of
from circuit_sync_tests.orchestration.dagster_internals import schedule_execution_time_iterator
from circuit_sync_tests.orchestration.runs import create_run_for_test

EASTERN = ZoneInfo("America/New_York")
MONDAY = datetime(2026, 3, 9, 4, 30, tzinfo=EASTERN)
ALL = sync_circuits_activ_morning, sync_circuits_activ_afternoon, sync_circuits_weekly, daily_snapshots_schedule = (
    schedules
)
CAUSE = {"circuit_sync/trigger": "scheduled"}


def evaluated(
    schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance, at: datetime
) -> tuple[Sequence[dict[str, str]], str | None]:
    """The tags of the runs that a tick starts, without Dagster's own, and why it starts none."""
    tick = schedule.evaluate_tick(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    ours = ("dagster/partition", "dagster/asset_partition_range", "circuit_sync/")
    tags = [
        {name: value for name, value in request.tags.items() if name.startswith(ours)}
        for request in tick.run_requests or ()
    ]
    return tags, tick.skip_message


def ticks_between(schedule: dg.ScheduleDefinition, first: datetime, last: datetime) -> list[datetime]:
    iterator = schedule_execution_time_iterator(first.timestamp(), schedule.cron_schedule, schedule.execution_timezone)
    return [tick.astimezone(UTC) for tick in takewhile(lambda tick: tick < last, iterator)]


@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.name)
@pytest.mark.parametrize(
    ("first", "last"),
    [
        (datetime(2026, 3, 2, tzinfo=EASTERN), datetime(2026, 3, 16, tzinfo=EASTERN)),
        (datetime(2026, 10, 26, tzinfo=EASTERN), datetime(2026, 11, 9, tzinfo=EASTERN)),
    ],
    ids=["spring", "autumn"],
)
def test_ticks_keep_their_hour_in_eastern_time_through_the_clock_changes(
    schedule: dg.ScheduleDefinition, first: datetime, last: datetime
) -> None:
    ticks = ticks_between(schedule, first, last)
    assert len(ticks) == (2 if schedule is sync_circuits_weekly else 10)
    assert len({tick.hour for tick in ticks}) == 2, "the hour in UTC moves with the clock change"
    assert len({tick.astimezone(EASTERN).time() for tick in ticks}) == 1
    assert all(tick.astimezone(EASTERN).weekday() < 5 for tick in ticks)


@pytest.mark.parametrize("schedule", [sync_circuits_activ_morning, sync_circuits_activ_afternoon])
def test_twice_a_weekday_the_active_circuits_are_synced(
    schedule: dg.ScheduleDefinition, stored: dg.DagsterInstance
) -> None:
    assert evaluated(schedule, stored, MONDAY) == ([CAUSE | {"dagster/partition": "ACTIV"}], None)


def test_on_mondays_the_other_statuses_are_synced_in_one_run(stored: dg.DagsterInstance) -> None:
    whole = {"dagster/asset_partition_range_start": "QC", "dagster/asset_partition_range_end": "CLOSE"}
    assert evaluated(sync_circuits_weekly, stored, MONDAY) == ([CAUSE | whole], None)


def test_a_disabled_status_is_left_out_and_splits_the_range(
    stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSTUDIO_STATUSES", "ACTIV,QC,CLOSE")
    runs = [CAUSE | {"dagster/partition": status} for status in ("QC", "CLOSE")]
    assert evaluated(sync_circuits_weekly, stored, MONDAY) == (runs, None)


def test_a_tick_none_of_whose_statuses_is_enabled_says_so(
    stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSTUDIO_STATUSES", "ACTIV")
    runs, reason = evaluated(sync_circuits_weekly, stored, MONDAY)
    assert not runs
    assert reason == "WORKSTUDIO_STATUSES enables none of QC, REWRK, CLOSE"


def test_on_mondays_the_snapshots_of_friday_and_today_are_one_range(stored: dg.DagsterInstance) -> None:
    span = {
        "dagster/asset_partition_range_start": "2026-03-06",
        "dagster/asset_partition_range_end": "2026-03-09",
    }
    assert evaluated(daily_snapshots_schedule, stored, MONDAY) == ([CAUSE | span], None)


def test_the_first_day_of_all_has_no_day_before(stored: dg.DagsterInstance) -> None:
    new_year = datetime(2026, 1, 1, 5, 0, tzinfo=EASTERN)
    assert evaluated(daily_snapshots_schedule, stored, new_year) == (
        [CAUSE | {"dagster/partition": "2026-01-01"}],
        None,
    )


@pytest.mark.parametrize("status", ["NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"])
@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.name)
def test_a_tick_waits_for_the_previous_run_of_its_schedule_and_names_it(
    schedule: dg.ScheduleDefinition, status: str, stored: dg.DagsterInstance
) -> None:
    run = create_run_for_test(
        stored,
        job_name=schedule.job_name,
        status=dg.DagsterRunStatus(status),
        tags={"dagster/schedule_name": schedule.name},
        remote_job_origin=origin_of(defs, schedule.job_name),
    )
    runs, reason = evaluated(schedule, stored, MONDAY)
    assert not runs
    assert reason == f"the previous run {run.run_id} of this schedule is not finished: {status}"


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_finished_run_or_another_schedules_does_not_hold_a_tick_up(status: str, stored: dg.DagsterInstance) -> None:
    own, other = "sync_circuits_activ_morning", "sync_circuits_activ_afternoon"
    create_run_for_test(stored, status=dg.DagsterRunStatus(status), tags={"dagster/schedule_name": own})
    create_run_for_test(stored, status=dg.DagsterRunStatus.STARTED, tags={"dagster/schedule_name": other})
    runs, _ = evaluated(sync_circuits_activ_morning, stored, MONDAY)
    assert len(runs) == 1


def test_another_installations_schedule_of_the_same_name_does_not_hold_a_tick_up(
    stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, mine = "sync_circuits_activ_morning", {"circuit_sync/installation": "distribution"}
    create_run_for_test(stored, status=dg.DagsterRunStatus.STARTED, tags={"dagster/schedule_name": name} | mine)
    monkeypatch.setenv("CIRCUIT_SYNC_ASSET_PREFIX", "transmission")
    runs, _ = evaluated(sync_circuits_activ_morning, stored, MONDAY)
    assert [run["circuit_sync/installation"] for run in runs] == ["transmission"]
    monkeypatch.setenv("CIRCUIT_SYNC_ASSET_PREFIX", "distribution")
    runs, reason = evaluated(sync_circuits_activ_morning, stored, MONDAY)
    assert not runs
    assert "is not finished: STARTED" in (reason or "")
