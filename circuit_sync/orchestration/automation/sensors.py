"""The sensors that go on from what a sync found: each looks, a pure function decides. Every skip explains itself."""

from datetime import date
from functools import partial

import dagster as dg

from circuit_sync.orchestration import clock
from circuit_sync.orchestration.assets.partitions import covers_date, partition_tags, statuses_of
from circuit_sync.orchestration.automation.decisions import (
    Cursor,
    Decision,
    aggregates_to_start,
    departed_to_start,
    snapshot_to_start,
)
from circuit_sync.orchestration.runs.jobs import create_daily_snapshots, sync_circuit_aggregates, sync_circuits
from circuit_sync.orchestration.runs.resources import looking
from circuit_sync.orchestration.runs.runs import our_runs, unfinished_of_asset
from circuit_sync.orchestration.runs.tags import TRIGGER_TAG, WORKFLOW_EVENT
from circuit_sync.settings import load_settings
from circuit_sync.sync.log.due import latest_finished_syncs, statuses_needing_aggregates, syncs_with_departed_circuits
from circuit_sync.sync.log.recovery import open_syncs


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
    runs = unfinished_of_asset(context.instance, "circuit_aggregates", our_runs(context))
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
    runs = unfinished_of_asset(context.instance, "daily_snapshots", our_runs(context))

    def busy(day: date) -> str | None:
        return next((run.run_id for run in runs if covers_date(run.tags, day)), None)

    return _result("snapshots_after_sync", snapshot_to_start(cursor, finished, under_way, clock.now(), busy))


@dg.sensor(
    job=sync_circuits,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After circuits left the answer of their status on a weekday: looks for them under the other statuses",
)
def departed_circuits(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts one sync of the other statuses for each departure."""
    cursor = Cursor.parse(context.cursor)
    enabled = load_settings().workstudio_statuses
    with looking() as session:
        under_way = [sync["id"] for sync in open_syncs(session)]
        finished = latest_finished_syncs(session, cursor.after)
        runs = unfinished_of_asset(context.instance, "circuits", our_runs(context))
        busy = {status: run.run_id for run in runs for status in statuses_of(run.tags)}
        missing = partial(syncs_with_departed_circuits, session)
        decision = departed_to_start(cursor, finished, under_way, missing, enabled, busy, clock.now())
    return _result("departed_circuits", decision)


def _result(sensor: str, decision: Decision) -> dg.SensorResult:
    requests = [
        dg.RunRequest(run_key=start.run_key(sensor), tags={TRIGGER_TAG: WORKFLOW_EVENT} | partition_tags(start.keys))
        for start in decision.starts
    ]
    skip = None if requests else "; ".join(decision.reasons)
    return dg.SensorResult(run_requests=requests, cursor=decision.cursor.text(), skip_reason=skip)
