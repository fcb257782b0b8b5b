"""What the sensors decide: pure functions of the syncs that ended since the last look and of the cursor behind them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from circuit_sync.domain.eastern import eastern_date, is_weekday
from circuit_sync.domain.ended_syncs import Cursor, EndedSync
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.assets.partitions import status_ranges


@dataclass(frozen=True)
class Start:
    """One run to start over ``keys``, because of the sync ``sync_id``."""

    keys: tuple[str, ...]
    sync_id: int


@dataclass(frozen=True)
class Decision:
    """What a sensor starts, the cursor to keep, and why it starts no more."""

    starts: tuple[Start, ...]
    cursor: Cursor
    reasons: tuple[str, ...]


def aggregates_to_start(
    ended: Iterable[EndedSync], cursor: Cursor, due: Mapping[str, int], busy: Mapping[str, str]
) -> Decision:
    """Aggregates of the statuses whose circuits were synced and need units.

    ``due``: circuits that need units by status. ``busy``: statuses an unfinished aggregate run works on, and which run;
    they are looked at again next time, as that run may have chosen its circuits before they changed.
    """
    waiting = dict(cursor.waiting)
    for sync in ended:
        if sync.sync_type == "circuit_list":
            waiting |= {status: sync.sync_id for status in STATUS_CODES if status in sync.statuses}
    needing = {status: sync_id for status, sync_id in waiting.items() if due.get(status)}
    left = {status: sync_id for status, sync_id in needing.items() if status in busy}
    ready = {status: sync_id for status, sync_id in needing.items() if status not in busy}
    reasons = [f"{status}: run {busy[status]} works on it" for status in left]
    reasons += [f"{status}: no circuit needs units" for status in waiting if status not in needing]
    if not waiting:
        reasons.append("no circuits were synced since the last look")
    return Decision(_by_range(ready), replace(cursor, waiting=left), tuple(reasons))


def snapshot_to_start(
    ended: Iterable[EndedSync], cursor: Cursor, now: datetime, first: date, busy: Mapping[date, str]
) -> Decision:
    """Today's snapshot, if circuits or aggregates changed and today is a weekday in Eastern Time from ``first`` on.

    ``busy``: dates that an unfinished snapshot run works on, and which run; the change then waits for the next look.
    """
    changes = [*cursor.waiting.values(), *(sync.sync_id for sync in ended if sync.has_changes)]
    done = replace(cursor, waiting={})
    if not changes:
        return Decision((), done, ("no circuit and no aggregate changed since the last look",))
    latest, today = max(changes), eastern_date(now)
    if not is_weekday(today):
        reason = f"sync {latest} changed something, but snapshots are of weekdays: the next one is Monday's"
        return Decision((), done, (reason,))
    if today < first:
        return Decision((), done, (f"{today} lies before CIRCUIT_SYNC_FIRST_SNAPSHOT",))
    if run_id := busy.get(today):
        return Decision((), replace(cursor, waiting={"snapshot": latest}), (f"{today}: run {run_id} works on it",))
    return Decision((Start((today.isoformat(),), latest),), done, ())


def departed_to_start(
    ended: Iterable[EndedSync],
    cursor: Cursor,
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
    syncs = sorted({*cursor.waiting.values(), *(sync.sync_id for sync in ended if sync.has_departures)})
    done = replace(cursor, waiting={})
    if not syncs:
        return Decision((), done, ("no circuit departed since the last look",))
    if not is_weekday(eastern_date(now)):
        return Decision(
            (), done, (f"circuits departed in sync {', '.join(map(str, syncs))}: Monday's syncs look for them",)
        )
    left: dict[str, int] = {}
    wanted: dict[str, int] = {}
    still_missing = missing(syncs)
    reasons = [f"sync {sync}: what departed was seen again" for sync in syncs if sync not in still_missing]
    for sync, fetched in still_missing.items():
        others = [status for status in enabled if status not in fetched]
        working = sorted({busy[status] for status in others if status in busy})
        if not others:
            reasons.append(f"sync {sync}: circuits departed, and no other status is enabled where they could be")
        elif working:
            left[str(sync)] = sync
            reasons.append(f"sync {sync}: circuits departed; run {', '.join(working)} may find them")
        else:
            wanted |= {status: max(sync, wanted.get(status, 0)) for status in others}
    return Decision(_by_range(wanted), replace(cursor, waiting=left), tuple(reasons))


def _by_range(wanted: Mapping[str, int]) -> tuple[Start, ...]:
    """A run for each range of neighbouring statuses, because of the latest sync that asks for one of them."""
    return tuple(Start(tuple(keys), max(wanted[key] for key in keys)) for keys in status_ranges(wanted))
