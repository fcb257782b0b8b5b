"""Overlaps calls, holds few answers at a time, and stops at once when they are no longer wanted."""

import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from circuit_sync.domain.errors import CircuitSyncError

K = TypeVar("K")
T = TypeVar("T")

_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


def current_stop() -> threading.Event | None:
    """Set once this thread's work is no longer wanted; None in a thread that ``overlap`` did not start."""
    return _stop.get()


def overlap(
    items: Iterable[K], work: Callable[[K], T], *, concurrency: int, stop: threading.Event
) -> Generator[tuple[K, T | CircuitSyncError], None, None]:
    """``work(item)`` for every item, up to ``concurrency`` at a time, as they end: (item, outcome).

    ``items`` is read in the caller's thread, only as far as there is room: at most ``concurrency`` outcomes
    are under way or waiting while one is consumed. A ``CircuitSyncError`` is an outcome; any other exception
    ends the iteration. Closing the iterator sets ``stop`` and returns at once: what is under way is left to
    daemon threads, which find out from ``current_stop``, and what they still bring is dropped.
    """
    todo: SimpleQueue[tuple[K] | None] = SimpleQueue()
    done: SimpleQueue[tuple[K, T | BaseException]] = SimpleQueue()
    source = iter(items)
    workers = 0
    try:
        for item in islice(source, concurrency):
            todo.put((item,))
            workers += 1
            threading.Thread(target=_work, args=(todo, done, work, stop), name="workstudio-call", daemon=True).start()
        under_way = workers
        while under_way:
            finished, outcome = done.get()
            under_way -= 1
            if isinstance(outcome, BaseException) and not isinstance(outcome, CircuitSyncError):
                raise outcome
            for item in islice(source, 1):
                todo.put((item,))
                under_way += 1
            yield finished, outcome
            del outcome
    finally:
        stop.set()
        for _ in range(workers):
            todo.put(None)


def _work(
    todo: "SimpleQueue[tuple[K] | None]",
    done: "SimpleQueue[tuple[K, T | BaseException]]",
    work: Callable[[K], T],
    stop: threading.Event,
) -> None:
    _stop.set(stop)
    while (item := todo.get()) is not None and not stop.is_set():
        try:
            outcome: T | BaseException = work(*item)
        except BaseException as error:
            outcome = error
        done.put((*item, outcome))
        del outcome
