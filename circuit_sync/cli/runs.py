"""Runs of the jobs, one after the other, and the tables of what they did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.results import show_aggregates, show_circuits, show_preview, show_snapshots
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
    with nullcontext() if verbose else hidden_retries(), persistent_instance() as instance:
        for line in close_what_died(instance, tags_of_our_runs(defs)):
            terminal.note(line)
        yield Runner(instance, verbose=verbose)


class Runner:
    """Runs the jobs and shows what they did. Every method returns the exit status: 0, 1 (failed) or 2 (wrong use)."""

    def __init__(self, instance: Any, *, verbose: bool) -> None:
        self._instance = instance
        self._verbose = verbose

    def circuits(self, request: CircuitSyncRequest) -> int:
        """Adjacent statuses go in one run; the first run that fails is the last."""
        return self._by_range("circuits", request, show_circuits)

    def preview(self, request: CircuitSyncRequest) -> int:
        """Shows what ``circuits`` would do."""
        options = request.asked() | {"triggered_by": request.triggered_by}
        config = {name: options[name] for name in PreviewConfig.model_fields}
        run_config = {"ops": {"compare_circuits": {"config": config}}}
        title = f"preview of circuits {', '.join(request.statuses)}"
        return self._run(title, "preview_circuits", show_preview, run_config=run_config)

    def aggregates(self, request: AggregateSyncRequest) -> int:
        """Like ``circuits``, or of single work orders."""
        if not request.work_orders:
            return self._by_range("aggregates", request, show_aggregates)
        (run,) = runs_of(request)
        title = f"aggregates of {', '.join(request.work_orders)}"
        return self._run(title, run.job_name, partial(show_aggregates, ()), run_config=run.run_config)

    def snapshots(self, first: date | None = None, last: date | None = None) -> int:
        """The snapshots of the weekdays from ``first`` to ``last``; the latest weekday's if there is no ``first``."""
        today = eastern_date(datetime.now(UTC))
        begin = first or latest_weekday(today)
        keys = weekday_keys(begin, last or (latest_weekday(today) if first else begin), today)
        span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
        return self._run(f"snapshots of {span}", "create_daily_snapshots", partial(show_snapshots, keys), keys)

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
            ranges = "; ".join(", ".join(run.keys) for run in runs)
            terminal.note(f"{len(runs)} runs, as a run takes statuses that lie side by side: {ranges}")
        for run in runs:
            title = f"{what} {', '.join(run.keys)}"
            if status := self._run(title, run.job_name, partial(show, run.keys), run.keys, run.run_config):
                return status
        return 0

    def _run(
        self,
        title: str,
        job: str,
        show: Callable[[Outcome], None],
        partitions: Sequence[str] = (),
        run_config: Mapping[str, Any] | None = None,
    ) -> int:
        watching: AbstractContextManager[terminal.Progress | None]
        watching = nullcontext() if self._verbose else terminal.progress(title)
        with watching as listener:
            outcome = run_job(
                defs, self._instance, job, partitions=partitions, run_config=run_config, listener=listener
            )
        if outcome.ended_by is not None:
            stopped = f"run {outcome.run_id} is stopped, what was not stored yet is not stored"
            terminal.complain(f"ended by {outcome.ended_by.name}: {stopped}")
            raise typer.Exit(128 + outcome.ended_by)
        if outcome.succeeded:
            show(outcome)
            return 0
        terminal.complain(f"{outcome.failure or outcome.status} (run {outcome.run_id})")
        return 2 if outcome.wrong_use else 1
