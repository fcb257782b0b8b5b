"""The HTTP server of the gateway: uvicorn with our bounds, until a signal."""

import asyncio
import resource
import socket
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from circuit_sync.domain.errors import UsageError
from circuit_sync.events.gateway import Gateway
from circuit_sync.events.protocol import HEAD_BYTES, BoundedProtocol
from circuit_sync.events.web import application

STOP_SECONDS = 2
STALLED_MILLISECONDS = 60_000
"""How long a client may take nothing in before the kernel drops its connection, what is buffered for it included."""
MOST_CONNECTIONS = 5_000
"""Streams and unknown clients together. Half a head each, they hold 100 MB."""
_OTHER_FILES = 64
"""What the gateway itself keeps open, the database's connections first."""


class GatewayServer(uvicorn.Server):
    """Serves the gateway until SIGINT or SIGTERM, until ``stop``, or until the database refuses."""

    def __init__(self, gateway: Gateway, origins: Sequence[str] = ()) -> None:
        super().__init__(
            uvicorn.Config(
                application(gateway, origins),
                http=BoundedProtocol,
                h11_max_incomplete_event_size=HEAD_BYTES,
                limit_concurrency=_most_connections(),
                headers=[("X-Content-Type-Options", "nosniff")],
                log_config=None,
                log_level="error",  # an unknown client's mistake is not for our log
                access_log=False,  # a URL may hold a ticket
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._gateway = gateway

    def serve_on(self, listening: socket.socket) -> None:
        """Blocks meanwhile. Raises ``PermanentError`` if the database refuses."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self._serve_and_follow(listening))

    def stop(self) -> None:
        """As a signal does; from any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams before it waits for them to end."""
        self._gateway.end_streams()
        await super().shutdown(sockets)

    async def _serve_and_follow(self, listening: socket.socket) -> None:
        following = asyncio.create_task(self._gateway.run())
        following.add_done_callback(lambda _: self.stop())
        try:
            await self.serve([listening])
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


def _most_connections() -> int:
    """As many as there may be files: a connection takes one, and the usual 1,024 are soon gone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return MOST_CONNECTIONS if most == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, most - _OTHER_FILES))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``UsageError`` if the port cannot be had, or if ``host`` is not an address.

    To the system an empty host is every address that the machine has: that has to be asked for as 0.0.0.0.
    """
    if not host.strip():
        raise UsageError("--host is empty: name the address to listen on, 127.0.0.1 for this machine only")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OverflowError:
        raise UsageError(f"port {port} is not a port: allowed are 0 (any free one) to 65535") from None
    except (socket.gaierror, ValueError, TypeError):  # the last two: what Python itself cannot look up
        raise UsageError(f"--host {host!r} is not an address of this machine, such as 127.0.0.1") from None
    except OSError as error:
        raise UsageError(f"port {port} on {host}: {error.strerror}; choose another with --port") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MILLISECONDS)
    return listening
