"""The roll-ups of the snapshots: ``regional_daily``, ``planner_daily``, and the weeks they make.

The daily ones are tables, replaced per date in the step that takes the snapshots; the weekly ones are views over them,
right at any time. That step yields the materialisations of them all (docs/adr/0010-roll-ups-with-their-snapshots.md):
an asset here is run by itself only to repair it, or to show it anew.
"""

import warnings
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE, monday_of, week_ending
from circuit_sync.domain.printable import Lines, markdown
from circuit_sync.domain.progress import added, readable
from circuit_sync.domain.seasons import season_line
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.partitions import weekdays
from circuit_sync.orchestration.installation import asset_key, graph_asset
from circuit_sync.orchestration.runs.resources import RunContext, RunResource
from circuit_sync.settings import load_settings
from circuit_sync.sync.progress import rollups as use_case
from circuit_sync.sync.progress.pictures import (
    as_png,
    burn_up_figure,
    permissions_figure,
    planners_figure,
    progress_figure,
)
from circuit_sync.sync.progress.rollups import WEEKS_OF_A_SEASON, WEEKS_SHOWN, RollUp

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
    # The current week has days that are to come. The parameter that allows for it is in beta.
    warnings.simplefilter("ignore", dg.BetaWarning)
    days_of_the_week = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

WEEKLY = ("regional_weekly", "planner_weekly")

MOST_BYTES = 100_000
"""A picture lies in Dagster's event log: a bigger one is left out."""

Events = Iterator[dg.Output[None] | dg.AssetMaterialization]


def materialisations(rolled_up: Mapping[str, RollUp]) -> Iterator[dg.AssetMaterialization]:
    """What each roll-up says of each of its periods, whatever computed it."""
    for table, found in rolled_up.items():
        asset = asset_key(table)
        for period in found.lines:
            key = (monday_of(period) if table in WEEKLY else period).isoformat()
            yield dg.AssetMaterialization(asset, partition=key, metadata=rollup_metadata(found, period, key))


def _compute(context: dg.AssetExecutionContext, run_context: RunContext, name: str) -> Events:
    """The run's own partitions, as its output, then the others: later dates that were corrected, and weeks."""
    dates = [date.fromisoformat(key) for key in context.partition_keys]
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        if name in WEEKLY:
            rolled_up = {name: use_case.read_weeks(session, name, [week_ending(monday) for monday in dates])}
        else:
            rolled_up = use_case.roll_up(session, dates, name)
    others = []
    for event in materialisations(rolled_up):
        if event.asset_key == context.asset_key and event.partition in context.partition_keys:
            context.add_asset_metadata(event.metadata, partition_key=event.partition)
        else:
            others.append(event)
    yield dg.Output(None)
    yield from others


def _roll_up(name: str, op_name: str, description: str, source: str = "daily_snapshots") -> dg.AssetsDefinition:
    """A graph asset, as the others are, of one op."""
    is_weekly = name in WEEKLY
    does = f"Shows what the view {name} says" if is_weekly else f"Replaces the dates of {name}"
    mapping = days_of_the_week if is_weekly else None
    if is_weekly:
        description += (
            ", Monday to Friday; a partition is named by its Monday. Levels are those of the week's last snapshot, "
            f"differences those of its days. A view: in step with {source} at any time."
        )

    @dg.op(name=op_name, description=does, ins={"source": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def run(context: dg.AssetExecutionContext, run_context: RunResource) -> Any:
        yield from _compute(context, run_context, name)

    @graph_asset(
        name=name,
        ins={"source": dg.AssetIn(source, dagster_type=dg.Nothing, partition_mapping=mapping)},
        partitions_def=weeks if is_weekly else weekdays,
        group_name="progress",
        kinds={"postgres", "matplotlib"},
        metadata=metadata.column_schema(name),
        description=description,
    )
    def asset(source: None) -> Any:
        return run(source)

    return asset


def rollup_metadata(found: RollUp, period: date, key: str) -> metadata.Metadata:
    """Why a period is empty, its numbers and table, and pictures of few: a backfill is not to fill the event log.

    ``period`` is the date, or the Friday of the week, that the partition ``key`` stands for.
    """
    lines = found.lines[period]
    shown: metadata.Metadata = {metadata.EMPTY: found.empty[period]} if period in found.empty else {}
    shown |= {metadata.ROW_COUNT: len(lines)} | {name: _number(value) for name, value in added(lines).items()}
    shown |= metadata.tables(rows=[season_line(line) if "season" in line else readable(line) for line in lines])
    if lines and period in found.pictured:
        weeks = WEEKS_OF_A_SEASON if "season" in lines[0] else WEEKS_SHOWN
        since = period - timedelta(weeks=weeks)
        shown |= _pictures(lines, [day for day in found.history if since <= day["snapshot_date"] <= period])
    if period.isoformat() != key:
        shown["week_ending"] = f"Friday, {period}"
    if imported := [str(day) for day in found.imported if key <= str(day) <= str(period)]:
        shown["imported"] = ", ".join(imported)
    return shown


def _pictures(lines: Lines, history: Lines) -> metadata.Metadata:
    """By region: the course over the last weeks and the permissions. By planner: what was newly planned. By season:
    the way to its target.
    """
    if "season" in lines[0]:
        return {"burn_up": _markdown("miles planned, by region and season", as_png(burn_up_figure(lines, history)))}
    if "planner" in lines[0]:
        return {"newly_planned": _markdown("miles newly planned, by planner", as_png(planners_figure(lines)))}
    return {
        "progress": _markdown("miles planned, by region", as_png(progress_figure(history))),
        "permissions": _markdown("units by permission, by region", as_png(permissions_figure(lines))),
    }


def _markdown(title: str, png: bytes) -> dg.MarkdownMetadataValue | str:
    encoded = b64encode(png).decode()
    if len(encoded) > MOST_BYTES:
        return f"{title}: the picture is too large to be kept in the event log"
    return dg.MetadataValue.md(f"![{markdown(title)}](data:image/png;base64,{encoded})")


def _number(value: Any) -> int | float:
    return value if isinstance(value, int) else float(value)


roll_ups = [
    _roll_up(
        "regional_daily",
        "roll_up_regions",
        "Each region at the end of each weekday: circuits by status and stage, miles in all, planned and remaining, "
        "units and permissions; and what changed since each circuit's snapshot before.",
    ),
    _roll_up(
        "planner_daily",
        "roll_up_planners",
        "Each planner in each region at the end of each weekday: circuits held, miles planned that day (the difference "
        "to each circuit's snapshot before; a correction counts as negative), units and permissions.",
    ),
    _roll_up("regional_weekly", "show_regional_weeks", "Each region's week", "regional_daily"),
    _roll_up("planner_weekly", "show_planner_weeks", "Each planner's week in each region", "planner_daily"),
    _roll_up(
        "season_daily",
        "roll_up_seasons",
        "Each region's season (the year its circuits begin in) at the end of each weekday, finished work included: "
        "circuits, closed and departed ones, miles in all, planned and remaining. From history, not from snapshots.",
    ),
]
