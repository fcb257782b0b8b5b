"""Roll-ups of the daily snapshots by region and planner. The weekly ones are views over them: never out of step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from circuit_sync.database import progress
from circuit_sync.database.connection import Connection
from circuit_sync.database.rollups import replace_planner_daily, replace_regional_daily
from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.progress import Lines
from circuit_sync.domain.weeks import monday_of
from circuit_sync.sync.session import Session

WEEKS_SHOWN = 8

Replace = Callable[[Connection, Sequence[date], datetime], None]
Read = Callable[[Connection, date, date], Lines]


@dataclass(frozen=True)
class RollUp:
    """``lines``: the rows of each period, which is a date, or the Friday of a week.

    ``history``: the regions' days over the last weeks, for a picture; ``imported``: dates from another system.
    """

    lines: Mapping[date, Lines]
    history: Lines
    imported: Sequence[date]


def roll_up_regions(session: Session, dates: Sequence[date]) -> RollUp:
    """Computes ``regional_daily`` anew for ``dates``."""
    return _roll_up(session, dates, replace_regional_daily, progress.regional_days)


def roll_up_planners(session: Session, dates: Sequence[date]) -> RollUp:
    """Computes ``planner_daily`` anew for ``dates``."""
    return _roll_up(session, dates, replace_planner_daily, progress.planner_days)


def regional_weeks(session: Session, fridays: Sequence[date]) -> RollUp:
    """What ``regional_weekly`` says of the weeks that end on ``fridays``."""
    with session.database.transaction() as connection:
        return _read(connection, fridays, progress.regional_weeks, monday_of(min(fridays)))


def planner_weeks(session: Session, fridays: Sequence[date]) -> RollUp:
    """What ``planner_weekly`` says of the weeks that end on ``fridays``."""
    with session.database.transaction() as connection:
        return _read(connection, fridays, progress.planner_weeks, monday_of(min(fridays)))


def roll_up_days(connection: Connection, dates: Sequence[date], now: datetime) -> None:
    """Both daily roll-ups of ``dates``, in the caller's transaction."""
    replace_regional_daily(connection, dates, now)
    replace_planner_daily(connection, dates, now)


def _roll_up(session: Session, dates: Sequence[date], replace: Replace, read: Read) -> RollUp:
    if not dates:
        raise UsageError("no date to roll up: name at least one weekday")
    with session.database.transaction() as connection:
        replace(connection, dates, session.now())
        return _read(connection, dates, read, min(dates))


def _read(connection: Connection, periods: Sequence[date], read: Read, first_day: date) -> RollUp:
    last = max(periods)
    lines: dict[date, list[Mapping[str, Any]]] = {period: [] for period in sorted(periods)}
    for line in read(connection, min(periods), last):
        lines.get(line.get("week_ending") or line["snapshot_date"], []).append(line)
    history = progress.regional_days(connection, last - timedelta(weeks=WEEKS_SHOWN), last)
    return RollUp(lines, history, progress.imported_dates(connection, weekdays_between(first_day, last)))
