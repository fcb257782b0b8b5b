"""What any program on this machine may send to the simulator is bounded too."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from circuit_sync.simulator import Simulator, handler

HALF = [b"G", b"GET / HTTP/1.1\r\nHost: ", b"POST /DDOProtocol/GETVIEWDATA HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]


@contextmanager
def connected(simulator: Simulator, sent: bytes = b"") -> Iterator[socket.socket]:
    port = int(simulator.base_url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
        yield connection


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("half", HALF)
def test_half_a_request_is_not_waited_for(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, half: bytes) -> None:
    monkeypatch.setattr(handler, "REQUEST_SECONDS", 0.3)
    with connected(simulator, half) as connection:
        assert answer_of(connection) == b""


@pytest.mark.parametrize("length", ["9" * 5000, "9999999", "-1", "x", "", "1e3"])
def test_a_length_that_is_not_a_number_or_too_much_is_refused(simulator: Simulator, length: str) -> None:
    head = f"POST /simulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    with connected(simulator, head.encode()) as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 411 ")


def test_the_number_of_connections_is_bounded(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MOST_CONNECTIONS", 5)
    with ExitStack() as stack:
        waiting = [stack.enter_context(connected(simulator)) for _ in range(20)]
        assert [answer_of(connection) for connection in waiting[-10:]] == [b""] * 10
