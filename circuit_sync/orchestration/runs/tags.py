"""The tags by which a run says what started it, and which sync it is."""

from collections.abc import Mapping
from typing import TypedDict

import dagster as dg

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import MANUAL, TRIGGERS

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


class StartedBy(TypedDict):
    """The fields of a request that tell of its run."""

    trigger: str
    run_id: str
    retry_of: int | None


def tags_not_copied(run: dg.DagsterRun) -> Mapping[str, str]:
    """The run's tags; of a run that a person executes again, without those that Dagster copied and that now lie."""
    if PARENT_RUN_TAG not in run.tags:
        return run.tags
    copied = (TRIGGER_TAG, RETRY_OF_TAG, TERMINAL_TAG)
    return {name: value for name, value in run.tags.items() if name not in copied}


def started_by(run: dg.DagsterRun) -> StartedBy:
    """What the run's tags say; a run without them was started by a person."""
    tags = tags_not_copied(run)
    trigger = tags.get(TRIGGER_TAG, MANUAL)
    if trigger not in TRIGGERS:
        raise UsageError(f"tag {TRIGGER_TAG}: {trigger!r} is unknown; allowed are {', '.join(TRIGGERS)}")
    retry_of = tags.get(RETRY_OF_TAG)
    if retry_of is not None and not retry_of.isdecimal():
        raise UsageError(f"tag {RETRY_OF_TAG}: {retry_of!r} is not a sync log id; a whole number is allowed")
    return StartedBy(trigger=trigger, run_id=run.run_id, retry_of=int(retry_of) if retry_of else None)


def tag_run_with_sync(context: dg.OpExecutionContext | dg.AssetExecutionContext, sync_id: int) -> int:
    """Tags the run with the id of its sync log, by which the UI finds it, and ``sync_events`` its events."""
    context.instance.add_run_tags(context.run.run_id, {SYNC_TAG: str(sync_id)})
    return sync_id
