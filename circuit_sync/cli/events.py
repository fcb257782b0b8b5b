"""``gateway`` and ``events tail``: following live what happens."""

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import streams, terminal
from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import printable
from circuit_sync.settings import load_settings

if TYPE_CHECKING:
    from circuit_sync.events.outbox import StoredEvent
    from circuit_sync.events.tail import ListeningDatabase

events_app = typer.Typer(no_args_is_help=True)


@events_app.callback()
def _group() -> None:
    """What happened, and happens."""


def gateway(
    port: Annotated[int, typer.Option("--port", "-p", help="where it listens")] = 3001,
    host: Annotated[str, typer.Option("--host", help="the address it listens on; put TLS before any but this")] = (
        "127.0.0.1"
    ),
) -> None:
    """Serve the live page and the event stream (docs/events.md) until SIGINT or SIGTERM."""
    from circuit_sync.environment import database_in_use
    from circuit_sync.events.gateway import Gateway
    from circuit_sync.events.server import GatewayServer, bind

    settings = load_settings()
    with bind(host, port) as listening, database_in_use(settings) as database:
        _log_to_standard_error()
        where, at, *_ = listening.getsockname()
        address = f"http://[{where}]:{at}" if ":" in where else f"http://{where}:{at}"
        terminal.note(f"the live page on {address}; `circuit-sync users token EMAIL` lets people in")
        GatewayServer(Gateway(database), settings.circuit_sync_gateway_origins).serve_on(listening)


@events_app.command()
def tail(
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="dashboard, sync-status or circuit.ID; repeatable")
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", metavar="ID", min=1, max=2**62, help="begin at this event, not now")
    ] = None,
) -> None:
    """Follow the events, one line each: id, time (Eastern), name, payload."""
    import asyncio

    from circuit_sync.environment import database_in_use
    from circuit_sync.events.access import unknown_channel

    if unknown := unknown_channel(channel or ()):
        raise UsageError(unknown)
    after = None if first is None else first - 1
    with database_in_use(load_settings()) as database:
        asyncio.run(_tail(database, frozenset(channel or ()), after))


async def _tail(database: "ListeningDatabase", channels: frozenset[str], after: int | None) -> None:
    from circuit_sync.events.tail import AsyncDatabase, tail_events

    async for _position, events in tail_events(AsyncDatabase(database), after):
        for event in events:
            if not channels or channels.intersection(event.channels):
                terminal.say(_line(event))
        if streams.is_lost():
            return


def _line(event: "StoredEvent") -> str:
    return f"{event.id}  {event.occurred_at.astimezone(EASTERN):%Y-%m-%d %H:%M:%S}  {event.name}  {event.data}"


def _log_to_standard_error() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(_on_one_line)
    logging.getLogger("circuit_sync").setLevel(logging.INFO)


def _on_one_line(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), ()
    return True
