"""What a roll-up shows on its partitions in the UI: numbers, the table a lead would read, and a picture."""

from base64 import b64encode
from datetime import date, timedelta
from typing import Any

import dagster as dg

from circuit_sync.domain.printable import Line, Lines, markdown
from circuit_sync.domain.progress import added, readable
from circuit_sync.domain.seasons import season_line
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.metadata import EMPTY
from circuit_sync.sync.progress.pictures import (
    as_png,
    burn_up_figure,
    permissions_figure,
    planners_figure,
    progress_figure,
)
from circuit_sync.sync.progress.rollups import WEEKS_OF_A_SEASON, WEEKS_SHOWN, RollUp

MOST_BYTES = 100_000
"""A picture lies in Dagster's event log: a bigger one is left out."""


def told_of(found: RollUp, period: date) -> metadata.Metadata:
    """Why a period is empty, its numbers and table, and pictures of few: a backfill is not to fill the event log."""
    lines = found.lines[period]
    told: metadata.Metadata = {EMPTY: found.empty[period]} if period in found.empty else {}
    told |= {metadata.ROW_COUNT: len(lines)} | {name: _number(value) for name, value in added(lines).items()}
    told |= metadata.tables(rows=[_read(line) for line in lines])
    if lines and period in found.pictured:
        weeks = WEEKS_OF_A_SEASON if "season" in lines[0] else WEEKS_SHOWN
        told |= _pictures(lines, _weeks_before(found.history, period, weeks))
    return told


def _read(line: Line) -> Line:
    return season_line(line) if "season" in line else readable(line)


def _weeks_before(days: Lines, period: date, weeks: int) -> Lines:
    first = period - timedelta(weeks=weeks)
    return [day for day in days if first <= day["snapshot_date"] <= period]


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
