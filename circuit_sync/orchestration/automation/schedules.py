"""The weekday schedules, in Eastern Time through both clock changes.

A tick whose previous run of the same schedule is unfinished skips and says which run it waits for. After the daemon was
down, only the latest missed tick runs: nothing is done twice.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE, eastern_date, previous_weekday
from circuit_sync.domain.requests import SCHEDULED
from circuit_sync.orchestration.assets.partitions import partition_tags, status_ranges
from circuit_sync.orchestration.installation import installation_tags
from circuit_sync.orchestration.runs.jobs import create_daily_snapshots, sync_circuits
from circuit_sync.orchestration.runs.runs import TRIGGER_TAG, unfinished_of_schedule
from circuit_sync.settings import load_settings

Tick = dg.SkipReason | list[dg.RunRequest]


def snapshot_dates(today: date, first: date) -> list[str]:
    """Today's partition, and once more the previous weekday's, which is final by now; the two are neighbours."""
    return [day.isoformat() for day in (previous_weekday(today), today) if day >= first]


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


def _schedule(
    name: str, job: Any, cron: str, description: str, tick: Callable[[dg.ScheduleEvaluationContext], Tick]
) -> dg.ScheduleDefinition:
    decorate = dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=TIME_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"{description} Eastern Time",
    )
    return decorate(tick)


def circuits_tick(name: str, *wanted: str) -> Callable[[dg.ScheduleEvaluationContext], Tick]:
    """For the schedule ``name``: a run per range of the ``wanted`` statuses, as far as they are enabled."""

    def tick(context: dg.ScheduleEvaluationContext) -> Tick:
        enabled = load_settings().workstudio_statuses
        ranges = status_ranges(status for status in wanted if status in enabled)
        if not ranges:
            return dg.SkipReason(f"WORKSTUDIO_STATUSES enables none of {', '.join(wanted)}")
        return _tick(context, name, ranges)

    return tick


def _circuits_schedule(name: str, cron: str, description: str, *wanted: str) -> dg.ScheduleDefinition:
    return _schedule(name, sync_circuits, cron, description, circuits_tick(name, *wanted))


def _snapshots_tick(context: dg.ScheduleEvaluationContext) -> Tick:
    today = eastern_date(context.scheduled_execution_time)
    dates = snapshot_dates(today, load_settings().circuit_sync_first_snapshot)
    if not dates:
        return dg.SkipReason(f"{today} lies before CIRCUIT_SYNC_FIRST_SNAPSHOT")
    return _tick(context, "create_daily_snapshots", [dates])


schedules = [
    _circuits_schedule(
        "sync_circuits_activ_morning",
        "30 4 * * 1-5",
        "ACTIV, before the day's work: Monday to Friday at 04:30",
        "ACTIV",
    ),
    _circuits_schedule(
        "sync_circuits_activ_afternoon",
        "30 16 * * 1-5",
        "ACTIV, after the day's work: Monday to Friday at 16:30",
        "ACTIV",
    ),
    _circuits_schedule(
        "sync_circuits_weekly", "30 4 * * 1", "QC, REWRK and CLOSE in one run: Monday at 04:30", "QC", "REWRK", "CLOSE"
    ),
    _schedule(
        "create_daily_snapshots",
        create_daily_snapshots,
        "0 5 * * 1-5",
        "Today's snapshot, and the previous weekday's once more: Monday to Friday at 05:00",
        _snapshots_tick,
    ),
]
