"""Which runs are under way, and on what: what schedules and sensors look at before they start another."""

from collections.abc import Mapping, Sequence

import dagster as dg

from circuit_sync.orchestration.installation import asset_key, is_ours

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


def _materialises(run: dg.DagsterRun, asset: str) -> bool:
    if run.asset_selection is not None:
        return asset_key(asset) in run.asset_selection
    return _ASSET_OF_JOB.get(run.job_name) == asset
