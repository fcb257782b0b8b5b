"""Events reach their webhooks: in order, at least once, over real HTTP."""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.webhooks import Webhook, wait_after
from circuit_sync.simulator import Fault
from circuit_sync.sync.log.closing import close_as_failed
from circuit_sync.sync.webhooks import MOST_REFUSALS, deliver_events
from circuit_sync_tests.events.test_webhooks import speaking
from circuit_sync_tests.scenery import PATIENCE, Desk, until
from circuit_sync_tests.sync.units_desk import open_units, sync_units

SECRET = "T0SECRET"


class Receiver:
    """A webhook's other end. ``answers`` are the statuses of the next posts, 200 when there is none left."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.retry_after: str | None = None
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.accepted: list[Any] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver.posts.append((str(self.headers["Idempotency-Key"]), body))
                if status < 300:
                    receiver.accepted.append(body)
                self.send_response(status)
                if receiver.retry_after:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def other() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def deliver(desk: Desk, *urls: str) -> list[str]:
    return deliver_events(desk.session, Webhook.parse_all(urls), seconds=PATIENCE)


def names(posts: Sequence[dict[str, Any]]) -> list[str]:
    return [post["name"] for post in posts]


def fail(desk: Desk) -> None:
    desk.simulator.add_fault(Fault("status", times=1, code=503))
    with pytest.raises(TransientError):
        desk.sync()


def test_the_events_of_syncs_come_once_and_in_their_order(desk: Desk, receiver: Receiver) -> None:
    desk.sync("ACTIV", "QC")
    assert deliver(desk, receiver.url) == ["webhook 1 (127.0.0.1): 2 events sent"]
    started, completed = receiver.accepted
    (stored,) = desk.events("sync.completed")
    assert started["name"] == "sync.started"
    assert completed == {
        "id": stored["id"],
        "name": "sync.completed",
        "occurred_at": stored["occurred_at"].isoformat(),
        "is_recovery": False,
        "sync_type": "circuit_list",
        "payload": stored["payload"],
    }
    assert receiver.posts[1][0] == str(stored["id"])
    assert deliver(desk, receiver.url) == ["webhook 1 (127.0.0.1): no event waits"]
    desk.sync()
    deliver(desk, receiver.url)
    assert names(receiver.accepted) == ["sync.started", "sync.completed"] * 2


def test_what_fails_is_sent_again_after_a_wait_and_nothing_overtakes_it(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [200, 503, 500]
    desk.sync()
    (line,) = deliver(desk, receiver.url)
    assert line.startswith("webhook 1 (127.0.0.1): 1 events sent; event ")
    assert line.endswith(": HTTP 503 (attempt 1); waits until 04:31:30 EST")
    deliver(desk, receiver.url)
    assert len(receiver.posts) == 2, "until then it is left alone"
    desk.clock.advance(seconds=30)
    assert deliver(desk, receiver.url)[0].endswith("HTTP 500 (attempt 2); waits until 04:32:30 EST")
    desk.clock.advance(seconds=60)
    assert deliver(desk, receiver.url) == ["webhook 1 (127.0.0.1): 1 events sent"]
    assert names(receiver.accepted) == ["sync.started", "sync.completed"]


def test_the_wait_doubles_up_to_an_hour_and_honours_what_the_receiver_asks(desk: Desk, receiver: Receiver) -> None:
    waits = [wait_after(attempts, timedelta()).total_seconds() for attempts in (1, 2, 3, 8, 100)]
    assert waits == [30, 60, 120, 3600, 3600]
    receiver.answers, receiver.retry_after = [429], "90"
    desk.sync()
    assert deliver(desk, receiver.url)[0].endswith("HTTP 429 (attempt 1); waits until 04:32:30 EST")


def test_a_dead_webhook_is_not_in_the_way_of_the_others(desk: Desk, receiver: Receiver) -> None:
    desk.sync()
    dead, alive = deliver(desk, "http://127.0.0.1:9/dead", receiver.url)
    assert "no answer (ConnectError) (attempt 1)" in dead
    assert alive == "webhook 2 (127.0.0.1): 2 events sent"


def test_receivers_that_drip_keep_no_other_from_its_turn(desk: Desk, receiver: Receiver) -> None:
    desk.sync()
    with ThreadPoolExecutor() as threads, speaking(b"HTTP/1.1 200 OK\r\nX-A: ", b"x") as dripping:
        urls = [f"http://{dripping}/{number}" for number in range(12)]
        delivery = threads.submit(deliver, desk, *urls, receiver.url)
        until(lambda: len(receiver.accepted) == 2)
        assert not delivery.done()
    *held, told = delivery.result()
    assert told.endswith("2 events sent")
    assert all("(attempt 1); waits until " in line for line in held)


def test_an_event_that_the_receiver_refuses_as_such_is_left_out_in_the_end(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [400] * MOST_REFUSALS
    desk.sync()
    for _ in range(MOST_REFUSALS):
        deliver(desk, receiver.url)
        desk.clock.advance(hours=1)
    assert names(receiver.accepted) == ["sync.completed"]
    assert "is left out, it was refused: HTTP 400" in desk.lines[-1]


def test_other_failures_before_are_no_refusals(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [503] * MOST_REFUSALS + [400] * (MOST_REFUSALS - 1)
    desk.sync()
    for _ in range(2 * MOST_REFUSALS):
        deliver(desk, receiver.url)
        desk.clock.advance(hours=1)
    assert names(receiver.accepted) == ["sync.started", "sync.completed"]


def test_a_url_named_twice_gets_each_event_once(desk: Desk, receiver: Receiver) -> None:
    desk.sync()
    assert len(deliver(desk, receiver.url, receiver.url)) == 1
    assert len(receiver.accepted) == 2


def test_without_time_a_webhook_says_that_its_turn_comes(desk: Desk, receiver: Receiver) -> None:
    desk.sync()
    (line,) = deliver_events(desk.session, Webhook.parse_all([receiver.url]), seconds=0)
    assert line == "webhook 1 (127.0.0.1): no time was left for it: its turn comes with the next look"
    assert receiver.posts == []


def test_a_webhook_that_lost_its_rights_loses_no_event(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [403] * 20
    desk.sync()
    for _ in range(20):
        deliver(desk, receiver.url)
        desk.clock.advance(hours=1)
    deliver(desk, receiver.url)
    assert names(receiver.accepted) == ["sync.started", "sync.completed"]


def test_a_new_webhook_hears_of_the_last_hour_only(desk: Desk, receiver: Receiver, other: Receiver) -> None:
    desk.sync()
    deliver(desk, receiver.url)
    desk.clock.advance(hours=2)
    desk.sync()
    deliver(desk, receiver.url, other.url)
    assert len(receiver.accepted) == 4
    assert other.accepted == receiver.accepted[2:]


def test_slack_is_told_of_a_failure_and_of_the_recovery_only(desk: Desk, receiver: Receiver) -> None:
    desk = desk.with_session(retry_delays=(timedelta(minutes=15),))
    desk.sync()
    fail(desk)
    failed = desk.log()
    desk.sync("QC")
    recovered = desk.sync("ACTIV", "QC").sync_id
    desk.sync("ACTIV")
    deliver(desk, f"slack+{receiver.url}")
    error = failed["error_message"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert [post["text"] for post in receiver.accepted] == [
        f":x: Circuits ACTIV failed (sync {failed['id']}): {error} — runs again at 04:47 EST",
        f":white_check_mark: Circuits ACTIV,QC succeeded again (sync {recovered}, completed)",
    ]


def test_only_what_had_failed_recovers(desk: Desk, receiver: Receiver) -> None:
    """One work order's units are no recovery of all the units of its status, nor one date's snapshot of another's."""
    desk.sync("ACTIV")
    (work_order,) = desk.column("SELECT work_order FROM circuits ORDER BY 1 LIMIT 1")
    close_as_failed(desk.session, open_units(desk, statuses=["ACTIV"]), "killed")
    sync_units(desk, work_orders=[work_order])
    recovered = sync_units(desk, statuses=["ACTIV"]).sync_id
    deliver(desk, receiver.url)
    assert [post["payload"]["sync_id"] for post in receiver.accepted if post["is_recovery"]] == [recovered]


def test_no_message_and_no_log_holds_the_secret_of_a_url(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.answers = [503]
    desk.sync()
    lines = deliver(desk, receiver.url, "http://user:T0SECRET@127.0.0.1:9/T0SECRET")
    told = [*lines, *desk.lines, *(record.getMessage() for record in caplog.records), repr(Webhook.parse_all([SECRET]))]
    assert not any(SECRET in line for line in told)
    assert SECRET not in str(desk.rows("SELECT * FROM webhooks"))


def test_two_processes_do_not_deliver_at_once(desk: Desk, receiver: Receiver) -> None:
    from circuit_sync.database.log.webhooks import delivering

    desk.sync()
    with delivering(desk.database) as is_ours:
        assert is_ours
        assert deliver(desk, receiver.url) == ["another process delivers"]
    assert receiver.posts == []
