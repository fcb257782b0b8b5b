"""The sensors: each looks, lets a pure function decide, and does what it says. Every skip explains itself."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from circuit_sync.database.locks import is_run_alive
from circuit_sync.orchestration.decisions import (
    Cursor,
    Decision,
    RunUnderWay,
    abandoned_syncs,
    aggregates_to_start,
    dead_runs,
    snapshot_to_start,
)
from circuit_sync.orchestration.jobs import create_daily_snapshots, sync_circuit_aggregates
from circuit_sync.orchestration.partitions import covers_date, partition_tags, statuses_of
from circuit_sync.orchestration.resources import looking
from circuit_sync.orchestration.runs import IN_PROGRESS, REPOSITORY_TAG, unfinished_of_asset
from circuit_sync.orchestration.tags import TRIGGER_TAG, WORKFLOW_EVENT
from circuit_sync.sync.due import latest_finished_syncs, statuses_needing_aggregates
from circuit_sync.sync.recovery import close_abandoned, open_syncs
from circuit_sync.sync.session import Session

# A dead run is found at most GRACE + LOOK_EVERY + the daemon's own 5 s after it died, its sync log earlier: within a
# minute. A run that died while starting takes as long as `run_monitoring.start_timeout_seconds` in dagster.yaml says.
GRACE = timedelta(seconds=20)
LOOK_EVERY = 20


def _now() -> datetime:
    return datetime.now(UTC)


@dg.sensor(
    job=sync_circuit_aggregates,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After circuits of a status were synced: fetches the units of those that need them",
)
def aggregates_after_circuits(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts ``circuit_aggregates`` for the statuses that were synced."""
    cursor = Cursor.parse(context.cursor)
    with looking() as session:
        under_way = [sync["id"] for sync in open_syncs(session)]
        finished = latest_finished_syncs(session, cursor.after)
        due = statuses_needing_aggregates(session)
    runs = unfinished_of_asset(context.instance, "circuit_aggregates", _our_runs(context))
    busy = {status: run.run_id for run in runs for status in statuses_of(run.tags)}
    return _result("aggregates_after_circuits", aggregates_to_start(cursor, finished, under_way, due, busy))


@dg.sensor(
    job=create_daily_snapshots,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After circuits or aggregates changed on a weekday: takes today's snapshot anew",
)
def snapshots_after_sync(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Refreshes today's snapshot."""
    cursor = Cursor.parse(context.cursor)
    with looking() as session:
        under_way = [sync["id"] for sync in open_syncs(session)]
        finished = latest_finished_syncs(session, cursor.after)
    runs = unfinished_of_asset(context.instance, "daily_snapshots", _our_runs(context))

    def busy(day: date) -> str | None:
        return next((run.run_id for run in runs if covers_date(run.tags, day)), None)

    return _result("snapshots_after_sync", snapshot_to_start(cursor, finished, under_way, _now(), busy))


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes what a dead run left behind: the run in progress and its started sync log, both as failed",
)
def close_abandoned_syncs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """A living run holds a lock that goes with its process; a run in progress without it is dead."""
    start_timeout = timedelta(seconds=context.instance.run_monitoring_start_timeout_seconds)
    with looking() as session:
        found = _runs_in_progress(context)
        syncs = open_syncs(session)

        def alive(run_id: str) -> bool:
            return is_run_alive(session.database, run_id)

        dead = dead_runs(found, alive, _now(), grace=GRACE, start_timeout=start_timeout)
        closed = [_fail(context, run) for run in dead]
        for sync in abandoned_syncs(syncs):
            closed += _close(session, sync["id"], sync["dagster_run_id"])
    return dg.SkipReason(
        "; ".join(closed) or f"nothing is abandoned: {len(found)} runs in progress, {len(syncs)} syncs started"
    )


def _runs_in_progress(context: dg.SensorEvaluationContext) -> list[RunUnderWay]:
    records = context.instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS, tags=_our_runs(context)))
    return [
        RunUnderWay(
            record.dagster_run.run_id,
            record.dagster_run.status.value,
            datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.update_timestamp,
        )
        for record in records
    ]


def _fail(context: dg.SensorEvaluationContext, run: RunUnderWay) -> str:
    reason = f"the process of run {run.run_id} is gone (it was {run.status} and nobody holds its lock)"
    known = context.instance.get_run_by_id(run.run_id)
    if known is not None and not known.is_finished:
        context.instance.report_run_failed(known, reason)
    return reason


def _close(session: Session, sync_id: int, run_id: str) -> list[str]:
    reason = f"run {run_id} ended without closing its sync: its process was killed or crashed"
    return [f"sync {sync_id} closed as failed: {reason}"] if close_abandoned(session, sync_id, reason) else []


def _our_runs(context: dg.SensorEvaluationContext) -> dict[str, str] | None:
    """The tag of this code location's runs; another location on the same instance has a database of its own."""
    if context.code_location_origin is None or context.repository_name is None:
        return None
    return {REPOSITORY_TAG: f"{context.repository_name}@{context.code_location_origin.location_name}"}


def _result(sensor: str, decision: Decision) -> dg.SensorResult:
    requests = [
        dg.RunRequest(run_key=start.run_key(sensor), tags={TRIGGER_TAG: WORKFLOW_EVENT} | partition_tags(start.keys))
        for start in decision.starts
    ]
    skip = None if requests else "; ".join(decision.reasons)
    return dg.SensorResult(run_requests=requests, cursor=decision.cursor.text(), skip_reason=skip)
