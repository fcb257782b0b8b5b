"""What stands between a client and PostgreSQL, and stops forwarding without a word to either."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards to the server of ``url`` until told otherwise; ``url`` leads through it, ``accepted`` counts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
        self.accepted = 0
        self._silent_upto = 0
        self._sockets: list[socket.socket] = [self._listening]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def fall_silent(self, *, for_new: bool = True) -> None:
        """Takes in what comes and passes nothing on; new connections fare better if not ``for_new``."""
        self._silent_upto = 1_000_000 if for_new else self.accepted

    def recover(self) -> None:
        """For connections made from now on."""
        self._silent_upto = self.accepted

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.accepted += 1
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=[self.accepted, one, other], daemon=True).start()

    def _forward(self, number: int, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if number > self._silent_upto:
                    other.sendall(data)
            if number > self._silent_upto:
                other.shutdown(socket.SHUT_WR)
