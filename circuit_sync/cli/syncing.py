"""``circuit-sync sync …``: each command is a run of a Dagster job in this process, which the UI shows."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli.dates import parse_date
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest
from circuit_sync.domain.statuses import parse_statuses
from circuit_sync.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuit_sync.cli.runs import Runner

app = typer.Typer(help="Bring the database up to date.", no_args_is_help=True)

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Dagster's own log instead of a progress line")]
StatusOption = Annotated[
    list[str] | None, typer.Option("--status", help="ACTIV, QC, REWRK or CLOSE; repeatable. Default: all enabled")
]
Force = Annotated[bool, typer.Option("--force", help="overwrite what a person edited")]


@app.command()
def circuits(
    status: StatusOption = None,
    preview: Annotated[bool, typer.Option("--preview", help="show what would change; store nothing")] = False,
    force: Force = False,
    accept_departures: Annotated[
        bool, typer.Option("--accept-departures", help="believe an answer with fewer than half of the circuits held")
    ] = False,
    as_user: Annotated[str | None, typer.Option("--as", metavar="USER", help="whose credentials to use")] = None,
    verbose: Verbose = False,
) -> None:
    """The circuits of the statuses: those of a range of neighbouring statuses in one run."""
    settings = load_settings()
    wanted = _statuses(status, settings)
    request = CircuitSyncRequest(wanted, force, accept_departures, triggered_by=as_user)

    def work(runner: "Runner") -> int:
        return runner.preview(request) if preview else runner.circuits(request)

    _run(settings, work, verbose=verbose)


@app.command()
def aggregates(
    status: StatusOption = None,
    work_order: Annotated[
        list[str] | None, typer.Option("--work-order", metavar="WO", help="only this work order; repeatable")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="also circuits that need no units now")] = False,
    verbose: Verbose = False,
) -> None:
    """The totals over planned units of the circuits that need them."""
    settings = load_settings()
    if status and work_order:
        raise UsageError("--status and --work-order exclude each other: name statuses or single work orders")
    request = AggregateSyncRequest(_statuses(status, settings), work_order or (), force)

    def work(runner: "Runner") -> int:
        return runner.aggregates(request)

    _run(settings, work, verbose=verbose)


@app.command()
def snapshots(
    day: Annotated[
        str | None, typer.Option("--date", metavar="D", help="one date, YYYY-MM-DD. Default: the latest weekday")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="D", help="the first of several dates")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="D", help="the last of several dates. Default: today")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """The snapshots of weekdays, taken anew from history."""
    if day is not None and (first is not None or last is not None):
        raise UsageError("--date excludes --from and --to: name one date or a span")
    if last is not None and first is None:
        raise UsageError("--to needs --from: where does the span begin?")
    span = (parse_date(first if day is None else day), parse_date(last if day is None else day))

    def work(runner: "Runner") -> int:
        return runner.snapshots(*span)

    _run(load_settings(), work, verbose=verbose, calls_workstudio=False, asked_from=span[0])


@app.command(name="all")
def everything(verbose: Verbose = False) -> None:
    """Circuits, then the aggregates they need, then today's snapshot, as the daemon's sensors chain them."""
    settings = load_settings()

    def work(runner: "Runner") -> int:
        return runner.everything(settings.workstudio_statuses)

    _run(settings, work, verbose=verbose)


def _run(
    settings: Settings,
    work: "Callable[[Runner], int]",
    *,
    verbose: bool,
    calls_workstudio: bool = True,
    asked_from: date | None = None,
) -> None:
    from circuit_sync.environment import prepared_environment

    with prepared_environment(settings, calls_workstudio=calls_workstudio, asked_from=asked_from):
        # The definitions are loaded where the first partition is known.
        from circuit_sync.cli.runs import at_work

        with at_work(verbose=verbose) as runner:
            status = work(runner)
    raise typer.Exit(status)


def _statuses(named: list[str] | None, settings: Settings) -> tuple[str, ...]:
    return parse_statuses(named) if named else settings.workstudio_statuses
