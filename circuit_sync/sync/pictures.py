# ruff: noqa: PLC0415  matplotlib is imported when a picture is drawn: loading the definitions is not to wait for it
"""Pictures of progress, small: PNG for the Dagster UI, SVG for the report.

No pyplot and no state of its own: a figure is made, written and forgotten. In an SVG the text has the page's colour.
"""

import math
from collections.abc import Callable
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from circuit_sync.domain.progress import Course, Lines, courses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["png", "svg"]

MOST_REGIONS = 12
MOST_PLANNERS = 25
_COLUMNS = 4
_INK = "#5a6472"
_PLANNED, _TOTAL = "#2f8f6b", "#8a94a3"
_PERMISSIONS = {"approved": "#2f8f6b", "pending": "#e0a23a", "refused": "#c8553d"}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "circuit_sync",
}
_UNTOLD = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""No metadata in an SVG: the same rows yield the same picture, and it names no address."""


def progress_picture(days: Lines, kind: Kind = "png") -> bytes:
    """Miles planned against the miles there are, a panel for each region over the dates of ``days``."""
    shown = courses(days, MOST_REGIONS)
    rows = max(1, math.ceil(len(shown) / _COLUMNS))
    columns = max(1, math.ceil(len(shown) / rows))

    def draw(figure: "Figure") -> None:
        panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
        for panel, course in zip(panels, shown, strict=False):
            _draw_course(panel, course)
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
        for panel in panels[max(0, len(shown) - columns) : len(shown)]:
            panel.tick_params(labelbottom=True)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)

    return _drawn(draw, 10 if columns > 2 else 3.8 * columns, 1.7 * rows + 0.5, kind)


def permissions_picture(regions: Lines, kind: Kind = "png") -> bytes:
    """Units by permission, a stacked bar for each region; ``regions``: the rows of one period."""
    shown = sorted(regions, key=lambda line: line["total_units"])[-MOST_REGIONS:]

    def draw(figure: "Figure") -> None:
        panel = figure.subplots()
        left = [0] * len(shown)
        for permission, colour in _PERMISSIONS.items():
            units = [int(line[f"units_{permission}"]) for line in shown]
            panel.barh([line["region"] for line in shown], units, left=left, color=colour, label=permission, height=0.6)
            left = [before + more for before, more in zip(left, units, strict=True)]
        panel.set_xlabel("units")
        panel.margins(y=0.02)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)

    return _drawn(draw, 6.4, 0.35 * max(1, len(shown)) + 1.1, kind)


def planners_picture(planners: Lines, kind: Kind = "png") -> bytes:
    """Miles newly planned, a bar for each planner; ``planners``: the rows of one period. A correction points left."""
    planned: dict[str, float] = {}
    for line in planners:
        planned[line["planner"]] = planned.get(line["planner"], 0) + float(line["miles_planned_change"])
    shown = sorted(planned, key=lambda planner: planned[planner])[-MOST_PLANNERS:]

    def draw(figure: "Figure") -> None:
        panel = figure.subplots()
        miles = [planned[planner] for planner in shown]
        colours = [_PLANNED if change >= 0 else _PERMISSIONS["refused"] for change in miles]
        bars = panel.barh(shown, miles, color=colours, height=0.6)
        panel.bar_label(bars, fmt="%.1f", padding=3, fontsize=8, color=_INK)
        panel.set_xlabel("miles newly planned")
        panel.margins(x=0.1, y=0.02)

    return _drawn(draw, 6.4, 0.28 * max(1, len(shown)) + 0.8, kind)


def _draw_course(panel: Any, course: Course) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    panel.plot(course.dates, course.total, color=_TOTAL, linewidth=1.2, linestyle="--", label="miles in all")
    panel.plot(course.dates, course.planned, color=_PLANNED, linewidth=1.8, label="miles planned")
    panel.fill_between(course.dates, course.planned, color=_PLANNED, alpha=0.18, linewidth=0)
    if len(course.dates) == 1:
        panel.plot(course.dates, course.planned, "o", color=_PLANNED, markersize=4)
        panel.plot(course.dates, course.total, "o", color=_TOTAL, markersize=4)
    panel.set_title(course.region, fontsize=9, loc="left")
    panel.set_ylim(0, max(1.0, *course.total, *course.planned) * 1.12)
    panel.xaxis.set_major_locator(AutoDateLocator(minticks=1, maxticks=3))  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_formatter(DateFormatter("%-d %b"))  # type: ignore[no-untyped-call]


def _drawn(draw: "Callable[[Figure], None]", width: float, height: float, kind: Kind) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    options: dict[str, Any] = {"dpi": 90, "facecolor": "white"} if kind == "png" else {"transparent": True}
    written = BytesIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(written, format=kind, metadata=_UNTOLD if kind == "svg" else None, **options)
    return written.getvalue()


def inline(svg: bytes, title: str) -> str:
    """The SVG as a part of an HTML page: without XML's prologue, in the colour of the page's text, with a name."""
    text = svg.decode()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    opening = f'<svg role="img" aria-label="{escape(title, quote=True)}"'
    return text.replace("<svg", opening, 1)
