"""Whether what we hold is as new as its schedule promises."""

from collections.abc import Sequence
from datetime import date, timedelta

from circuit_sync.database.freshness import first_sync, snapshot_dates, status_ages
from circuit_sync.domain.eastern import eastern_date
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
