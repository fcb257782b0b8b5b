"""Following the table: woken by NOTIFY, told by the rows; goes on by itself when PostgreSQL was away."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from sqlalchemy import make_url

from circuit_sync.domain.errors import PassingError
from circuit_sync.events.outbox import NOTIFY_CHANNEL
from circuit_sync.events.stored import Asking, StoredEvent, newest_id, read_events

BATCH = 1_000
PAUSE_SECONDS = 0.05
"""Between two reads: a burst of small transactions reaches 500 listeners as a few larger pieces."""
POLL_SECONDS = 5.0
"""How often the table is read though nothing rang: a notification may be lost with its connection."""

_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_log = logging.getLogger("circuit_sync.events")


@dataclass(frozen=True)
class Batch:
    """Events in the order of their ids; ``position``: there is none below it that was not told."""

    position: int
    events: Sequence[StoredEvent] = ()


async def follow(database: Asking, after: int | None = None) -> AsyncIterator[Batch]:
    """Every event above ``after``, or from now on, each once; a batch without events tells where it begins.

    Ends only with the task. Raises ``PermanentError`` if the database refuses.
    """
    bell = asyncio.Event()
    listening = asyncio.create_task(_listen(database.url, bell))
    try:
        position = await _patiently(_Newest(database)) if after is None else after
        yield Batch(position)
        while True:
            bell.clear()
            batch = await _patiently(_After(database, position))
            if batch.position != position:
                position = batch.position
                yield batch
                await asyncio.sleep(PAUSE_SECONDS)
            if len(batch.events) < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), POLL_SECONDS)
    finally:
        listening.cancel()


@dataclass(frozen=True)
class _Newest:
    database: Asking

    async def __call__(self) -> int:
        return await self.database.ask(newest_id)


@dataclass(frozen=True)
class _After:
    database: Asking
    position: int

    async def __call__(self) -> Batch:
        events = await self.database.ask(lambda connection: read_events(connection, self.position, most=BATCH))
        if events:
            return Batch(events[-1].id, events)
        # An older state of the database may have been restored: its next events have lower ids.
        return Batch(min(self.position, await self.database.ask(newest_id)))


async def _patiently(question: "_Newest | _After") -> "int | Batch":
    """The answer, however long the database is away."""
