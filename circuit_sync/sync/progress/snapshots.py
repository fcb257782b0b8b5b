"""Daily snapshots: the state at the end of a date, computed from history, replaced as a whole and rolled up."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from circuit_sync.database.circuits.stages import add_ui_states
from circuit_sync.database.connection import Connection
from circuit_sync.database.log import sync_logs
from circuit_sync.database.progress.history import record_history
from circuit_sync.database.progress.snapshots import first_snapshot, history_begins, replace_snapshots
from circuit_sync.database.progress.states import dated_states
from circuit_sync.domain.eastern import EASTERN, eastern_date, is_weekday, last_instants, latest_weekday, next_weekday
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.events.outbox import emit
from circuit_sync.sync.log.closing import closing_on_failure, complete_log
from circuit_sync.sync.log.opening import open_log
from circuit_sync.sync.progress.rollups import RollUp, roll_up_days, why_empty
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class SnapshotResult:
    """``per_date``: the ``snapshots`` of each date, and the ``imported`` among them if there are any, which were left
    alone; ``empty``: why a date has none; ``history_since``: before it nothing is known; ``message`` says so.

    ``rolled_up``: what the roll-ups say now, by table or view (``roll_up_days``). ``durations``: seconds.
    """

    sync_id: int
    sync_status: str
    message: str | None
    counts: Mapping[str, int]
    per_date: Mapping[str, Mapping[str, int]]
    empty: Mapping[str, str]
    history_since: datetime | None
    rolled_up: Mapping[str, RollUp]
    durations: Mapping[str, float]


def open_snapshots(session: Session, request: SnapshotRequest) -> int:
    """Opens the sync log; ``UsageError`` for a weekend or a date to come."""
    now = session.now()
    today = eastern_date(now)
    dates = sorted(set(request.dates))
    if not dates:
        raise UsageError("no date to take snapshots of: name at least one weekday")
    for day in dates:
        if not is_weekday(day):
            raise UsageError(f"{day} is a {day:%A}: snapshots are taken of weekdays, Monday to Friday")
        if day > today:
            raise UsageError(f"{day} is to come: the latest date that has a snapshot is {today} (Eastern Time)")
    with session.database.transaction() as connection:
        return open_log(connection, replace(request, dates=dates), now).id


def take_snapshots(session: Session, sync_id: int) -> SnapshotResult:
    """In one transaction: each date's snapshots (today's as of now) replaced and rolled up, and the log completed."""
    with closing_on_failure(session, sync_id), session.database.transaction() as connection:
        result = _take(connection, session, sync_id)
    session.log(f"sync {sync_id}: {result.counts['snapshots']} snapshots of {result.counts['dates']} dates, rolled up")
    if result.message:
        session.log(f"sync {sync_id}: {result.message}")
    return result


def first_date_with_data(session: Session) -> date:
    """The first weekday that can have snapshots: the first of history, or of the snapshots that were imported.

    Never later than the latest weekday, which is what is taken on a weekend, too.
    """
    with session.database.transaction() as connection:
        since, imported = history_begins(connection), first_snapshot(connection)
    known = [next_weekday(eastern_date(since))] if since else []
    return min([latest_weekday(eastern_date(session.now())), *known, *([imported] if imported else [])])


def _take(connection: Connection, session: Session, sync_id: int) -> SnapshotResult:
    now, begun = session.now(), time.monotonic()
    dates = [date.fromisoformat(text) for text in sync_logs.read(connection, sync_id).context["dates"]]
    add_ui_states(connection, now)
    record_history(connection, now)
    untils = last_instants(dates)
    with dated_states(connection, untils):
        per_date = replace_snapshots(connection, untils, now)
        taken = time.monotonic()
        rolled_up = roll_up_days(connection, dates, now)
    since = history_begins(connection)
    empty = [day for day in dates if not per_date[day]["snapshots"]]
    message = _before_history([day for day in empty if since is None or day < eastern_date(since)], since)
    durations = {"snapshots": taken - begun, "roll_ups": time.monotonic() - taken}
    number = sum(counts["snapshots"] for counts in per_date.values())
    sync_logs.remember(connection, sync_id, {"seconds": durations})
    completed = complete_log(
        connection, sync_id, session.now(), message, {"circuits_processed": number}, {"processed": number}
    )
    emit(connection, [completed], completed.completed_at)
    return SnapshotResult(
        sync_id=sync_id,
        sync_status=completed.sync_status,
        message=message,
        counts={"snapshots": number, "dates": len(per_date)},
        per_date={day.isoformat(): counts for day, counts in per_date.items()},
        empty={day.isoformat(): why_empty(day, since) for day in empty},
        history_since=since,
        rolled_up=rolled_up,
        durations=durations,
    )


def _before_history(dates: Sequence[date], since: datetime | None) -> str | None:
    if not dates:
        return None
    span = f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    if since is None:
        return f"no snapshot for {span}: no circuit was synced yet, so there is no history"
    return f"no snapshot for {span}: history begins {since.astimezone(EASTERN):%Y-%m-%d %H:%M %Z}"
