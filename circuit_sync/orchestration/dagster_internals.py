"""What we use of Dagster that it does not publish, and why. Nothing else of ours imports a private name of Dagster's.

A command runs its job in its own process, on the instance of ``dagster.yaml``, and the UI shows the run under its job:

- ``InstanceRef.from_dir`` reads ``dagster.yaml`` with some values replaced; ``DagsterInstance.get`` replaces none.
- ``InMemoryJob`` and ``execute_run_iterator`` execute a run that was created before; ``execute_in_process`` creates its
  own, which belongs to no code location.
- ``WorkspaceFileTarget``, ``RemoteRepositoryOrigin``, ``RemoteJobOrigin`` and ``copy`` say which code location a run
  belongs to; Dagster itself asks a running code server.
- ``capture_interrupts`` makes of SIGINT and SIGTERM what the UI's button to cancel does.
- ``NO_COMPUTE_LOGS``: no output is captured. ``dagster.yaml`` can only name the class by its private module.
"""

from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.interrupts import capture_interrupts
from dagster_shared.record import copy

NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
    "config": {},
}

__all__ = [
    "NO_COMPUTE_LOGS",
    "InMemoryJob",
    "InstanceRef",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "WorkspaceFileTarget",
    "capture_interrupts",
    "copy",
    "execute_run_iterator",
]
