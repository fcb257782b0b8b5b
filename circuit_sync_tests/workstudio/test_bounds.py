"""No answer takes longer, comes slower or grows larger than is allowed: behaviour 2. By clocks that the tests wind."""

import gzip
import json
import re
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.workstudio.errors import AnswerTooLarge, Fault, ServerUnreachable, UnusableTransport
from circuit_sync.workstudio.watch import Watch

from .scripted_client import CIRCUITS, Waits, client
from .scripted_server import Reply, serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps(CIRCUITS).encode()


class Racing:
    """A clock that every look at it moves on: a look comes with each wait for bytes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._seconds
        return self._now


@dataclass
class Clock:
    """A clock that stands where a test puts it."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def endless(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    """A head, and the same piece for ever."""

    def sent() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return sent


def failure(reply: Reply, attempts: int, kind: type[CircuitSyncError], **options: object) -> str:
    """The line of a call that fails after so many attempts."""
    with (
        serving(reply) as server,
        client(server.url, **options) as workstudio,
        pytest.raises(kind) as caught,
    ):
        workstudio.fetch_circuits("ACTIV")
    assert f" ({attempts} attempt" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


DRIPS = {
    "a body": endless(HEAD + b"\r\n", b"x"),
    "frames of chunks": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk's extension": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "headers": endless(HEAD, b"X"),
    "promises": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS.keys())
def test_whatever_never_ends_is_cut_at_the_deadline_and_tried_once_more(drip: Callable[[], Iterator[bytes]]) -> None:
    waits = Waits()
    line = failure(Reply(raw=drip), 2, ServerUnreachable, clock=Racing(4.0), call_deadline=20.0, sleep=waits)
    assert re.search(r"was cut at its deadline of 20 s: [\d,]+ bytes came in \d+ s, \S+ kB/s \(2 attempts\); ", line)
    assert "raise WORKSTUDIO_CALL_DEADLINE" in line
    assert len(waits) == 1


def test_a_server_that_says_nothing_is_cut_at_the_deadline_not_at_the_timeout() -> None:
    never = threading.Event()
    line = failure(Reply(CIRCUITS, until=never), 2, ServerUnreachable, call_deadline=0.2, timeout=60.0)
    never.set()
    assert "was cut at its deadline of 0.2 s: 0 bytes came" in line


def test_an_answer_that_begins_and_then_hardly_comes_is_cut_and_tried_once_more() -> None:
    done = threading.Event()

    def begun() -> Iterator[bytes]:
        yield HEAD + b"\r\n{"
        done.wait(30)

    line = failure(Reply(raw=begun), 2, ServerUnreachable, clock=Racing(31.0), call_deadline=6000.0)
    done.set()
    assert re.search(r"less than 1 kB/s over 30 s: \d+ bytes came in \d+ s, 0\.\S+ kB/s \(2 attempts\); ", line)
    assert "WORKSTUDIO_CALL_DEADLINE" in line


def test_the_rate_is_that_of_each_half_minute_from_the_first_byte_of_the_body_on() -> None:
    clock = Clock()
    watch = Watch("site", 10_000.0, clock)
    clock.now = 500.0  # the server computes
    watch.received(b"H")
    watch.begin_body()
    for _ in range(20):
        clock.now += 31.0
        watch.received(bytes(31_000))
        with watch.bounded(60.0) as seconds:
            assert seconds == 60.0
    watch.received(bytes(29_000))
    clock.now += 29.0
    with watch.bounded(60.0) as seconds:
        assert seconds == 1.0
    clock.now += 1.0
    with pytest.raises(Fault, match="less than 1 kB/s"), watch.bounded(60.0):
        pass


def test_a_slow_attempt_and_then_a_quick_one_is_no_failure() -> None:
    with (
        serving(Reply(raw=DRIPS["headers"]), Reply(CIRCUITS)) as server,
        client(server.url, clock=Racing(2.0), call_deadline=30.0) as workstudio,
    ):
        assert workstudio.fetch_circuits("ACTIV").received == 1


LARGE = {
    "announced": (Reply(b"x" * 1_500_000), "holds 1.5 MB: "),
    "never ending": (Reply(raw=endless(HEAD + b"\r\n", b"x" * 65_536)), "holds more than 1 MB: "),
    "never ending chunks": (
        Reply(raw=endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n")),
        "holds more than 1 MB: ",
    ),
    "gzip bomb": (
        Reply(gzip.compress(bytes(300_000_000), 1), headers={"Content-Encoding": "gzip"}),
        "holds more than 1 MB: ",
    ),
    "zlib bomb": (
        Reply(zlib.compress(bytes(300_000_000), 1), headers={"Content-Encoding": "deflate"}),
        "holds more than 1 MB: ",
    ),
}


@pytest.mark.parametrize(("reply", "held"), LARGE.values(), ids=LARGE.keys())
def test_an_answer_that_is_too_large_fails_for_good_and_never_lies_in_memory(reply: Reply, held: str) -> None:
    tracemalloc.start()
    try:
        line = failure(reply, 1, AnswerTooLarge, max_answer_mb=1)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert f"{held}WORKSTUDIO_MAX_ANSWER_MB allows 1 MB (1 attempt); " in line
    assert most < 10_000_000


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "deflate", "identity", ""])
def test_an_answer_within_the_limit_is_read_whatever_its_coding(coding: str) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {"deflate": zlib.compress, "identity": bytes, "": bytes}
    body = pack.get(coding, gzip.compress)(BODY + b" " * 900_000)
    with (
        serving(Reply(body, headers={"Content-Encoding": coding})) as server,
        client(server.url, max_answer_mb=1) as workstudio,
    ):
        assert workstudio.fetch_circuits("ACTIV").received == 1


def test_a_gzip_body_of_several_members_is_one_answer() -> None:
    body = gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]) + bytes(8)
    with serving(Reply(body, headers={"Content-Encoding": "gzip"})) as server, client(server.url) as workstudio:
        assert workstudio.fetch_circuits("ACTIV").received == 1


def test_half_a_zipped_body_counts_as_cut() -> None:
    body = gzip.compress(json.dumps(CIRCUITS).encode() * 50)
    reply = Reply(body[:-9], headers={"Content-Encoding": "gzip"})
    assert "is cut" in failure(reply, 3, ServerUnreachable, max_attempts=3)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
def test_a_coding_that_was_not_asked_for_fails_for_good(coding: str) -> None:
    line = failure(Reply(b"\x1b secret", headers={"Content-Encoding": coding}), 1, UnusableTransport)
    assert "content coding" in line
    assert "secret" not in line
