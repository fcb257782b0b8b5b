"""Serving the gateway over HTTP, until a signal."""

import asyncio
import resource
import socket
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from circuit_sync.domain.errors import UsageError
from circuit_sync.events.gateway import Gateway
from circuit_sync.events.web import application

STOP_SECONDS = 2
STALLED_MILLISECONDS = 60_000
"""How long a client may take nothing in before the kernel drops its connection, what is buffered for it included."""


class GatewayServer(uvicorn.Server):
    """Serves the gateway until SIGINT or SIGTERM, until told to stop, or until the database refuses."""

    def __init__(self, gateway: Gateway, origins: Sequence[str] = ()) -> None:
        super().__init__(
            uvicorn.Config(
                application(gateway, origins),
                log_config=None,
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
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a stream takes a file, 1,024 are soon gone
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


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``UsageError`` if the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port"
        raise UsageError(f"port {port} on {host}: {reason}; choose another with --port") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MILLISECONDS)
    return listening
