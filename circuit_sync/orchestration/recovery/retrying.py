"""Failed syncs run again when their log says so: a sensor looks, a pure function decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from circuit_sync.database.log.retries import NewerSync, PendingRetry
from circuit_sync.domain.eastern import EASTERN
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.recovery.closing import LOOK_EVERY, log_failed_run
from circuit_sync.orchestration.runs.jobs import (
    create_daily_snapshots,
    sync_circuit_aggregates,
    sync_circuits,
    sync_work_orders,
)
from circuit_sync.orchestration.runs.requests import SyncRun, runs_of
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.runs.runs import (
    RETRY_OF_TAG,
    RUN_KEY_TAG,
    cancelled_by_a_person,
    our_runs,
    tags_not_copied,
)
from circuit_sync.sync.log.due import cancel_retries, database_identity, pending_retries


@dg.sensor(
    jobs=[sync_circuits, sync_circuit_aggregates, create_daily_snapshots, sync_work_orders],
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a sync again that failed for a transient reason, after the delays of CIRCUIT_SYNC_RETRY_DELAYS",
)
def retry_failed_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """What a sync was asked for stands in its log, and so does when it is to run again.

    A run is known by its run key, as Dagster knows it: another database's sync may have the same number.
    """
    instance, ours = context.instance, our_runs(context) or {}
    with sensor_session() as session:
        cause = f"retry_failed_syncs:{database_identity(session)}"

        def request(run: SyncRun) -> dg.RunRequest:
            return run.run_request(f"{cause}:{run.asks.retry_of}")

        def started(sync_run: SyncRun) -> StartedRun | None:
            tags = {RUN_KEY_TAG: str(request(sync_run).run_key)} | ours
            for run in instance.get_runs(dg.RunsFilter(tags=tags)):
                if RETRY_OF_TAG in tags_not_copied(run):
                    if run.status is dg.DagsterRunStatus.FAILURE:  # also long ago, when nobody looked
                        log_failed_run(instance, session, run)
                    return StartedRun(run.run_id, cancelled_by_a_person(instance, run))
            return None

        decision = retries_to_start(pending_retries(session), started, clock.now())
        cancel_retries(session, decision.cancelled)
    lines = [f"sync {sync_id} is not tried again: {why}" for sync_id, why in decision.cancelled.items()]
    requests = [request(run) for run in decision.due]
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "; ".join(lines or decision.reasons)
    )


@dataclass(frozen=True)
class StartedRun:
    """A run that was started for a retry and has not opened its sync log yet: on its way, cancelled by a person, or
    dead, which ``close_abandoned_syncs`` writes a failed log for.
    """

    run_id: str
    is_cancelled: bool = False


@dataclass(frozen=True)
class RetryDecision:
    """``due``: the runs to start; ``cancelled``: why a failed sync is not tried again; ``reasons``: why others wait."""

    due: Sequence[SyncRun]
    cancelled: Mapping[int, str]
    reasons: Sequence[str]


def retries_to_start(
    pending: Iterable[PendingRetry], started: Callable[[SyncRun], StartedRun | None], now: datetime
) -> RetryDecision:
    """A retry starts when its time has come, unless a newer sync covers its request."""
    due: list[SyncRun] = []
    cancelled: dict[int, str] = {}
    reasons = []
    for sync in pending:
        if sync.newer is not None and sync.newer.sync_status == "started":
            reasons.append(f"sync {sync.sync_id}: sync {sync.newer.id}, which does the same, is running")
        elif sync.newer is not None:
            cancelled[sync.sync_id] = _how_it_ended(sync.newer)
        elif sync.retry_at > now:
            at = f"{sync.retry_at.astimezone(EASTERN):%Y-%m-%d %H:%M:%S %Z}"
            reasons.append(f"sync {sync.sync_id} runs again at {at}")
        else:
            left = [run for run in runs_of(sync.request) if not any(begun.covers(run.asks) for begun in sync.begun)]
            runs = [(run, started(run)) for run in left]
            if by_a_person := [found.run_id for _, found in runs if found and found.is_cancelled]:
                cancelled[sync.sync_id] = f"a person cancelled run {by_a_person[0]}, which was to try it again"
                continue
            due += [run for run, found in runs if found is None]
            reasons += [
                f"sync {sync.sync_id}: run {found.run_id} is on its way to try it again" for _, found in runs if found
            ]
    return RetryDecision(due, cancelled, reasons or ["no sync waits to be tried again"])


def _how_it_ended(newer: NewerSync) -> str:
    if newer.sync_status != "failed":
        return f"sync {newer.id} did the same meanwhile"
    why = "to be tried again" if newer.is_retried else "for a reason that needs a person"
    return f"sync {newer.id} failed at the same meanwhile, {why}"
