"""Runs of the jobs, one after the other, and the tables of what they did."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from typing import Any

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.results import show_aggregates, show_circuits, show_preview, show_snapshots, show_work_orders
from circuit_sync.definitions import defs
from circuit_sync.domain.eastern import eastern_date, latest_weekday
from circuit_sync.orchestration.assets.partitions import status_ranges, weekday_keys
from circuit_sync.orchestration.recovery.sensors import close_what_died
from circuit_sync.orchestration.runs.resources import looking
from circuit_sync.orchestration.terminal.execution import Outcome, persistent_instance, run_job, tags_of_our_runs
from circuit_sync.orchestration.terminal.progress import unheard_retries
from circuit_sync.sync.log.due import statuses_needing_aggregates

Config = Mapping[str, Any]


@contextmanager
def at_work(*, verbose: bool) -> Iterator["Runner"]:
    """A runner, in a prepared environment, for as long as the context lasts.

    What earlier runs left behind when they were killed is closed first: no daemon may be there to do it.
    """
    heard = nullcontext() if verbose else unheard_retries()
    with heard, persistent_instance() as instance:
        for line in close_what_died(instance, tags_of_our_runs(defs)):
            terminal.note(line)
        yield Runner(instance, verbose=verbose)


class Runner:
    """Runs the jobs and shows what they did. Every method returns the exit status: 0, 1 (failed) or 2 (wrong use)."""

    def __init__(self, instance: Any, *, verbose: bool) -> None:
        self._instance = instance
        self._verbose = verbose

    def circuits(self, statuses: Sequence[str], config: Config | None = None) -> int:
        """Statuses side by side go in one run; the first run that fails is the last."""
        for keys in _ranges(statuses):
            outcome = self._run(f"circuits {', '.join(keys)}", "sync_circuits", keys, _asset_config("circuits", config))
            if status := _exit_status(outcome):
                return status
            show_circuits(keys, outcome)
        return 0

    def preview(self, statuses: Sequence[str], config: Config) -> int:
        """Shows what ``circuits`` would do."""
        wanted = {"ops": {"compare_circuits": {"config": {"statuses": list(statuses), **config}}}}
        outcome = self._run(f"preview of circuits {', '.join(statuses)}", "preview_circuits", (), wanted)
        if not (status := _exit_status(outcome)):
            show_preview(outcome)
        return status

    def aggregates(self, statuses: Sequence[str], config: Config | None = None) -> int:
        """Like ``circuits``."""
        for keys in _ranges(statuses):
            wanted = _asset_config("circuit_aggregates", config)
            outcome = self._run(f"aggregates {', '.join(keys)}", "sync_circuit_aggregates", keys, wanted)
            if status := _exit_status(outcome):
                return status
            show_aggregates(keys, outcome)
        return 0

    def work_orders(self, work_orders: Sequence[str], config: Config) -> int:
        """The aggregates of single work orders."""
        wanted = {"ops": {"open_work_orders": {"config": {"work_orders": list(work_orders), **config}}}}
        outcome = self._run(f"aggregates of {', '.join(work_orders)}", "sync_work_orders", (), wanted)
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
        if status := self.circuits(statuses):
            return status
        with looking() as session:
            due = statuses_needing_aggregates(session)
        failed = self.aggregates([code for code in statuses if due.get(code)])
        return self.snapshots() or failed

    def _run(self, title: str, job: str, partitions: Sequence[str], config: Config) -> Outcome:
        if self._verbose:
            return run_job(defs, self._instance, job, partitions=partitions, run_config=config)
        with terminal.progress(title) as listener:
            return run_job(defs, self._instance, job, partitions=partitions, run_config=config, listener=listener)


def _ranges(statuses: Sequence[str]) -> list[list[str]]:
    """The statuses of each run; says so if they are more than one."""
    ranges = status_ranges(statuses)
    if len(ranges) > 1:
        runs = "; ".join(", ".join(keys) for keys in ranges)
        terminal.note(f"{len(ranges)} runs, as a run takes statuses that lie side by side: {runs}")
    return ranges


def _asset_config(asset: str, config: Config | None) -> Config:
    return {"ops": {asset: {"config": dict(config)}}} if config else {}


def _exit_status(outcome: Outcome) -> int:
    if outcome.ended_by is not None:
        stopped = f"run {outcome.run_id} is stopped, what was not stored yet is not stored"
        terminal.complain(f"ended by {outcome.ended_by.name}: {stopped}")
        raise typer.Exit(128 + outcome.ended_by)
    if outcome.succeeded:
        return 0
    terminal.complain(f"{outcome.failure or outcome.status} (run {outcome.run_id})")
    return 2 if outcome.wrong_use else 1
