import re
import socket
import threading
from email.utils import format_datetime

import pytest

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.workstudio.errors import Forbidden, MalformedAnswer, RequestRefused, ServerUnreachable, Unauthorized
from circuit_sync.workstudio.pace import Pace

from .scripted_client import BUSY, CIRCUITS, NOW, PASSWORD, Waits, client
from .scripted_server import Reply, serving, table

TRANSIENT = {
    "503": BUSY,
    "500": Reply(status=500),
    "429": Reply(status=429),
    "cut connection": Reply(cut=True),
    "half a body": Reply(CIRCUITS, sent=40),
    "half a body that claims to be whole": Reply('{"Protocol": "DATASET", "DataSet": {"Head'),
    "HTML under 200": Reply("<html>secret: restarting</html>"),
    "empty body": Reply(""),
    "half a body that is not UTF-8 either": Reply(b'{"Protocol": "\xff'),
    "wrong encoding": Reply(b"secret", headers={"Content-Encoding": "gzip"}),
    "endless nesting": Reply("[" * 100_000),
}


@pytest.mark.parametrize("reply", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_failure_is_tried_again(reply: Reply) -> None:
    waits = Waits()
    with serving(reply, reply, Reply(CIRCUITS)) as server, client(server.url, sleep=waits) as workstudio:
        assert workstudio.fetch_circuits("ACTIV").received == 1
        assert (workstudio.statistics.calls, workstudio.statistics.retries) == (3, 2)
    assert 1 <= waits[0] <= 2 <= waits[1] <= 3


@pytest.mark.parametrize("reply", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_failure_ends_after_five_attempts_with_one_line(reply: Reply) -> None:
    waits = Waits()
    with (
        serving(reply) as server,
        client(server.url, sleep=waits) as workstudio,
        pytest.raises(ServerUnreachable) as caught,
    ):
        workstudio.fetch_circuits("ACTIV")
    assert (len(server.requests), len(waits)) == (5, 4)
    assert caught.value.transient
    text = str(caught.value)
    assert text.startswith("GETVIEWDATA vegetation assessments, By Job Status = ACTIV: ")
    assert "(5 attempts)" in text
    assert "again later" in text
    assert "secret" not in text
    assert "\n" not in text


PERMANENT = {
    "401": (Reply(status=401, body="<html>secret</html>"), Unauthorized, "HTTP 401"),
    "403": (Reply(status=403), Forbidden, "HTTP 403"),
    "404": (Reply("<html>secret</html>", 404), RequestRefused, "HTTP 404"),
    "redirect": (
        Reply(status=302, headers={"Location": "http://127.0.0.1:9/secret"}),
        RequestRefused,
        "redirect",
    ),
    "ERROR": (Reply({"Protocol": "ERROR", "errorMessage": "No such\nview"}), RequestRefused, "No such view"),
    "error in another case": (Reply({"protocol": "Error", "ErrorMessage": "Odd"}), RequestRefused, "Odd"),
    "no object": (Reply("[1, 2]"), MalformedAnswer, "not an object"),
    "null": (Reply("null"), MalformedAnswer, "not an object"),
    "no table": (Reply({"Protocol": "DATASET"}), MalformedAnswer, "no DataSet"),
    "rows without a heading": (
        Reply({"Protocol": "DATASET", "DataSet": {"Heading": [], "Data": [["secret"]]}}),
        MalformedAnswer,
        "without a Heading",
    ),
    "no status column": (
        Reply(table(["SS_JOBGUID", "SS_WO"], ["{A}", "secret"])),
        MalformedAnswer,
        "WSREQ_STATUS",
    ),
}


@pytest.mark.parametrize(("reply", "kind", "reason"), PERMANENT.values(), ids=PERMANENT.keys())
def test_permanent_failure_is_not_tried_again(reply: Reply, kind: type[CircuitSyncError], reason: str) -> None:
    with serving(reply) as server, client(server.url) as workstudio, pytest.raises(kind, match=reason) as caught:
        workstudio.fetch_circuits("ACTIV")
    assert len(server.requests) == 1
    assert not caught.value.transient
    text = str(caught.value)
    assert text.startswith("GETVIEWDATA vegetation assessments, By Job Status = ACTIV: ")
    assert "secret" not in text
    assert "\n" not in text


def test_refusal_quotes_at_most_two_hundred_characters_and_no_password() -> None:
    message = f"login {PASSWORD} failed \x1b[31m" + "x" * 500
    with (
        serving(Reply({"Protocol": "ERROR", "errorMessage": message})) as server,
        client(server.url) as workstudio,
        pytest.raises(RequestRefused) as caught,
    ):
        workstudio.fetch_circuits("ACTIV")
    assert PASSWORD not in str(caught.value)
    assert "login *** failed" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).count("x") < 200


def test_timeout_is_tried_again() -> None:
    never = threading.Event()
    with (
        serving(Reply(CIRCUITS, until=never), Reply(CIRCUITS)) as server,
        client(server.url, timeout=0.2, max_attempts=1000) as workstudio,
    ):
        assert workstudio.fetch_circuits("ACTIV").received == 1
        assert len(server.requests) > 1
        never.set()


def test_refused_connection_is_tried_again_and_names_the_server() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        waits = Waits()
        with (
            client(url, sleep=waits, max_attempts=3) as workstudio,
            pytest.raises(ServerUnreachable, match=r"no connection .* to http://127\S+/DDOProtocol/ \(3 attempts\)"),
        ):
            workstudio.fetch_circuits("ACTIV")
    assert len(waits) == 2


def test_backoff_doubles_up_to_thirty_seconds() -> None:
    waits = Waits()
    with (
        serving(BUSY) as server,
        client(server.url, sleep=waits, backoff_base=10) as workstudio,
        pytest.raises(ServerUnreachable),
    ):
        workstudio.fetch_circuits("ACTIV")
    assert 10 <= waits[0] <= 20 <= waits[1] <= 30
    assert waits[2:] == [30, 30]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("17", 17, 17),
        ("0", 1, 2),
        ("-3", 1, 2),
        ("nan", 1, 2),
        ("soon", 1, 2),
        ("7.5", 7.5, 7.5),
        ("1e1", 10, 10),
        ("Monday, 02-Mar-26 12:01:00 GMT", 60, 60),
        ("Mon Mar  2 12:01:00 2026", 60, 60),
        ("Mon, 02 Mar 2026 07:01:00 -0500", 60, 60),
        ("Mon, 99999999999999999999 Mar 2026 12:00:00 GMT", 1, 2),
        ("Mon, 02 Mar 2026 12:00:00 +99999999999999", 1, 2),
        (format_datetime(NOW.replace(minute=1), usegmt=True), 60, 60),
        (format_datetime(NOW.replace(year=2025), usegmt=True), 1, 2),
    ],
)
def test_retry_after_is_honoured_and_nonsense_in_it_ignored(header: str, least: float, most: float) -> None:
    waits = Waits()
    script = (Reply(status=429, headers={"Retry-After": header}), Reply(CIRCUITS))
    with serving(*script) as server, client(server.url, sleep=waits) as workstudio:
        workstudio.fetch_circuits("ACTIV")
    assert least <= waits[0] <= most


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("900", "900"),
        ("900.4", "900"),
        ("9" * 400, "86400"),
        ("1e999", "86400"),
        ("inf", "86400"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "86400"),
    ],
)
def test_server_that_asks_for_more_than_five_minutes_is_left_alone_at_once(header: str, seconds: str) -> None:
    with (
        serving(Reply(status=503, headers={"Retry-After": header})) as server,
        client(server.url) as workstudio,
        pytest.raises(ServerUnreachable, match=rf"wait of {seconds} s \(1 attempt\)"),
    ):
        workstudio.fetch_circuits("ACTIV")
    assert len(server.requests) == 1


def test_each_failed_attempt_is_logged() -> None:
    lines: list[str] = []
    with serving(BUSY, Reply(CIRCUITS)) as server, client(server.url, log=lines.append) as workstudio:
        workstudio.fetch_circuits("ACTIV")
    (line,) = lines
    assert re.search(r"ACTIV: attempt 1 of 5 failed \(HTTP 503 from http\S+\); next in [12]\.\d s$", line)


def test_retries_count_as_calls_of_the_pace() -> None:
    script = (BUSY, BUSY, Reply(CIRCUITS))
    with serving(*script) as server, Pace(1, 0.1) as pace, client(server.url, pace=pace) as workstudio:
        workstudio.fetch_circuits("ACTIV")
    at = [request.at for request in server.requests]
    assert min(at[1] - at[0], at[2] - at[1]) >= 0.1
