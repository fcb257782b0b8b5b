"""Seasons as people read them: when they end at their pace, and the series of the burn-up picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from circuit_sync.domain.eastern import week_ending
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import UNKNOWN_SEASON, Course, readable

YEARS = range(2010, 2101)
"""Seasons there can be: WorkStudio's dates before 2010 mean none."""

_FARTHEST = timedelta(days=731)
"""Ahead of the last date; what is further away would press the past together."""


@dataclass(frozen=True)
class BurnUp:
    """A region's season week by week: miles in all and miles planned (``course``), and where it leads.

    ``projection``: from the last date and the miles planned then to where the season ends at its pace, or, if that is
    far away, to where it is in two years; empty without a pace, and when nothing remains. ``target``: only if it lies
    between the first date shown and two years ahead.
    """

    course: Course
    verdict: str
    target: date | None
    projection: tuple[tuple[date, float], ...]

    @property
    def dates(self) -> list[date]:
        """Every date that the picture reaches."""
        ends = [day for day, _miles in self.projection]
        return [*self.course.dates, *ends, *([self.target] if self.target else [])]


def season_name(season: int | None) -> str:
    """The year, or that it is not known."""
    return UNKNOWN_SEASON if season is None else str(season)


def verdict(line: Line) -> str:
    """How a row of ``season_progress`` stands: ``done``, ``overdue``, ``on time``, ``late`` by so many days.

    Without a target: whether there is a pace.
    """
    if line["miles_remaining"] <= 0:
        return "done"
    if line["is_overdue"]:
        return "overdue"
    if line["projected_end"] is None:
        return "no pace"
    if line["finish_on"] is None:
        return "no target"
    late = (line["projected_end"] - line["finish_on"]).days
    return "on time" if late <= 0 else f"{late} days late"


def season_line(line: Line) -> Line:
    """A row of ``season_progress`` as a lead reads it."""
    return readable(line) | {"stands": verdict(line)}


def burn_ups(seasons: Lines, courses: Lines, most: int) -> list[BurnUp]:
    """The ``most`` of ``seasons`` that have the most miles left, the latest season first.

    ``seasons``: rows of ``season_progress`` of one date; ``courses``: the miles of their dates up to it.
    """
    ranked = sorted(seasons, key=lambda line: (-line["miles_remaining"], _order(line)))[:most]
    by_key: dict[tuple[Any, Any], dict[date, Line]] = {_key(line): {} for line in ranked}
    for line in sorted(courses, key=lambda line: line["snapshot_date"]):
        if _key(line) in by_key:
            by_key[_key(line)][week_ending(line["snapshot_date"])] = line
    return [_burn_up(line, list(by_key[_key(line)].values()) or [line]) for line in sorted(ranked, key=_order)]


def _burn_up(line: Line, weeks: Sequence[Line]) -> BurnUp:
    course = Course(
        f"{season_name(line['season'])}, {line['region']}",
        tuple(week["snapshot_date"] for week in weeks),
        tuple(float(week["total_miles"]) for week in weeks),
        tuple(float(week["miles_planned"]) for week in weeks),
    )
    target = line["finish_on"]
    is_near = target and course.dates[0] <= target <= line["snapshot_date"] + _FARTHEST
    return BurnUp(course, verdict(line), target if is_near else None, _projection(line))


def _projection(line: Line) -> tuple[tuple[date, float], ...]:
    begin, end = line["snapshot_date"], line["projected_end"]
    if end is None or end <= begin:
        return ()
    shown = min(end, begin + _FARTHEST)
    planned, remaining = float(line["miles_planned"]), float(line["miles_remaining"])
    return (begin, planned), (shown, planned + remaining * ((shown - begin) / (end - begin)))


def _key(line: Line) -> tuple[Any, Any]:
    return line["region"], line["season"]


def _order(line: Line) -> tuple[int, str]:
    return -(line["season"] or 0), line["region"]
