"""The asset ``circuits``: one partition per status, from three ops that each call one use case."""

from typing import Any

import dagster as dg

from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.partitions import statuses
from circuit_sync.orchestration.installation import graph_asset
from circuit_sync.orchestration.runs.requests import CircuitSyncConfig, requested_partitions
from circuit_sync.orchestration.runs.resources import RunResource
from circuit_sync.orchestration.runs.runs import tag_run_with_sync
from circuit_sync.sync.circuits import sync as use_case
from circuit_sync.sync.circuits.sync import CircuitSyncResult


@dg.op(
    description="Opens the sync log, emits sync.started and asks WorkStudio whether it is well. Returns the log's id"
)
def open_circuit_sync(context: dg.AssetExecutionContext, config: CircuitSyncConfig, run_context: RunResource) -> int:
    with run_context.session(context.log.info) as session:
        request = requested_partitions(context, CircuitSyncRequest, config)
        return tag_run_with_sync(context, use_case.open_circuit_sync(session, request))


@dg.op(description="Fetches the view of every status, normalises the rows and stages them. Hands on the log's id")
def fetch_circuits(context: dg.AssetExecutionContext, run_context: RunResource, sync_id: int) -> int:
    with run_context.session(context.log.info) as session:
        received = use_case.fetch_circuits(session, sync_id)
    context.add_output_metadata({f"rows_received_{status}": rows for status, rows in received.items()})
    return sync_id


@dg.op(
    description="Stores all statuses, links, history and events in one transaction, together with the log's completion",
    out=dg.Out(dg.Nothing),
)
def store_circuits(context: dg.AssetExecutionContext, run_context: RunResource, sync_id: int) -> None:
    with run_context.session(context.log.info) as session:
        result = use_case.store_circuits(session, sync_id)
    for status in context.partition_keys:
        counts = metadata.counted(result.per_status[status])
        rows = {metadata.ROW_COUNT: counts["processed"]}
        context.add_asset_metadata(counts | rows | shared_metadata(result), partition_key=status)


def shared_metadata(result: CircuitSyncResult) -> metadata.Metadata:
    """What holds for all statuses of the sync."""
    over_all = {name: result.counts[name] for name in ("departed", "returned", "withheld")}
    tables = metadata.tables(changes=result.changes, rejected_rows=result.rejected)
    return metadata.shared(result) | metadata.counted(over_all) | tables


@dg.config_mapping
def _circuit_sync_config(config: CircuitSyncConfig) -> dict[str, object]:
    return {"open_circuit_sync": {"config": config.model_dump()}}


@graph_asset(
    partitions_def=statuses,
    group_name="workstudio",
    kinds={"http", "pandas", "postgres"},
    config=_circuit_sync_config,
    description=(
        "The circuits of each status as WorkStudio lists them, upserted by `job_guid` with their workflow stage, "
        "planners, history and events. All statuses of a run are fetched before anything is stored, and stored in one "
        "transaction."
    ),
)
def circuits() -> Any:
    """Open, fetch, store."""
    return store_circuits(fetch_circuits(open_circuit_sync()))
