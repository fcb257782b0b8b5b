"""A real HTTP server that gives the answers a test wrote down, one per request, the last one for ever."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from circuit_sync_tests.scenery import PATIENCE


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    ``sent``: how much of the body goes out before the connection is cut; None is all. ``cut`` closes it without
    a word. ``until`` holds the answer back until the event is set. ``raw`` replaces the whole answer, its head too, by
    pieces that are sent as they come until the client hangs up.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None
    cut: bool = False
    until: threading.Event | None = None
    raw: Callable[[], Iterable[bytes]] | None = None

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Request:
    """What the server was asked, and when (monotonic)."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    at: float


class ScriptedServer:
    """Serves on ``url``; ``requests`` holds what came so far, ``answered`` those whose answer was not held back."""

    def __init__(self, script: Sequence[Reply] | Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.answered: list[Request] = []
        self._script = script
        self._mutex = threading.Lock()
        handler = type("Handler", (_Handler,), {"scripted": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = self._http.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/DDOProtocol/"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)

    def reply_to(self, request: Request) -> Reply:
        with self._mutex:
            self.requests.append(request)
            number = len(self.requests) - 1
        if callable(self._script):
            return self._script(request)
        return self._script[min(number, len(self._script) - 1)]

    @contextmanager
    def running(self) -> Iterator["ScriptedServer"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()


def serving(
    *script: Reply | Callable[[Request], Reply], tls: ssl.SSLContext | None = None
) -> AbstractContextManager[ScriptedServer]:
    """A running server with these answers, or with one function from request to answer."""
    if len(script) == 1 and not isinstance(script[0], Reply):
        return ScriptedServer(script[0], tls).running()
    return ScriptedServer([reply for reply in script if isinstance(reply, Reply)], tls).running()


class _Handler(BaseHTTPRequestHandler):
    scripted: ClassVar[ScriptedServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two packets: their delayed ACK costs 40 ms

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        request = Request(self.command, self.path, dict(self.headers), body, time.monotonic())
        reply = self.scripted.reply_to(request)
        if reply.until is not None:
            reply.until.wait(PATIENCE)
        self.scripted.answered.append(request)
        self.close_connection = reply.cut or reply.sent is not None or reply.raw is not None
        try:
            if reply.raw is not None:
                self.wfile.writelines(reply.raw())
            elif not reply.cut:
                self._send(reply)
        except ConnectionError:
            self.close_connection = True  # the client had enough of it

    def _send(self, reply: Reply) -> None:
        content = reply.content
        head = {"Content-Length": str(len(content)), **reply.headers}
        self.send_response(reply.status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: reply.sent])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


def table(heading: Sequence[str], *rows: Sequence[Any]) -> dict[str, Any]:
    """A DDOTable answer."""
    return {"Protocol": "DATASET", "DataSet": {"Heading": list(heading), "Data": [list(row) for row in rows]}}
