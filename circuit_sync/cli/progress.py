"""``report``, ``targets …`` and ``snapshots …``: progress over weeks and seasons."""

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.arguments import parse_date
from circuit_sync.cli.people import at_the_database
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import printable_lines
from circuit_sync.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuit_sync.database.connection import Database
    from circuit_sync.sync.progress.imports import Imported

targets_app = typer.Typer(help="Seasons' target dates, and how the seasons stand.", no_args_is_help=True)
snapshots_app = typer.Typer(help="Snapshots by hand: import older ones, take one now.", no_args_is_help=True)


def report(
    week: Annotated[
        str | None, typer.Option("--week", metavar="D", help="any date of the week, YYYY-MM-DD. Default: this week")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="'-' is standard output")
    ] = None,
) -> None:
    """A week's progress by region and planner, as one HTML page with plots that needs nothing else."""
    from circuit_sync.sync.progress.report import report_page, week_progress

    day = parse_date(week)
    with at_the_database() as session:
        progress = week_progress(session, day)
    page = printable_lines(report_page(progress))
    if output == Path("-"):
        sys.stdout.write(page)
        return
    file = output or Path(f"progress-{progress.friday}.html")
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    terminal.say(f"{file}: the week ending {progress.friday}, snapshots to {progress.last_date}")


@targets_app.command(name="set")
def set_target(
    season: Annotated[str, typer.Argument(metavar="SEASON", help="the year its circuits begin in")],
    finish_on: Annotated[
        str | None, typer.Argument(metavar="FINISH_ON", help="the date, YYYY-MM-DD, by which all is to be planned")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="R", help="of one region. Default: every region without a target of its own"),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="remove the target instead")] = False,
) -> None:
    """Set or move the target of a season. A region's own target goes before that of every region."""
    from circuit_sync.sync.progress import targets

    year = _year(season)
    day = parse_date(finish_on)
    if (day is None) is not none:
        raise UsageError("name either FINISH_ON, the date by which the season is to be planned, or --none")
    with at_the_database() as session:
        if day is None:
            whose = targets.remove_target(session, year, region)
        else:
            whose = targets.set_target(session, year, day, region)
    terminal.say(f"season {year} of {whose} " + ("has no target now" if day is None else f"is to be planned by {day}"))


@targets_app.command(name="list")
def list_targets() -> None:
    """All targets with the progress of each region: pace of the last four weeks, pace needed, projected end."""
    from circuit_sync.sync.progress.targets import targets

    with at_the_database() as session:
        found = targets(session)
    as_of = next((line["as_of"] for line in found if line["as_of"]), None)
    shown = [{name: value for name, value in line.items() if name != "as_of"} for line in found]
    terminal.table(f"targets, as of {as_of}" if as_of else "targets", shown)
    if not found:
        terminal.say("there is no target yet: circuit-sync targets set SEASON FINISH_ON [--region R]")


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4):
        raise UsageError(f"{text!r} is not a season: it is a year, such as 2026")
    return int(text)


@snapshots_app.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8; docs/rollups.md lists the columns")],
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="leave out lines whose circuit no sync has brought")
    ] = False,
) -> None:
    """Import snapshots of dates before history begins: all lines, or none and a line for each fault."""
    from circuit_sync.environment import database_in_use, prepared_environment
    from circuit_sync.sync.progress.imports import FileRefused, import_snapshots
    from circuit_sync.sync.session import Session

    settings = load_settings()
    with prepared_environment(settings, calls_workstudio=False) as prepared, database_in_use(prepared) as database:
        try:
            imported = import_snapshots(Session(database, log=terminal.note), file, skip_unknown=skip_unknown)
        except FileRefused as refused:
            for fault in refused.faults:
                terminal.note(fault)
            raise
        if imported.per_date:
            _show_in_dagster(settings, database, imported, prepared.circuit_sync_first_snapshot)
    dates = list(imported.per_date)
    span = f", {dates[0]} to {dates[-1]}" if dates else ""
    terminal.say(f"{sum(imported.per_date.values())} snapshots of {len(dates)} dates were imported{span}")
    if imported.skipped:
        terminal.say(f"{imported.skipped} lines were left out: no sync has brought their circuits")


def _show_in_dagster(settings: Settings, database: "Database", imported: "Imported", began: date) -> None:
    """``began``: where partitions began before the import, which may have moved that."""
    from circuit_sync.environment import environment_with, first_partition

    with environment_with(first_partition(settings, database)):
        # The definitions are loaded where the first partition is known.
        from circuit_sync.orchestration.assets.snapshots import report_imported
        from circuit_sync.orchestration.terminal.execution import persistent_instance

        with persistent_instance() as instance:
            report_imported(instance, imported)
        begins = load_settings().circuit_sync_first_snapshot
    if min(imported.per_date) < begins:
        terminal.note(f"Dagster shows dates from {begins} on, as CIRCUIT_SYNC_FIRST_SNAPSHOT says")
    elif begins < began:
        terminal.note(f"a Dagster that runs already shows the dates before {began} once it is started again")


@snapshots_app.command()
def take(
    work_order: Annotated[
        list[str] | None, typer.Option("--work-order", metavar="WO", help="only this work order; repeatable")
    ] = None,
) -> None:
    """Take a manual snapshot of every open circuit as it is now, beside the daily ones."""
    from circuit_sync.sync.progress.imports import take_manual_snapshots

    with at_the_database() as session:
        taken = take_manual_snapshots(session, work_order or ())
    terminal.say(f"a manual snapshot of {taken} circuits was taken")
