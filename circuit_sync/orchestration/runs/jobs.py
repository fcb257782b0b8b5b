"""The jobs: one per asset, and two plain ones whose runs are no materialisations."""

import dagster as dg
from pydantic import Field

from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.assets import aggregates, circuits, metadata, snapshots
from circuit_sync.orchestration.runs.requests import WorkOrdersConfig, requested
from circuit_sync.orchestration.runs.resources import RunResource
from circuit_sync.orchestration.runs.runs import tag_run_with_sync
from circuit_sync.sync.circuits import sync as circuit_use_case
from circuit_sync.sync.units import sync as aggregate_use_case

sync_circuits = dg.define_asset_job(
    "sync_circuits", selection=[circuits.circuits], description="Brings the circuits of the chosen statuses up to date"
)
sync_circuit_aggregates = dg.define_asset_job(
    "sync_circuit_aggregates",
    selection=[aggregates.circuit_aggregates],
    description="Fetches the planned units of the circuits that need them and stores their totals",
)
create_daily_snapshots = dg.define_asset_job(
    "create_daily_snapshots",
    selection=[snapshots.daily_snapshots],
    description="Takes the snapshots of the chosen dates anew, and rolls them up by region and planner",
)

MOST_CHANGES = 1000


class PreviewConfig(dg.Config):
    """What to preview."""

    statuses: list[str] = Field(list(STATUS_CODES), description="the statuses to ask for")
    force: bool = Field(False, description="as a forced sync would: without regard to what a person edited")
    triggered_by: str | None = Field(None, description="the user who asks for it, by e-mail or WorkStudio name")


@dg.op(
    description="Fetches and compares; shows what a sync would create, change, withhold and mark departed",
    out=dg.Out(dg.Nothing),
)
def compare_circuits(context: dg.OpExecutionContext, config: PreviewConfig, run_context: RunResource) -> None:
    with run_context.session(context.log.info) as session:
        request = requested(CircuitSyncRequest, context.run, config.model_dump())
        result = circuit_use_case.preview_circuits(session, request)
    per_status = [{"status": code} | dict(counts) for code, counts in result.per_status.items()]
    tables = {"changes": metadata.table(result.changes, most=MOST_CHANGES), "per_status": metadata.table(per_status)}
    context.add_output_metadata(circuits.shared_metadata(result) | tables)


@dg.job(description="Shows what a circuit sync would do; stores nothing")
def preview_circuits() -> None:
    """Compare."""
    compare_circuits()


@dg.op(description="Opens the sync log for the named work orders. Returns its id")
def open_work_orders(context: dg.OpExecutionContext, config: WorkOrdersConfig, run_context: RunResource) -> int:
    with run_context.session(context.log.info) as session:
        request = requested(AggregateSyncRequest, context.run, config.model_dump())
        return tag_run_with_sync(context, aggregate_use_case.open_aggregate_sync(session, request))


@dg.op(description="Fetches their planned units, stores the totals and closes the sync log", out=dg.Out(dg.Nothing))
def store_work_orders(context: dg.OpExecutionContext, run_context: RunResource, sync_id: int) -> None:
    with run_context.session(context.log.info) as session:
        aggregate_use_case.fetch_and_store_aggregates(session, sync_id)
        result = aggregate_use_case.complete_aggregate_sync(session, sync_id)
    context.add_output_metadata(aggregates.shared_metadata(result))


@dg.job(description="Fetches the planned units of single work orders; turns no partition green")
def sync_work_orders() -> None:
    """Open, store."""
    store_work_orders(open_work_orders())
