"""The asset ``daily_snapshots``: the state of every open circuit at the end of each weekday."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.partitions import weekdays
from circuit_sync.orchestration.assets.rollups import materialisations
from circuit_sync.orchestration.installation import asset_key, graph_asset
from circuit_sync.orchestration.runs.requests import requested_partitions
from circuit_sync.orchestration.runs.resources import RunResource
from circuit_sync.orchestration.runs.runs import tag_run_with_sync
from circuit_sync.orchestration.terminal.storage import storage_needed
from circuit_sync.sync.progress import snapshots as use_case
from circuit_sync.sync.progress.imports import Imported


@dg.op(
    description="Opens the sync log. Returns its id",
    ins={"circuits": dg.In(dg.Nothing), "circuit_aggregates": dg.In(dg.Nothing)},
)
def open_snapshots(context: dg.AssetExecutionContext, run_context: RunResource) -> int:
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        request = requested_partitions(context, SnapshotRequest)
        return tag_run_with_sync(context, use_case.open_snapshots(session, request))


@dg.op(
    description="Computes the state at the end of each date from history, replaces the partitions as a whole and rolls "
    "them up, in one transaction; yields the materialisations of the roll-ups and weeks, too",
    out=dg.Out(dg.Nothing),
)
def take_snapshots(context: dg.AssetExecutionContext, run_context: RunResource, sync_id: int) -> Any:
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        result = use_case.take_snapshots(session, sync_id)
    shared = metadata.shared(result)
    if result.history_since is not None:
        shared["history_since"] = result.history_since.isoformat()
    for day in context.partition_keys:
        own = snapshot_metadata(result.per_date.get(day, {"snapshots": 0}), result.empty.get(day))
        context.add_asset_metadata(own | shared, partition_key=day)
    # A roll-up that is materialised before its snapshots would be out of date in the UI.
    yield dg.Output(None)
    yield from materialisations(result.rolled_up)


def snapshot_metadata(counts: Mapping[str, int], why_empty: str | None = None) -> metadata.Metadata:
    """What a partition says of its date; ``counts``: ``snapshots`` and, if there are any, ``imported``."""
    empty = {metadata.EMPTY: why_empty} if why_empty else {}
    return empty | metadata.counted(counts) | {metadata.ROW_COUNT: counts["snapshots"]}


@graph_asset(
    ins={
        "circuits": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dg.AllPartitionMapping()),
        "circuit_aggregates": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dg.AllPartitionMapping()),
    },
    partitions_def=weekdays,
    group_name="progress",
    kinds={"postgres"},
    metadata=metadata.column_schema("circuit_snapshots"),
    description=(
        "The state of every circuit not closed, at the end of each weekday (now, for today): computed from history, so "
        "that a backfill yields what was true then. A date before history begins has no rows, and says so. "
        "Whatever takes snapshots rolls them up as well, by region and planner, with their weeks."
    ),
)
def daily_snapshots(circuits: None, circuit_aggregates: None) -> Any:
    """Open, compute and store."""
    return take_snapshots(open_snapshots(circuits=circuits, circuit_aggregates=circuit_aggregates))


def report_imported(instance: dg.DagsterInstance, imported: Imported) -> None:
    """Materialisations of the imported dates, of their roll-ups and weeks; they belong to no run."""
    snapshots = asset_key("daily_snapshots")
    with storage_needed("what was imported is stored; import the file again to see its dates in Dagster"):
        for day, number in imported.per_date.items():
            numbers = snapshot_metadata({"snapshots": number, "imported": number})
            imported_date = dg.AssetMaterialization(snapshots, partition=day.isoformat(), metadata=numbers)
            instance.report_runless_asset_event(imported_date)
        for rolled_up in materialisations(imported.rolled_up):
            instance.report_runless_asset_event(rolled_up)
