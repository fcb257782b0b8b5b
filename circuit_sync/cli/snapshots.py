"""``snapshots …``: those that are not computed from history. ``sync snapshots`` takes the daily ones."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.people import at_the_database
from circuit_sync.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuit_sync.database.connection import Database
    from circuit_sync.sync.progress.imports import Imported

app = typer.Typer(help="Snapshots by hand: import older ones, take one now.", no_args_is_help=True)


@app.command(name="import")
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


@app.command()
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
