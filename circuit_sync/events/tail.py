"""Following ``sync_events``: woken by NOTIFY, read from the table; goes on by itself after PostgreSQL was away."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import psycopg
from sqlalchemy import Connection

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.outbox import NOTIFY_CHANNEL, StoredEvent, Transactions, newest_id, read_events

T = TypeVar("T")
Batch = tuple[int, Sequence[StoredEvent]]
"""A position, and events in the order of their ids: none at or below the position is still to come."""

BATCH = 1_000
PAUSE_SECONDS = 0.1
"""Between two reads: a burst of small transactions reaches 500 clients as a few larger pieces."""
POLL_SECONDS = 5.0
"""How often the table is read without a notification: one may be lost with its connection."""
QUIET_SECONDS = 20.0
ANSWER_SECONDS = 10.0
"""After so long without a notification the listening connection is tested, and has so long to answer."""

_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_log = logging.getLogger("circuit_sync.events")


class ListeningDatabase(Transactions, Protocol):
    """The database, as whoever starts to follow it hands it in."""

    async def listen(self) -> psycopg.AsyncConnection[Any]: ...


class AsyncDatabase:
    """The database for an event loop: questions run in threads, a few at a time, whatever the number of streams."""

    def __init__(self, database: ListeningDatabase, at_once: int = 4) -> None:
        self.listen = database.listen
        self._database = database
        self._limiter = anyio.CapacityLimiter(at_once)

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """What ``question`` returns, in a transaction of its own. Raises as the database does.

        Whoever is cancelled does not wait for a database that does not answer.
        """

        def answer() -> T:
            with self._database.transaction() as connection:
                return question(connection)

        return await anyio.to_thread.run_sync(answer, limiter=self._limiter, abandon_on_cancel=True)


async def tail_events(database: AsyncDatabase, after: int | None = None) -> AsyncGenerator[Batch, None]:
    """Every event above ``after``, or from now on, each once; the first batch is empty and says where it begins.

    Ends only with its task. Raises ``PermanentError`` if the database refuses.
    """
    woken = asyncio.Event()
    listening = asyncio.create_task(_listen(database, woken))
    try:
        position = await _patiently(database, newest_id) if after is None else after
        yield position, []
        while True:
            woken.clear()
            reached, events = await _patiently(database, partial(_next, position))
            if reached != position:
                position = reached
                yield position, events
                await asyncio.sleep(PAUSE_SECONDS)
            if len(events) < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), POLL_SECONDS)
    finally:
        listening.cancel()


def _next(position: int, connection: Connection) -> Batch:
    if events := read_events(connection, position, most=BATCH):
        return events[-1].id, events
    # An older state of the database may have been restored: its next events have lower ids.
    return min(position, newest_id(connection)), []


async def _patiently(database: AsyncDatabase, question: Callable[[Connection], T]) -> T:
    """The answer, however long the database is away."""
    for wait in _waits():
        try:
            return await database.ask(question)
        except TransientError as error:
            _log.warning("%s; events wait, next attempt in %.1f s", error, wait)
        await asyncio.sleep(wait)
    raise AssertionError


async def _listen(database: AsyncDatabase, woken: asyncio.Event) -> None:
    """Sets ``woken`` at every notification, and when a new connection listens: events before it are to be read too.

    A quiet connection is tested now and then: one that was cut off unnoticed would stay quiet for ever.
    """
    waits = _waits()
    while True:
        try:
            async with await database.listen() as connection:
                await asyncio.wait_for(connection.execute(f"LISTEN {NOTIFY_CHANNEL}"), ANSWER_SECONDS)
                waits = _waits()
                woken.set()
                while True:
                    async for _notification in connection.notifies(timeout=QUIET_SECONDS):
                        woken.set()
                    await asyncio.wait_for(connection.execute("SELECT 1"), ANSWER_SECONDS)
        except (psycopg.Error, TimeoutError) as error:
            _log.warning("the listening connection was lost (%s); trying again", type(error).__name__)
        await asyncio.sleep(next(waits))


def _waits() -> Iterator[float]:
    """Seconds between attempts: ever longer, at most five, and not in step with other processes."""
    return (seconds * random.uniform(0.8, 1.2) for seconds in chain(_BACKOFF_SECONDS, repeat(5.0)))  # noqa: S311
