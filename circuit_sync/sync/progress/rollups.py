"""Roll-ups of the daily snapshots by region and planner. The weekly ones are views over them: never out of step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from circuit_sync.database.connection import Connection
from circuit_sync.database.locks import ROLL_UPS, take_until_end
from circuit_sync.database.progress import reading as progress
from circuit_sync.database.progress.rollups import replace_rollups
from circuit_sync.database.progress.seasons import replace_season_daily
from circuit_sync.database.progress.snapshots import history_begins
from circuit_sync.database.progress.states import dated_states
from circuit_sync.domain.eastern import eastern_date, last_instants, monday_of, weekdays_between, weeks_of
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.sync.session import Session

WEEKS_SHOWN = 8
WEEKS_OF_A_SEASON = 52

_WEEKLY = {"regional_daily": "regional_weekly", "planner_daily": "planner_weekly"}
_READ: Mapping[str, Callable[[Connection, date, date], Lines]] = {
    "regional_daily": progress.regional_days,
    "planner_daily": progress.planner_days,
    "season_daily": progress.season_days,
    "regional_weekly": progress.regional_weeks,
    "planner_weekly": progress.planner_weeks,
}
OF_SNAPSHOTS = ("regional_daily", "planner_daily")
DAILY = (*OF_SNAPSHOTS, "season_daily")
"""The roll-ups that are tables: of the snapshots, and of history."""


@dataclass(frozen=True)
class RollUp:
    """What one roll-up says of some periods; a period is a date, or the Friday of a week.

    ``lines``: the rows of each period; ``empty``: why a period has none; ``imported``: dates from another system;
    ``pictured``: the periods to draw, and ``history``: the regions' days up to them, over the last weeks; of seasons
    their courses over the last year.
    """

    lines: Mapping[date, Lines]
    empty: Mapping[date, str]
    imported: Sequence[date]
    pictured: frozenset[date]
    history: Lines


def roll_up_days(
    connection: Connection, dates: Sequence[date], now: datetime, tables: Sequence[str] = DAILY
) -> dict[str, RollUp]:
    """Computes the daily roll-ups of ``dates`` anew, in the caller's transaction; returns what each says then.

    Of the dates, later ones whose differences refer to them and were corrected, and the weeks of all these. For
    ``season_daily`` the caller has ``dated_states`` of the dates.
    """
    replaced: dict[str, list[date]] = {}
    if of_snapshots := [table for table in tables if table in OF_SNAPSHOTS]:
        replaced |= dict.fromkeys(of_snapshots, replace_rollups(connection, dates, now, of_snapshots))
    if "season_daily" in tables:
        replace_season_daily(connection, last_instants(dates), now)
        replaced["season_daily"] = list(dates)
    since, rolled_up = history_begins(connection), {}
    for table, days in replaced.items():
        rolled_up[table] = _read(connection, table, days, max(dates), since)
        if weekly := _WEEKLY.get(table):
            rolled_up[weekly] = _read(connection, weekly, weeks_of(days), max(weeks_of(dates)), since)
    return rolled_up


def roll_up(session: Session, dates: Sequence[date], *tables: str) -> dict[str, RollUp]:
    """Repairs the roll-ups of ``dates`` (all ``tables``, if none is named) as ``roll_up_days`` computes them."""
    if not dates:
        raise UsageError("no date to roll up: name at least one weekday")
    with session.database.transaction() as connection:
        take_until_end(connection, ROLL_UPS)
        with dated_states(connection, last_instants(dates)):
            return roll_up_days(connection, dates, session.now(), tables or DAILY)


def read_weeks(session: Session, view: str, fridays: Sequence[date]) -> RollUp:
    """What a weekly view says of the weeks that end on ``fridays``."""
    with session.database.transaction() as connection:
        return _read(connection, view, fridays, max(fridays), history_begins(connection))


def why_empty(period: date, since: datetime | None) -> str:
    """Why there is nothing of a date, or of the week that ends on it; ``since``: when history begins."""
    if since is None:
        return "no circuit was synced yet, so there is no history"
    if period < eastern_date(since):
        return f"before history begins ({eastern_date(since)})"
    return "no circuit was open"


def _read(connection: Connection, table: str, periods: Iterable[date], asked: date, since: datetime | None) -> RollUp:
    """``asked``: the last period that was asked for; those after it were corrected with it."""
    lines: dict[date, list[Line]] = {period: [] for period in sorted(periods)}
    first, last = min(lines), max(lines)
    for line in _READ[table](connection, first, last):
        lines.get(line.get("week_ending") or line["snapshot_date"], []).append(line)
    days = weekdays_between(monday_of(first) if table in _WEEKLY.values() else first, last)
    imported = progress.imported_dates(connection, [day for day in days if since is None or day < eastern_date(since)])
    return RollUp(
        lines,
        empty={period: why_empty(period, since) for period, rows in lines.items() if not rows},
        imported=imported,
        pictured=frozenset((asked, last)),
        history=progress.season_courses(connection, asked - timedelta(weeks=WEEKS_OF_A_SEASON), last)
        if table == "season_daily"
        else progress.regional_days(connection, asked - timedelta(weeks=WEEKS_SHOWN), last),
    )
