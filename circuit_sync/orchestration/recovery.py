"""The sensors that put right what went wrong: they close what a dead run left behind, and try failed syncs again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from circuit_sync.database.locks import is_run_alive
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.decisions import RunUnderWay, abandoned_syncs, dead_runs
from circuit_sync.orchestration.jobs import (
    create_daily_snapshots,
    sync_circuit_aggregates,
    sync_circuits,
    sync_work_orders,
)
from circuit_sync.orchestration.resources import looking
from circuit_sync.orchestration.retrying import RunsSoFar, retries_to_start, run_requests
from circuit_sync.orchestration.runs import IN_PROGRESS, our_runs
from circuit_sync.orchestration.tags import RETRY_OF_TAG
from circuit_sync.sync.recovery import close_abandoned, open_syncs
from circuit_sync.sync.retries import cancel_retries, pending_retries
from circuit_sync.sync.session import Session

# A dead run is found at most GRACE + LOOK_EVERY + the daemon's own 5 s after it died, its sync log earlier: within a
# minute. A run that died while starting takes as long as `run_monitoring.start_timeout_seconds` in dagster.yaml says.
GRACE = timedelta(seconds=20)
LOOK_EVERY = 20


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

    A living run holds a lock that goes with its process; a run in progress without it is dead. ``tags`` are those of
    this code location's runs: another's locks lie in another database.
    """
    start_timeout = timedelta(seconds=instance.run_monitoring_start_timeout_seconds)
    with looking() as session:

        def alive(run_id: str) -> bool:
            return is_run_alive(session.database, run_id)

        found = _runs_in_progress(instance, tags)
        closed = [
            _fail(instance, run)
            for run in dead_runs(found, alive, clock.now(), grace=GRACE, start_timeout=start_timeout)
        ]
        for sync in abandoned_syncs(open_syncs(session)):
            closed += _close(session, sync["id"], sync["dagster_run_id"])
    return closed


@dg.sensor(
    jobs=[sync_circuits, sync_circuit_aggregates, create_daily_snapshots, sync_work_orders],
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a sync again that failed for a passing reason, after the delays of CIRCUIT_SYNC_RETRY_DELAYS",
)
def retry_failed_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """What a sync was asked for stands in its log, and so does when it is to run again."""

    def runs_for(sync_id: int) -> RunsSoFar:
        tags = {RETRY_OF_TAG: str(sync_id), **(our_runs(context) or {})}
        runs = context.instance.get_runs(dg.RunsFilter(tags=tags))
        return RunsSoFar(len(runs), next((run.run_id for run in runs if not run.is_finished), None))

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


def _fail(instance: dg.DagsterInstance, run: RunUnderWay) -> str:
    reason = f"the process of run {run.run_id} is gone (it was {run.status} and nobody holds its lock)"
    known = instance.get_run_by_id(run.run_id)
    if known is not None and not known.is_finished:
        instance.report_run_failed(known, reason)
    return reason


def _close(session: Session, sync_id: int, run_id: str) -> list[str]:
    reason = f"run {run_id} ended without closing its sync: its process was killed or crashed"
    return [f"sync {sync_id} closed as failed: {reason}"] if close_abandoned(session, sync_id, reason) else []
