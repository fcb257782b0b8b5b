"""A gateway in a thread, and a client that reads its stream as the standard says."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from circuit_sync.database.connection import Database
from circuit_sync.events.gateway import Gateway
from circuit_sync.events.outbox import emit
from circuit_sync.events.server import GatewayServer, bind
from circuit_sync.events.tokens import issue_token
from circuit_sync_tests.scenery import PATIENCE, get, until

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """An event made for a test."""

    number: int
    channels: list[str]
    name: str = "circuit.updated"
    padding: str = ""
    circuit_id: None = None
    sync_id: None = None

    @property
    def payload(self) -> dict[str, Any]:
        return {"number": self.number, "padding": self.padding}


def tell(database: Database, numbers: Sequence[int], *channels: str, padding: str = "") -> None:
    """Emits an event for each number, in one transaction."""
    with database.transaction() as connection:
        emit(connection, [Told(number, list(channels or ["dashboard"]), padding=padding) for number in numbers], NOW)


def token_of(database: Database, email: str) -> str:
    with database.transaction() as connection:
        return issue_token(connection, email, NOW)


@contextmanager
def gateway_running(database: Database, origins: Sequence[str] = (), port: int = 0, **options: Any) -> Iterator[str]:
    """The base URL of a gateway that serves meanwhile, on a connection pool of its own."""
    with Database(database.url) as own, bind("127.0.0.1", port) as listening:
        server = GatewayServer(Gateway(own, **options), origins)
        thread = threading.Thread(target=server.serve_on, args=[listening])
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            wait_for(url)
            yield url
        finally:
            server.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def wait_for(url: str) -> None:
    """Until the gateway answers that it is ready."""

    def is_ready() -> bool:
        try:
            return get(f"{url}/health").status_code == 200
        except httpx.TransportError:
            return False

    until(is_ready)


@dataclass
class Listener:
    """One stream, read in a thread until it ends. ``events``: (id, name, data); ``last_id`` as EventSource keeps it.

    ``is_cut``: the connection broke off before the stream had ended.
    """

    url: str
    token: str
    channels: Sequence[str] = ("dashboard",)
    last_id: str = ""
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    is_over: bool = False
    is_cut: bool = False

    def __enter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        self._client = httpx.Client(timeout=PATIENCE)
        request = self._client.build_request(
            "GET", f"{self.url}/events", params={"channel": list(self.channels)}, headers=headers
        )
        self._response = self._client.send(request, stream=True)
        assert self._response.status_code == 200, self._response.read()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        until(lambda: bool(self.last_id) or self.is_over)
        return self

    def __exit__(self, *_: object) -> None:
        connected = self._response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._client.close()

    @property
    def numbers(self) -> list[int]:
        """The numbers that ``tell`` gave the events."""
        return [data["number"] for _, _, data in self.events if "number" in data]

    def until(self, count: int) -> list[int]:
        """The numbers, once there are that many."""
        until(lambda: len(self.numbers) >= count or self.is_over)
        return self.numbers

    def until_over(self) -> None:
        """Waits until the gateway has ended the stream."""
        until(lambda: self.is_over)

    def _read(self) -> None:
        name, data = "message", ""
        try:
            for line in self._response.iter_lines():
                key, _, value = line.partition(": ")
                if line == "":
                    if data:
                        self.events.append((int(self.last_id or 0), name, json.loads(data)))
                    name, data = "message", ""
                elif key == "id":
                    self.last_id = value
                elif key == "event":
                    name = value
                elif key == "data":
                    data = value
                elif key == "":
                    self.comments.append(value)
        except httpx.TransportError:
            self.is_cut = True
        finally:
            self.is_over = True
