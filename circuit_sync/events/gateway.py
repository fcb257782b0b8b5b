"""The gateway: follows the table, serves every open stream from it, and checks that all may still listen."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

from circuit_sync.domain.errors import TransientError
from circuit_sync.domain.printable import Lines
from circuit_sync.events.access import refused
from circuit_sync.events.hub import Hub, Subscriber
from circuit_sync.events.listeners import dispatch
from circuit_sync.events.page import common_state, state_for
from circuit_sync.events.stream import EventStream
from circuit_sync.events.tail import AsyncDatabase, ListeningDatabase, tail_events
from circuit_sync.events.tokens import Holder, Tickets, find_holder

HEARTBEAT_SECONDS = 15.0
RIGHTS_SECONDS = 20.0
"""How often every open stream's rights are checked again; who lost one stops receiving by then."""

_log = logging.getLogger("circuit_sync.events")


class Gateway:
    """``run`` is its one lasting task; requests ask who a user is and what they may, and open streams.

    ``sleep`` is for the time between two checks of the rights.
    """

    def __init__(
        self,
        database: ListeningDatabase,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        rights_seconds: float = RIGHTS_SECONDS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.hub = Hub()
        self.tickets = Tickets()
        self._database = AsyncDatabase(database)
        self._heartbeat_seconds = heartbeat_seconds
        self._rights_seconds = rights_seconds
        self._sleep = sleep
        self._common: Mapping[str, Lines] = {}
        self._common_read_at = 0.0
        self._reading = asyncio.Lock()

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

    async def holder_of(self, *, token: str | None = None, token_id: int | None = None) -> Holder | None:
        """Whose token this is: the token itself, or its id."""
        return await self._database.ask(partial(find_holder, now=datetime.now(UTC), token=token, token_id=token_id))

    async def may_listen(self, holder: Holder, channels: Sequence[str]) -> bool:
        """Whether all of the channels exist and are open to the user."""
        return not await self._database.ask(partial(refused, asked=[(0, holder.token_id, channels)]))

    def stream(self, holder: Holder, channels: Sequence[str], after: int | None) -> EventStream:
        """A stream of ``channels`` from behind the event ``after``, or from now on."""
        subscriber = Subscriber(channels, holder.token_id)
        return EventStream(self._database, self.hub, subscriber, after, self._heartbeat_seconds)

    async def state(self, holder: Holder) -> dict[str, Any]:
        """The numbers of the live page, as this user may see them.

        Many pages ask at once, after the same event: a request may share what was read since it came.
        """
        came_at = time.monotonic()
        async with self._reading:
            if self._common_read_at < came_at:
                begun = time.monotonic()
                self._common = await self._database.ask(common_state)
                self._common_read_at = begun
        return await self._database.ask(partial(state_for, holder=holder, common=self._common))

    def end_streams(self) -> None:
        """Ends every stream; clients resume with the next gateway."""
        for subscriber in self.hub.subscribers:
            subscriber.end()

    async def _follow(self) -> None:
        async with aclosing(tail_events(self._database)) as batches:
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
                lost = await self._database.ask(partial(refused, asked=asked))
            except TransientError:
                continue
            for number in lost:
                _log.info("stream %d ends: its user lost the token or the right to a channel", number)
                if streams[number].is_ending:
                    streams[number].scope.cancel()
                streams[number].end()
