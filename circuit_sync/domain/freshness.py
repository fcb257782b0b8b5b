"""When data is too old: by the clock of weekdays, in Eastern Time, which stands still on weekends.

The hours before a day's first sync count to the working time before: what is fresh on Friday evening is fresh until
Monday's first sync has had its time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from circuit_sync.domain.eastern import EASTERN, eastern_date, end_of, is_weekday, latest_weekday, previous_weekday
from circuit_sync.domain.findings import Finding

HALF_A_DAY = timedelta(hours=12)
"""ACTIV is synced at 04:30 and 16:30 of each weekday."""
WEEK_AND_A_DAY = timedelta(days=8)
ALLOWANCE = timedelta(hours=1)
"""What a sync may take, two retries included."""
FIRST_SYNC = time(4, 30)
SNAPSHOT = time(5, 0)
DAYS_LOOKED_BACK = 5


@dataclass(frozen=True)
class StatusAge:
    """The end of a status' last good sync, and the beginning of its first of all; null if there was none."""

    status: str
    synced_at: datetime | None
    first_tried_at: datetime | None


def judge_statuses(ages: Sequence[StatusAge], now: datetime) -> Finding:
    """ACTIV at most half a weekday old, the others 8 days."""
    # The clock stops at the end of the working day.
    seen = min(now, end_of(working_day(now)))
    old = []
    for age in ages:
        since = age.synced_at or age.first_tried_at
        if since is not None and _is_old(age.status, since, seen):
            synced = f"{age.synced_at.astimezone(EASTERN):%Y-%m-%d %H:%M %Z}" if age.synced_at else "never"
            old.append({"status": age.status, "last synced": synced})
    message = "; ".join(f"{line['status']}: {line['last synced']}" for line in old)
    return Finding(not old, f"too old: {message}" if old else "every status is as new as its schedule", "error", old)


def judge_snapshots(taken: Collection[date], begun: date | None, now: datetime) -> Finding:
    """Each of the last weekdays after ``begun`` has its snapshot, today's once its time has come."""
    if begun is None:
        return Finding(True, "nothing to take a snapshot of: no circuit was synced yet")
    due: list[date] = []
    day = eastern_date(now)
    if not is_weekday(day) or now < datetime.combine(day, SNAPSHOT, EASTERN) + ALLOWANCE:
        day = previous_weekday(day)
    while day > begun and len(due) < DAYS_LOOKED_BACK:
        due.append(day)
        day = previous_weekday(day)
    missing = [{"date": day.isoformat()} for day in sorted(due) if day not in taken]
    message = ", ".join(line["date"] for line in missing)
    return Finding(not missing, f"no snapshot of {message}" if missing else "no snapshot is missing", "error", missing)


def _is_old(status: str, since: datetime, seen: datetime) -> bool:
    if status == "ACTIV":
        return weekday_time(since, seen) > HALF_A_DAY + ALLOWANCE
    return seen - since > WEEK_AND_A_DAY


def weekday_time(first: datetime, last: datetime) -> timedelta:
    """The time between two instants, without Saturdays and Sundays (Eastern Time)."""
    passed, day = timedelta(), eastern_date(first)
    while first < last:
        until = min(end_of(day), last)
        if is_weekday(day):
            passed += until - first
        first, day = until, day + timedelta(days=1)
    return passed


def working_day(now: datetime) -> date:
    """The weekday that counts: today's, or the last one while today's first sync has not had its time yet."""
    day = eastern_date(now)
    if is_weekday(day) and now < datetime.combine(day, FIRST_SYNC, EASTERN) + ALLOWANCE:
        return previous_weekday(day)
    return latest_weekday(day)
