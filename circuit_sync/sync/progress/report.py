"""The week's progress as one HTML page that needs nothing else: what a lead forwards on Friday."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from importlib import resources
from string import Template

from circuit_sync.database.progress import reading as rows
from circuit_sync.domain.eastern import EASTERN, eastern_date, monday_of, week_ending, weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import PlannerWeek, added, oldest_pending, percent, planner_weeks
from circuit_sync.domain.seasons import season_name, verdict
from circuit_sync.sync.progress import report_cells as cells
from circuit_sync.sync.progress.pictures import burn_up_figure, inline, permissions_figure, progress_figure
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
            known = rows.extent(connection)
            extent = f"there are some from {known[0]} to {known[1]}" if known else "there is none at all yet"
            raise UsageError(f"no snapshot in the week {monday} to {friday}: {extent}")
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
    totals = added(week.regions) | {
        "region": "All regions",
        "oldest_pending_on": oldest_pending(week.regions),
        **{name: sum(line[name] for line in week.regions) for _, name, _ in _REGIONS if name.startswith("stage_")},
    }
    return template.substitute(
        title=f"Progress, week ending {cells.long_date(week.friday)}",
        subtitle=escape(_subtitle(week)),
        tiles="".join(_tiles(totals)),
        regions=cells.table(_REGIONS, week.regions, totals),
        progress=inline(progress_figure(week.days), "Miles planned against the miles there are, by region"),
        permissions=inline(permissions_figure(week.regions), "Units by permission, by region"),
        units=cells.table(_UNITS, week.regions, totals),
        seasons=_season_section(week.seasons, week.season_courses),
        planners=_planners_table(week),
        weeks=WEEKS_SHOWN,
        made_at=f"{cells.long_date(eastern_date(week.made_at))}, {week.made_at.astimezone(EASTERN):%H:%M %Z}",
    )


def _subtitle(week: WeekProgress) -> str:
    parts = [f"{cells.long_date(week.dates[0])} to {cells.long_date(week.last_date)}"]
    if week.last_date < week.friday:
        parts.append("the week is not over, or its last days have no snapshot")
    if week.imported:
        parts.append(f"figures of {', '.join(f'{day.day} {day:%B}' for day in week.imported)} were imported")
    return " · ".join(parts)


def _tiles(totals: Line) -> Iterable[str]:
    share = percent(totals["miles_planned"], totals["total_miles"])
    yield _tile(cells.signed(totals["miles_planned_change"]), "miles planned this week")
    yield _tile(
        "none" if share is None else f"{share:.1f} %", f"of {cells.tenths(totals['total_miles'])} miles planned"
    )
    yield _tile(cells.tenths(totals["miles_remaining"]), "miles remaining")
    yield _tile(f"{totals['circuits']:,}", "open circuits")
    yield _tile(cells.signed(totals["units_approved_change"]), f"units approved, {totals['units_approved']:,} in all")
    old, refused = totals["units_pending_over_14_days"], totals["units_refused"]
    yield _tile(f"{totals['units_pending']:,}", f"units pending, {old:,} over 14 days; {refused:,} refused")


def _tile(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


_REGIONS = (
    ("Region", "region", cells.name),
    ("Circuits", "circuits", cells.count),
    ("Active", "stage_active", cells.count),
    ("Permissions", "stage_pending_permissions", cells.count),
    ("QC", "stage_qc", cells.count),
    ("Rework", "stage_rework", cells.count),
    ("Miles", "total_miles", cells.miles),
    ("Planned", "miles_planned", cells.miles),
    ("", "percent", cells.bar),
    ("Remaining", "miles_remaining", cells.miles),
    ("Planned this week", "miles_planned_change", cells.change),
)
_UNITS = (
    ("Region", "region", cells.name),
    ("Units", "total_units", cells.count),
    ("This week", "total_units_change", cells.change),
    ("Approved", "units_approved", cells.count),
    ("This week", "units_approved_change", cells.change),
    ("Pending", "units_pending", cells.count),
    ("Over 14 days", "units_pending_over_14_days", cells.count),
    ("Oldest", "oldest_pending_on", cells.day),
    ("Refused", "units_refused", cells.count),
)
_PLANNERS = (
    ("Planner", "planner", cells.name),
    ("Regions", "regions", cells.text),
    ("Circuits", "circuits", cells.count),
)
_PLANNERS_WEEK = (
    ("Week", "miles_planned_change", lambda number: cells.change(number, "sum")),
    ("Miles", "total_miles", cells.miles),
    ("Planned", "percent", cells.bar),
    ("Units", "total_units", cells.count),
    ("Approved", "units_approved", cells.count),
    ("Pending", "units_pending", cells.count),
    *_UNITS[-3:],
)
_SEASONS = (
    ("Region", "region", cells.name),
    ("Season", "season_name", cells.text),
    ("Circuits", "circuits", cells.count),
    ("Closed", "circuits_closed", cells.count),
    ("Departed", "circuits_departed", cells.count),
    ("Miles", "total_miles", cells.miles),
    ("Planned", "miles_planned", cells.miles),
    ("", "percent", cells.bar),
    ("Remaining", "miles_remaining", cells.miles),
    ("A week", "miles_per_week", cells.miles),
    ("Needed", "needed_miles_per_week", cells.miles),
    ("Target", "finish_on", cells.day),
    ("Projected end", "projected_end", cells.day),
    ("", "verdict", lambda said: cells.text(said, "less" if said == "overdue" or said.endswith("late") else "")),
)
_SEASONS_NOTE = (
    "Circuits closed or gone from WorkStudio count at their last state. The pace is that of the last four weeks. What "
    "remains is the miles not planned of circuits that are not closed."
)


def _planners_table(week: WeekProgress) -> str:
    by_day = [
        (f"{day:%a}", day.isoformat(), lambda miles: cells.text("·", "none") if miles is None else cells.change(miles))
        for day in week.dates
    ]
    lines = [
        {
            **planner.totals,
            **{day.isoformat(): miles for day, miles in zip(week.dates, planner.by_day, strict=True)},
            "planner": planner.planner,
            "regions": _few(planner.regions),
            "oldest_pending_on": planner.oldest_pending,
        }
        for planner in week.planners
    ]
    return cells.table((*_PLANNERS, *by_day, *_PLANNERS_WEEK), lines)


def _few(names: Sequence[str]) -> str:
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _season_section(seasons: Lines, courses: Lines) -> str:
    """A table and the burn-up picture; nothing without any season."""
    if not seasons:
        return ""
    lines = [{**line, "season_name": season_name(line["season"]), "verdict": verdict(line)} for line in seasons]
    table = cells.table(_SEASONS, lines)
    picture = inline(burn_up_figure(seasons, courses), "Miles planned of each season, its target and its pace")
    return f'<section><h2>By season</h2>{table}<p>{_SEASONS_NOTE}</p><div class="wide">{picture}</div></section>'
