"""One client's stream of Server-Sent Events: first what it missed, from the table, then what comes, from the hub."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import Connection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.events.hub import Hub, Subscriber, frame, pieces_of
from circuit_sync.events.outbox import newest_id, pruned_up_to, read_events
from circuit_sync.events.tail import BATCH, AsyncDatabase

RETRY_MILLISECONDS = 2_000
_SHORT_WAIT_SECONDS = 0.02


class EventStream(StreamingResponse):
    """The events behind ``after``, or from now on, without gap or repeat, until the client leaves or the hub ends it.

    It ends as well if the table cannot be read.
    """

    media_type = "text/event-stream"

    def __init__(
        self, database: AsyncDatabase, hub: Hub, subscriber: Subscriber, after: int | None, heartbeat_seconds: float
    ) -> None:
        content = self._content(after, heartbeat_seconds)
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._database = database
        self._hub = hub
        self._subscriber = subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.open(self._subscriber)
        try:
            with self._subscriber.scope:
                await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._subscriber)

    async def _content(self, after: int | None, heartbeat_seconds: float) -> AsyncIterator[bytes]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        try:
            begin, is_gap = (self._hub.position, False) if after is None else await self._begin(after)
            if is_gap:
                yield f'event: gap\ndata: {{"after": {after}}}\n\n'.encode()
            async for piece in self._missed(begin):
                yield piece
        except CircuitSyncError:
            return
        # An id alone is no event: a client that got nothing yet resumes from here.
        yield f"id: {self._hub.position}\n\n".encode()
        while True:
            piece = await self._subscriber.take(heartbeat_seconds)
            if self._subscriber.is_ending:
                return
            yield piece or f": heartbeat\nid: {self._hub.position}\n\n".encode()

    async def _begin(self, after: int) -> tuple[int, bool]:
        """From where to read on, and whether events before it are lost to this client.

        That is so if they were pruned, or if an older state of the database was restored, which lacks the client's id.
        """

        def bounds(connection: Connection) -> tuple[int, int]:
            return pruned_up_to(connection), newest_id(connection)

        pruned, newest = await self._database.ask(bounds)
        if after > newest:
            return self._hub.position, True
        while self._hub.position < after:
            await asyncio.sleep(_SHORT_WAIT_SECONDS)
        return max(after, pruned), after < pruned

    async def _missed(self, position: int) -> AsyncIterator[bytes]:
        """What the table holds up to the hub's position; then, without a step in between, the stream joins the hub."""
        channels = self._subscriber.channels
        while position < (upto := self._hub.position) and not self._subscriber.is_ending:
            events = await self._database.ask(
                partial(read_events, after=position, upto=upto, channels=channels, most=BATCH)
            )
            position = events[-1].id if len(events) == BATCH else upto
            for piece in pieces_of(map(frame, events)):
                yield piece
        self._hub.join(self._subscriber)
