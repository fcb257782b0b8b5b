"""The jobs: one per asset, and two plain ones whose runs are no materialisations."""

import dagster as dg
from pydantic import Field

from circuit_sync.domain.statuses import STATUS_CODES, parse_statuses
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.aggregates import circuit_aggregates
from circuit_sync.orchestration.assets.aggregates import of_the_sync as aggregates_told
from circuit_sync.orchestration.assets.circuits import circuits
from circuit_sync.orchestration.assets.circuits import of_the_sync as circuits_told
from circuit_sync.orchestration.assets.snapshots import daily_snapshots
from circuit_sync.orchestration.runs.resources import Workplace
from circuit_sync.orchestration.runs.tags import carrying, started_by
from circuit_sync.sync.circuits import sync as circuit_use_case
from circuit_sync.sync.circuits.sync import CircuitSyncRequest
from circuit_sync.sync.units import sync as aggregate_use_case
from circuit_sync.sync.units.sync import AggregateSyncRequest

sync_circuits = dg.define_asset_job(
    "sync_circuits", selection=[circuits], description="Brings the circuits of the chosen statuses up to date"
)
sync_circuit_aggregates = dg.define_asset_job(
    "sync_circuit_aggregates",
    selection=[circuit_aggregates],
    description="Fetches the planned units of the circuits that need them and stores their totals",
)
create_daily_snapshots = dg.define_asset_job(
    "create_daily_snapshots",
    selection=[daily_snapshots],
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
def compare_circuits(
    context: dg.OpExecutionContext, config: PreviewConfig, workplace: dg.ResourceParam[Workplace]
) -> None:
    with workplace.session(context.log.info) as session:
        request = CircuitSyncRequest(
            statuses=parse_statuses(config.statuses),
            triggered_by=config.triggered_by,
            force=config.force,
            **started_by(context.run),
        )
        result = circuit_use_case.preview_circuits(session, request)
    told = circuits_told(result)
    told["changes"] = metadata.table(result.changes, most=MOST_CHANGES)
    told["per_status"] = metadata.table([{"status": code} | dict(counts) for code, counts in result.per_status.items()])
    context.add_output_metadata(told)


@dg.job(description="Shows what a circuit sync would do; stores nothing")
def preview_circuits() -> None:
    """Compare."""
    compare_circuits()


class WorkOrdersConfig(dg.Config):
    """Which work orders to fetch the units of."""

    work_orders: list[str] = Field(description="work orders, such as 2026-1234; every extension of each is done")
    force: bool = Field(False, description="also those that need no units now")


@dg.op(description="Opens the sync log for the named work orders. Returns its id")
def open_work_orders(
    context: dg.OpExecutionContext, config: WorkOrdersConfig, workplace: dg.ResourceParam[Workplace]
) -> int:
    with workplace.session(context.log.info) as session:
        request = AggregateSyncRequest(
            statuses=STATUS_CODES,
            work_orders=tuple(config.work_orders),
            force=config.force,
            **started_by(context.run),
        )
        return carrying(context, aggregate_use_case.open_aggregate_sync(session, request))


@dg.op(description="Fetches their planned units, stores the totals and closes the sync log", out=dg.Out(dg.Nothing))
def store_work_orders(context: dg.OpExecutionContext, workplace: dg.ResourceParam[Workplace], sync_id: int) -> None:
    with workplace.session(context.log.info) as session:
        aggregate_use_case.fetch_and_store_aggregates(session, sync_id)
        result = aggregate_use_case.complete_aggregate_sync(session, sync_id)
    context.add_output_metadata(aggregates_told(result))


@dg.job(description="Fetches the planned units of single work orders; turns no partition green")
def sync_work_orders() -> None:
    """Open, store."""
    store_work_orders(open_work_orders())
