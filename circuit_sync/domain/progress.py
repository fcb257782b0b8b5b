"""Progress as people read it: lines of a table, series of a picture. From the rows of the roll-ups, no database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from circuit_sync.domain.printable import Line, Lines

UNKNOWN_SEASON = "unknown"
_ADDED = (
    "circuits",
    "total_miles",
    "miles_planned",
    "miles_remaining",
    "miles_planned_change",
    "total_units",
    "total_units_change",
    "units_approved",
    "units_approved_change",
    "units_pending",
    "units_pending_over_14_days",
    "units_refused",
)
_ADDED_OF_SEASONS = ("circuits_closed", "circuits_departed", "miles_closed_unplanned")
_SHOWN = {
    "circuits": "circuits",
    "closed": "circuits_closed",
    "departed": "circuits_departed",
    "total miles": "total_miles",
    "planned": "miles_planned",
    "remaining": "miles_remaining",
    "closed unplanned": "miles_closed_unplanned",
    "newly planned": "miles_planned_change",
    "units": "total_units",
    "new units": "total_units_change",
    "approved": "units_approved",
    "pending": "units_pending",
    "pending over 14 days": "units_pending_over_14_days",
    "oldest pending": "oldest_pending_on",
    "refused": "units_refused",
    "miles a week": "miles_per_week",
    "needed a week": "needed_miles_per_week",
    "target": "finish_on",
    "projected end": "projected_end",
}


@dataclass(frozen=True)
class Course:
    """How far a region came, date by date: miles in all and miles planned."""

    region: str
    dates: tuple[date, ...]
    total: tuple[float, ...]
    planned: tuple[float, ...]


@dataclass(frozen=True)
class PlannerWeek:
    """A planner's week over all regions: ``by_day`` is what was planned on each day, ``None`` without a snapshot."""

    planner: str
    regions: tuple[str, ...]
    by_day: tuple[Decimal | None, ...]
    totals: Line
    oldest_pending: date | None


def percent(part: Any, whole: Any) -> float | None:
    """``part`` in per cent of ``whole``; none of nothing."""
    return float(part) * 100 / float(whole) if whole else None


def added(lines: Iterable[Line]) -> dict[str, Any]:
    """What rows of a roll-up add up to; they must be of one period."""
    rows = list(lines)
    held = [name for name in _ADDED if all(name in row for row in rows)]
    held += [name for name in _ADDED_OF_SEASONS if rows and all(name in row for row in rows)]
    return {name: sum((row[name] for row in rows), Decimal(0) if "miles" in name else 0) for name in held}


def oldest_pending(lines: Iterable[Line]) -> date | None:
    """Since when the pending unit that has waited longest waits, over rows of one period."""
    return min((line["oldest_pending_on"] for line in lines if line["oldest_pending_on"]), default=None)


def readable(line: Line) -> dict[str, Any]:
    """A row of a roll-up as a lead reads it."""
    named = {name: line[name] for name in ("season", "planner", "region") if name in line}
    if "season" in named and named["season"] is None:
        named["season"] = UNKNOWN_SEASON
    values = {shown: line[name] for shown, name in _SHOWN.items() if name in line}
    share = percent(line["miles_planned"], line["total_miles"])
    return named | values | {"percent": "" if share is None else round(share, 1)}


def courses(days: Lines, most: int) -> list[Course]:
    """The course of each region from its days; the ``most`` regions with the most miles, the others as one."""
    size: dict[str, Decimal] = {}
    for day in days:
        size[day["region"]] = max(size.get(day["region"], Decimal(0)), day["total_miles"])
    ranked = sorted(size, key=lambda region: (-size[region], region))
    alone = ranked if len(ranked) <= most else ranked[: most - 1]
    others = f"{len(ranked) - len(alone)} other regions"
    found: dict[str, dict[date, list[Decimal]]] = {name: {} for name in alone}
    for day in days:
        name = day["region"] if day["region"] in alone else others
        sums = found.setdefault(name, {}).setdefault(day["snapshot_date"], [Decimal(0), Decimal(0)])
        sums[0] += day["total_miles"]
        sums[1] += day["miles_planned"]
    return [
        Course(
            name,
            tuple(sorted(by_date)),
            tuple(float(by_date[day][0]) for day in sorted(by_date)),
            tuple(float(by_date[day][1]) for day in sorted(by_date)),
        )
        for name, by_date in found.items()
    ]


def planner_weeks(weeks: Lines, days: Lines, dates: Sequence[date]) -> list[PlannerWeek]:
    """Each planner's week, who planned most first. ``dates``: Monday to Friday; one without snapshots stays empty.

    Two of one name stay two by their ``planner_key``; the name is the latest spelling, that of the days.
    """
    names = {line["planner_key"]: line["planner"] for line in (*weeks, *days)}
    taken = {day["snapshot_date"] for day in days}
    by_planner: dict[str | None, list[Line]] = {}
    for week in weeks:
        by_planner.setdefault(week["planner_key"], []).append(week)
    planned: dict[tuple[str | None, date], Decimal] = {}
    for day in days:
        key = (day["planner_key"], day["snapshot_date"])
        planned[key] = planned.get(key, Decimal(0)) + day["miles_planned_change"]
    found = [
        PlannerWeek(
            names[planner],
            tuple(dict.fromkeys(line["region"] for line in lines)),
            tuple(planned.get((planner, day), Decimal(0)) if day in taken else None for day in dates),
            added(lines),
            oldest_pending(lines),
        )
        for planner, lines in by_planner.items()
    ]
    return sorted(found, key=lambda week: (-week.totals["miles_planned_change"], week.planner))
