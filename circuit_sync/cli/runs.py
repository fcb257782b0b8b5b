"""Runs of the jobs, one after the other, and the tables of what they did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from typing import Any

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.results import show_aggregates, show_circuits, show_preview, show_snapshots, show_work_orders
from circuit_sync.definitions import defs
from circuit_sync.domain.eastern import eastern_date, latest_weekday
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest, SyncRequest
from circuit_sync.orchestration.assets.partitions import weekday_keys
from circuit_sync.orchestration.recovery.closing import close_what_died
from circuit_sync.orchestration.runs.jobs import PreviewConfig
from circuit_sync.orchestration.runs.requests import runs_of
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.orchestration.terminal.execution import Outcome, persistent_instance, run_job, tags_of_our_runs
from circuit_sync.orchestration.terminal.progress import hidden_retries
from circuit_sync.sync.log.due import statuses_needing_aggregates


@contextmanager
def at_work(*, verbose: bool) -> Iterator["Runner"]:
    """A runner, in a prepared environment, for as long as the context lasts.

    What earlier runs left behind when they were killed is closed first: no daemon may be there to do it.
    """
    log = nullcontext() if verbose else hidden_retries()
    with log, persistent_instance() as instance:
        for line in close_what_died(instance, tags_of_our_runs(defs)):
            terminal.note(line)
        yield Runner(instance, verbose=verbose)


class Runner:
    """Runs the jobs and shows what they did. Every method returns the exit status: 0, 1 (failed) or 2 (wrong use)."""

    def __init__(self, instance: Any, *, verbose: bool) -> None:
        self._instance = instance
        self._verbose = verbose

    def circuits(self, request: CircuitSyncRequest) -> int:
        """Statuses side by side go in one run; the first run that fails is the last."""
        return self._by_range("circuits", request, show_circuits)

    def preview(self, request: CircuitSyncRequest) -> int:
        """Shows what ``circuits`` would do."""
        told = request.asked() | {"triggered_by": request.triggered_by}
        config = {name: told[name] for name in PreviewConfig.model_fields}
        title = f"preview of circuits {', '.join(request.statuses)}"
        outcome = self._run(title, "preview_circuits", (), {"ops": {"compare_circuits": {"config": config}}})
        if not (status := _exit_status(outcome)):
            show_preview(outcome)
        return status

    def aggregates(self, request: AggregateSyncRequest) -> int:
        """Like ``circuits``, or of single work orders."""
        if not request.work_orders:
            return self._by_range("aggregates", request, show_aggregates)
        (run,) = runs_of(request)
        outcome = self._run(f"aggregates of {', '.join(request.work_orders)}", run.job_name, (), run.run_config)
        if not (status := _exit_status(outcome)):
            show_work_orders(outcome)
        return status

    def snapshots(self, first: date | None = None, last: date | None = None) -> int:
        """The snapshots of the weekdays from ``first`` to ``last``; the latest weekday's if there is no ``first``."""
        today = eastern_date(datetime.now(UTC))
        begin = first or latest_weekday(today)
        keys = weekday_keys(begin, last or (latest_weekday(today) if first else begin), today)
        span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
        outcome = self._run(f"snapshots of {span}", "create_daily_snapshots", keys, {})
        if not (status := _exit_status(outcome)):
            show_snapshots(keys, outcome)
        return status

    def everything(self, statuses: Sequence[str]) -> int:
        """Circuits, the aggregates that are due then, and the snapshot, also if an aggregate failed."""
        if status := self.circuits(CircuitSyncRequest(statuses)):
            return status
        with sensor_session() as session:
            due = statuses_needing_aggregates(session)
        failed = self.aggregates(AggregateSyncRequest([code for code in statuses if due.get(code)]))
        return self.snapshots() or failed

    def _by_range(self, what: str, request: SyncRequest, show: Callable[[Sequence[str], Outcome], None]) -> int:
        """Says so if the statuses take more than one run."""
        runs = runs_of(request)
        if len(runs) > 1:
            told = "; ".join(", ".join(run.keys) for run in runs)
            terminal.note(f"{len(runs)} runs, as a run takes statuses that lie side by side: {told}")
        for run in runs:
            outcome = self._run(f"{what} {', '.join(run.keys)}", run.job_name, run.keys, run.run_config)
            if status := _exit_status(outcome):
                return status
            show(run.keys, outcome)
        return 0

    def _run(self, title: str, job: str, partitions: Sequence[str], config: Mapping[str, Any]) -> Outcome:
        if self._verbose:
            return run_job(defs, self._instance, job, partitions=partitions, run_config=config)
        with terminal.progress(title) as listener:
            return run_job(defs, self._instance, job, partitions=partitions, run_config=config, listener=listener)


def _exit_status(outcome: Outcome) -> int:
    if outcome.ended_by is not None:
        stopped = f"run {outcome.run_id} is stopped, what was not stored yet is not stored"
        terminal.complain(f"ended by {outcome.ended_by.name}: {stopped}")
        raise typer.Exit(128 + outcome.ended_by)
    if outcome.succeeded:
        return 0
    terminal.complain(f"{outcome.failure or outcome.status} (run {outcome.run_id})")
    return 2 if outcome.wrong_use else 1
