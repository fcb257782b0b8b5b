"""Which runs are under way, and on what; and whether a person ended one."""

from collections.abc import Mapping, Sequence

import dagster as dg

from circuit_sync.orchestration.installation import is_ours
from circuit_sync.orchestration.runs.requests import ASSET_JOBS

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

SCHEDULE_TAG = "dagster/schedule_name"
REPOSITORY_TAG = ".dagster/repository"

_OUT_OF_TIME = "Canceling due to exceeding maximum runtime"  # Dagster's words: its event has no field for the reason.


def unfinished_of_schedule(instance: dg.DagsterInstance, schedule: str) -> dg.DagsterRun | None:
    """A run that this installation's schedule started and that has not finished, if there is one."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={SCHEDULE_TAG: schedule}))
    return next((run for run in runs if is_ours(run.tags)), None)


def unfinished_of_asset(
    instance: dg.DagsterInstance, asset: str, tags: Mapping[str, str] | None = None
) -> Sequence[dg.DagsterRun]:
    """Unfinished runs that materialise ``asset``, however they were started."""
    job = next(job for job in ASSET_JOBS if job.configured == asset)
    return [run for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=tags)) if job.is_job_of(run)]


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
