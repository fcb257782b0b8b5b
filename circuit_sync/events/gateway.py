"""The gateway: follows the table, serves every open stream from it, and checks that all may still listen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.access import refused
from circuit_sync.events.hub import Hub
from circuit_sync.events.listeners import dispatch
from circuit_sync.events.tail import AsyncDatabase, ListeningDatabase, tail_events

HEARTBEAT_SECONDS = 15.0
RIGHTS_SECONDS = 20.0
"""How often every open stream's rights are checked again; who lost one stops receiving by then."""

_log = logging.getLogger("circuit_sync.events")


class Gateway:
    """``run`` is its one lasting task. ``sleep`` is for the time between two checks of the rights."""

    def __init__(
        self,
        database: ListeningDatabase,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        rights_seconds: float = RIGHTS_SECONDS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.hub = Hub()
        self.database = AsyncDatabase(database)
        self.heartbeat_seconds = heartbeat_seconds
        self._rights_seconds = rights_seconds
        self._sleep = sleep

    async def run(self) -> None:
        """Follows the table and checks rights until cancelled. Raises if the database refuses.

        If one fails the other ends too: nothing is streamed without checks.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._check_rights())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def end_streams(self) -> None:
        """Ends every stream; clients resume with the next gateway."""
        for subscriber in self.hub.subscribers:
            subscriber.end()

    async def _follow(self) -> None:
        async with aclosing(tail_events(self.database)) as batches:
            async for position, events in batches:
                for event in events:
                    dispatch(event, self.hub)
                self.hub.flush(position)

    async def _check_rights(self) -> None:
        while True:
            await self._sleep(self._rights_seconds)
            streams = {stream.number: stream for stream in self.hub.subscribers}
            asked = [(stream.number, stream.token_id, stream.channels) for stream in streams.values()]
            try:
                lost = await self.database.ask(partial(refused, asked=asked))
            except TransientError:
                continue
            for number in lost:
                _log.info("stream %d ends: its user lost the token or the right to a channel", number)
                if streams[number].is_ending:
                    streams[number].scope.cancel()
                streams[number].end()
