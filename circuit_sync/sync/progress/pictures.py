# ruff: noqa: PLC0415  matplotlib is imported when a picture is drawn: loading the definitions is not to wait for it
"""Pictures of progress, small: PNG for the Dagster UI, SVG for the report.

No pyplot, which keeps every figure: here each is made, written and forgotten.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

from circuit_sync.domain.printable import Lines, one_line
from circuit_sync.domain.progress import Course, courses
from circuit_sync.domain.seasons import BurnUp, burn_ups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_REGIONS = 12
MOST_PLANNERS = 25
_COLUMNS = 4
_LONGEST_NAME = 24  # characters: more would run into the next panel
_INK = "#5a6472"
_PLANNED, _TOTAL, _TARGET = "#2f8f6b", "#8a94a3", "#c8553d"
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
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
    "svg.fonttype": "none",
    "svg.hashsalt": "circuit_sync",
}


def progress_figure(days: Lines) -> "Figure":
    """Miles planned against the miles there are, a panel for each region over the dates of ``days``."""
    return _panels(courses(days, MOST_REGIONS), _draw_course, 1.7)


def burn_up_figure(seasons: Lines, courses: Lines) -> "Figure":
    """Each region's season: miles planned against the miles there are, the target, and where the pace leads.

    ``seasons``: rows of ``season_progress`` of one date; ``courses``: the miles of the dates up to it.
    """
    return _panels(burn_ups(seasons, courses, MOST_REGIONS), _draw_burn_up, 1.9)


def permissions_figure(regions: Lines) -> "Figure":
    """Units by permission, a stacked bar for each region; ``regions``: the rows of one period."""
    from matplotlib.ticker import MaxNLocator

    shown = sorted(regions, key=lambda line: line["total_units"])[-MOST_REGIONS:]
    if not any(line[f"units_{permission}"] for line in shown for permission in _PERMISSIONS):
        return _empty_figure("no units approved, pending or refused")

    def draw(figure: "Figure") -> None:
        panel = figure.subplots()
        left = [0] * len(shown)
        for permission, colour in _PERMISSIONS.items():
            units = [int(line[f"units_{permission}"]) for line in shown]
            panel.barh(range(len(shown)), units, left=left, color=colour, label=permission, height=0.6)
            left = [before + more for before, more in zip(left, units, strict=True)]
        _name_bars(panel, [line["region"] for line in shown])
        panel.set_xlabel("units")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside lower left", ncols=3, frameon=False)

    return _figure(draw, 6.4, 0.35 * len(shown) + 1.3)


def planners_figure(planners: Lines) -> "Figure":
    """Miles newly planned, a bar for each planner; ``planners``: the rows of one period. A correction points left."""
    names = {line["planner_key"]: line["planner"] for line in planners}
    planned: dict[str | None, float] = dict.fromkeys(names, 0)
    for line in planners:
        planned[line["planner_key"]] += float(line["miles_planned_change"])
    shown = sorted(planned, key=lambda planner: planned[planner])[-MOST_PLANNERS:]
    if not any(planned.values()):
        return _empty_figure("no miles newly planned")

    def draw(figure: "Figure") -> None:
        panel = figure.subplots()
        miles = [planned[planner] for planner in shown]
        colours = [_PLANNED if change >= 0 else _PERMISSIONS["refused"] for change in miles]
        bars = panel.barh(range(len(shown)), miles, color=colours, height=0.6)
        panel.bar_label(bars, fmt="%.1f", padding=3, fontsize=8, color=_INK)
        _name_bars(panel, [names[planner] for planner in shown])
        panel.set_xlabel("miles newly planned")
        panel.margins(x=0.1)

    return _figure(draw, 6.4, 0.28 * len(shown) + 1.0)


def as_png(figure: "Figure") -> bytes:
    """The figure for the Dagster UI."""
    return _written(figure, format="png", dpi=90, facecolor="white")


def as_svg(figure: "Figure") -> bytes:
    """The figure without metadata: the same rows yield the same picture, and it names no address."""
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    return _written(figure, format="svg", metadata=no_metadata, transparent=True)


def inline(figure: "Figure", title: str) -> str:
    """The SVG as a part of an HTML page: without XML's prologue, in the colour of the page's text, with a name."""
    text = as_svg(figure).decode()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title, quote=True)}"', 1)


def date_labels(dates: Iterable[date]) -> dict[date, str]:
    """Which of the dates are named on an axis, and how: the first, the last, and one near the middle if there is room.

    No two names are the same: dates of more than one year say which.
    """
    known = sorted(set(dates))
    first, last = known[0], known[-1]
    middle = min(known, key=lambda day: abs((day - first) - (last - day)))
    has_room = min(middle - first, last - middle) * 4 >= last - first
    shown = {first, middle, last} if has_room else {first, last}
    year = "\n%Y" if first.year != last.year else ""
    return {day: f"{day.day} {day:%b{year}}" for day in sorted(shown)}


def _draw_course(panel: Any, course: Course) -> None:
    panel.plot(course.dates, course.total, color=_TOTAL, linewidth=1.2, linestyle="--", label="miles in all")
    panel.plot(course.dates, course.planned, color=_PLANNED, linewidth=1.8, label="miles planned")
    panel.fill_between(course.dates, course.planned, color=_PLANNED, alpha=0.18, linewidth=0)
    if len(course.dates) == 1:
        panel.plot(course.dates, course.planned, "o", color=_PLANNED, markersize=4)
        panel.plot(course.dates, course.total, "o", color=_TOTAL, markersize=4)
    panel.set_title(_short(course.region), fontsize=9, loc="left")
    panel.set_ylim(0, max(1.0, *course.total, *course.planned) * 1.12)


def _draw_burn_up(panel: Any, season: BurnUp) -> None:
    _draw_course(panel, season.course)
    panel.set_title(f"{_short(season.course.region)}\n{season.verdict}", fontsize=9, loc="left")
    if season.projection:
        dates, miles = zip(*season.projection, strict=True)
        panel.plot(dates, miles, color=_PLANNED, linewidth=1.4, linestyle=":", label="at this pace")
        panel.set_ylim(0, max(panel.get_ylim()[1], miles[-1] * 1.12))
    if season.target:
        panel.axvline(season.target, color=_TARGET, linewidth=1.2, label="target")


def _panels(shown: Sequence[Any], draw_one: Callable[[Any, Any], None], height: float) -> "Figure":
    """A panel for each of ``shown`` over the same dates, and one legend of all lines; ``height`` of a row in inches."""
    if not shown:
        return _empty_figure("no snapshot")
    rows = math.ceil(len(shown) / _COLUMNS)
    columns = math.ceil(len(shown) / rows)

    def draw(figure: "Figure") -> None:
        panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
        for panel, one in zip(panels, shown, strict=False):
            draw_one(panel, one)
        _show_dates(panels[0], [day for one in shown for day in one.dates])
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
        for panel in panels[max(0, len(shown) - columns) : len(shown)]:
            panel.tick_params(labelbottom=True)
        lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
        named = {label: line for label, line in lines.items() if not label.startswith("_")}
        figure.legend(named.values(), named.keys(), loc="outside lower left", ncols=2, frameon=False)

    return _figure(draw, 10 if columns > 2 else 3.8 * columns, height * rows + 0.7)


def _show_dates(panel: Any, dates: Collection[date]) -> None:
    """Names dates on the axis of the panel and of those that share it, and shows no more than them."""
    labels = date_labels(dates)
    first, last = min(labels), max(labels)
    margin = max(timedelta(days=1), (last - first) / 16)
    panel.set_xticks(list(labels), list(labels.values()))
    panel.set_xlim(first - margin, last + margin)


def _name_bars(panel: Any, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)), [_short(name) for name in names])
    panel.set_ylim(-0.6, len(names) - 0.4)


def _short(name: str) -> str:
    shown = one_line(name)
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"


def _empty_figure(words: str) -> "Figure":
    def draw(figure: "Figure") -> None:
        panel = figure.subplots()
        panel.set_axis_off()
        panel.text(0.5, 0.5, words, ha="center", va="center", transform=panel.transAxes)

    return _figure(draw, 3.8, 1.0)


def _figure(draw: "Callable[[Figure], None]", width: float, height: float) -> "Figure":
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
    return figure


def _written(figure: "Figure", **options: Any) -> bytes:
    from matplotlib import rc_context

    written = BytesIO()
    with rc_context(_STYLE):
        figure.savefig(written, **options)
    return written.getvalue()
