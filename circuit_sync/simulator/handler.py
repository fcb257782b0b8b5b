"""The simulator's side of HTTP/1.1: keep-alive, exact lengths, and the ways a connection can fail."""

import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.simulator.answering import Answering, Reply

_LARGEST_REQUEST = 1_000_000
REQUEST_SECONDS = 10.0
"""Within which a request arrives as a whole, from its first byte on."""
MOST_CONNECTIONS = 200
"""Each has a thread; further ones are closed at once."""
_OWN_NAMES = ("127.0.0.1", "localhost", "")


class Listener(ThreadingHTTPServer):
    """A loopback socket, bound at once but deaf until ``server_activate``: until then its port refuses."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answering: Answering, delay: float) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.answering = answering
        self.delay = delay
        self.ended = threading.Event()
        self._open: set[Any] = set()
        self._due: dict[Any, float] = {}
        self._turn = threading.Lock()
        self._in_hand = 0
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
        with self._turn:
            is_one_too_many = len(self._open) >= MOST_CONNECTIONS
            self._open.add(request)
        if is_one_too_many:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._turn:
            self._open.discard(request)
        super().shutdown_request(request)

    def request_begins(self, request: Any) -> None:
        """From now on the rest of a request is waited for, until ``request_is_here``."""
        with self._turn:
            self._due[request] = time.monotonic() + REQUEST_SECONDS

    def request_is_here(self, request: Any) -> None:
        """Nothing is waited for any more."""
        with self._turn:
            self._due.pop(request, None)

    def service_actions(self) -> None:
        """Twenty times a second: end connections whose request is overdue."""
        with self._turn:
            for request, due in self._due.items():
                if time.monotonic() > due:
                    _shut(request)

    def hang_up(self) -> None:
        """End every connection, also those that wait for their next request or lie in a delay."""
        self.ended.set()
        with self._turn:
            for request in self._open:
                _shut(request)

    def count(self, change: int) -> None:
        """Keep the number of calls in hand, and the most there ever were."""
        with self._turn:
            self._in_hand += change
            self.most_at_once = max(self.most_at_once, self._in_hand)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of the simulator's errors; a fault of its own is, and is shown."""
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
        """Wait for a first byte for long, for the rest of its request not."""
        if self.rfile.peek(1):  # type: ignore[attr-defined]
            self.server.request_begins(self.connection)
        try:
            super().handle_one_request()
        finally:
            self.server.request_is_here(self.connection)

    def do_GET(self) -> None:
        """Health, or the list of calls."""
        self._answer(lambda body: self.server.answering.health() if self.path == "/" else self._other(body))

    def do_POST(self) -> None:
        """A view, or a fault asked for."""
        if self.path.rstrip("/").lower() == "/ddoprotocol/getviewdata":
            self._answer(self._view_data, of_view=True)
        else:
            self._answer(self._other)

    def do_DELETE(self) -> None:
        """Faults cleared."""
        self._answer(self._other)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: calls are listed under ``/simulator/calls``."""

    def _view_data(self, body: bytes) -> Reply:
        return self.server.answering.view_data(self.headers.get("Authorization"), body)

    def _other(self, body: bytes) -> Reply:
        """Faults are for this machine's programs, not for a web page that found a name for its address."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _OWN_NAMES:
            return Reply(403, orjson.dumps({"error": "the simulator is reached as 127.0.0.1 or localhost"}))
        return self.server.answering.control(self.command, self.path, body)

    def _answer(self, reply_to: Callable[[bytes], Reply], *, of_view: bool = False) -> None:
        length = self.headers.get("Content-Length", "0")
        is_small = length.isdecimal() and len(length) < 10 and int(length) <= _LARGEST_REQUEST
        if "Transfer-Encoding" in self.headers or not is_small:
            self.close_connection = True
            self._send(Reply(411, b"a request needs a Content-Length below 1 MB", "text/plain"))
            return
        self.server.count(int(of_view))
        try:
            body = self.rfile.read(int(length))
            self.server.request_is_here(self.connection)
            try:
                reply = reply_to(body)
            except CircuitSyncError as error:
                reply = Reply(500, str(error).encode(), "text/plain; charset=utf-8")
            delay = reply.delay + (self.server.delay if of_view else 0.0)
            if delay and self.server.ended.wait(delay):
                self.close_connection = True
                return
        finally:
            self.server.count(-int(of_view))
        self._send(reply)

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
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
