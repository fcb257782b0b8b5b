"""The week's progress as one HTML page that needs nothing else: what a lead forwards on Friday."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from importlib import resources
from string import Template

from circuit_sync.database.progress import reading as rows
from circuit_sync.domain.eastern import EASTERN, eastern_date, weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import PlannerWeek, added, oldest_pending, percent, planner_weeks
from circuit_sync.domain.weeks import monday_of, week_ending
from circuit_sync.sync.progress import report_cells as cells
from circuit_sync.sync.progress.pictures import inline, permissions_picture, progress_picture
from circuit_sync.sync.progress.report_seasons import season_section
from circuit_sync.sync.progress.rollups import WEEKS_OF_A_SEASON, WEEKS_SHOWN
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class WeekProgress:
    """What is known of the week that ends on ``friday``; ``days``: the regions' days of the last weeks;
    ``seasons``: what ``season_progress`` says of the last date, ``season_courses``: the miles of the year before it.
    """

    friday: date
    regions: Lines
    planners: Sequence[PlannerWeek]
    days: Lines
    seasons: Lines
    season_courses: Lines
    imported: Sequence[date]
    made_at: datetime

    @property
    def dates(self) -> list[date]:
        return weekdays_between(monday_of(self.friday), self.friday)

    @property
    def last_date(self) -> date:
        """The last date of the week that has snapshots."""
        last: date = self.regions[0]["last_snapshot_date"]
        return last


def week_progress(session: Session, day: date | None = None) -> WeekProgress:
    """The progress of the week of ``day`` (now, if none is named); ``UsageError`` if it has no snapshot."""
    now = session.now()
    friday = week_ending(day or eastern_date(now))
    monday = monday_of(friday)
    with session.database.transaction() as connection:
        regions = rows.regional_weeks(connection, friday, friday)
        if not regions:
            raise UsageError(f"no snapshot in the week {monday} to {friday}: {_extent(rows.extent(connection))}")
        planners = planner_weeks(
            rows.planner_weeks(connection, friday, friday),
            rows.planner_days(connection, monday, friday),
            weekdays_between(monday, friday),
        )
        days = rows.regional_days(connection, friday - timedelta(weeks=WEEKS_SHOWN), friday)
        last = regions[0]["last_snapshot_date"]
        seasons = rows.season_days(connection, last, last)
        courses = rows.season_courses(connection, last - timedelta(weeks=WEEKS_OF_A_SEASON), last)
        imported = rows.imported_dates(connection, weekdays_between(monday, friday))
    return WeekProgress(friday, regions, planners, days, seasons, courses, imported, now)


def report_page(week: WeekProgress) -> str:
    """The page: no script, no request to anybody, light and dark, fit to be printed."""
    template = Template((resources.files("circuit_sync.sync.progress") / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=f"Progress, week ending {cells.long(week.friday)}",
        subtitle=escape(_subtitle(week)),
        tiles="".join(_tiles(added(week.regions))),
        regions=_regions_table(week.regions),
        progress=inline(progress_picture(week.days, "svg"), "Miles planned against the miles there are, by region"),
        permissions=inline(permissions_picture(week.regions, "svg"), "Units by permission, by region"),
        units=_units_table(week.regions),
        seasons=season_section(week.seasons, week.season_courses),
        planners=_planners_table(week),
        weeks=WEEKS_SHOWN,
        made_at=f"{cells.long(eastern_date(week.made_at))}, {week.made_at.astimezone(EASTERN):%H:%M %Z}",
    )


def _extent(known: tuple[date, date] | None) -> str:
    return "there is none at all yet" if known is None else f"there are some from {known[0]} to {known[1]}"


def _subtitle(week: WeekProgress) -> str:
    told = [f"{cells.long(week.dates[0])} to {cells.long(week.last_date)}"]
    if week.last_date < week.friday:
        told.append("the week is not over, or its last days have no snapshot")
    if week.imported:
        told.append(f"figures of {', '.join(f'{day.day} {day:%B}' for day in week.imported)} were imported")
    return " · ".join(told)


def _tiles(totals: Line) -> Iterable[str]:
    share = percent(totals["miles_planned"], totals["total_miles"])
    yield _tile(cells.signed(totals["miles_planned_change"]), "miles planned this week")
    yield _tile("none" if share is None else f"{share:.1f} %", f"of {cells.miles(totals['total_miles'])} miles planned")
    yield _tile(cells.miles(totals["miles_remaining"]), "miles remaining")
    yield _tile(f"{totals['circuits']:,}", "open circuits")
    yield _tile(cells.signed(totals["units_approved_change"]), f"units approved, {totals['units_approved']:,} in all")
    yield _tile(f"{totals['units_pending']:,}", _waiting(totals))


def _waiting(totals: Line) -> str:
    return f"units pending, {totals['units_pending_over_14_days']:,} over 14 days; {totals['units_refused']:,} refused"


def _tile(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


_STAGES = {
    "stage_active": "Active",
    "stage_pending_permissions": "Permissions",
    "stage_qc": "QC",
    "stage_rework": "Rework",
}
_REGION_HEADS = ("Region", "Circuits", *_STAGES.values(), "Miles", "Planned", "", "Remaining", "Planned this week")
_WAITING = ("Over 14 days", "Oldest")
_UNIT_HEADS = ("Region", "Units", "This week", "Approved", "This week", "Pending", *_WAITING, "Refused")


def _regions_table(regions: Lines) -> str:
    body = [_region_cells(line["region"], line) for line in regions]
    total = added(regions) | {stage: sum(line[stage] for line in regions) for stage in _STAGES}
    return cells.table(_REGION_HEADS, body, _region_cells("All regions", total))


def _units_table(regions: Lines) -> str:
    body = [_unit_cells(line["region"], line) for line in regions]
    total = added(regions) | {"oldest_pending_on": oldest_pending(regions)}
    return cells.table(_UNIT_HEADS, body, _unit_cells("All regions", total))


def _unit_cells(name: str, line: Line) -> list[str]:
    return [
        cells.name(name),
        cells.count(line["total_units"]),
        cells.change(line["total_units_change"]),
        cells.count(line["units_approved"]),
        cells.change(line["units_approved_change"]),
        cells.count(line["units_pending"]),
        cells.count(line["units_pending_over_14_days"]),
        cells.short(line["oldest_pending_on"]),
        cells.count(line["units_refused"]),
    ]


def _region_cells(name: str, line: Line) -> list[str]:
    return [
        cells.name(name),
        cells.count(line["circuits"]),
        *(cells.count(line[stage]) for stage in _STAGES),
        cells.cell(cells.miles(line["total_miles"])),
        cells.cell(cells.miles(line["miles_planned"])),
        cells.bar(percent(line["miles_planned"], line["total_miles"])),
        cells.cell(cells.miles(line["miles_remaining"])),
        cells.change(line["miles_planned_change"]),
    ]


def _planners_table(week: WeekProgress) -> str:
    heads = (
        "Planner",
        "Regions",
        "Circuits",
        *(f"{day:%a}" for day in week.dates),
        "Week",
        "Miles",
        "Planned",
        "Units",
        "Approved",
        "Pending",
        *_WAITING,
        "Refused",
    )
    return cells.table(heads, [_planner_cells(planner) for planner in week.planners])


def _planner_cells(week: PlannerWeek) -> list[str]:
    totals = week.totals
    return [
        cells.name(week.planner),
        cells.name(_few(week.regions), kind="td"),
        cells.count(totals["circuits"]),
        *('<td class="none">·</td>' if planned is None else cells.change(planned) for planned in week.by_day),
        cells.change(totals["miles_planned_change"], "sum"),
        cells.cell(cells.miles(totals["total_miles"])),
        cells.bar(percent(totals["miles_planned"], totals["total_miles"])),
        cells.count(totals["total_units"]),
        cells.count(totals["units_approved"]),
        cells.count(totals["units_pending"]),
        cells.count(totals["units_pending_over_14_days"]),
        cells.short(week.oldest_pending),
        cells.count(totals["units_refused"]),
    ]


def _few(names: Sequence[str]) -> str:
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
