"""The pace by a clock that the test winds: nothing here sleeps."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from circuit_sync.workstudio.errors import CallAbandoned
from circuit_sync.workstudio.pace import Pace
from circuit_sync_tests.scenery import PATIENCE


class WoundClock:
    """Stands still until a test winds it; ``sleep`` blocks until it shows the time to wake."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._now = 100.0
        self._sleepers = 0

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._moved:
            until = round(self._now + seconds, 6)
            self._sleepers += 1
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._now >= until)
            self._sleepers -= 1

    def wind(self, seconds: float) -> None:
        """Let time pass while the pace rests: waits until it does."""
        with self._moved:
            assert self._moved.wait_for(lambda: self._sleepers > 0, PATIENCE), "the pace does not rest"
            self._now = round(self._now + seconds, 6)
            self._moved.notify_all()

    def pass_by(self, seconds: float) -> None:
        """Let time pass, whatever the pace does."""
        with self._moved:
            self._now = round(self._now + seconds, 6)
            self._moved.notify_all()


class RunLock:
    """The lock that runs share; counts how often it was taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0
        self.held = threading.Event()
        self.free = threading.Event()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self.taken += 1
            self.free.clear()
            self.held.set()
            yield
            self.held.clear()
            self.free.set()


@pytest.fixture
def clock() -> WoundClock:
    return WoundClock()


@pytest.fixture
def lock() -> RunLock:
    return RunLock()


@pytest.fixture
def pace(clock: WoundClock, lock: RunLock) -> Iterator[Pace]:
    pace = Pace(5, 0.5, lock=lock, clock=clock, sleep=clock.sleep)
    yield pace
    clock.pass_by(1000)
    pace.close()


def make_calls(pace: Pace, count: int) -> None:
    for _ in range(count):
        with pace.call():
            pass


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[Future[None]]:
    """What a failed test leaves waiting is not waited for."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    yield done


def test_sixth_call_waits_out_the_pause_after_the_fifth(pace: Pace, clock: WoundClock) -> None:
    make_calls(pace, 5)
    with in_background(lambda: make_calls(pace, 1)) as sixth:
        clock.wind(0.49)
        with pytest.raises(TimeoutError):
            sixth.result(0.05)
        clock.wind(0.01)
        sixth.result(PATIENCE)


def test_pause_passes_while_the_caller_works(pace: Pace, clock: WoundClock, lock: RunLock) -> None:
    make_calls(pace, 5)
    clock.wind(0.5)
    assert lock.free.wait(PATIENCE)
    make_calls(pace, 1)


def test_lock_is_held_from_the_first_call_to_the_end_of_the_pause(pace: Pace, clock: WoundClock, lock: RunLock) -> None:
    assert not lock.held.is_set()
    make_calls(pace, 5)
    clock.wind(0.4)
    assert lock.held.is_set()
    clock.wind(0.1)
    assert lock.free.wait(PATIENCE)
    assert lock.taken == 1


def test_short_burst_gives_the_lock_up_once_no_call_came_for_a_pause(
    pace: Pace, clock: WoundClock, lock: RunLock
) -> None:
    make_calls(pace, 2)
    clock.wind(0.5)
    assert lock.free.wait(PATIENCE)


def test_count_of_five_goes_on_after_an_idle_time(pace: Pace, clock: WoundClock, lock: RunLock) -> None:
    make_calls(pace, 2)
    clock.wind(0.5)
    assert lock.free.wait(PATIENCE)
    make_calls(pace, 3)
    with in_background(lambda: make_calls(pace, 1)) as sixth:
        with pytest.raises(TimeoutError):
            sixth.result(0.05)
        clock.wind(0.5)
        sixth.result(PATIENCE)


def test_call_that_runs_long_is_no_pause(pace: Pace, clock: WoundClock, lock: RunLock) -> None:
    with pace.call():
        clock.pass_by(60)
        assert lock.held.is_set()
    make_calls(pace, 4)
    clock.wind(0.4)
    assert lock.held.is_set()


