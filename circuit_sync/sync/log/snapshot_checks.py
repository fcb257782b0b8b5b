"""The asset checks of the snapshots: whether dates that were taken hold anything, and whether the roll-ups agree."""

from collections.abc import Sequence
from datetime import date

from circuit_sync.database.log.freshness import snapshot_dates
from circuit_sync.database.progress.checks import dates_held, dates_that_differ
from circuit_sync.database.progress.snapshots import history_begins
from circuit_sync.domain.findings import Finding, judge_empty, judge_rolled_up
from circuit_sync.sync.progress.rollups import why_empty
from circuit_sync.sync.session import Session


def dates_have_snapshots(session: Session, dates: Sequence[date]) -> Finding:
    """Whether each of ``dates``, or of all that were taken so far, has a snapshot; if not, why."""
    with session.database.transaction() as connection:
        held = {line["day"] for line in dates_held(connection) if line["snapshots"]}
        taken = sorted(dates) or sorted(snapshot_dates(connection, date.min))
        since = history_begins(connection)
    return judge_empty({day: why_empty(day, since) for day in taken if day not in held})


def roll_ups_agree(session: Session, dates: Sequence[date]) -> Finding:
    """Whether every date has both roll-ups if it has snapshots, and those of ``dates`` (or of all) add up to them.

    What snapshots there are of the past is looked up by index; adding them all up is left to who asks for it.
    """
    with session.database.transaction() as connection:
        held = dates_held(connection)
        differing = dates_that_differ(connection, dates or [line["day"] for line in held])
    return judge_rolled_up(held, differing)
