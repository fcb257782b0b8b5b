"""``circuit-sync``: the command line.

Each command imports what it needs when it runs, so that help and the small commands do not wait for Dagster and pandas.
A command returns its exit status, 0 if nothing.
Exit status: 0 done (with a warning too), 1 failed, 2 wrong use, 130 and 143 ended by SIGINT and SIGTERM.
"""

import logging
import signal
import sys
import warnings
from typing import Annotated

import typer

from circuit_sync.cli import administration, circuits, credentials, events, people, progress, streams, syncing
from circuit_sync.cli.arguments import check_arguments
from circuit_sync.cli.terminal import complain
from circuit_sync.domain.errors import CircuitSyncError, UsageError

app = typer.Typer(
    name="circuit-sync",
    help="Keeps a PostgreSQL database in step with WorkStudio.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(syncing.app, name="sync")
app.add_typer(administration.database_app, name="db")
app.add_typer(people.users_app, name="users")
app.add_typer(people.planners_app, name="planners")
app.add_typer(circuits.app, name="circuits")
app.add_typer(credentials.app, name="credentials")
app.add_typer(progress.snapshots_app, name="snapshots")
app.add_typer(progress.targets_app, name="targets")
app.add_typer(events.events_app, name="events")
for command in (
    *(progress.report, administration.status, administration.check, administration.simulator),
    *(events.gateway, syncing.demo),
):
    app.command()(command)


@app.command()
def dev(
    port: Annotated[int, typer.Option("--port", "-p", help="where the UI listens")] = 3000,
    gateway_port: Annotated[int, typer.Option("--gateway-port", help="where the live page is served")] = 3001,
) -> int:
    """The Dagster UI with its daemon: schedules and sensors on, against the configured WorkStudio or the simulator."""
    from circuit_sync.cli.development import run_dev

    return run_dev(port, gateway_port)


def main() -> None:
    """Runs the command in ``sys.argv``; a user's mistake gets one line, no traceback."""
    # Dagster warns of its own use of `owners` when it copies our sensors.
    warnings.filterwarnings("ignore", message="Parameter `owners` of initializer `SensorDefinition")
    streams.make_unfailing()
    logging.raiseExceptions = False  # no traceback for a log line that cannot be written
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        check_arguments(sys.argv[1:])
        status = app(standalone_mode=False, prog_name="circuit-sync")
    except typer.TyperException as error:
        status = _failed(error.format_message() or "wrong use", error.exit_code)
    except UsageError as error:
        status = _failed(str(error), 2)
    except CircuitSyncError as error:
        status = _failed(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status or _unread())


def _terminated(number: int, _frame: object) -> None:
    """Ends the process as an exception does, so that whatever was started is stopped."""
    raise SystemExit(128 + number)


def _unread() -> int:
    """The exit status of a command that did its work: what it prints is its work, unless it is a sync's by the way."""
    reason = streams.unwritten()
    if reason is None or sys.argv[1:2] in (["sync"], ["demo"], ["dev"]):
        return 0
    return _failed(f"standard output cannot be written: {reason}", 1)


def _failed(line: str, status: int) -> int:
    complain(line)
    return status
