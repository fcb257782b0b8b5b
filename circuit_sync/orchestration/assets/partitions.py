"""Partitions: circuits and their aggregates by status, snapshots by weekday; and the ranges that one run can take.

A single run of Dagster takes a range of partitions, written into its tags: {ACTIV, CLOSE} out of four statuses is no
range and becomes two runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE, weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.settings import load_settings

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

statuses = dg.StaticPartitionsDefinition(list(STATUS_CODES))

# A date's key exists from its midnight in Eastern Time on (end_offset=1). Friday's time window runs on to Monday: what
# is computed for a partition goes by its key, never by its window.
weekdays = dg.TimeWindowPartitionsDefinition(
    start=load_settings().circuit_sync_first_snapshot.isoformat(),
    fmt="%Y-%m-%d",
    cron_schedule="0 0 * * 1-5",
    timezone=TIME_ZONE,
    end_offset=1,
)


def partition_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags of a run over ``keys``, which lie side by side in their order."""
    if len(keys) == 1:
        return {PARTITION_TAG: keys[0]}
    return {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}


def keys_of(context: dg.AssetExecutionContext) -> tuple[str, ...]:
    """The partitions of the run. Raises ``UsageError`` if it has none: only tags written by hand lead to that."""
    if not (context.has_partition_key or context.has_partition_key_range):
        raise UsageError("the run names no partition: choose at least one, as the asset's page asks for")
    if not context.partition_keys:
        raise UsageError("the run's range of partitions ends before it begins")
    return tuple(context.partition_keys)


def status_ranges(wanted: Iterable[str]) -> list[list[str]]:
    """``wanted`` in as few ranges of neighbouring statuses as it takes."""
    chosen = set(wanted)
    return [list(codes) for is_chosen, codes in groupby(STATUS_CODES, chosen.__contains__) if is_chosen]


def statuses_of(tags: Mapping[str, str]) -> set[str]:
    """The statuses that a run with these tags works on; all of them if it does not say."""
    if PARTITION_TAG in tags:
        return {tags[PARTITION_TAG]}
    first, last = tags.get(RANGE_START_TAG, STATUS_CODES[0]), tags.get(RANGE_END_TAG, STATUS_CODES[-1])
    if first not in STATUS_CODES or last not in STATUS_CODES:
        return set(STATUS_CODES)
    return set(STATUS_CODES[STATUS_CODES.index(first) : STATUS_CODES.index(last) + 1])


def dates_of(tags: Mapping[str, str]) -> list[date]:
    """The weekdays that a run with these tags works on; none if it works on no dates."""
    try:
        first, last = (
            date.fromisoformat(tags.get(PARTITION_TAG) or tags[end]) for end in (RANGE_START_TAG, RANGE_END_TAG)
        )
    except (KeyError, ValueError):
        return []
    return weekdays_between(first, last)


def weekday_keys(first: date, last: date, today: date) -> list[str]:
    """The keys of the partitions from ``first`` to ``last``; ``UsageError`` if there are none, or one is to come."""
    begin = load_settings().circuit_sync_first_snapshot
    span = first.isoformat() if first == last else f"{first} to {last}"
    if last < first:
        raise UsageError(f"{span}: the first date is later than the last")
    if first < begin or last > today:
        raise UsageError(
            f"no snapshot for {span}: dates from {begin} (CIRCUIT_SYNC_FIRST_SNAPSHOT) to today, {today}, are allowed"
        )
    keys = [day.isoformat() for day in weekdays_between(first, last)]
    if not keys:
        raise UsageError(f"no snapshot for {span}: snapshots are of weekdays, Monday to Friday")
    return keys
