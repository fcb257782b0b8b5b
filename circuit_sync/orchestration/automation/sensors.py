"""The sensors that go on from what a sync found: each looks, a pure function decides. Every skip explains itself."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from typing import TypeVar

import dagster as dg

from circuit_sync.domain.requests import (
    WORKFLOW_EVENT,
    AggregateSyncRequest,
    CircuitSyncRequest,
    SnapshotRequest,
    SyncRequest,
)
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.assets.partitions import dates_of, statuses_of
from circuit_sync.orchestration.automation.decisions import (
    Decision,
    aggregates_to_start,
    departed_to_start,
    snapshot_to_start,
)
from circuit_sync.orchestration.runs.jobs import create_daily_snapshots, sync_circuit_aggregates, sync_circuits
from circuit_sync.orchestration.runs.requests import runs_of, unfinished_of_asset
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.runs.runs import our_runs
from circuit_sync.settings import load_settings
from circuit_sync.sync.log.due import statuses_needing_aggregates, syncs_ended, syncs_with_departed_circuits

P = TypeVar("P", str, date)
_sensor = partial(dg.sensor, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)


@_sensor(
    job=sync_circuit_aggregates,
    description="After circuits of a status were synced: fetches the units of those that need them",
)
def aggregates_after_circuits(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts ``circuit_aggregates`` for the statuses that were synced."""
    with sensor_session() as session:
        ended, cursor = syncs_ended(session, context.cursor)
        due = statuses_needing_aggregates(session)
    decision = aggregates_to_start(ended, cursor, due, _busy(context, "circuit_aggregates", statuses_of))
    return _result("aggregates_after_circuits", decision, AggregateSyncRequest)


@_sensor(
    job=create_daily_snapshots,
    description="After circuits or aggregates changed on a weekday: takes today's snapshot anew",
)
def snapshots_after_sync(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Refreshes today's snapshot."""
    with sensor_session() as session:
        ended, cursor = syncs_ended(session, context.cursor)
    first = load_settings().circuit_sync_first_snapshot
    decision = snapshot_to_start(ended, cursor, clock.now(), first, _busy(context, "daily_snapshots", dates_of))
    return _result("snapshots_after_sync", decision, SnapshotRequest)


@_sensor(
    job=sync_circuits,
    description="After circuits left the answer of their status on a weekday: looks for them under the other statuses",
)
def departed_circuits(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts one sync of the other statuses for each departure."""
    enabled = load_settings().workstudio_statuses
    with sensor_session() as session:
        ended, cursor = syncs_ended(session, context.cursor)
        missing = partial(syncs_with_departed_circuits, session)
        busy = _busy(context, "circuits", statuses_of)
        decision = departed_to_start(ended, cursor, missing, enabled, busy, clock.now())
    return _result("departed_circuits", decision, CircuitSyncRequest)


def _busy(
    context: dg.SensorEvaluationContext, asset: str, parts_of: Callable[[Mapping[str, str]], Iterable[P]]
) -> dict[P, str]:
    """The statuses or dates that an unfinished run over the asset works on, and which run."""
    runs = unfinished_of_asset(context.instance, asset, our_runs(context))
    return {part: run.run_id for run in runs for part in parts_of(run.tags)}


def _result(sensor: str, decision: Decision, kind: type[SyncRequest]) -> dg.SensorResult:
    """The run key is the same for the same cause, so that a run starts once also if the cursor was lost."""
    requests = [
        run.run_request(f"{sensor}:{decision.cursor.database}:{start.sync_id}")
        for start in decision.starts
        for run in runs_of(kind.of({"statuses": start.keys, "dates": start.keys}, trigger=WORKFLOW_EVENT))
    ]
    skip = None if requests else "; ".join(decision.reasons)
    return dg.SensorResult(run_requests=requests, cursor=decision.cursor.text(), skip_reason=skip)
