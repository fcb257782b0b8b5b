"""Runs in Dagster's storage that no process executes."""

from typing import Any

import dagster as dg


def create_run_for_test(
    instance: dg.DagsterInstance, job_name: str = "a_job", status: Any = dg.DagsterRunStatus.NOT_STARTED, **options: Any
) -> dg.DagsterRun:
    """The run, stored as Dagster's own processes find it; ``options``: those of ``dg.DagsterRun``."""
    return instance.add_run(dg.DagsterRun(job_name, status=status, **options))
