"""Which failed syncs run again now, and as which run: the request of the first attempt, as its log tells it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.retries import done_by, parts_of
from circuit_sync.orchestration.assets.partitions import partition_tags, status_ranges
from circuit_sync.orchestration.runs.tags import RETRY_OF_TAG, TRIGGER_TAG

MOST_RUNS = 3
"""Runs started for one retry: more than one only if those before died before they opened their sync log."""


@dataclass(frozen=True)
class RunsSoFar:
    """The runs that were started for a retry: how many, one that has not finished, and one that a person cancelled."""

    number: int = 0
    unfinished: str | None = None
    cancelled: str | None = None


@dataclass(frozen=True)
class RetryDecision:
    """``due``: the failed syncs to start again, with the number of the run; ``cancelled``: why, by sync."""

    due: Sequence[tuple[Mapping[str, Any], int]]
    cancelled: Mapping[int, str]
    reasons: Sequence[str]


def retries_to_start(
    pending: Iterable[Mapping[str, Any]], runs_for: Callable[[int], RunsSoFar], now: datetime
) -> RetryDecision:
    """A retry starts when its time has come, unless another sync has done, does, or is to do the same."""
    due, cancelled, reasons = [], {}, []
    for sync in pending:
        number = sync["id"]
        if why := _replaced(sync):
            cancelled[number] = why
        elif at_it := _covering(sync, lambda newer: _is_done(newer) or newer["status"] == "started"):
            reasons.append(f"sync {number}: the same is under way in {_named(at_it, 'started')}")
        elif sync["retry_at"] > now:
            reasons.append(f"sync {number} runs again at {sync['retry_at'].astimezone(EASTERN):%Y-%m-%d %H:%M:%S %Z}")
        elif (runs := runs_for(number)).unfinished:
            reasons.append(f"sync {number}: run {runs.unfinished} is on its way to try it again")
        elif runs.cancelled:
            cancelled[number] = f"a person cancelled run {runs.cancelled}, which was to try it again"
        elif runs.number >= MOST_RUNS:
            cancelled[number] = f"{runs.number} runs ended before they opened their sync log"
        else:
            due.append((sync, runs.number))
    return RetryDecision(due, cancelled, reasons or ["no sync waits to be tried again"])


def _replaced(sync: Mapping[str, Any]) -> str | None:
    """Why later syncs make the retry needless: they did the same, are to be tried again themselves, or never can."""
    if done := _covering(sync, _is_done):
        return f"{_named(done)} did the same meanwhile"
    if found := _covering(sync, lambda newer: _is_done(newer) or newer["is_retried"]):
        return f"{_named(found, 'failed')} failed at the same meanwhile, to be tried again"
    if found := _covering(sync, lambda newer: _is_done(newer) or newer["needs_a_person"]):
        return f"{_named(found, 'failed')} failed at the same meanwhile, for a reason that needs a person"
    return None


def _is_done(newer: Mapping[str, Any]) -> bool:
    return newer["status"] in ("completed", "warning")


def _covering(sync: Mapping[str, Any], counts: Callable[[Mapping[str, Any]], bool]) -> list[Mapping[str, Any]]:
    """The later syncs that count and together do all that ``sync`` was asked for; none if a part is left."""
    left, found = parts_of(sync["context"]), []
    for newer in sync["newer"]:
        if counts(newer) and (done := left & done_by(newer["asked"], sync["context"])):
            found.append(newer)
            left -= done
    return [] if left else found


def _named(syncs: Sequence[Mapping[str, Any]], status: str | None = None) -> str:
    """The syncs, or those of a status, for people."""
    ids = [str(sync["id"]) for sync in syncs if status in (None, sync["status"])]
    return f"sync{'s' * (len(ids) > 1)} {', '.join(ids)}"


def run_requests(sync: Mapping[str, Any], number: int) -> list[dg.RunRequest]:
    """The runs that do again what ``sync`` was asked for; as if started by who started it, and told as its retry."""
    tags = {TRIGGER_TAG: sync["sync_trigger"], RETRY_OF_TAG: str(sync["id"])}
    asked = sync["context"]
    job, ranges, config = _as_a_job(sync["sync_type"], asked, sync["triggered_by"])
    return [
        dg.RunRequest(
            run_key=f"retry_failed_syncs:{sync['id']}:{number}" + (f":{keys[0]}" if keys else ""),
            job_name=job,
            tags=tags | (partition_tags(keys) if keys else {}),
            run_config={"ops": config} if config else {},
        )
        for keys in ranges
    ]


def _as_a_job(
    sync_type: str, asked: Mapping[str, Any], triggered_by: str | None
) -> tuple[str, Sequence[Sequence[str]], dict[str, Any]]:
    """The job, the partitions of each of its runs, and the configuration of its ops."""
    if sync_type == "snapshots":
        return "create_daily_snapshots", [asked["dates"]], {}
    force = {"force": bool(asked.get("force"))}
    if asked.get("work_orders"):
        return "sync_work_orders", [()], {"open_work_orders": {"config": {"work_orders": asked["work_orders"]} | force}}
    if sync_type == "aggregates":
        return (
            "sync_circuit_aggregates",
            status_ranges(asked["statuses"]),
            {"circuit_aggregates": {"config": force}},
        )
    config = force | {"accept_departures": bool(asked.get("accept_departures")), "triggered_by": triggered_by}
    return "sync_circuits", status_ranges(asked["statuses"]), {"circuits": {"config": config}}
