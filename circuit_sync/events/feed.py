"""What one stream sends: first what it missed, from the table, then what comes, from the hub; no gap, no repeat."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import Connection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.events.following import BATCH
from circuit_sync.events.stored import AsyncDatabase, newest_id, pruned_up_to, read_events
from circuit_sync.events.stream import Hub, Subscriber, frame, pieces_of

RETRY_MILLISECONDS = 2_000
_SHORT_WAIT_SECONDS = 0.02


class EventStream(StreamingResponse):
    """The response that carries one subscriber's feed, until the client leaves or the hub ends it."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, subscriber: Subscriber, feed: AsyncIterator[bytes]) -> None:
        super().__init__(feed, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._hub = hub
        self._subscriber = subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.open(self._subscriber)
        try:
            with self._subscriber.scope:
                await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._subscriber)


async def feed(
    database: AsyncDatabase, hub: Hub, subscriber: Subscriber, after: int | None, heartbeat_seconds: float
) -> AsyncIterator[bytes]:
    """The bytes of a stream from behind the event ``after``, or from now on; it ends if the table cannot be read."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    try:
        begin, is_gap = (hub.position, False) if after is None else await _begin(database, hub, after)
        if is_gap:
            yield f'event: gap\ndata: {{"after": {after}}}\n\n'.encode()
        async for piece in _missed(database, hub, subscriber, begin):
            yield piece
    except CircuitSyncError:
        return
    # An id alone is no event: a client that got nothing yet resumes from here.
    yield f"id: {hub.position}\n\n".encode()
    while True:
        piece = await subscriber.take(heartbeat_seconds)
        if subscriber.is_ending:
            return
        yield piece or f": heartbeat\nid: {hub.position}\n\n".encode()


async def _begin(database: AsyncDatabase, hub: Hub, after: int) -> tuple[int, bool]:
    """From where to read on, and whether what came before it cannot be told any more.

    That is so if it was pruned, or if an older state of the database was restored: the client knows an id that is not.
    """
    lost, newest = await database.ask(_bounds)
    if after > newest:
        return hub.position, True
    while hub.position < after:
        await asyncio.sleep(_SHORT_WAIT_SECONDS)
    return max(after, lost), after < lost


def _bounds(connection: Connection) -> tuple[int, int]:
    return pruned_up_to(connection), newest_id(connection)


async def _missed(database: AsyncDatabase, hub: Hub, subscriber: Subscriber, position: int) -> AsyncIterator[bytes]:
    """What the table holds up to where the hub stands; then, without a step in between, the stream joins the hub."""
    while position < (upto := hub.position) and not subscriber.is_ending:
        events = await database.ask(
            partial(read_events, after=position, upto=upto, channels=subscriber.channels, most=BATCH)
        )
        position = events[-1].id if len(events) == BATCH else upto
        for piece in pieces_of(map(frame, events)):
            yield piece
    hub.join(subscriber)
