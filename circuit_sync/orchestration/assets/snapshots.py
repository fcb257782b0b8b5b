"""The asset ``daily_snapshots``: the state of every open circuit at the end of each weekday."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.columns import column_schema
from circuit_sync.orchestration.assets.partitions import weekdays
from circuit_sync.orchestration.assets.rollups import materialisations
from circuit_sync.orchestration.installation import installed
from circuit_sync.orchestration.runs.requests import requested_partitions
from circuit_sync.orchestration.runs.resources import RunContext
from circuit_sync.orchestration.runs.tags import tag_run_with_sync
from circuit_sync.settings import load_settings
from circuit_sync.sync.progress import snapshots as use_case


@dg.op(
    description="Opens the sync log. Returns its id",
    ins={"circuits": dg.In(dg.Nothing), "circuit_aggregates": dg.In(dg.Nothing)},
)
def open_snapshots(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> int:
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        request = requested_partitions(context, SnapshotRequest)
        return tag_run_with_sync(context, use_case.open_snapshots(session, request))


@dg.op(
    description="Computes the state at the end of each date from history, replaces the partitions as a whole and rolls "
    "them up, in one transaction; yields the materialisations of the roll-ups and weeks, too",
    out=dg.Out(dg.Nothing),
)
def take_snapshots(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext], sync_id: int) -> Any:
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        result = use_case.take_snapshots(session, sync_id)
    of_the_sync = metadata.shared(result)
    if result.history_since is not None:
        of_the_sync["history_since"] = result.history_since.isoformat()
    for day in context.partition_keys:
        told = snapshots_told(result.per_date.get(day, {"snapshots": 0}), result.empty.get(day))
        context.add_asset_metadata(told | of_the_sync, partition_key=day)
    # A roll-up that is materialised before its snapshots would be out of date in the UI.
    yield dg.Output(None)
    yield from materialisations(result.rolled_up)


def snapshots_told(counts: Mapping[str, int], why_empty: str | None = None) -> metadata.Metadata:
    """What a partition says of its date; ``counts``: ``snapshots`` and, if there are any, ``imported``."""
    empty = {metadata.EMPTY: why_empty} if why_empty else {}
    return empty | metadata.counted(counts) | {metadata.ROW_COUNT: counts["snapshots"]}


@installed
@dg.graph_asset(
    ins={
        "circuits": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dg.AllPartitionMapping()),
        "circuit_aggregates": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dg.AllPartitionMapping()),
    },
    partitions_def=weekdays,
    group_name="progress",
    kinds={"postgres"},
    owners=list(load_settings().circuit_sync_owners),
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata=column_schema("circuit_snapshots"),
    description=(
        "The state of every circuit not closed, at the end of each weekday (now, for today): computed from history, so "
        "that a backfill yields what was true then. A date before history begins has no rows, and says so. "
        "Whatever takes snapshots rolls them up as well, by region and planner, with their weeks."
    ),
)
def daily_snapshots(circuits: None, circuit_aggregates: None) -> Any:
    """Open, compute and store."""
    return take_snapshots(open_snapshots(circuits=circuits, circuit_aggregates=circuit_aggregates))
