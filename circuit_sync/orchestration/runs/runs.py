"""Which runs are under way, and on what; what a run was to sync; and whether a person ended it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.assets.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG, statuses_of
from circuit_sync.orchestration.installation import asset_key, is_ours
from circuit_sync.orchestration.runs.tags import started_by
from circuit_sync.sync.log.recovery import UnopenedSync

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

SCHEDULE_TAG = "dagster/schedule_name"
REPOSITORY_TAG = ".dagster/repository"

_OUT_OF_TIME = "Canceling due to exceeding maximum runtime"  # Dagster's words: its event has no field for the reason.

_OPENING_STEPS = {
    "circuits": "circuits.open_circuit_sync",
    "circuit_aggregates": "circuit_aggregates.open_aggregate_sync",
    "daily_snapshots": "daily_snapshots.open_snapshots",
}
_ASSET_OF_JOB = {
    "sync_circuits": "circuits",
    "sync_circuit_aggregates": "circuit_aggregates",
    "create_daily_snapshots": "daily_snapshots",
}


def unfinished_of_schedule(instance: dg.DagsterInstance, schedule: str) -> dg.DagsterRun | None:
    """A run that this installation's schedule started and that has not finished, if there is one."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={SCHEDULE_TAG: schedule}))
    return next((run for run in runs if is_ours(run.tags)), None)


def unfinished_of_asset(
    instance: dg.DagsterInstance, asset: str, tags: Mapping[str, str] | None = None
) -> Sequence[dg.DagsterRun]:
    """Unfinished runs that materialise ``asset``: of its job, or of Dagster's own for the UI's Materialize button."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=tags))
    return [run for run in runs if _materialises(run, asset)]


def our_runs(context: dg.SensorEvaluationContext) -> dict[str, str] | None:
    """The tag of this code location's runs; another location on the same instance has a database of its own."""
    if context.code_location_origin is None or context.repository_name is None:
        return None
    return {REPOSITORY_TAG: f"{context.repository_name}@{context.code_location_origin.location_name}"}


def cancelled_by_a_person(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a person cancelled the run; Dagster cancels too, what runs longer than dagster.yaml allows.

    The events tell, whatever the run's status has become since: a cancelled run whose process is gone fails.
    """
    requests = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_CANCELING)
    if requests:
        return not requests[0].message.startswith(_OUT_OF_TIME)
    return run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def sync_of(run: dg.DagsterRun) -> UnopenedSync | None:
    """The sync that the run was to open first, as its op would have opened it; ``None`` if it was to open none.

    Nor was it to open one if tags written by hand ask for what no op takes.
    """
    try:
        by = started_by(run)
    except UsageError:
        return None
    statuses = [code for code in STATUS_CODES if code in statuses_of(run.tags)]
    if run.job_name == "sync_work_orders" and _executes(run, "open_work_orders"):
        config = _config(run, "open_work_orders")
        asked = {"statuses": list(STATUS_CODES), "force": False, "work_orders": []} | config
        return UnopenedSync("aggregates", asked, **by)
    if _opens(run, "circuits") and statuses:
        config = {"force": False, "accept_departures": False} | _config(run, "circuits")
        person = config.pop("triggered_by", None)
        return UnopenedSync("circuit_list", {"statuses": statuses} | config, person, **by)
    if _opens(run, "circuit_aggregates") and statuses:
        config = {"force": False} | _config(run, "circuit_aggregates")
        return UnopenedSync("aggregates", {"statuses": statuses, "work_orders": []} | config, **by)
    if _opens(run, "daily_snapshots") and (dates := dates_of(run.tags)):
        return UnopenedSync("snapshots", {"dates": [day.isoformat() for day in dates]}, **by)
    return None


def _config(run: dg.DagsterRun, op: str) -> dict[str, Any]:
    told: Any = run.run_config
    for name in ("ops", op, "config"):
        told = told.get(name) or {}
    return dict(told)


def dates_of(tags: Mapping[str, str]) -> list[date]:
    """The weekdays that a run with these tags works on; none if it works on no dates."""
    try:
        first, last = (
            date.fromisoformat(tags.get(PARTITION_TAG) or tags[end]) for end in (RANGE_START_TAG, RANGE_END_TAG)
        )
    except (KeyError, ValueError):
        return []
    return weekdays_between(first, last)


def _opens(run: dg.DagsterRun, asset: str) -> bool:
    return _materialises(run, asset) and _executes(run, _OPENING_STEPS[asset])


def _executes(run: dg.DagsterRun, step: str) -> bool:
    """A run that is executed again "from failure" leaves out what succeeded: that sync belongs to the run before."""
    return not run.step_keys_to_execute or step in run.step_keys_to_execute


def _materialises(run: dg.DagsterRun, asset: str) -> bool:
    if run.asset_selection:
        return asset_key(asset) in run.asset_selection
    return _ASSET_OF_JOB.get(run.job_name) == asset
