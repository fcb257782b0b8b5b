"""The week's progress as one HTML page that needs nothing else: what a lead forwards on Friday."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import escape
from importlib import resources
from string import Template
from typing import Any

from circuit_sync.database import progress as rows
from circuit_sync.domain.eastern import EASTERN, eastern_date, weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.progress import Line, Lines, PlannerWeek, added, percent, planner_weeks
from circuit_sync.domain.weeks import monday_of, week_ending
from circuit_sync.sync.pictures import inline, permissions_picture, progress_picture
from circuit_sync.sync.rollups import WEEKS_SHOWN
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class WeekProgress:
    """What is known of the week that ends on ``friday``; ``days``: the regions' days of the last weeks."""

    friday: date
    regions: Lines
    planners: Sequence[PlannerWeek]
    days: Lines
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
        imported = rows.imported_dates(connection, weekdays_between(monday, friday))
    return WeekProgress(friday, regions, planners, days, imported, now)


def report_page(week: WeekProgress) -> str:
    """The page: no script, no request to anybody, light and dark, fit to be printed."""
    template = Template((resources.files("circuit_sync.sync") / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=f"Progress, week ending {_long(week.friday)}",
        subtitle=escape(_subtitle(week)),
        tiles="".join(_tiles(added(week.regions))),
        regions=_regions_table(week.regions),
        progress=inline(progress_picture(week.days, "svg"), "Miles planned against the miles there are, by region"),
        permissions=inline(permissions_picture(week.regions, "svg"), "Units by permission, by region"),
        units=_units_table(week.regions),
        planners=_planners_table(week),
        weeks=WEEKS_SHOWN,
        made_at=f"{_long(eastern_date(week.made_at))}, {week.made_at.astimezone(EASTERN):%H:%M %Z}",
    )


def _extent(known: tuple[date, date] | None) -> str:
    return "there is none at all yet" if known is None else f"there are some from {known[0]} to {known[1]}"


def _subtitle(week: WeekProgress) -> str:
    told = [f"{_long(week.dates[0])} to {_long(week.last_date)}"]
    if week.last_date < week.friday:
        told.append("the week is not over, or its last days have no snapshot")
    if week.imported:
        told.append(f"figures of {', '.join(f'{day.day} {day:%B}' for day in week.imported)} were imported")
    return " · ".join(told)


def _tiles(totals: Mapping[str, Any]) -> Iterable[str]:
    share = percent(totals["miles_planned"], totals["total_miles"])
    yield _tile(_signed(totals["miles_planned_change"]), "miles planned this week")
    yield _tile("none" if share is None else f"{share:.1f} %", f"of {_miles(totals['total_miles'])} miles planned")
    yield _tile(_miles(totals["miles_remaining"]), "miles remaining")
    yield _tile(f"{totals['circuits']:,}", "open circuits")
    yield _tile(_signed(totals["units_approved_change"]), f"units approved, {totals['units_approved']:,} in all")
    yield _tile(f"{totals['units_pending']:,}", f"units pending, {totals['units_refused']:,} refused")


def _tile(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


_MINUS = "\N{MINUS SIGN}"
_STAGES = {
    "stage_active": "Active",
    "stage_pending_permissions": "Permissions",
    "stage_qc": "QC",
    "stage_rework": "Rework",
}
_REGION_HEADS = ("Region", "Circuits", *_STAGES.values(), "Miles", "Planned", "", "Remaining", "Planned this week")
_UNIT_HEADS = ("Region", "Units", "This week", "Approved", "This week", "Pending", "Refused")


def _regions_table(regions: Lines) -> str:
    body = [_region_cells(line["region"], line) for line in regions]
    total = added(regions) | {stage: sum(line[stage] for line in regions) for stage in _STAGES}
    return _table(_REGION_HEADS, body, _region_cells("All regions", total))


def _units_table(regions: Lines) -> str:
    body = [_unit_cells(line["region"], line) for line in regions]
    return _table(_UNIT_HEADS, body, _unit_cells("All regions", added(regions)))


def _unit_cells(name: str, line: Line) -> list[str]:
    return [
        _name(name),
        _count(line["total_units"]),
        _change(line["total_units_change"]),
        _count(line["units_approved"]),
        _change(line["units_approved_change"]),
        _count(line["units_pending"]),
        _count(line["units_refused"]),
    ]


def _region_cells(name: str, line: Line) -> list[str]:
    return [
        _name(name),
        _count(line["circuits"]),
        *(_count(line[stage]) for stage in _STAGES),
        _cell(_miles(line["total_miles"])),
        _cell(_miles(line["miles_planned"])),
        _bar(percent(line["miles_planned"], line["total_miles"])),
        _cell(_miles(line["miles_remaining"])),
        _change(line["miles_planned_change"]),
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
        "Refused",
    )
    return _table(heads, [_planner_cells(planner) for planner in week.planners])


def _planner_cells(week: PlannerWeek) -> list[str]:
    totals = week.totals
    return [
        _name(week.planner),
        _name(_few(week.regions), kind="td"),
        _count(totals["circuits"]),
        *('<td class="none">·</td>' if planned is None else _change(planned) for planned in week.by_day),
        _change(totals["miles_planned_change"], "sum"),
        _cell(_miles(totals["total_miles"])),
        _bar(percent(totals["miles_planned"], totals["total_miles"])),
        _count(totals["total_units"]),
        _count(totals["units_approved"]),
        _count(totals["units_pending"]),
        _count(totals["units_refused"]),
    ]


def _few(names: Sequence[str]) -> str:
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _table(heads: Iterable[str], body: Iterable[Sequence[str]], foot: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in body)
    last = f"<tfoot><tr>{''.join(foot)}</tr></tfoot>" if foot else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody>{last}</table></div>'


def _name(text: str, kind: str = 'th scope="row"') -> str:
    return f"<{kind}>{escape(text)}</{kind.split(' ', maxsplit=1)[0]}>"


def _cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def _count(number: Any) -> str:
    return _cell(f"{number:,}") if number else _cell("0", "none")


def _change(number: Any, kind: str = "") -> str:
    """What was added is told with its sign; a correction stands out."""
    of_kind = "none" if not number else "less" if number < 0 else "more"
    return _cell(_signed(number) if number else "0", f"{of_kind} {kind}".strip())


def _bar(share: float | None) -> str:
    if share is None:
        return _cell("", "bar")
    return _cell(f'<meter min="0" max="100" value="{min(100.0, max(0.0, share)):.1f}"></meter> {share:.0f} %', "bar")


def _miles(number: Any) -> str:
    return f"{Decimal(number):,.1f}"


def _signed(number: Any) -> str:
    shown = f"{abs(number):,.1f}" if isinstance(number, Decimal) else f"{abs(number):,}"
    return f"{_MINUS if number < 0 else '+' if number > 0 else ''}{shown}"


def _long(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"
