"""The roll-ups of the snapshots: ``regional_daily``, ``planner_daily``, and the weeks they make.

The daily ones are tables, replaced per date in the step that takes the snapshots; the weekly ones are views over them,
right at any time. That step yields the materialisations of them all (docs/adr/0010-roll-ups-with-their-snapshots.md):
an asset here is run by itself only to repair it, or to show it anew.
"""

import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE, monday_of, week_ending
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.columns import column_schema
from circuit_sync.orchestration.assets.partitions import weekdays
from circuit_sync.orchestration.assets.pictures import told_of
from circuit_sync.orchestration.installation import asset_key, installed
from circuit_sync.orchestration.runs.resources import RunContext
from circuit_sync.settings import load_settings
from circuit_sync.sync.progress import rollups as use_case
from circuit_sync.sync.progress.rollups import RollUp

# Dagster names a time window by its start and maps windows by their overlap: only a week that begins on Monday maps to
# exactly Monday to Friday (docs/adr/0009-plots.md). Its Friday is in the tables (week_ending) and on the
# materialisation.
weeks = dg.TimeWindowPartitionsDefinition(
    start=monday_of(load_settings().circuit_sync_first_snapshot).isoformat(),
    fmt="%Y-%m-%d",
    cron_schedule="0 0 * * 1",
    timezone=TIME_ZONE,
    end_offset=1,
)

with warnings.catch_warnings():
    # The week under way has days that are to come. The parameter that allows for it is in beta.
    warnings.simplefilter("ignore", dg.BetaWarning)
    days_of_the_week = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

WEEKLY = ("regional_weekly", "planner_weekly")

Events = Iterator[dg.Output[None] | dg.AssetMaterialization]


def materialisations(rolled_up: Mapping[str, RollUp]) -> Iterator[dg.AssetMaterialization]:
    """What each roll-up says of each of its periods, whatever computed it."""
    for table, found in rolled_up.items():
        asset = asset_key(table)
        for period in found.lines:
            key = (monday_of(period) if table in WEEKLY else period).isoformat()
            yield dg.AssetMaterialization(asset, partition=key, metadata=_told(found, period, key))


def _told(found: RollUp, period: date, key: str) -> metadata.Metadata:
    told = told_of(found, period)
    if period.isoformat() != key:
        told["week_ending"] = f"Friday, {period}"
    if imported := [str(day) for day in found.imported if key <= str(day) <= str(period)]:
        told["imported"] = ", ".join(imported)
    return told


def _yielded(context: dg.AssetExecutionContext, rolled_up: Mapping[str, RollUp]) -> Events:
    """The run's own partitions, as its output, then the others: later dates that were corrected, and weeks."""
    others = []
    for told in materialisations(rolled_up):
        if told.asset_key == context.asset_key and told.partition in context.partition_keys:
            context.add_asset_metadata(told.metadata, partition_key=told.partition)
        else:
            others.append(told)
    yield dg.Output(None)
    yield from others


def _repaired(context: dg.AssetExecutionContext, run_context: RunContext, table: str) -> Events:
    dates = [date.fromisoformat(key) for key in context.partition_keys]
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        rolled_up = use_case.roll_up(session, dates, table)
    yield from _yielded(context, rolled_up)


def _shown(context: dg.AssetExecutionContext, run_context: RunContext, view: str) -> Events:
    fridays = [week_ending(date.fromisoformat(key)) for key in context.partition_keys]
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        weeks_shown = use_case.read_weeks(session, view, fridays)
    yield from _yielded(context, {view: weeks_shown})


@dg.op(description="Replaces the dates of regional_daily", ins={"snapshots": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def roll_up_regions(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> Any:
    yield from _repaired(context, run_context, "regional_daily")


@dg.op(description="Replaces the dates of planner_daily", ins={"snapshots": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def roll_up_planners(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> Any:
    yield from _repaired(context, run_context, "planner_daily")


@dg.op(description="Replaces the dates of season_daily", ins={"snapshots": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def roll_up_seasons(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> Any:
    yield from _repaired(context, run_context, "season_daily")


@dg.op(description="Shows what the view regional_weekly says", ins={"days": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def show_regional_weeks(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> Any:
    yield from _shown(context, run_context, "regional_weekly")


@dg.op(description="Shows what the view planner_weekly says", ins={"days": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def show_planner_weeks(context: dg.AssetExecutionContext, run_context: dg.ResourceParam[RunContext]) -> Any:
    yield from _shown(context, run_context, "planner_weekly")


def _options(name: str, partitions: dg.PartitionsDefinition, description: str) -> dict[str, Any]:
    return {
        "partitions_def": partitions,
        "group_name": "progress",
        "kinds": {"postgres", "matplotlib"},
        "owners": list(load_settings().circuit_sync_owners),
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "metadata": column_schema(name),
        "description": description,
    }


_SNAPSHOTS = {"daily_snapshots": dg.AssetIn(dagster_type=dg.Nothing)}


@installed
@dg.graph_asset(
    ins=_SNAPSHOTS,
    **_options(
        "regional_daily",
        weekdays,
        "Each region at the end of each weekday: circuits by status and stage, miles in all, planned and remaining, "
        "units and permissions; and what changed since each circuit's snapshot before.",
    ),
)
def regional_daily(daily_snapshots: None) -> Any:
    """Replace the dates."""
    return roll_up_regions(snapshots=daily_snapshots)


@installed
@dg.graph_asset(
    ins=_SNAPSHOTS,
    **_options(
        "planner_daily",
        weekdays,
        "Each planner in each region at the end of each weekday: circuits held, miles planned that day (the difference "
        "to each circuit's snapshot before; a correction counts as negative), units and permissions.",
    ),
)
def planner_daily(daily_snapshots: None) -> Any:
    """Replace the dates."""
    return roll_up_planners(snapshots=daily_snapshots)


@installed
@dg.graph_asset(
    ins=_SNAPSHOTS,
    **_options(
        "season_daily",
        weekdays,
        "Each region's season (the year its circuits begin in) at the end of each weekday, finished work included: "
        "circuits, closed and departed ones, miles in all, planned and remaining. From history, not from snapshots.",
    ),
)
def season_daily(daily_snapshots: None) -> Any:
    """Replace the dates."""
    return roll_up_seasons(snapshots=daily_snapshots)


@installed
@dg.graph_asset(
    ins={"regional_daily": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=days_of_the_week)},
    **_options(
        "regional_weekly",
        weeks,
        "Each region's week, Monday to Friday; a partition is named by its Monday. Levels are those of the week's last "
        "snapshot, differences those of its days. A view: in step with regional_daily at any time.",
    ),
)
def regional_weekly(regional_daily: None) -> Any:
    """Show the weeks."""
    return show_regional_weeks(days=regional_daily)


@installed
@dg.graph_asset(
    ins={"planner_daily": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=days_of_the_week)},
    **_options(
        "planner_weekly",
        weeks,
        "Each planner's week in each region, Monday to Friday; a partition is named by its Monday. Levels are those of "
        "the week's last snapshot, differences those of its days. A view: in step with planner_daily at any time.",
    ),
)
def planner_weekly(planner_daily: None) -> Any:
    """Show the weeks."""
    return show_planner_weeks(days=planner_daily)
