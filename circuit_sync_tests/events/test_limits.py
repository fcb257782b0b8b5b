"""What a stranger sends is bounded, in size and time, and disturbs nobody."""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread

import httpx
import psutil
import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.events import protocol, server
from circuit_sync.events.server import bind
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import Listener, gateway_running, tell
from circuit_sync_tests.scenery import until

MEGABYTE = b"x" * 1_000_000
HALF_SENT = (
    b"",
    b"G",
    b"GET /health HTTP/1.1\r\nHost: h\r\nX-A: ",
    b"POST /ticket HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1",
)
HUGE = {
    "line": b"GET /health?",
    "one header": b"GET /health HTTP/1.1\r\nHost: h\r\nX-A: ",
    "many headers": b"GET /health HTTP/1.1\r\nHost: h\r\n",
    "announced body": b"POST /ticket HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
    "body in chunks": b"POST /ticket HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nF4240\r\n",
}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a second."""
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 1)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.5)


@contextmanager
def connected(url: str, *sent: bytes) -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"".join(sent))
        yield connection


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def send_for_ever(connection: socket.socket, first: bytes, piece: bytes) -> int:
    """The bytes that were sent before the other side cut it off."""
    sent = 0
    with suppress(ConnectionError):
        connection.sendall(first)
        while sent < 2_000_000_000:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def test_slow_and_huge_requests_end_and_a_stream_goes_on_undisturbed(place: Place, url: str, hurried: None) -> None:
    before = psutil.Process().memory_info().rss
    with Listener(url, place.tokens["pat"]) as listener, ExitStack() as stack:
        slow = [stack.enter_context(connected(url, HALF_SENT[number % len(HALF_SENT)])) for number in range(50)]
        huge = [stack.enter_context(connected(url)) for _ in HUGE]
        pieces = [b"X-A: b\r\n" * 100_000 if kind == "many headers" else MEGABYTE for kind in HUGE]
        threads = [Thread(target=send_for_ever, args=asked) for asked in zip(huge, HUGE.values(), pieces, strict=True)]
        for thread in threads:
            thread.start()
        told = 0
        while any(thread.is_alive() for thread in threads):
            tell(place.database, [told])
            told += 1
            assert listener.until(told) == list(range(told))
        assert httpx.get(f"{url}/health").json() == {"is_ready": True, "streams": 1}
        for connection in slow:
            assert answer_of(connection)[9:12] in (b"", b"408", b"401")
        tell(place.database, [told])
        assert listener.until(told + 1) == list(range(told + 1))
    assert psutil.Process().memory_info().rss - before < 100_000_000


@pytest.mark.parametrize("kind", ["line", "one header", "many headers"])
def test_a_head_that_is_too_large_is_told_why(place: Place, url: str, kind: str) -> None:
    filling = b"X-A: b\r\n" * 4_000 if kind == "many headers" else b"x" * 32_000
    with connected(url, HUGE[kind], filling) as connection:
        answer = answer_of(connection)
    assert status_of(answer) == 431
    assert answer.endswith(b'{"error":"line and headers of a request may have 16384 bytes"}')


def test_a_body_that_is_announced_too_large_is_refused(place: Place, url: str) -> None:
    answer = httpx.post(f"{url}/ticket", content=b"x" * 20_000)
    assert answer.status_code == 413
    assert "16384 bytes" in answer.json()["error"]
    assert httpx.post(f"{url}/ticket", content=b"x" * 16_000).status_code == 401


def test_half_a_request_is_told_that_it_came_too_late(place: Place, url: str, hurried: None) -> None:
    with connected(url, b"GET /health HTTP/1.1\r\nHost: h\r\n") as connection:
        answer = answer_of(connection)
    assert status_of(answer) == 408
    assert b"within 1 s" in answer


def test_a_request_that_comes_byte_by_byte_does_not_outlast_the_deadline(place: Place, url: str, hurried: None) -> None:
    for first in HALF_SENT[2:]:
        with connected(url) as connection:
            connection.settimeout(None)
            assert send_for_ever(connection, first, b"1") < 100_000_000


def test_a_stream_is_no_way_around_the_bounds_on_a_body(place: Place, url: str, hurried: None) -> None:
    head = f"GET /events?channel=dashboard HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {place.tokens['pat']}\r\n"
    for body in (
        b"Content-Length: 9\r\n\r\n1",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\n1",
        b"Transfer-Encoding: chunked\r\n\r\nx",
    ):
        with connected(url, head.encode(), body) as connection:
            answer_of(connection)
    until(lambda: httpx.get(f"{url}/health").json()["streams"] == 0)


def test_more_connections_than_may_be_are_dropped_and_streams_stay(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 10)
    with gateway_running(place.database) as url, Listener(url, place.tokens["pat"]) as listener, ExitStack() as stack:
        waiting = [stack.enter_context(connected(url)) for _ in range(30)]
        assert [answer_of(connection) for connection in waiting[20:]] == [b""] * 10
        tell(place.database, [1])
        assert listener.until(1) == [1]


def test_no_mistake_of_a_stranger_is_a_line_in_the_log(
    place: Place, url: str, hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    head = b"POST /ticket HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    websocket = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for sent in (
        b"\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        head + b"zz\r\n",
        HUGE["line"] + MEGABYTE,
        websocket,
    ):
        with connected(url, sent) as connection:
            connection.shutdown(socket.SHUT_WR)
            answer_of(connection)
    assert [record.getMessage() for record in caplog.records if record.name.startswith(("uvicorn", "asyncio"))] == []


def test_every_answer_forbids_guessing_its_type(place: Place, url: str, hurried: None) -> None:
    token = {"Authorization": f"Bearer {place.tokens['ada']}"}
    answers = [httpx.get(url + path, headers=token) for path in ("/", "/state", "/health", "/events", "/nothing")]
    answers += [httpx.get(f"{url}/state"), httpx.post(f"{url}/state"), httpx.post(f"{url}/ticket", headers=token)]
    answers += [httpx.post(f"{url}/ticket", content=b"x" * 20_000)]
    assert [answer.headers.get_list("X-Content-Type-Options") for answer in answers] == [["nosniff"]] * len(answers)
    for sent in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n", HUGE["line"] + MEGABYTE):
        with connected(url, sent) as connection:
            assert answer_of(connection).lower().count(b"x-content-type-options: nosniff\r\n") == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_only_http_1_1_gets_chunks(place: Place, version: bytes) -> None:
    token = place.tokens["pat"].encode()
    head = b"GET /events?channel=dashboard HTTP/" + version + b"\r\nHost: h\r\nAuthorization: Bearer " + token
    with gateway_running(place.database) as url, connected(url, head, b"\r\n\r\n") as connection:
        got = b""
        while b"id: " not in got:
            got += connection.recv(65536)
    head, _, content = got.partition(b"\r\n\r\n")
    assert (b"chunked" in head) == (version == b"1.1")
    assert content.startswith(b"retry: 2000\n\n") == (version == b"1.0")


@pytest.mark.parametrize(
    "host", ["", " ", "\t", "no such host", "999.1.1.1", "a..b", "x" * 64, "127.0.0.1:80", "[::1]", "a\0b"]
)
def test_a_host_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=r"--host|on "):
        bind(host, 0)


@pytest.mark.parametrize("port", [-1, 65_536, 10**30])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match="is not a port"):
        bind("127.0.0.1", port)


def test_pages_of_named_origins_may_send_what_polyfills_of_eventsource_send(place: Place) -> None:
    origin = "https://progress.example.com"
    with gateway_running(place.database, [origin]) as url:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,cache-control,last-event-id,x-requested-with",
        }
        answer = httpx.options(f"{url}/events", headers=asked)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
        foreign = httpx.options(f"{url}/events", headers=asked | {"Origin": "https://other.example.com"})
        assert "Access-Control-Allow-Origin" not in foreign.headers
