"""``status``, ``check``, ``simulator`` and ``db …``."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line
from circuit_sync.settings import load_settings, read_settings

database_app = typer.Typer(help="The database: migrations, URL, embedded server.", no_args_is_help=True)


def status() -> None:
    """The latest syncs, circuits per status and stage, what is due."""
    from circuit_sync.cli.overview import show_overview
    from circuit_sync.environment import database_in_use
    from circuit_sync.sync.session import Session

    with database_in_use(load_settings()) as database:
        show_overview(Session(database))


def check(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> int:
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
    return 1 if found.wrong else 0


def _shown(column: Line) -> Line:
    values = ", ".join(f"{number} {kind}" for kind, number in column["values"].items())
    return dict(column) | {"values": values or ("no rows" if column["state"] == "found" else "")}


def simulator(
    port: Annotated[int, typer.Option(help="where it listens")] = 8380,
    circuits: Annotated[int | None, typer.Option(help="how many circuits, splits included")] = None,
    seed: Annotated[int | None, typer.Option(help="another seed is another world")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="such as status:code=503,times=2,match=QC; repeatable; --fault help lists the kinds"),
    ] = None,
    state: Annotated[Path | None, typer.Option(help="file in which the world goes on after a restart")] = None,
) -> None:
    """A WorkStudio to develop against: an invented world that moves on from call to call, faults on request."""
    from circuit_sync.simulator import DEFAULT_CIRCUITS, DEFAULT_SEED, run

    many = DEFAULT_CIRCUITS if circuits is None else circuits
    run(port, many, DEFAULT_SEED if seed is None else seed, state, fault or [], terminal.say)


@database_app.command()
def upgrade() -> None:
    """Migrate to the newest schema, Dagster's storage included, and bring older numbers into order."""
    from circuit_sync.database.progress.recompute import recompute
    from circuit_sync.environment import database_in_use, prepared_environment

    with prepared_environment(load_settings(), calls_workstudio=False, recomputes=True) as settings:
        from circuit_sync.orchestration.terminal.execution import persistent_instance

        with database_in_use(settings) as database:
            recompute(database, datetime.now(UTC), terminal.note)
        with persistent_instance() as instance:
            instance.upgrade()
    terminal.say("the database is at the newest schema")


@database_app.command()
def url(dagster: Annotated[bool, typer.Option("--dagster", help="the URL of Dagster's own storage")] = False) -> None:
    """Print the URL in use, password included."""
    from circuit_sync.environment import storage_url, url_in_use

    settings = load_settings()
    with url_in_use(settings) as found:
        terminal.say(storage_url(settings, found) if dagster else found)


@database_app.command()
def serve() -> None:
    """Hold the embedded server up until SIGINT or SIGTERM, for psql and other programs."""
    from circuit_sync.environment import url_in_use

    settings = load_settings()
    if settings.circuit_sync_database_url is not None:
        raise UsageError("CIRCUIT_SYNC_DATABASE_URL names your own server: there is no embedded one to run")
    with url_in_use(settings) as found:
        terminal.say(found)
        terminal.note("the embedded PostgreSQL server is up; Ctrl-C ends it")
        signal.pause()


@database_app.command()
def adopt() -> None:
    """Tie the database to the configured WorkStudio, whatever filled it before."""
    from circuit_sync.environment import database_in_use, named_server
    from circuit_sync.sync.installation.ownership import adopt_database
    from circuit_sync.sync.session import Session

    settings = load_settings()
    server, name = named_server(settings)
    with database_in_use(settings) as database:
        before, now = adopt_database(Session(database, server, identity=name))
    terminal.say(f"the database now belongs to {now}" + (f" (before: {before})" if before and before != now else ""))