def test_a_call_that_runs_for_over_a_minute_gives_the_lock_up_and_keeps_its_place(
    clock: WoundClock, lock: RunLock
) -> None:
    pace = Pace(5, 0.5, lock=lock, clock=clock, sleep=clock.sleep, longest_hold=0.02)
    with pace.call():
        assert lock.held.wait(PATIENCE)
        clock.pass_by(1)
        assert lock.free.wait(PATIENCE)
        with Pace(5, 0.5, lock=lock, clock=clock, sleep=clock.sleep) as other:
            make_calls(other, 5)
            clock.wind(0.5)
        make_calls(pace, 4)
        with in_background(lambda: make_calls(pace, 1)) as sixth:
            with pytest.raises(TimeoutError):
                sixth.result(0.05)
            clock.wind(0.5)
            sixth.result(PATIENCE)
    clock.pass_by(1000)
    pace.close()


def test_the_pause_follows_a_fifth_call_for_which_the_lock_was_given_up(clock: WoundClock, lock: RunLock) -> None:
    pace = Pace(5, 0.5, lock=lock, clock=clock, sleep=clock.sleep, longest_hold=0.02)
    make_calls(pace, 4)
    with pace.call():
        clock.pass_by(1)
        assert lock.free.wait(PATIENCE)
    with in_background(lambda: make_calls(pace, 1)) as sixth:
        with pytest.raises(TimeoutError):
            sixth.result(0.05)
        clock.wind(0.5)
        sixth.result(PATIENCE)
    clock.pass_by(1000)
    pace.close()


def test_five_calls_may_overlap_and_the_pause_counts_from_the_last_to_end(pace: Pace, clock: WoundClock) -> None:
    together = threading.Barrier(6)
    go_on = threading.Event()

    def call() -> None:
        with pace.call():
            together.wait(PATIENCE)
            go_on.wait(PATIENCE)

    with ThreadPoolExecutor(6) as pool:
        five = [pool.submit(call) for _ in range(5)]
        together.wait(PATIENCE)
        sixth = pool.submit(make_calls, pace, 1)
        clock.pass_by(10)
        go_on.set()
        for one in five:
            one.result(PATIENCE)
        with pytest.raises(TimeoutError):
            sixth.result(0.05)
        clock.wind(0.5)
        sixth.result(PATIENCE)


def test_two_runs_take_turns_burst_by_burst(clock: WoundClock, lock: RunLock) -> None:
    one, other = (Pace(5, 0.5, lock=lock, clock=clock, sleep=clock.sleep) for _ in range(2))
    make_calls(one, 5)
    with in_background(lambda: make_calls(other, 1)) as waiting:
        clock.wind(0.49)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        clock.wind(0.01)
        waiting.result(PATIENCE)
    clock.wind(0.5)
    one.close()
    other.close()
    assert lock.taken == 2


def test_closing_waits_for_the_rest_of_the_pause_only(pace: Pace, clock: WoundClock, lock: RunLock) -> None:
    make_calls(pace, 3)
    clock.wind(0.3)
    with in_background(pace.close) as closing:
        with pytest.raises(TimeoutError):
            closing.result(0.05)
        clock.wind(0.2)
        closing.result(PATIENCE)
    assert not lock.held.is_set()


def test_cancelled_run_gives_the_lock_up_at_once(lock: RunLock) -> None:
    def cancelled_run() -> None:
        with Pace(5, 3600, lock=lock) as pace:
            make_calls(pace, 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cancelled_run()
    assert lock.free.wait(PATIENCE)


def test_closing_does_not_wait_for_a_call_left_running(pace: Pace, lock: RunLock) -> None:
    with pace.call():
        pace.close()
        assert lock.free.wait(PATIENCE)


def test_call_nobody_wants_any_more_takes_no_place(pace: Pace, clock: WoundClock) -> None:
    with pytest.raises(CallAbandoned), pace.call(lambda: True):
        pytest.fail("was let in")
    make_calls(pace, 5)


def test_closed_pace_admits_no_call(clock: WoundClock) -> None:
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.close()
    with pytest.raises(CallAbandoned):
        make_calls(pace, 1)


def test_what_the_lock_raises_reaches_the_caller() -> None:
    @contextmanager
    def broken() -> Iterator[None]:
        raise ConnectionError("the database is gone")
        yield

    pace = Pace(lock=broken)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="database is gone"):
            make_calls(pace, 1)
    pace.close()
