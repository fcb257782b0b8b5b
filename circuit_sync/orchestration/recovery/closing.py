"""Closes what a dead run left behind: the run in progress, its sync log, or the log that it did not come to open."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from circuit_sync.database.locks import is_run_alive
from circuit_sync.domain.errors import PermanentError
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.runs.failures import RunEnd, end_without_log
from circuit_sync.orchestration.runs.requests import request_of
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.runs.runs import (
    NEEDS_NO_SYNC_TAG,
    SYNC_TAG,
    TERMINAL_TAG,
    UNFINISHED,
    cancelled_by_a_person,
    our_runs,
    tags_not_copied,
)
from circuit_sync.sync.log.closing import CANCELLED, close_as_failed, fail_unopened, open_syncs, runs_without_log
from circuit_sync.sync.session import Session

# A dead run is found at most GRACE + LOOK_EVERY + the daemon's own 5 s after it died, its sync log earlier: within a
# minute. A run that died while starting takes as long as `run_monitoring.start_timeout_seconds` in dagster.yaml says.
GRACE = timedelta(seconds=20)
LOOK_EVERY = 20
# Runs that failed before they opened their sync log are looked for as far back: for an outage of the database alone.
LATELY = timedelta(hours=6)

Status = dg.DagsterRunStatus
_IN_PROGRESS = [status for status in UNFINISHED if status is not Status.QUEUED]


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes what a dead run left behind: the run in progress and its started sync log, both as failed",
)
def close_abandoned_syncs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Says what it closed."""
    return dg.SkipReason("; ".join(close_what_died(context.instance, our_runs(context))) or "nothing is abandoned")


def close_what_died(instance: dg.DagsterInstance, tags: Mapping[str, str] | None) -> list[str]:
    """Closes dead runs with these tags, and sync logs whose run is dead; a line for each.

    A living run holds a lock that goes with its process; a run in progress without it is dead. A run that ended before
    it opened its sync log gets a failed one: so it is reported, and tried again. ``tags`` are those of this code
    location's runs: another's locks lie in another database.
    """
    with sensor_session() as session:
        return [
            *_close_syncs(instance, session),
            *_close_runs(instance, session, tags),
            *_log_failed_runs(instance, session, tags),
        ]


def _close_syncs(instance: dg.DagsterInstance, session: Session) -> list[str]:
    """No grace is needed: a run takes its lock before it opens a sync log. A sync of no run is left alone."""
    lines = []
    for sync in open_syncs(session):
        if sync.run_id is None or sync.is_alive:
            continue
        run = instance.get_run_by_id(sync.run_id)
        is_cancelled = run is not None and cancelled_by_a_person(instance, run)
        died = f"run {sync.run_id} ended without closing its sync: its process was killed or crashed"
        reason = CANCELLED if is_cancelled else died
        if close_as_failed(session, sync.id, reason, transient=not is_cancelled):
            lines.append(f"sync {sync.id} closed as failed: {reason}")
    return lines


def _close_runs(instance: dg.DagsterInstance, session: Session, tags: Mapping[str, str] | None) -> list[str]:
    """The log first: if that fails, the run is still found the next time."""
    lines = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_IN_PROGRESS, tags=tags)):
        run_id, was = record.dagster_run.run_id, record.dagster_run.status
        if is_run_alive(session.database, run_id) or not _is_overdue(instance, record):
            continue
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            continue
        reason = f"the process of run {run_id} is gone (it was {was.value} and nobody holds its lock)"
        lines += [reason, *_write_failed_log(instance, session, run, RunEnd(reason))]
        instance.report_run_failed(run, reason)
    return lines


def _is_overdue(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the run was silent for too long: one that ends releases its lock a moment before Dagster notes the end.

    A run that is not STARTED has not reached its first step, where it takes the lock: it is given the time to start.
    """
    run = record.dagster_run
    latest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    since = datetime.fromtimestamp(latest[0].timestamp, UTC) if latest else record.update_timestamp
    is_starting = run.status in (Status.NOT_STARTED, Status.STARTING)
    allowed = timedelta(seconds=instance.run_monitoring_start_timeout_seconds) if is_starting else GRACE
    return clock.now() - since > allowed


def _log_failed_runs(instance: dg.DagsterInstance, session: Session, tags: Mapping[str, str] | None) -> list[str]:
    """Of runs that failed lately before they opened the sync log that they were to open, oldest first.

    Not those that somebody watched in a terminal.
    """
    wanted = dg.RunsFilter(statuses=[Status.FAILURE], tags=tags, updated_after=clock.now() - LATELY)
    runs = [
        run
        for run in reversed(instance.get_runs(wanted))
        if run.tags.get(NEEDS_NO_SYNC_TAG) != run.run_id
        and TERMINAL_TAG not in tags_not_copied(run)
        and request_of(run) is not None
    ]
    unlogged = runs_without_log(session, [run.run_id for run in runs])
    return [line for run in runs if run.run_id in unlogged for line in log_failed_run(instance, session, run)]


def log_failed_run(instance: dg.DagsterInstance, session: Session, run: dg.DagsterRun) -> list[str]:
    """Writes the failed sync log of a run that failed before it opened one, or notes on the run that it needs none."""
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    end = end_without_log(run.run_id, [entry.get_dagster_event() for entry in failures])
    lines = _write_failed_log(instance, session, run, end)
    if not lines:
        instance.add_run_tags(run.run_id, {NEEDS_NO_SYNC_TAG: run.run_id})
    return lines


def _write_failed_log(instance: dg.DagsterInstance, session: Session, run: dg.DagsterRun, end: RunEnd) -> list[str]:
    """For a run that opened no sync log, unless a person cancelled it, or watched it and knows already."""
    request = request_of(run)
    if request is None or (end.wrong_use and request.is_watched) or cancelled_by_a_person(instance, run):
        return []
    try:
        sync_id = fail_unopened(session, request, end.reason, transient=end.transient)
    except PermanentError:
        return []  # It opens its log right now, or its tags say what the database does not take.
    if sync_id is None:
        return []
    instance.add_run_tags(run.run_id, {SYNC_TAG: str(sync_id)})
    return [f"sync {sync_id} closed as failed: {end.reason}"]
