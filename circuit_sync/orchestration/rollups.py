"""The roll-ups of the snapshots: ``regional_daily``, ``planner_daily``, and the weeks they make.

The daily ones are tables, replaced per date in the run that takes the snapshots. The weekly ones are views over them:
right at any time; their materialisations show what they say, with pictures.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE
from circuit_sync.domain.weeks import monday_of, week_ending
from circuit_sync.orchestration import metadata
from circuit_sync.orchestration.columns import column_schema
from circuit_sync.orchestration.installation import installed
from circuit_sync.orchestration.partitions import weekdays
from circuit_sync.orchestration.pictures import told_of
from circuit_sync.orchestration.resources import Workplace
from circuit_sync.settings import load_settings
from circuit_sync.sync import rollups as use_case
from circuit_sync.sync.rollups import RollUp
from circuit_sync.sync.session import Session

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

Compute = Callable[[Session, Sequence[date]], RollUp]


def _told(
    context: dg.AssetExecutionContext, workplace: Workplace, compute: Compute, periods: Mapping[date, str]
) -> None:
    """Computes and tells; ``periods``: the partition of each period."""
    with workplace.session(context.log.info, calls_workstudio=False) as session:
        found = compute(session, list(periods))
    keys = context.partition_keys
    span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    context.log.info(f"{context.asset_key.to_user_string()} of {span}: {sum(map(len, found.lines.values()))} rows")
    for period, key in periods.items():
        context.add_asset_metadata(_named(period, key, found) | told_of(found, period), partition_key=key)


def _named(period: date, key: str, found: RollUp) -> metadata.Metadata:
    named: metadata.Metadata = {} if period.isoformat() == key else {"week_ending": f"Friday, {period}"}
    imported = [day for day in found.imported if key <= day.isoformat() <= period.isoformat()]
    return named | ({"imported": ", ".join(map(str, imported))} if imported else {})


def _days(context: dg.AssetExecutionContext) -> dict[date, str]:
    return {date.fromisoformat(key): key for key in context.partition_keys}


def _weeks(context: dg.AssetExecutionContext) -> dict[date, str]:
    return {week_ending(date.fromisoformat(key)): key for key in context.partition_keys}


@dg.op(description="Replaces the dates of regional_daily", ins={"snapshots": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def roll_up_regions(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
    _told(context, workplace, use_case.roll_up_regions, _days(context))


@dg.op(description="Replaces the dates of planner_daily", ins={"snapshots": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def roll_up_planners(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
    _told(context, workplace, use_case.roll_up_planners, _days(context))


@dg.op(description="Shows what the view regional_weekly says", ins={"days": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def show_regional_weeks(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
    _told(context, workplace, use_case.regional_weeks, _weeks(context))


@dg.op(description="Shows what the view planner_weekly says", ins={"days": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def show_planner_weeks(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
    _told(context, workplace, use_case.planner_weeks, _weeks(context))


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
