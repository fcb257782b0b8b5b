"""The simulator's side of HTTP/1.1: keep-alive, exact lengths, and the ways a connection can fail."""

import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any

import orjson

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.simulator.service import Reply, Service

_LARGEST_REQUEST = 1_000_000
REQUEST_SECONDS = 10.0
"""Within which a request arrives as a whole, from its first byte on."""
MOST_CONNECTIONS = 200
"""Each has a thread; further ones are closed at once."""
_OWN_NAMES = ("127.0.0.1", "localhost", "")


class Listener(ThreadingHTTPServer):
    """A loopback socket, bound at once; it listens after ``server_activate``, until then its port refuses."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, service: Service, delay: float) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.service = service
        self.delay = delay
        self.ended = threading.Event()
        self._connections: dict[Any, float] = {}  # when the request under way on it must have arrived
        self._mutex = threading.Lock()
        self._active = 0
        self.most_at_once = 0
        try:
            self.server_bind()
        except BaseException:
            self.server_close()
            raise

    def server_bind(self) -> None:
        """Bind without looking up the host's name: that can take seconds on a machine without DNS."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()
        self.server_address = (self.server_name, self.server_port)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that ``hang_up`` reaches it."""
        with self._mutex:
            is_one_too_many = len(self._connections) >= MOST_CONNECTIONS
            self._connections[request] = inf
        if is_one_too_many:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._mutex:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def expect_request(self, request: Any, seconds: float) -> None:
        """Within so many seconds from now a request must have arrived on the connection."""
        with self._mutex:
            self._connections[request] = time.monotonic() + seconds

    def service_actions(self) -> None:
        """Twenty times a second: end connections whose request is overdue."""
        with self._mutex:
            for request, due in self._connections.items():
                if time.monotonic() > due:
                    _shut(request)

    def hang_up(self) -> None:
        """End every connection, also those that wait for their next request or lie in a delay."""
        self.ended.set()
        with self._mutex:
            for request in self._connections:
                _shut(request)

    def count(self, change: int) -> None:
        """Keep the number of calls under way, and the most there ever were."""
        with self._mutex:
            self._active += change
            self.most_at_once = max(self.most_at_once, self._active)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show errors of the simulator's own; a client that went away is not one."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "WorkStudioSimulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = 300
    server: Listener

    def handle_one_request(self) -> None:
        """Wait long for a first byte, ``REQUEST_SECONDS`` for the rest of its request."""
        if self.rfile.peek(1):  # type: ignore[attr-defined]
            self.server.expect_request(self.connection, REQUEST_SECONDS)
        try:
            super().handle_one_request()
        finally:
            self.server.expect_request(self.connection, inf)

    def do_GET(self) -> None:
        """Health, a view, or a path of the simulator's own."""
        of_view = self.command == "POST" and self.path.rstrip("/").lower() == "/ddoprotocol/getviewdata"
        length = self.headers.get("Content-Length", "0")
        is_small = length.isdecimal() and len(length) < 10 and int(length) <= _LARGEST_REQUEST
        if "Transfer-Encoding" in self.headers or not is_small:
            self.close_connection = True
            self._send(Reply(411, b"a request needs a Content-Length below 1 MB", "text/plain"))
            return
        self.server.count(int(of_view))
        try:
            body = self.rfile.read(int(length))
            self.server.expect_request(self.connection, inf)
            reply = self._reply(body, of_view=of_view)
            delay = reply.delay + (self.server.delay if of_view else 0.0)
            if delay and self.server.ended.wait(delay):
                self.close_connection = True
                return
        finally:
            self.server.count(-int(of_view))
        self._send(reply)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: calls are listed under ``/simulator/calls``."""

    def _reply(self, body: bytes, *, of_view: bool) -> Reply:
        service = self.server.service
        try:
            if of_view:
                return service.view_data(self.headers.get("Authorization"), body)
            if (self.command, self.path) == ("GET", "/"):
                return service.health()
            # Not for a web page that found a name for this machine's address.
            host = self.headers.get("Host", "")
            if (host.rpartition(":")[0] or host) not in _OWN_NAMES:
                return Reply(403, orjson.dumps({"error": "the simulator is reached as 127.0.0.1 or localhost"}))
            return service.control(self.command, self.path, body)
        except CircuitSyncError as error:
            return Reply(500, str(error).encode(), "text/plain; charset=utf-8")

    def _send(self, reply: Reply) -> None:
        """Write head and body; a buffer joins them, the base class flushes it."""
        if reply.sent is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.sent < 1:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(reply.body[: int(len(reply.body) * reply.sent)])


def _shut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
