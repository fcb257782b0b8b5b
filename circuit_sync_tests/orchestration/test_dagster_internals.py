"""What we use of Dagster that it does not publish is there, does what we need, and stands in one file."""

import os
import re
import signal
from pathlib import Path

import dagster as dg
import pytest

from circuit_sync.orchestration import dagster_internals as internals

PACKAGE = Path(__file__).parents[2] / "circuit_sync"
PRIVATE = re.compile(r"\bdagster[a-z_]*\._")


@dg.op
def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@dg.job(executor_def=dg.in_process_executor)
def a_job() -> None:
    interrupted()


def test_private_names_stand_in_one_file() -> None:
    users = {file.name for file in PACKAGE.rglob("*.py") if PRIVATE.search(file.read_text())}
    assert users == {"dagster_internals.py"}


def test_a_run_made_for_a_location_is_executed_here_without_captured_output_and_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from: [{python_module: {module_name: a_module}}]")
    (loaded,) = internals.WorkspaceFileTarget([str(workspace)]).create_origins()
    location = internals.copy(loaded, location_name="a_location")
    origin = internals.RemoteJobOrigin(internals.RemoteRepositoryOrigin(location, "a_repository"), "a_job")
    ref = internals.InstanceRef.from_dir(str(tmp_path), overrides={"compute_logs": internals.NO_COMPUTE_LOGS})
    with dg.DagsterInstance.from_ref(ref) as instance:
        run = instance.create_run_for_job(a_job, remote_job_origin=origin)
        with internals.capture_interrupts():
            events = list(internals.execute_run_iterator(internals.InMemoryJob(a_job), run, instance))
        stored = instance.get_run_by_id(run.run_id)
        of_location = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": "a_repository@a_location"}))
    assert stored is not None
    assert [run.run_id for run in of_location] == [stored.run_id]
    assert stored.status is dg.DagsterRunStatus.FAILURE
    assert "STEP_FAILURE" in [event.event_type_value for event in events]
    assert not [*tmp_path.rglob("*.out"), *tmp_path.rglob("*.err")]
