"""What a run's tags say: what started it and which sync it is; which runs are unfinished, and which a person ended."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import MANUAL, TRIGGERS
from circuit_sync.orchestration.installation import is_ours

TRIGGER_TAG = "circuit_sync/trigger"
RETRY_OF_TAG = "circuit_sync/retry_of"
SYNC_TAG = "circuit_sync/sync_log_id"
"""For people who look at a run. Whether a run has a sync log the database tells: Dagster copies this tag, too."""
NEEDS_NO_SYNC_TAG = "circuit_sync/needs_no_sync_log"
"""The run's own id, on a failed run that needs no sync log: a run that repeats it carries the id of another."""
TERMINAL_TAG = "circuit_sync/terminal"
"""On a run of the command line: whoever interrupts it is a person, though Dagster knows of no cancellation."""
PARENT_RUN_TAG = "dagster/parent_run_id"
RUN_KEY_TAG = "dagster/run_key"
SCHEDULE_TAG = "dagster/schedule_name"
REPOSITORY_TAG = ".dagster/repository"

UNFINISHED = [dg.DagsterRunStatus[name] for name in ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING")]
_OUT_OF_TIME = "Canceling due to exceeding maximum runtime"  # Dagster's words: its event has no field for the reason.


def tags_not_copied(run: dg.DagsterRun) -> Mapping[str, str]:
    """The run's tags; of a run that a person executes again, without those that Dagster copied and that now lie."""
    if PARENT_RUN_TAG not in run.tags:
        return run.tags
    copied = (TRIGGER_TAG, RETRY_OF_TAG, TERMINAL_TAG)
    return {name: value for name, value in run.tags.items() if name not in copied}


def started_by(run: dg.DagsterRun) -> dict[str, Any]:
    """The fields of a request that its run's tags hold; a run without them was started by a person."""
    tags = tags_not_copied(run)
    trigger = tags.get(TRIGGER_TAG, MANUAL)
    if trigger not in TRIGGERS:
        raise UsageError(f"tag {TRIGGER_TAG}: {trigger!r} is unknown; allowed are {', '.join(TRIGGERS)}")
    retry_of = tags.get(RETRY_OF_TAG)
    if retry_of is not None and not retry_of.isdecimal():
        raise UsageError(f"tag {RETRY_OF_TAG}: {retry_of!r} is not a sync log id; a whole number is allowed")
    return {"trigger": trigger, "run_id": run.run_id, "retry_of": int(retry_of) if retry_of else None}


def tag_run_with_sync(context: dg.OpExecutionContext | dg.AssetExecutionContext, sync_id: int) -> int:
    """Tags the run with the id of its sync log, by which the UI finds it, and ``sync_events`` its events."""
    context.instance.add_run_tags(context.run.run_id, {SYNC_TAG: str(sync_id)})
    return sync_id


def unfinished_of_schedule(instance: dg.DagsterInstance, schedule: str) -> dg.DagsterRun | None:
    """A run that this installation's schedule started and that has not finished, if there is one."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={SCHEDULE_TAG: schedule}))
    return next((run for run in runs if is_ours(run.tags)), None)


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
