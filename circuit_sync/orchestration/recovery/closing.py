"""Closes what a dead run left behind: the run in progress, its sync log, or the log that it did not come to open."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from circuit_sync.database.locks import is_run_alive
from circuit_sync.domain.errors import PermanentError
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.runs.failures import RunEnd, end_without_log
from circuit_sync.orchestration.runs.requests import request_of
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.runs.runs import IN_PROGRESS, cancelled_by_a_person, our_runs
from circuit_sync.orchestration.runs.tags import NEEDS_NO_SYNC_TAG, SYNC_TAG, TERMINAL_TAG, tags_not_copied
from circuit_sync.sync.log.closing import (
    CANCELLED,
    OpenSync,
    close_as_failed,
    fail_unopened,
    open_syncs,
    runs_without_log,
)
from circuit_sync.sync.session import Session

# A dead run is found at most GRACE + LOOK_EVERY + the daemon's own 5 s after it died, its sync log earlier: within a
# minute. A run that died while starting takes as long as `run_monitoring.start_timeout_seconds` in dagster.yaml says.
GRACE = timedelta(seconds=20)
LOOK_EVERY = 20
# Runs that failed before they opened their sync log are looked for as far back: for an outage of the database alone.
LATELY = timedelta(hours=6)


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes what a dead run left behind: the run in progress and its started sync log, both as failed",
)
def close_abandoned_syncs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Looks, closes, and says what it closed."""
    return dg.SkipReason("; ".join(close_what_died(context.instance, our_runs(context))) or "nothing is abandoned")


def close_what_died(instance: dg.DagsterInstance, tags: Mapping[str, str] | None) -> list[str]:
    """Closes dead runs with these tags, and sync logs whose run is dead; a line for each.

    A living run holds a lock that goes with its process; a run in progress without it is dead. A run that ended before
    it opened its sync log gets a failed one: so it is told of, and tried again. ``tags`` are those of this code
    location's runs: another's locks lie in another database.
    """
    start_timeout = timedelta(seconds=instance.run_monitoring_start_timeout_seconds)
    with sensor_session() as session:

        def alive(run_id: str) -> bool:
            return is_run_alive(session.database, run_id)

        closed = []
        # No grace is needed: a run takes its lock before it opens a sync log. A sync of no run is left alone.
        for sync in open_syncs(session):
            if sync.run_id and not sync.is_alive:
                closed += _close_sync(instance, session, sync, sync.run_id)
        found = _runs_in_progress(instance, tags)
        for dead in dead_runs(found, alive, clock.now(), grace=GRACE, start_timeout=start_timeout):
            closed += _close_run(instance, session, dead)
        for run in _failed_without_a_log(instance, session, tags):
            lines = _write_failed_log(instance, session, run, _end_of(instance, run))
            if not lines:
                instance.add_run_tags(run.run_id, {NEEDS_NO_SYNC_TAG: run.run_id})
            closed += lines
    return closed


@dataclass(frozen=True)
class RunUnderWay:
    """A run in progress, as Dagster knows it."""

    run_id: str
    status: str
    since: datetime


def dead_runs(
    runs: Iterable[RunUnderWay],
    alive: Callable[[str], bool],
    now: datetime,
    *,
    grace: timedelta,
    start_timeout: timedelta,
) -> list[RunUnderWay]:
    """The runs whose process is gone: longer in progress than the grace, and nobody holds the run's lock.

    A run in STARTING has not reached its first step, where it takes the lock: it is given the time to start.
    """
    dead = []
    for run in runs:
        allowed = start_timeout if run.status == "STARTING" else grace
        if now - run.since > allowed and not alive(run.run_id):
            dead.append(run)
    return dead


def _runs_in_progress(instance: dg.DagsterInstance, tags: Mapping[str, str] | None) -> list[RunUnderWay]:
    records = instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS, tags=tags))
    return [
        RunUnderWay(
            record.dagster_run.run_id,
            record.dagster_run.status.value,
            datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.update_timestamp,
        )
        for record in records
    ]


def _close_sync(instance: dg.DagsterInstance, session: Session, sync: OpenSync, run_id: str) -> list[str]:
    run = instance.get_run_by_id(run_id)
    reason = f"run {run_id} ended without closing its sync: its process was killed or crashed"
    by_a_person = run is not None and cancelled_by_a_person(instance, run)
    if by_a_person:
        reason = CANCELLED
    closed = close_as_failed(session, sync.id, reason, transient=not by_a_person)
    return [f"sync {sync.id} closed as failed: {reason}"] if closed else []


def _close_run(instance: dg.DagsterInstance, session: Session, dead: RunUnderWay) -> list[str]:
    """The log first: if that fails, the run is still found the next time."""
    reason = f"the process of run {dead.run_id} is gone (it was {dead.status} and nobody holds its lock)"
    run = instance.get_run_by_id(dead.run_id)
    if run is None or run.is_finished:
        return []
    lines = _write_failed_log(instance, session, run, RunEnd(reason))
    instance.report_run_failed(run, reason)
    return [reason, *lines]


def _failed_without_a_log(
    instance: dg.DagsterInstance, session: Session, tags: Mapping[str, str] | None
) -> list[dg.DagsterRun]:
    """Runs that failed lately before they opened the sync log that they were to open, oldest first.

    Not those that somebody watched in a terminal.
    """
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags=tags, updated_after=clock.now() - LATELY)
    runs = [
        run
        for run in reversed(instance.get_runs(wanted))
        if run.tags.get(NEEDS_NO_SYNC_TAG) != run.run_id
        and TERMINAL_TAG not in tags_not_copied(run)
        and request_of(run) is not None
    ]
    unlogged = runs_without_log(session, [run.run_id for run in runs])
    return [run for run in runs if run.run_id in unlogged]


def _end_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunEnd:
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return end_without_log(run.run_id, [entry.get_dagster_event() for entry in failures])


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
