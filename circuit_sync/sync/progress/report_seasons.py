"""The report's section of seasons: finished work included, by region and the year its circuits begin in."""

from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import percent
from circuit_sync.domain.seasons import season_name, verdict
from circuit_sync.sync.progress import report_cells as cells
from circuit_sync.sync.progress.pictures import burn_up_picture, inline

_HEADS = (
    "Region",
    "Season",
    "Circuits",
    "Closed",
    "Departed",
    "Miles",
    "Planned",
    "",
    "Remaining",
    "A week",
    "Needed",
    "Target",
    "Projected end",
    "",
)
_NOTE = (
    "Circuits closed or gone from WorkStudio count at their last state. The pace is that of the last four weeks. What "
    "remains is the miles not planned of circuits that are not closed."
)


def season_section(seasons: Lines, courses: Lines) -> str:
    """A table and the burn-up picture of ``seasons``, rows of ``season_progress`` of one date; nothing without any.

    ``courses``: the miles of the dates up to it.
    """
    if not seasons:
        return ""
    table = cells.table(_HEADS, [_cells(line) for line in seasons])
    picture = inline(burn_up_picture(seasons, courses, "svg"), "Miles planned of each season, its target and its pace")
    return f'<section><h2>By season</h2>{table}<p>{_NOTE}</p><div class="wide">{picture}</div></section>'


def _cells(line: Line) -> list[str]:
    stands = verdict(line)
    return [
        cells.name(line["region"]),
        cells.cell(season_name(line["season"])),
        cells.count(line["circuits"]),
        cells.count(line["circuits_closed"]),
        cells.count(line["circuits_departed"]),
        cells.cell(cells.miles(line["total_miles"])),
        cells.cell(cells.miles(line["miles_planned"])),
        cells.bar(percent(line["miles_planned"], line["total_miles"])),
        cells.cell(cells.miles(line["miles_remaining"])),
        *(_pace(line[name]) for name in ("miles_per_week", "needed_miles_per_week")),
        cells.short(line["finish_on"]),
        cells.short(line["projected_end"]),
        cells.cell(stands, "less" if stands == "overdue" or stands.endswith("late") else ""),
    ]


def _pace(miles: object) -> str:
    return cells.cell("" if miles is None else cells.miles(miles))
