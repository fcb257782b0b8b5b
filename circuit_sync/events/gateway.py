"""The gateway: follows the table, serves every open stream from it, and watches that all may still listen."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

from circuit_sync.domain.errors import TransientError
from circuit_sync.events.access import refused
from circuit_sync.events.feed import EventStream, feed
from circuit_sync.events.following import follow
from circuit_sync.events.listeners import hear
from circuit_sync.events.state import CommonState, common_state, state_for
from circuit_sync.events.stored import AsyncDatabase, Transactions
from circuit_sync.events.stream import Hub, Subscriber
from circuit_sync.events.tokens import Holder, Tickets, find_holder

HEARTBEAT_SECONDS = 15.0
RIGHTS_SECONDS = 20.0
"""How often every open stream's rights are looked at again; who lost one stops receiving by then."""

_log = logging.getLogger("circuit_sync.events")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    """``run`` is its one lasting task; requests ask who somebody is and what he may, and open streams.

    ``sleep`` is for the time between two looks at the rights.
    """

    def __init__(
        self,
        database: Transactions,
        *,
        now: Callable[[], datetime] = _utc_now,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        rights_seconds: float = RIGHTS_SECONDS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.hub = Hub()
        self.tickets = Tickets()
        self._database = AsyncDatabase(database)
        self._now = now
        self._heartbeat_seconds = heartbeat_seconds
        self._rights_seconds = rights_seconds
        self._sleep = sleep
        self._common = CommonState()
        self._common_read_at = 0.0
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Follows the table and watches over rights until cancelled. Raises if the database refuses.

        What fails ends the other too: nothing is streamed that nobody watches.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._watch_rights())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def holder_of(self, *, token: str | None = None, token_id: int | None = None) -> Holder | None:
        """Who sends this token, or whom the token of this id belongs to."""
        return await self._database.ask(partial(find_holder, now=self._now(), token=token, token_id=token_id))

    async def may_listen(self, holder: Holder, channels: Sequence[str]) -> bool:
        """Whether all of the channels exist and are open to the user."""
        return not await self._database.ask(partial(refused, asked=[(0, holder.token_id, channels)]))

    def stream(self, holder: Holder, channels: Sequence[str], after: int | None) -> EventStream:
        """A stream of ``channels`` from behind the event ``after``, or from now on."""
        subscriber = Subscriber(channels, holder.token_id)
        content = feed(self._database, self.hub, subscriber, after, self._heartbeat_seconds)
        return EventStream(self.hub, subscriber, content)

    async def state(self, holder: Holder) -> dict[str, Any]:
        """The numbers of the live page, as this user may see them.

        Many pages ask at once, after the same event: whoever asks may share what was read since he asked.
        """
        asked_at = time.monotonic()
        async with self._turn:
            if self._common_read_at < asked_at:
                begun = time.monotonic()
                self._common = await self._database.ask(common_state)
                self._common_read_at = begun
        return await self._database.ask(partial(state_for, holder=holder, common=self._common))

    def end_streams(self) -> None:
        """Ends every stream; clients resume with the next gateway."""
        for subscriber in self.hub.subscribers:
            subscriber.end()

    async def _follow(self) -> None:
        async with aclosing(follow(self._database)) as batches:
            async for batch in batches:
                for event in batch.events:
                    hear(event, self.hub)
                self.hub.flush(batch.position)

    async def _watch_rights(self) -> None:
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
