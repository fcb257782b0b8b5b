"""The sensors that put right what went wrong: they close what a dead run left behind, and try failed syncs again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from circuit_sync.database.locks import is_run_alive
from circuit_sync.domain.errors import PermanentError
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.automation.decisions import RunUnderWay, abandoned_syncs, dead_runs
from circuit_sync.orchestration.recovery.retrying import RunsSoFar, retries_to_start, run_requests
from circuit_sync.orchestration.runs.failures import End, end_without_log
from circuit_sync.orchestration.runs.jobs import (
    create_daily_snapshots,
    sync_circuit_aggregates,
    sync_circuits,
    sync_work_orders,
)
from circuit_sync.orchestration.runs.resources import looking
from circuit_sync.orchestration.runs.runs import IN_PROGRESS, cancelled_by_a_person, our_runs, sync_of
from circuit_sync.orchestration.runs.tags import NEEDS_NO_SYNC_TAG, RETRY_OF_TAG, SYNC_TAG, TERMINAL_TAG, own_tags
from circuit_sync.sync.log.closing import CANCELLED
from circuit_sync.sync.log.recovery import close_abandoned, fail_unopened, open_syncs, without_log
from circuit_sync.sync.log.retries import cancel_retries, pending_retries
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
    with looking() as session:

        def alive(run_id: str) -> bool:
            return is_run_alive(session.database, run_id)

        closed = []
        for sync in abandoned_syncs(open_syncs(session)):
            closed += _close(instance, session, sync["id"], sync["dagster_run_id"])
        found = _runs_in_progress(instance, tags)
        for dead in dead_runs(found, alive, clock.now(), grace=GRACE, start_timeout=start_timeout):
            closed += _fail(instance, session, dead)
        for run in _failed_without_a_log(instance, session, tags):
            told = _tell(instance, session, run, _end_of(instance, run))
            if not told:
                instance.add_run_tags(run.run_id, {NEEDS_NO_SYNC_TAG: run.run_id})
            closed += told
    return closed


@dg.sensor(
    jobs=[sync_circuits, sync_circuit_aggregates, create_daily_snapshots, sync_work_orders],
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a sync again that failed for a passing reason, after the delays of CIRCUIT_SYNC_RETRY_DELAYS",
)
def retry_failed_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """What a sync was asked for stands in its log, and so does when it is to run again."""
    instance = context.instance

    def runs_for(sync_id: int) -> RunsSoFar:
        tags = {RETRY_OF_TAG: str(sync_id), **(our_runs(context) or {})}
        runs = [run for run in instance.get_runs(dg.RunsFilter(tags=tags)) if RETRY_OF_TAG in own_tags(run)]
        unfinished = [run.run_id for run in runs if not run.is_finished]
        cancelled = [run.run_id for run in runs if cancelled_by_a_person(instance, run)]
        return RunsSoFar(len(runs), next(iter(unfinished), None), next(iter(cancelled), None))

    with looking() as session:
        decision = retries_to_start(pending_retries(session), runs_for, clock.now())
        cancel_retries(session, decision.cancelled)
    requests = [request for sync, number in decision.due for request in run_requests(sync, number)]
    told = [f"sync {sync_id} is not tried again: {why}" for sync_id, why in decision.cancelled.items()]
    return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "; ".join(told or decision.reasons))


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


def _fail(instance: dg.DagsterInstance, session: Session, dead: RunUnderWay) -> list[str]:
    """The log first: if that fails, the run is still found the next time."""
    reason = f"the process of run {dead.run_id} is gone (it was {dead.status} and nobody holds its lock)"
    run = instance.get_run_by_id(dead.run_id)
    if run is None or run.is_finished:
        return []
    told = _tell(instance, session, run, End(reason))
    instance.report_run_failed(run, reason)
    return [reason, *told]


def _close(instance: dg.DagsterInstance, session: Session, sync_id: int, run_id: str) -> list[str]:
    run = instance.get_run_by_id(run_id)
    reason = f"run {run_id} ended without closing its sync: its process was killed or crashed"
    by_a_person = run is not None and cancelled_by_a_person(instance, run)
    if by_a_person:
        reason = CANCELLED
    closed = close_abandoned(session, sync_id, reason, passing=not by_a_person)
    return [f"sync {sync_id} closed as failed: {reason}"] if closed else []


def _failed_without_a_log(
    instance: dg.DagsterInstance, session: Session, tags: Mapping[str, str] | None
) -> list[dg.DagsterRun]:
    """Runs that failed lately before they opened the sync log that they were to open, oldest first.

    Not those that somebody watched in a terminal, nor retries, which start again as the sync that they retry says.
    """
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags=tags, updated_after=clock.now() - LATELY)
    runs = [
        run
        for run in reversed(instance.get_runs(wanted))
        if run.tags.get(NEEDS_NO_SYNC_TAG) != run.run_id
        and not own_tags(run).keys() & {TERMINAL_TAG, RETRY_OF_TAG}
        and sync_of(run) is not None
    ]
    unlogged = without_log(session, [run.run_id for run in runs])
    return [run for run in runs if run.run_id in unlogged]


def _end_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> End:
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return end_without_log(run.run_id, [entry.get_dagster_event() for entry in failures])


def _tell(instance: dg.DagsterInstance, session: Session, run: dg.DagsterRun, end: End) -> list[str]:
    """Gives a run that opened no sync log a failed one, unless a person cancelled it or knows already."""
    sync = sync_of(run)
    if sync is None or (end.wrong_use and sync.is_watched) or cancelled_by_a_person(instance, run):
        return []
    try:
        sync_id = fail_unopened(session, sync, end.reason, passing=end.passing)
    except PermanentError:
        return []  # It opens its log right now, or its tags say what the database does not take.
    if sync_id is None:
        return []
    instance.add_run_tags(run.run_id, {SYNC_TAG: str(sync_id)})
    return [f"sync {sync_id} closed as failed: {end.reason}"]
