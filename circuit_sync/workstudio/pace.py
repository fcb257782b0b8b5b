"""The pace towards one WorkStudio: five calls, then a pause, shared by all runs through one lock.

A burst (up to five calls) and its pause are held under a lock; towards one server that is a PostgreSQL session
advisory lock, so that a long run lets another in between its bursts. *The lock is held until the server has been left
alone for the length of a pause*, from which follows:

- A burst that stays short (the caller is busy storing) gives the lock up after that time, not before: another run's
  five calls may follow at once. The count of five goes on where it stood.
- A call that backs off holds nothing while it waits: a run that waits for two minutes blocks nobody.
- The pause passes while the caller works on its answers; only the next burst, or ``close``, waits for it.
- The exception is a call that runs for over a minute: the lock is no longer held for it, so that one slow answer
  does not stop the calls of all runs. It keeps its place among the five, and may overlap a burst of others.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from circuit_sync.workstudio.errors import CallAbandoned

LONGEST_HOLD = 60.0
"""Seconds for which one call in flight holds the lock."""


class Pace(AbstractContextManager["Pace"]):
    """Admits ``calls`` calls, then none for ``delay`` seconds after the last ended. Safe for many threads.

    ``lock`` makes a fresh context manager for each burst. It is entered and left in the pace's own thread,
    never the caller's, and may block while another run has its burst; what it raises is raised by every call
    from then on. ``clock`` and ``sleep`` belong together: time must pass by the one while the other sleeps. A call in
    flight for more than ``longest_hold`` seconds does not keep the lock.
    """

    def __init__(
        self,
        calls: int = 5,
        delay: float = 0.5,
        *,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        longest_hold: float = LONGEST_HOLD,
    ) -> None:
        self._calls = calls
        self._delay = delay
        self._longest_hold = longest_hold
        self._lock = lock
        self._clock = clock
        self._hurry = threading.Event()
        self._sleep = self._hurry.wait if sleep is None else sleep
        self._changed = threading.Condition()
        self._keeper: threading.Thread | None = None
        self._left = calls
        self._waiting = 0
        self._in_flight: dict[object, float] = {}  # when each call began
        self._quiet_since = -math.inf
        self._open = False  # calls are let in
        self._held = False  # the lock is ours
        self._closed = False
        self._failure: BaseException | None = None

    @contextmanager
    def call(self, abandoned: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for a place in a burst and hold it for one call, the ``with`` block. A retry is another call.

        Raises ``CallAbandoned``, and uses up no place, if ``abandoned()`` or the pace is closed once the wait
        is over.
        """
        place = object()
        self._admit(place, abandoned)
        try:
            yield
        finally:
            with self._changed:
                del self._in_flight[place]
                self._quiet_since = self._clock()
                self._changed.notify_all()

    def close(self, *, hurry: bool = False) -> None:
        """Give up the lock after the rest of the last pause; at once in a ``hurry`` or with calls running."""
        with self._changed:
            self._closed = True
            if hurry:
                self._hurry.set()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._held)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(hurry=kind is not None and not issubclass(kind, Exception))

    def _admit(self, place: object, abandoned: Callable[[], bool]) -> None:
        with self._changed:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="workstudio-pace", daemon=True)
                self._keeper.start()
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: abandoned() or self._closed or self._failure or (self._open and self._left > 0)
                )
            finally:
                self._waiting -= 1
                self._changed.notify_all()
            if self._failure is not None:
                raise self._failure
            if self._closed or abandoned():
                raise CallAbandoned("the run is over: no further call to WorkStudio is made")
            self._left -= 1
            self._in_flight[place] = self._clock()

    def _keep(self) -> None:
        """The pace's own thread: one burst after the other, each under the lock, as long as calls come."""
        while self._call_is_wanted():
            try:
                with self._lock():
                    self._hold_burst()
            except BaseException as failure:
                self._release(failure)
                return
            self._release()

    def _call_is_wanted(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting > 0 or self._closed)
            return not self._closed

    def _hold_burst(self) -> None:
        """Let calls in until five were made or none comes; stay until the pause after the last is over."""
        with self._changed:
            self._held = True
            # The fifth call may have ended a moment ago, after the lock was given up for it.
            pause = self._pause_left() if self._left == self._calls else 0.0
        if pause > 0:
            self._sleep(pause)
        with self._changed:
            self._open = True
            self._changed.notify_all()
        while (rest := self._rest_of_pause()) > 0:
            self._sleep(rest)

    def _rest_of_pause(self) -> float:
        """Wait until no call runs or could begin; how long the server must still be left alone then.

        With nothing left to wait for, the burst is over and no call gets in before the next one.
        """
        with self._changed:
            while not self._is_quiet():
                self._changed.wait(self._rest_of_hold())
            left_running = self._closed and self._in_flight
            if (rest := self._pause_left()) > 0 and not left_running and not self._hurry.is_set():
                return rest
            self._open = False
            self._left = self._left or self._calls
            return 0.0

    def _is_quiet(self) -> bool:
        return self._closed or not (self._rest_of_hold() or (self._waiting and self._left))

    def _rest_of_hold(self) -> float | None:
        """Seconds until the next call in flight ceases to hold the lock; None if none holds it."""
        now = self._clock()
        rests = [rest for begun in self._in_flight.values() if (rest := begun + self._longest_hold - now) >= 0]
        return max(min(rests), 0.01) if rests else None

    def _pause_left(self) -> float:
        return self._quiet_since + self._delay - self._clock()

    def _release(self, failure: BaseException | None = None) -> None:
        with self._changed:
            self._held = self._open = False
            self._failure = failure
            self._changed.notify_all()
