"""``sync …`` and ``demo``: each command is a run of a Dagster job in this process, which the UI shows."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.arguments import parse_date
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
) -> int:
    """The circuits of the statuses: those of a range of neighbouring statuses in one run."""
    settings = load_settings()
    wanted = _statuses(status, settings)
    request = CircuitSyncRequest(wanted, force, accept_departures, triggered_by=as_user)
    return _run(settings, lambda runs: runs.preview(request) if preview else runs.circuits(request), verbose=verbose)


@app.command()
def aggregates(
    status: StatusOption = None,
    work_order: Annotated[
        list[str] | None, typer.Option("--work-order", metavar="WO", help="only this work order; repeatable")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="also circuits that need no units now")] = False,
    verbose: Verbose = False,
) -> int:
    """The totals over planned units of the circuits that need them."""
    settings = load_settings()
    if status and work_order:
        raise UsageError("--status and --work-order exclude each other: name statuses or single work orders")
    request = AggregateSyncRequest(_statuses(status, settings), work_order or (), force)
    return _run(settings, lambda runner: runner.aggregates(request), verbose=verbose)


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
) -> int:
    """The snapshots of weekdays, taken anew from history."""
    if day is not None and (first is not None or last is not None):
        raise UsageError("--date excludes --from and --to: name one date or a span")
    if last is not None and first is None:
        raise UsageError("--to needs --from: where does the span begin?")
    begin, end = parse_date(day or first), parse_date(day or last)
    return _run(
        load_settings(),
        lambda runner: runner.snapshots(begin, end),
        verbose=verbose,
        calls_workstudio=False,
        asked_from=begin,
    )


@app.command(name="all")
def everything(verbose: Verbose = False) -> int:
    """Circuits, then the aggregates they need, then today's snapshot, as the daemon's sensors chain them."""
    settings = load_settings()
    return _run(settings, lambda runner: runner.everything(settings.workstudio_statuses), verbose=verbose)


def demo(verbose: Verbose = False) -> int:
    """One whole sync: circuits, aggregates, today's snapshot; prints what it did and stops all it started."""
    from circuit_sync.environment import named_server

    settings = load_settings()
    configured, _ = named_server(settings)
    server = configured.base_url if configured else "the bundled simulator (an invented WorkStudio)"
    database = "the configured PostgreSQL" if settings.circuit_sync_database_url else "an embedded PostgreSQL"

    def sync_and_show(runner: "Runner") -> int:
        from circuit_sync.cli.overview import show_overview
        from circuit_sync.orchestration.runs.resources import sensor_session

        terminal.note(f"one whole sync from {server} into {database}, each step a Dagster run")
        status = runner.everything(settings.workstudio_statuses)
        with sensor_session() as session:
            show_overview(session)
        return status

    status = _run(settings, sync_and_show, verbose=verbose)
    if status == 0:
        terminal.say(
            "Done. Go on with `make dev`: the Dagster UI on http://127.0.0.1:3000 shows these runs, their partitions"
        )
        terminal.say("and what each did; schedules and sensors keep the database up to date while it runs.")
    return status


def _run(
    settings: Settings,
    work: "Callable[[Runner], int]",
    *,
    verbose: bool,
    calls_workstudio: bool = True,
    asked_from: date | None = None,
) -> int:
    from circuit_sync.environment import prepared_environment

    with prepared_environment(settings, calls_workstudio=calls_workstudio, asked_from=asked_from):
        # The definitions are loaded where the first partition is known.
        from circuit_sync.cli.runs import at_work

        with at_work(verbose=verbose) as runner:
            return work(runner)


def _statuses(named: list[str] | None, settings: Settings) -> tuple[str, ...]:
    return parse_statuses(named) if named else settings.workstudio_statuses
