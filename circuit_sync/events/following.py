"""Following the table: woken by NOTIFY, told by the rows; goes on by itself when PostgreSQL was away."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.outbox import NOTIFY_CHANNEL
from circuit_sync.events.stored import AsyncDatabase, StoredEvent, newest_id, read_events

T = TypeVar("T")

BATCH = 1_000
PAUSE_SECONDS = 0.1
"""Between two reads: a burst of small transactions reaches 500 listeners as a few larger pieces."""
POLL_SECONDS = 5.0
"""How often the table is read though nothing rang: a notification may be lost with its connection."""
QUIET_SECONDS = 20.0
ANSWER_SECONDS = 10.0
"""After so long without a notification the connection that listens is asked, and has so long to answer."""

_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_log = logging.getLogger("circuit_sync.events")


@dataclass(frozen=True)
class Batch:
    """Events in the order of their ids; ``position``: there is none below it that was not told."""

    position: int
    events: Sequence[StoredEvent] = ()


async def follow(database: AsyncDatabase, after: int | None = None) -> AsyncGenerator[Batch, None]:
    """Every event above ``after``, or from now on, each once; a batch without events tells where it begins.

    Ends only with its task. Raises ``PermanentError`` if the database refuses.
    """
    bell = asyncio.Event()
    listening = asyncio.create_task(_listen(database.listen, bell))
    try:
        position = await _patiently(database, newest_id) if after is None else after
        yield Batch(position)
        while True:
            bell.clear()
            batch = await _patiently(database, partial(_next, position))
            if batch.position != position:
                position = batch.position
                yield batch
                await asyncio.sleep(PAUSE_SECONDS)
            if len(batch.events) < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), POLL_SECONDS)
    finally:
        listening.cancel()


def _next(position: int, connection: Connection) -> Batch:
    events = read_events(connection, position, most=BATCH)
    if events:
        return Batch(events[-1].id, events)
    # An older state of the database may have been restored: its next events have lower ids.
    return Batch(min(position, newest_id(connection)))


async def _patiently(database: AsyncDatabase, question: Callable[[Connection], T]) -> T:
    """The answer, however long the database is away."""
    for wait in _waits():
        try:
            return await database.ask(question)
        except TransientError as error:
            _log.warning("%s; events wait, next attempt in %.1f s", error, wait)
        await asyncio.sleep(wait)
    raise AssertionError


async def _listen(listen: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]], bell: asyncio.Event) -> None:
    """Rings at every notification, and when a new connection listens: what came before it is to be read too.

    A quiet connection is asked now and then: one that was cut off without a word would stay quiet for ever.
    """
    waits = _waits()
    while True:
        try:
            async with await listen() as connection:
                await asyncio.wait_for(connection.execute(f"LISTEN {NOTIFY_CHANNEL}"), ANSWER_SECONDS)
                waits = _waits()
                bell.set()
                while True:
                    async for _notification in connection.notifies(timeout=QUIET_SECONDS):
                        bell.set()
                    await asyncio.wait_for(connection.execute("SELECT 1"), ANSWER_SECONDS)
        except (psycopg.Error, TimeoutError) as error:
            _log.warning("the connection that listens was lost (%s); trying again", type(error).__name__)
        await asyncio.sleep(next(waits))


def _waits() -> Iterator[float]:
    """Seconds between attempts: ever longer, at most five, and not in step with other processes."""
    return (seconds * random.uniform(0.8, 1.2) for seconds in chain(_BACKOFF_SECONDS, repeat(5.0)))  # noqa: S311
