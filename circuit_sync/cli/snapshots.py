"""``snapshots …``: those that are not computed from history. ``sync snapshots`` takes the daily ones."""

from pathlib import Path
from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.people import at_the_database

app = typer.Typer(help="Snapshots by hand: import older ones, take one now.", no_args_is_help=True)


@app.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8; docs/rollups.md lists the columns")],
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="leave out lines whose circuit no sync has brought")
    ] = False,
) -> None:
    """Import snapshots of dates before history begins: all lines, or none and a line for each fault."""
    from circuit_sync.sync.imports import FileRefused, import_snapshots

    with at_the_database() as session:
        try:
            imported = import_snapshots(session, file, skip_unknown=skip_unknown)
        except FileRefused as refused:
            for fault in refused.faults:
                terminal.note(fault)
            raise
    dates = list(imported.per_date)
    span = f", {dates[0]} to {dates[-1]}" if dates else ""
    terminal.say(f"{sum(imported.per_date.values())} snapshots of {len(dates)} dates were imported{span}")
    if imported.skipped:
        terminal.say(f"{imported.skipped} lines were left out: no sync has brought their circuits")


@app.command()
def take(
    work_order: Annotated[
        list[str] | None, typer.Option("--work-order", metavar="WO", help="only this work order; repeatable")
    ] = None,
) -> None:
    """Take a manual snapshot of every open circuit as it is now, beside the daily ones."""
    from circuit_sync.sync.imports import take_manual_snapshots

    with at_the_database() as session:
        taken = take_manual_snapshots(session, work_order or ())
    terminal.say(f"a manual snapshot of {taken} circuits was taken")
