"""Runs a job in this process, on the persistent instance: the command line's way into Dagster.

``JobDefinition.execute_in_process`` makes runs that belong to no code location: the UI shows them, but neither under
their job nor by their location's filters, and cannot run them again. So the run is created here with the origin that
the workspace gives.
"""

import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import dagster as dg

from circuit_sync.database.dagster.sessions import keep_connections
from circuit_sync.database.sessions.silence import hurry
from circuit_sync.environment import project_dir
from circuit_sync.orchestration.assets.metadata import Metadata, plain
from circuit_sync.orchestration.assets.partitions import partition_tags
from circuit_sync.orchestration.dagster_internals import (
    NO_COMPUTE_LOGS,
    InMemoryJob,
    InstanceRef,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    WorkspaceFileTarget,
    capture_interrupts,
    copy,
    execute_run_iterator,
)
from circuit_sync.orchestration.runs.failures import blames_input
from circuit_sync.orchestration.runs.runs import REPOSITORY_TAG, TERMINAL_TAG
from circuit_sync.orchestration.terminal.progress import RUN_CONFIG, Listener, listening
from circuit_sync.orchestration.terminal.storage import TerminalInstance, storage_needed
from circuit_sync.settings import load_settings

IN_A_TERMINAL = {
    "compute_logs": NO_COMPUTE_LOGS,
    "instance_class": {"module": TerminalInstance.__module__, "class": TerminalInstance.__name__},
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEFT_BEHIND = (
    "what was not stored is not stored; a sync that it had begun is closed by the next command or the daemon, and "
    "tried again while the daemon runs (run {})"
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and the metadata of its last step by partition (the empty string if it has none)."""

    run_id: str
    status: str
    failure: str | None = None
    wrong_use: bool = False
    metadata: dict[str, Metadata] = field(default_factory=dict)
    ended_by: signal.Signals | None = None

    @property
    def succeeded(self) -> bool:
        return self.status == dg.DagsterRunStatus.SUCCESS.value


@contextmanager
def persistent_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of ``dagster.yaml``. Output is not captured: that would take the terminal from the progress line.

    Raises ``DatabaseUnavailable`` if its storage is away.
    """
    keep_connections()
    with storage_needed("start this again when the database is back"):
        ref = InstanceRef.from_dir(str(project_dir()), overrides=IN_A_TERMINAL)
        with dg.DagsterInstance.from_ref(ref) as instance:
            yield instance


def run_job(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    job_name: str,
    *,
    partitions: Sequence[str] = (),
    run_config: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Runs the job over ``partitions``, neighbours in their order, and waits; ``listener`` gets what its steps log.

    SIGINT and SIGTERM cancel the run as the UI's button does, so that the step can close its sync log. Raises
    ``DatabaseUnavailable`` if Dagster's storage is away for longer than Dagster waits.
    """
    job = defs.resolve_job_def(job_name)
    with _interruptible() as received, listening(listener):
        with storage_needed("no run was begun: start it again when the database is back"):
            run = instance.create_run_for_job(
                job,
                run_config={**(run_config or {}), **(RUN_CONFIG if listener else {})},
                tags={TERMINAL_TAG: "yes"} | (partition_tags(partitions) if partitions else {}),
                remote_job_origin=origin_of(defs, job_name),
            )
        with storage_needed(_LEFT_BEHIND.format(run.run_id)):
            events, status = _events_and_status(job, run, instance)
        return Outcome(run.run_id, status, *_failure(events), _metadata(job, events), received())


def _events_and_status(
    job: dg.JobDefinition, run: dg.DagsterRun, instance: dg.DagsterInstance
) -> tuple[list[dg.DagsterEvent], str]:
    events = []
    try:
        # Between its steps a run ends with this exception; within one, the step fails and the iteration ends well.
        with suppress(dg.DagsterExecutionInterruptedError):
            for event in execute_run_iterator(InMemoryJob(job), run, instance):
                events.append(event)
    finally:  # an interruption outside of any step ends the iteration without an event
        ended = instance.get_run_by_id(run.run_id)
        if ended is not None and not ended.is_finished:
            instance.report_run_canceled(ended)
            ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    return events, ended.status.value


def origin_of(defs: dg.Definitions, job_name: str) -> RemoteJobOrigin:
    """The job as the UI knows it: in the location that the settings name, which ``workspace.yaml`` says how to load."""
    target = WorkspaceFileTarget([str(project_dir() / "workspace.yaml")])
    location = copy(target.create_origins()[0], location_name=load_settings().circuit_sync_location_name)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, defs.get_repository_def().name), job_name)


def tags_of_our_runs(defs: dg.Definitions) -> dict[str, str]:
    """The tag of the runs of our location, whoever started them."""
    origin = origin_of(defs, "").repository_origin
    return {REPOSITORY_TAG: f"{origin.repository_name}@{origin.code_location_origin.location_name}"}


def _metadata(job: dg.JobDefinition, events: Sequence[dg.DagsterEvent]) -> dict[str, Metadata]:
    """Of the job's own assets, by partition; without any, of the last output."""
    found: dict[str, Metadata] = {}
    last: dict[str, Metadata] = {}
    for event in events:
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            if materialization.asset_key not in job.asset_layer.executable_asset_keys:
                continue
            found[materialization.partition or ""] = plain(materialization.metadata)
        elif event.is_successful_output and event.step_output_data.metadata:
            last = {"": plain(event.step_output_data.metadata)}
    return found or last


def _failure(events: Sequence[dg.DagsterEvent]) -> tuple[str | None, bool]:
    """The first failure in one line, and whether the operator's input is to blame."""
    for event in events:
        if event.is_step_failure and (ours := event.step_failure_data.user_failure_data) and ours.description:
            return ours.description, blames_input(ours.metadata)
        if event.is_step_failure or event.is_job_failure:
            error = event.step_failure_data.error if event.is_step_failure else event.job_failure_data.error
            cause = (error and event.is_step_failure and error.cause) or error
            return (cause.message if cause else str(event.message)).strip().splitlines()[0], False
    return None, False


@contextmanager
def _interruptible() -> Iterator[Callable[[], signal.Signals | None]]:
    """SIGINT and SIGTERM are Dagster's to handle; yields a function that returns which one arrived, as it treats both
    alike. Where it only notes one for later, a wait for a database that does not answer ends all the same.
    """
    before = signal.getsignal(signal.SIGTERM)
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def received() -> signal.Signals | None:
        with suppress(BlockingIOError):
            return next((signal.Signals(number) for number in reading.recv(64) if number in _SIGNALS), None)
        return None

    def hurried(number: int, frame: FrameType | None) -> None:
        hurry()
        if callable(noted):
            noted(number, frame)

    try:
        with capture_interrupts():
            noted = signal.getsignal(signal.SIGINT)
            for number in _SIGNALS:
                signal.signal(number, hurried)
            try:
                yield received
            finally:
                for number in _SIGNALS:
                    signal.signal(number, noted)
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)  # capture_interrupts leaves it as SIGINT's
        reading.close()
        writing.close()
