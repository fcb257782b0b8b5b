"""``check``: what an installation rests on, a line each, before its first sync."""

import json
from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line
from circuit_sync.settings import read_settings


def check(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Look at settings, database, Dagster's storage, WorkStudio and webhooks, and say what is wrong and its cure.

    It stores nothing, and asks WorkStudio for one status and one work order. Exit status 1 if anything is wrong.
    """
    from circuit_sync.environment import server_name
    from circuit_sync.sync.installation.look import look_at_installation, without_settings

    try:
        settings, faults = read_settings()
    except UsageError as error:
        found = without_settings(str(error))
    else:
        with terminal.progress("check") as progress:
            found = look_at_installation(settings, faults, identity=server_name(settings), say=progress.line)
    lines = [vars(line) for line in found.lines]
    columns = [vars(column) for column in found.columns]
    if as_json:
        terminal.say(json.dumps({"ok": not found.wrong, "checks": lines, "columns": columns}, ensure_ascii=False))
    else:
        terminal.table("columns of the views", [_shown(column) for column in columns])
        terminal.table("installation", lines)
        for line in found.wrong:
            terminal.complain(f"{line.part}, {line.check}: {line.found}")
        terminal.say(f"{len(found.wrong)} of {len(lines)} are wrong" if found.wrong else "nothing is wrong")
    raise typer.Exit(1 if found.wrong else 0)


def _shown(column: Line) -> Line:
    values = ", ".join(f"{number} {kind}" for kind, number in column["values"].items())
    return dict(column) | {"values": values or ("no rows" if column["state"] == "found" else "")}
