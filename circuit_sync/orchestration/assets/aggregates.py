"""The asset ``circuit_aggregates``: totals over planned units, one partition per status of the circuits."""

from typing import Any

import dagster as dg

from circuit_sync.domain.requests import AggregateSyncRequest
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.partitions import statuses
from circuit_sync.orchestration.installation import graph_asset
from circuit_sync.orchestration.runs.requests import AggregateSyncConfig, requested_partitions
from circuit_sync.orchestration.runs.resources import RunResource
from circuit_sync.orchestration.runs.runs import tag_run_with_sync
from circuit_sync.sync.units import sync as use_case
from circuit_sync.sync.units.sync import AggregateSyncResult


@dg.op(
    description="Opens the sync log and chooses the circuits that need units. Returns the log's id",
    ins={"circuits": dg.In(dg.Nothing)},
)
def open_aggregate_sync(
    context: dg.AssetExecutionContext, config: AggregateSyncConfig, run_context: RunResource
) -> int:
    with run_context.session(context.log.info) as session:
        request = requested_partitions(context, AggregateSyncRequest, config)
        return tag_run_with_sync(context, use_case.open_aggregate_sync(session, request))


@dg.op(
    description="One call per work order: fetches its planned units, computes the totals, stores them batch by batch. "
    "Hands on the log's id"
)
def fetch_and_store_aggregates(context: dg.AssetExecutionContext, run_context: RunResource, sync_id: int) -> int:
    with run_context.session(context.log.info) as session:
        counts = use_case.fetch_and_store_aggregates(session, sync_id)
    context.add_output_metadata(metadata.counted(counts))
    return sync_id


@dg.op(description="Closes the sync log with what was stored and what failed", out=dg.Out(dg.Nothing))
def complete_aggregate_sync(context: dg.AssetExecutionContext, run_context: RunResource, sync_id: int) -> None:
    with run_context.session(context.log.info) as session:
        result = use_case.complete_aggregate_sync(session, sync_id)
    context.add_asset_metadata(shared_metadata(result))


def shared_metadata(result: AggregateSyncResult) -> metadata.Metadata:
    """What holds for all statuses of the sync."""
    reasons = [{"reason": reason, "circuits": number} for reason, number in result.reasons.items()]
    numbers = metadata.shared(result) | metadata.counted(result.counts)
    return numbers | metadata.tables(why=reasons, failures=result.failures, changes=result.changes)


@dg.config_mapping
def _aggregate_sync_config(config: AggregateSyncConfig) -> dict[str, object]:
    return {"open_aggregate_sync": {"config": config.model_dump()}}


@graph_asset(
    ins={"circuits": dg.AssetIn(dagster_type=dg.Nothing)},
    partitions_def=statuses,
    group_name="workstudio",
    kinds={"http", "pandas", "postgres"},
    config=_aggregate_sync_config,
    metadata=metadata.column_schema("circuit_aggregates"),
    description=(
        "Totals over the planned units of each circuit that needs them (feet, acres, trees, permissions, pending ones "
        "by the date assessed, units by type and by forester), one row per circuit and date, with a roll-up for split "
        "work orders. The units are never stored."
    ),
)
def circuit_aggregates(circuits: None) -> Any:
    """Open and choose, fetch and store, complete."""
    return complete_aggregate_sync(fetch_and_store_aggregates(open_aggregate_sync(circuits)))
