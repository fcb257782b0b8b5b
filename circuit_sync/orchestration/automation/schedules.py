"""The weekday schedules, in Eastern Time through both clock changes.

A tick whose previous run of the same schedule is unfinished skips and says which run it waits for. After the daemon was
down, only the latest missed tick runs: nothing is done twice.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE, eastern_date, previous_weekday
from circuit_sync.domain.requests import SCHEDULED
from circuit_sync.orchestration.assets.partitions import partition_tags, status_ranges
from circuit_sync.orchestration.installation import installation_tags
from circuit_sync.orchestration.runs.jobs import create_daily_snapshots, sync_circuits
from circuit_sync.orchestration.runs.runs import unfinished_of_schedule
from circuit_sync.orchestration.runs.tags import TRIGGER_TAG
from circuit_sync.settings import load_settings

ACTIVE = ("ACTIV",)
WEEKLY = ("QC", "REWRK", "CLOSE")

Tick = dg.SkipReason | list[dg.RunRequest]


def _tick(context: dg.ScheduleEvaluationContext, schedule: str, ranges: Sequence[Sequence[str]]) -> Tick:
    """One run per range of partitions, unless the previous run of the schedule is unfinished."""
    unfinished = unfinished_of_schedule(context.instance, schedule)
    if unfinished is not None:
        return dg.SkipReason(
            f"the previous run {unfinished.run_id} of this schedule is not finished: {unfinished.status.value}"
        )
    tags = {TRIGGER_TAG: SCHEDULED} | installation_tags()
    at = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M%z}"
    return [dg.RunRequest(run_key=f"{at} {keys[0]}", tags=tags | partition_tags(keys)) for keys in ranges]


def _circuits(context: dg.ScheduleEvaluationContext, schedule: str, wanted: Sequence[str]) -> Tick:
    enabled = load_settings().workstudio_statuses
    ranges = status_ranges(status for status in wanted if status in enabled)
    if not ranges:
        return dg.SkipReason(f"WORKSTUDIO_STATUSES enables none of {', '.join(wanted)}")
    return _tick(context, schedule, ranges)


def snapshot_dates(today: date, first: date) -> list[str]:
    """Today's partition, and once more the previous weekday's, which is final by now; the two are neighbours."""
    return [day.isoformat() for day in (previous_weekday(today), today) if day >= first]


@dg.schedule(
    job=sync_circuits,
    cron_schedule="30 4 * * 1-5",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="ACTIV, before the day's work: Monday to Friday at 04:30 Eastern Time",
)
def sync_circuits_activ_morning(context: dg.ScheduleEvaluationContext) -> Tick:
    """ACTIV at 04:30."""
    return _circuits(context, "sync_circuits_activ_morning", ACTIVE)


@dg.schedule(
    job=sync_circuits,
    cron_schedule="30 16 * * 1-5",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="ACTIV, after the day's work: Monday to Friday at 16:30 Eastern Time",
)
def sync_circuits_activ_afternoon(context: dg.ScheduleEvaluationContext) -> Tick:
    """ACTIV at 16:30."""
    return _circuits(context, "sync_circuits_activ_afternoon", ACTIVE)


@dg.schedule(
    job=sync_circuits,
    cron_schedule="30 4 * * 1",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="QC, REWRK and CLOSE in one run: Monday at 04:30 Eastern Time",
)
def sync_circuits_weekly(context: dg.ScheduleEvaluationContext) -> Tick:
    """The statuses that change slowly."""
    return _circuits(context, "sync_circuits_weekly", WEEKLY)


@dg.schedule(
    name="create_daily_snapshots",
    job=create_daily_snapshots,
    cron_schedule="0 5 * * 1-5",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Today's snapshot, and the previous weekday's once more: Monday to Friday at 05:00 Eastern Time",
)
def daily_snapshots_schedule(context: dg.ScheduleEvaluationContext) -> Tick:
    """Today and the previous weekday."""
    today = eastern_date(context.scheduled_execution_time)
    dates = snapshot_dates(today, load_settings().circuit_sync_first_snapshot)
    if not dates:
        return dg.SkipReason(f"{today} lies before CIRCUIT_SYNC_FIRST_SNAPSHOT")
    return _tick(context, "create_daily_snapshots", [dates])
