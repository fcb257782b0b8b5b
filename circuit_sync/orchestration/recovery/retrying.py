"""Failed syncs run again when their log says so: a sensor looks, a pure function decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from circuit_sync.database.log.retries import NewerSync, PendingRetry
from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.requests import SyncRequest
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.recovery.closing import LOOK_EVERY
from circuit_sync.orchestration.runs.jobs import (
    create_daily_snapshots,
    sync_circuit_aggregates,
    sync_circuits,
    sync_work_orders,
)
from circuit_sync.orchestration.runs.requests import SyncRun, request_of, runs_of
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.runs.runs import cancelled_by_a_person, our_runs
from circuit_sync.orchestration.runs.tags import RETRY_OF_TAG, tags_not_copied
from circuit_sync.sync.log.due import cancel_retries, database_identity, pending_retries


@dg.sensor(
    jobs=[sync_circuits, sync_circuit_aggregates, create_daily_snapshots, sync_work_orders],
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a sync again that failed for a passing reason, after the delays of CIRCUIT_SYNC_RETRY_DELAYS",
)
def retry_failed_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """What a sync was asked for stands in its log, and so does when it is to run again."""
    instance = context.instance

    def started_for(sync_id: int) -> list[StartedRun]:
        tags = {RETRY_OF_TAG: str(sync_id), **(our_runs(context) or {})}
        runs = [run for run in instance.get_runs(dg.RunsFilter(tags=tags)) if RETRY_OF_TAG in tags_not_copied(run)]
        return [StartedRun(run.run_id, request_of(run), cancelled_by_a_person(instance, run)) for run in runs]

    with sensor_session() as session:
        decision = retries_to_start(pending_retries(session), started_for, clock.now())
        cancel_retries(session, decision.cancelled)
        cause = f"retry_failed_syncs:{database_identity(session)}"
    requests = [run.run_request(f"{cause}:{run.asks.retry_of}") for run in decision.due]
    said = [f"sync {sync_id} is not tried again: {why}" for sync_id, why in decision.cancelled.items()]
    return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "; ".join(said or decision.reasons))


@dataclass(frozen=True)
class StartedRun:
    """A run that was started for a retry and has not opened its sync log yet: on its way, cancelled by a person, or
    dead, which ``close_abandoned_syncs`` writes a failed log for.
    """

    run_id: str
    request: SyncRequest | None
    is_cancelled: bool = False


@dataclass(frozen=True)
class RetryDecision:
    """``due``: the runs to start; ``cancelled``: why a failed sync is not tried again; ``reasons``: why others wait."""

    due: Sequence[SyncRun]
    cancelled: Mapping[int, str]
    reasons: Sequence[str]


def retries_to_start(
    pending: Iterable[PendingRetry], started_for: Callable[[int], Sequence[StartedRun]], now: datetime
) -> RetryDecision:
    """A retry starts when its time has come, unless a newer sync covers its request."""
    due: list[SyncRun] = []
    cancelled: dict[int, str] = {}
    reasons = []
    for sync in pending:
        if sync.newer is not None and sync.newer.sync_status == "started":
            reasons.append(f"sync {sync.sync_id}: the same is under way in sync {sync.newer.id}")
        elif sync.newer is not None:
            cancelled[sync.sync_id] = _how_it_fared(sync.newer)
        elif sync.retry_at > now:
            at = f"{sync.retry_at.astimezone(EASTERN):%Y-%m-%d %H:%M:%S %Z}"
            reasons.append(f"sync {sync.sync_id} runs again at {at}")
        else:
            runs = started_for(sync.sync_id)
            if by_a_person := [run.run_id for run in runs if run.is_cancelled]:
                cancelled[sync.sync_id] = f"a person cancelled run {by_a_person[0]}, which was to try it again"
                continue
            begun = [*sync.begun, *(run.request for run in runs if run.request)]
            left = [run for run in runs_of(sync.request) if not any(request.covers(run.asks) for request in begun)]
            due += left
            if not left:
                reasons.append(f"sync {sync.sync_id}: run {runs[0].run_id} is on its way to try it again")
    return RetryDecision(due, cancelled, reasons or ["no sync waits to be tried again"])


def _how_it_fared(newer: NewerSync) -> str:
    if newer.sync_status != "failed":
        return f"sync {newer.id} did the same meanwhile"
    why = "to be tried again" if newer.is_retried else "for a reason that needs a person"
    return f"sync {newer.id} failed at the same meanwhile, {why}"
