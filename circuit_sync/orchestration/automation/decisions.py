"""What the sensors decide, without asking anybody: what has happened goes in, what to do and why comes out."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from circuit_sync.domain.eastern import eastern_date, is_weekday
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.assets.partitions import status_ranges

FINISHED_WELL = ("completed", "warning")


@dataclass(frozen=True)
class Cursor:
    """How far the sync log has been read.

    Syncs finish in another order than they begin: ``seen`` holds those beyond ``after`` that were read while an older
    one was still under way. ``waiting`` holds what is to be started as soon as it can be, with the sync that asked.
    """

    after: int = 0
    seen: tuple[int, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """A cursor as ``text`` stores it; the beginning of the log if there is none yet."""
        if not text:
            return cls()
        stored = json.loads(text)
        return cls(int(stored["after"]), tuple(stored["seen"]), dict(stored["waiting"]))

    def text(self) -> str:
        return json.dumps({"after": self.after, "seen": list(self.seen), "waiting": dict(self.waiting)})


@dataclass(frozen=True)
class Start:
    """One run to start over ``keys``, because of the sync ``sync_id``."""

    keys: tuple[str, ...]
    sync_id: int

    def run_key(self, sensor: str) -> str:
        """The same for the same cause: Dagster starts it once only, also if the cursor was lost."""
        return f"{sensor}:{self.sync_id}:{self.keys[0]}:{self.keys[-1]}"


@dataclass(frozen=True)
class Decision:
    """What a sensor starts, where it goes on reading, and why it starts no more."""

    starts: tuple[Start, ...]
    cursor: Cursor
    reasons: tuple[str, ...]


def read_log(
    cursor: Cursor, finished: Sequence[Mapping[str, Any]], under_way: Collection[int]
) -> tuple[list[Mapping[str, Any]], Cursor]:
    """The syncs that finished since the last look, oldest first, and the cursor behind them."""
    new = [sync for sync in finished if sync["id"] not in cursor.seen]
    known = sorted({*cursor.seen, *(sync["id"] for sync in new)})
    oldest_under_way = min((sync_id for sync_id in under_way if sync_id > cursor.after), default=None)
    if oldest_under_way is None:
        return new, Cursor(max([cursor.after, *known]), (), cursor.waiting)
    after = max([cursor.after, *(sync_id for sync_id in known if sync_id < oldest_under_way)])
    return new, Cursor(after, tuple(sync_id for sync_id in known if sync_id > after), cursor.waiting)


def aggregates_to_start(
    cursor: Cursor,
    finished: Sequence[Mapping[str, Any]],
    under_way: Collection[int],
    due: Mapping[str, int],
    busy: Mapping[str, str],
) -> Decision:
    """Aggregates of the statuses whose circuits were synced and need units.

    ``due``: circuits that need units by status. ``busy``: statuses an unfinished aggregate run works on, and which run;
    they are looked at again next time, as that run may have chosen its circuits before they changed.
    """
    new, read = read_log(cursor, finished, under_way)
    waiting = dict(cursor.waiting)
    for sync in new:
        if sync["sync_type"] == "circuit_list" and sync["sync_status"] in FINISHED_WELL:
            waiting.update(dict.fromkeys(_statuses(sync), sync["id"]))
    ready = [status for status in waiting if due.get(status, 0) and status not in busy]
    starts = tuple(Start(tuple(keys), max(waiting[key] for key in keys)) for keys in status_ranges(ready))
    reasons = [f"{status}: run {busy[status]} is at it" for status in waiting if due.get(status, 0) and status in busy]
    reasons += [f"{status}: no circuit needs units" for status in waiting if not due.get(status, 0)]
    left = {status: sync_id for status, sync_id in waiting.items() if due.get(status, 0) and status in busy}
    if not waiting:
        reasons.append("no circuits were synced since the last look")
    return Decision(starts, Cursor(read.after, read.seen, left), tuple(reasons))


def snapshot_to_start(
    cursor: Cursor,
    finished: Sequence[Mapping[str, Any]],
    under_way: Collection[int],
    now: datetime,
    busy: Callable[[date], str | None],
) -> Decision:
    """Today's snapshot, if circuits or aggregates changed and today is a weekday in Eastern Time.

    ``busy`` names an unfinished run that works on the snapshot of a date; the change then waits for the next look.
    """
    new, read = read_log(cursor, finished, under_way)
    changes = [*cursor.waiting.values(), *(sync["id"] for sync in new if _changed_something(sync))]
    if not changes:
        return Decision((), Cursor(read.after, read.seen), ("no circuit and no aggregate changed since the last look",))
    today = eastern_date(now)
    if not is_weekday(today):
        reason = f"sync {max(changes)} changed something, but snapshots are of weekdays: the next one is Monday's"
        return Decision((), Cursor(read.after, read.seen), (reason,))
    if run_id := busy(today):
        left = {"snapshot": max(changes)}
        return Decision((), Cursor(read.after, read.seen, left), (f"{today}: run {run_id} is at it",))
    return Decision((Start((today.isoformat(),), max(changes)),), Cursor(read.after, read.seen), ())


def departed_to_start(
    cursor: Cursor,
    finished: Sequence[Mapping[str, Any]],
    under_way: Collection[int],
    missing: Callable[[Collection[int]], Mapping[int, Sequence[str]]],
    enabled: Sequence[str],
    busy: Mapping[str, str],
    now: datetime,
) -> Decision:
    """One sync of the other statuses for the circuits that left theirs: it finds under which they are listed now.

    ``missing``: of the syncs that marked circuits departed, those of whose circuits one was not seen since, with the
    statuses that they fetched. ``busy``: statuses that an unfinished circuit run works on, and which run; what it
    leaves missing is looked for next time.
    """
    new, read = read_log(cursor, finished, under_way)
    noted = [sync["id"] for sync in new if (sync["context"] or {}).get("departed")]
    syncs = sorted({*cursor.waiting.values(), *noted})
    read = Cursor(read.after, read.seen)
    if not syncs:
        return Decision((), read, ("no circuit departed since the last look",))
    if not is_weekday(eastern_date(now)):
        return Decision((), read, (f"circuits departed in sync {_listed(syncs)}: Monday's syncs look for them",))
    left: dict[str, int] = {}
    wanted: dict[str, int] = {}
    still_missing = missing(syncs)
    reasons = [f"sync {sync}: what departed was seen again" for sync in syncs if sync not in still_missing]
    for sync, fetched in still_missing.items():
        others = [status for status in enabled if status not in fetched]
        at_it = sorted({busy[status] for status in others if status in busy})
        if not others:
            reasons.append(f"sync {sync}: circuits departed, and no other status is enabled where they could be")
        elif at_it:
            left[str(sync)] = sync
            reasons.append(f"sync {sync}: circuits departed; run {_listed(at_it)} may find them")
        else:
            wanted |= {status: max(sync, wanted.get(status, 0)) for status in others}
    starts = tuple(Start(tuple(keys), max(wanted[key] for key in keys)) for keys in status_ranges(wanted))
    return Decision(starts, Cursor(read.after, read.seen, left), tuple(reasons))


@dataclass(frozen=True)
class RunUnderWay:
    """A run in progress, as Dagster knows it."""

    run_id: str
    status: str
    since: datetime


def dead_runs(
    runs: Iterable[RunUnderWay],
    alive: Callable[[str], bool],
    now: datetime,
    *,
    grace: timedelta,
    start_timeout: timedelta,
) -> list[RunUnderWay]:
    """The runs whose process is gone: longer in progress than the grace, and nobody holds the run's lock.

    A run in STARTING has not reached its first step, where it takes the lock: it is given the time to start.
    """
    dead = []
    for run in runs:
        allowed = start_timeout if run.status == "STARTING" else grace
        if now - run.since > allowed and not alive(run.run_id):
            dead.append(run)
    return dead


def abandoned_syncs(syncs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The syncs still marked as started whose run nobody holds alive; one that belongs to no run is left alone.

    No grace is needed: a run takes its lock before it opens a sync log.
    """
    return [sync for sync in syncs if sync["dagster_run_id"] and not sync["is_alive"]]


def _statuses(sync: Mapping[str, Any]) -> list[str]:
    return [status for status in (sync["api_status_filter"] or "").split(",") if status in STATUS_CODES]


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _changed_something(sync: Mapping[str, Any]) -> bool:
    """A failed aggregate sync tells what it stored in its context only."""
    if sync["sync_type"] not in ("circuit_list", "aggregates"):
        return False
    counts = [sync.get(name) for name in ("circuits_created", "circuits_updated", "aggregates_created")]
    context = sync.get("context") or {}
    stored = context.get("counts", {}).get("stored")
    return any([*counts, stored, context.get("departed"), context.get("returned")])
