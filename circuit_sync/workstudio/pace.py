"""The pace towards one WorkStudio: five calls, then a pause, shared by all runs through one lock.

The operator of the server asks for a pause of half a second after every five calls, whoever makes them. A
burst (up to five calls) and its pause are therefore held under a lock; towards one server that lock is a
PostgreSQL session advisory lock, so that a long run lets another in between its bursts.

Three choices, all from one rule, *the lock is held until the server has been left alone for the length of a
pause*:

- A burst that stays short (no more calls come, the caller is busy storing) gives the lock up after that time,
  not before: another run's five calls may follow at once. The count of five goes on where it stood.
- A call that backs off holds nothing while it waits: a run that was told "in two minutes" blocks nobody.
- The pause passes while the caller works on its answers; only the next burst, or ``close``, waits for it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Self

from circuit_sync.workstudio.errors import CallAbandoned


class Pace:
    """Admits ``calls`` calls, then none for ``delay`` seconds after the last ended. Safe for many threads.

    ``lock`` makes a fresh context manager for each burst. It is entered and left in the pace's own thread,
    never the caller's, and may block while another run has its burst; what it raises is raised by every call
    from then on. ``clock`` and ``sleep`` belong together: time must pass by the one while the other sleeps.
    """

    def __init__(
        self,
        calls: int = 5,
        delay: float = 0.5,
        *,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._calls = calls
        self._delay = delay
        self._lock = lock
        self._clock = clock
        self._hurry = threading.Event()
        self._sleep = self._hurry.wait if sleep is None else sleep
        self._changed = threading.Condition()
        self._keeper: threading.Thread | None = None
        self._left = calls
        self._waiting = 0
        self._in_flight = 0
        self._quiet_since = clock()
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
        self._admit(abandoned)
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(hurry=kind is not None and not issubclass(kind, Exception))

    def _admit(self, abandoned: Callable[[], bool]) -> None:
        with self._changed:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="workstudio-pace", daemon=True)
                self._keeper.start()
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: abandoned() or self._over or (self._open and self._left > 0))
            finally:
                self._waiting -= 1
                self._changed.notify_all()
            if self._failure is not None:
                raise self._failure
            if self._closed or abandoned():
                raise CallAbandoned("the run is over: no further call to WorkStudio is made")
            self._left -= 1
            self._in_flight += 1

    @property
    def _over(self) -> bool:
        return self._closed or self._failure is not None

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
            self._held = self._open = True
            self._changed.notify_all()
        while (rest := self._rest_of_pause()) > 0:
            self._sleep(rest)

    def _rest_of_pause(self) -> float:
        """Wait until no call runs or could begin; how long the server must still be left alone then.

        With nothing left to wait for, the burst is over and no call gets in before the next one.
        """
        with self._changed:
            self._changed.wait_for(self._is_quiet)
            rest = self._quiet_since + self._delay - self._clock()
            if rest > 0 and not self._in_flight and not self._hurry.is_set():
                return rest
            self._open = False
            self._left = self._left or self._calls
            return 0.0

    def _is_quiet(self) -> bool:
        return self._closed or (self._in_flight == 0 and not (self._waiting and self._left))

    def _release(self, failure: BaseException | None = None) -> None:
        with self._changed:
            self._held = self._open = False
            self._failure = failure
            self._changed.notify_all()
