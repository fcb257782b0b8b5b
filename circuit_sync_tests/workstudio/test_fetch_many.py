import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from circuit_sync.workstudio.ddotable import Table
from circuit_sync.workstudio.errors import CallAbandoned, RequestRefused
from circuit_sync.workstudio.pace import Pace
from circuit_sync_tests.scenery import PATIENCE, until

from .scripted_client import UNITS, client
from .scripted_server import Reply, Request, ScriptedServer, serving
from .test_pace import WoundClock, in_background


def by_work_order(reply: Callable[[str], Reply]) -> Callable[[Request], Reply]:
    return lambda request: reply(request.json["ViewFilter"]["FilterValue"])


def test_answers_come_in_the_order_they_end() -> None:
    others_ended = threading.Event()
    reply = by_work_order(lambda order: Reply(UNITS, until=others_ended if order == "slow" else None))
    ended = []
    with serving(reply) as server, client(server.url, concurrency=2) as workstudio:
        for order, _ in workstudio.fetch_many(["slow", "1", "2", "3"]):
            ended.append(order)
            if len(ended) == 3:
                others_ended.set()
    assert ended == ["1", "2", "3", "slow"]


def test_failed_work_order_is_an_outcome_beside_the_others() -> None:
    reply = by_work_order(lambda order: Reply(status=404) if order == "bad" else Reply(UNITS))
    with serving(reply) as server, client(server.url) as workstudio:
        outcomes = dict(workstudio.fetch_many(["1", "bad", "2"]))
    assert isinstance(outcomes["bad"], RequestRefused)
    assert isinstance(outcomes["1"], Table)
    assert isinstance(outcomes["2"], Table)


def test_error_that_is_none_of_ours_ends_the_iteration() -> None:
    def fetch(work_order: str) -> Table:
        raise ZeroDivisionError

    with serving(Reply(UNITS)) as server, client(server.url) as workstudio, pytest.raises(ZeroDivisionError):
        list(workstudio.fetch_many(["1"], fetch))


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_answers_wait_than_calls_may_overlap(concurrency: int) -> None:
    taken: list[str] = []

    def orders() -> Iterator[str]:
        for number in range(20):
            taken.append(str(number))
            yield str(number)

    with serving(Reply(UNITS)) as server, client(server.url, concurrency=concurrency) as workstudio:
        for consumed, _ in enumerate(workstudio.fetch_many(orders()), start=1):
            assert len(taken) <= consumed + concurrency
    assert len(taken) == len(server.requests) == 20


def test_calls_within_a_burst_overlap() -> None:
    together = threading.Barrier(5, timeout=PATIENCE)

    def reply(order: str) -> Reply:
        together.wait()
        return Reply(UNITS)

    with serving(by_work_order(reply)) as server, client(server.url, concurrency=5) as workstudio:
        assert len(list(workstudio.fetch_many(str(number) for number in range(10)))) == 10


def test_interrupted_consumer_does_not_wait_for_the_answer_under_way() -> None:
    never = threading.Event()
    reply = by_work_order(lambda order: Reply(UNITS) if order == "1" else Reply(UNITS, until=never))

    def interrupted_run(server: ScriptedServer) -> None:
        with client(server.url) as workstudio:
            for _ in workstudio.fetch_many(["1", "2", "3"]):
                until(lambda: len(server.requests) == 2)
                raise KeyboardInterrupt

    with serving(reply) as server:
        with pytest.raises(KeyboardInterrupt):
            interrupted_run(server)
        assert len(server.answered) == 1
        never.set()
        until(lambda: not workers_alive())
    assert len(server.requests) == 2


def test_abandoned_call_wakes_from_its_backoff_and_is_not_made_again() -> None:
    waiting = threading.Event()
    busy = Reply(status=503, headers={"Retry-After": "300"})
    reply = by_work_order(lambda order: Reply(UNITS) if order == "1" else busy)
    with (
        serving(reply) as server,
        client(server.url, sleep=None, log=lambda _: waiting.set()) as workstudio,
    ):
        outcomes = workstudio.fetch_many(["1", "2"])
        next(outcomes)
        assert waiting.wait(PATIENCE)
        outcomes.close()
        until(lambda: not workers_alive())
        assert workstudio.fetch_planned_units("1").received == 1
    assert len(server.requests) == 3


def workers_alive() -> bool:
    return any(thread.name.startswith("workstudio-call") for thread in threading.enumerate())


def test_closed_client_makes_no_call() -> None:
    with serving(Reply(UNITS)) as server, client(server.url) as workstudio:
        workstudio.close()
        with pytest.raises(CallAbandoned):
            workstudio.fetch_planned_units("1")
    assert server.requests == []


@pytest.mark.parametrize("concurrency", [1, 5])
def test_server_sees_a_pause_after_every_five_calls(concurrency: int) -> None:
    """And none that is longer: when the half second is over, the next five come."""
    clock = WoundClock()
    outcomes = []
    with serving(Reply(UNITS)) as server:
        pace = Pace(5, 0.5, clock=clock, sleep=clock.sleep)
        with client(server.url, concurrency=concurrency, pace=pace) as workstudio:

            def fetch() -> None:
                for order, _ in workstudio.fetch_many(str(number) for number in range(15)):
                    outcomes.append(order)

            with in_background(fetch) as fetching:
                for burst in (1, 2):
                    until(lambda burst=burst: len(outcomes) == 5 * burst)
                    clock.wind(0.49)
                    with pytest.raises(TimeoutError):
                        fetching.result(0.05)
                    assert len(server.requests) == 5 * burst
                    clock.wind(0.01)
                fetching.result(PATIENCE)
        clock.wind(0.5)
        pace.close()
    assert len(outcomes) == len(server.requests) == 15


def test_waiting_for_a_place_is_counted() -> None:
    waited: list[float] = []

    @contextmanager
    def lock() -> Iterator[None]:
        begun = time.monotonic()
        threading.Event().wait(0.01)
        waited.append(time.monotonic() - begun)
        yield

    with serving(Reply(UNITS)) as server, Pace(5, 0, lock=lock) as pace, client(server.url, pace=pace) as workstudio:
        workstudio.fetch_planned_units("1")
    assert workstudio.statistics.seconds_paced >= waited[0] > 0
