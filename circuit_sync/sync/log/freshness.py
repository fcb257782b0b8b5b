"""Whether what we hold is as new as its schedule promises."""

from collections.abc import Sequence
from datetime import date, timedelta

from circuit_sync.database.log.freshness import first_snapshot, first_sync, snapshot_dates, status_ages
from circuit_sync.database.progress.snapshots import history_begins
from circuit_sync.domain.eastern import eastern_date, latest_weekday, next_weekday
from circuit_sync.domain.findings import Finding
from circuit_sync.domain.freshness import judge_snapshots, judge_statuses
from circuit_sync.sync.session import Session

_LOOKED_BACK = timedelta(days=14)


def statuses_are_fresh(session: Session, statuses: Sequence[str]) -> Finding:
    """Whether the circuits of each of ``statuses`` were synced as their schedules promise."""
    with session.database.transaction() as connection:
        return judge_statuses(status_ages(connection, statuses), session.now())


def snapshots_are_taken(session: Session, first: date) -> Finding:
    """Whether the last weekdays have their snapshots; ``first``: the first date that has one at all."""
    now = session.now()
    with session.database.transaction() as connection:
        synced = first_sync(connection)
        taken = snapshot_dates(connection, eastern_date(now) - _LOOKED_BACK)
    begun = max(eastern_date(synced), first - timedelta(days=1)) if synced else None
    return judge_snapshots(taken, begun, now)


def first_date_with_data(session: Session) -> date:
    """The first weekday that can have snapshots: the first of history, or of the snapshots that were imported.

    Never later than the latest weekday, which is what is taken on a weekend, too.
    """
    with session.database.transaction() as connection:
        since, imported = history_begins(connection), first_snapshot(connection)
    known = [next_weekday(eastern_date(since))] if since else []
    return min([latest_weekday(eastern_date(session.now())), *known, *([imported] if imported else [])])
