"""One webhook's attempt: whatever its URL holds, an answer comes back, and the environment has no say in it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from circuit_sync.domain.retry_after import seconds_asked
from circuit_sync.events import webhooks
from circuit_sync.events.webhooks import LONGEST_WAIT, Answer, Sender, SyncEvent, Webhook
from circuit_sync_tests.events.listening import NOW
from circuit_sync_tests.workstudio.scripted_server import Reply, serving

EVENT = SyncEvent(1, "sync.started", {"sync_id": 7}, NOW, "circuit_list", "ACTIV", False)
MUCH = b"x" * 100_000


def send(url: str) -> Answer:
    with Sender(lambda: NOW) as sender:
        return sender.send(Webhook(1, url), EVENT)


@contextmanager
def speaking(first: bytes, again: bytes = b"") -> Iterator[str]:
    """The address of one that answers any connection with ``first``, then with ``again`` until it is left."""
    left = threading.Event()

    def speak(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(first)
            while again and not left.wait(0.02):
                connection.sendall(again)

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=speak, args=[listening.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=[listening], daemon=True).start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}/T0SECRET"
        finally:
            left.set()
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "url", [f"https://{'a' * 64}.example.com/T0SECRET", "https://a..b/T0SECRET", "https://[abc]/T0SECRET"]
)
def test_a_host_that_cannot_be_looked_up_is_an_answer_like_any_failure(url: str) -> None:
    answer = send(url)
    assert answer.wait == LONGEST_WAIT
    assert answer.error in {
        f"its {what}: nothing is delivered until somebody corrects it"
        for what in ("URL cannot be requested", "host name is unknown")
    }


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with serving(Reply()) as receiver, serving(Reply(status=502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        with Sender() as sender:
            assert sender.send(Webhook(1, receiver.url), EVENT).error is None
    assert len(receiver.requests) == 1
    assert proxy.requests == []


def test_a_webhook_keeps_its_place_in_the_setting_and_is_one_however_often_it_is_named() -> None:
    first, second = "https://a.example.com", "slack+https://a.example.com"
    assert [webhook.place for webhook in Webhook.parse_all([first, first, second])] == [1, 3]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"H", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_is_cut_off_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes
) -> None:
    monkeypatch.setattr(webhooks, "DELIVERY_SECONDS", 0.5)
    with speaking(first, again or first) as receiver:
        answer = send(f"http://{receiver}")
    assert answer.error is not None
    assert answer.error.startswith("no answer ")
    assert not answer.refused_the_event


@pytest.mark.parametrize(
    ("head", "again"), [(b"", b"x"), (b"Content-Length: 99999999999\r\n", MUCH), (b"Content-Encoding: gzip\r\n", MUCH)]
)
def test_an_event_that_was_taken_is_delivered_however_the_rest_of_the_answer_comes(
    monkeypatch: pytest.MonkeyPatch, head: bytes, again: bytes
) -> None:
    monkeypatch.setattr(webhooks, "DELIVERY_SECONDS", 2)
    with speaking(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", again) as receiver:
        assert send(f"http://{receiver}") == Answer()


@pytest.mark.parametrize(
    ("scheme", "first", "told"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "no TLS can be agreed on (WRONG_VERSION_NUMBER)"),
        ("https", b"\x15\x03\x01\x00\x02\x02\x46", "no TLS can be agreed on (TLSV1_ALERT_PROTOCOL_VERSION)"),
        ("https", b"\x15\x03\x03\x00\x02\x02\x28", "no TLS can be agreed on (SSLV3_ALERT_HANDSHAKE_FAILURE)"),
        ("http", b"\x15\x03\x01\x00\x02\x02\x16", "its answer is not HTTP"),
        ("http", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "its answer is not HTTP"),
    ],
)
def test_a_mistake_that_no_waiting_mends_is_named_and_waits_longest(scheme: str, first: bytes, told: str) -> None:
    with speaking(first) as receiver:
        answer = send(f"{scheme}://{receiver}")
    assert answer.error is not None
    assert answer.error.startswith(told)
    assert "SECRET" not in answer.error
    assert answer.wait == LONGEST_WAIT


@pytest.mark.parametrize(("number", "wait"), [(socket.EAI_NONAME, LONGEST_WAIT), (socket.EAI_AGAIN, timedelta())])
def test_an_unknown_host_is_a_mistake_and_a_resolver_that_is_away_is_none(
    monkeypatch: pytest.MonkeyPatch, number: int, wait: timedelta
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(number, "as the resolver says")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    answer = send("https://receiver.example.com/T0SECRET")
    assert (answer.wait, "host name is unknown" in (answer.error or "")) == (wait, wait == LONGEST_WAIT)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        (".5", 0.5),
        ("Mon, 02 Mar 2026 09:31:00 GMT", 60),
        ("Monday, 02-Mar-26 09:31:00 GMT", 60),
        ("Mon, 02 Mar 2026 04:31:00 -0500", 60),
        ("Sun, 01 Mar 2026 09:31:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2300", 3600),
        ("9" * 400, 3600),
        ("1e9", 3600),
        ("inf", 3600),
        ("-5", 0),
        ("nan", 0),
        ("soon", 0),
        ("", 0),
        ("Mon, 99 Mar 2026 09:31:00 GMT", 0),
    ],
)
def test_what_a_receiver_asks_for_is_understood_or_bounded(asked: str, seconds: float) -> None:
    with serving(Reply(status=503, headers={"Retry-After": asked})) as receiver:
        assert send(receiver.url) == Answer("HTTP 503", wait=timedelta(seconds=seconds))


def test_without_a_longest_wait_what_is_asked_for_is_as_long_as_it_says() -> None:
    assert seconds_asked("7200", NOW) == 7200
    assert seconds_asked(None, NOW) is None
