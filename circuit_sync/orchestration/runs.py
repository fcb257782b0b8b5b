"""Which runs are under way, and on what: what schedules and sensors look at before they start another."""

from collections.abc import Mapping, Sequence

import dagster as dg

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
    """A run that the schedule started and that has not finished, if there is one."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={SCHEDULE_TAG: schedule}), limit=1)
    return runs[0] if runs else None


def unfinished_of_asset(
    instance: dg.DagsterInstance, asset: str, tags: Mapping[str, str] | None = None
) -> Sequence[dg.DagsterRun]:
    """Unfinished runs that materialise ``asset``: of its job, or of Dagster's own for the UI's Materialize button."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=tags))
    return [run for run in runs if _materialises(run, asset)]


def _materialises(run: dg.DagsterRun, asset: str) -> bool:
    if run.asset_selection is not None:
        return dg.AssetKey(asset) in run.asset_selection
    return _ASSET_OF_JOB.get(run.job_name) == asset
