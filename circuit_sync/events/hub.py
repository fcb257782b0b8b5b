"""Fan-out: an event is read once and goes to every stream that wants it, as the same bytes, through a bounded queue."""

import asyncio
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import anyio

from circuit_sync.events.outbox import StoredEvent

PIECE_BYTES = 64 * 1024
"""What one write takes at most: the buffer of a stalled connection holds little more."""
QUEUE_BYTES = 4 * 1024 * 1024
"""How far a stream may lag before it is cut off; an event that many streams want lies in memory once."""

_log = logging.getLogger("circuit_sync.events")
_numbers = itertools.count(1)


def frame(event: StoredEvent) -> bytes:
    """An event as Server-Sent Events put it."""
    return f"id: {event.id}\nevent: {event.name}\ndata: {event.data}\n\n".encode()


def pieces_of(frames: Iterable[bytes]) -> list[bytes]:
    """The frames joined to pieces of at most ``PIECE_BYTES``, or of a single frame."""
    pieces: list[bytes] = []
    pending: list[bytes] = []
    size = 0
    for one in frames:
        if pending and size + len(one) > PIECE_BYTES:
            pieces.append(b"".join(pending))
            pending, size = [], 0
        pending.append(one)
        size += len(one)
    return [*pieces, b"".join(pending)] if pending else pieces


class Subscriber:
    """One open stream: its channels, whose it is, and what it has yet to send."""

    def __init__(self, channels: Collection[str], token_id: int) -> None:
        self.number = next(_numbers)
        self.channels = frozenset(channels)
        self.token_id = token_id
        self.scope = anyio.CancelScope()
        self.is_ending = False
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    def give(self, pieces: Sequence[bytes]) -> None:
        """Queues what is to be sent; a stream that lags too far is cut off at once, its queue dropped."""
        self._pieces.extend(pieces)
        self._bytes += sum(map(len, pieces))
        if self._bytes > QUEUE_BYTES:
            _log.warning("stream %d reads too slowly and is cut off; it can resume", self.number)
            self._pieces.clear()
            self.end()
            self.scope.cancel()
        self._changed.set()

    def end(self) -> None:
        """Ends the stream after the piece that is being sent."""
        self.is_ending = True
        self._changed.set()

    async def take(self, seconds: float) -> bytes:
        """The next piece; nothing if none came in that time or the stream ends."""
        if not self._pieces and not self.is_ending:
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
        if not self._pieces or self.is_ending:
            return b""
        return self._join()

    def _join(self) -> bytes:
        taken = [self._pieces.popleft()]
        size = len(taken[0])
        while self._pieces and size + len(self._pieces[0]) <= PIECE_BYTES:
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        self._bytes -= size
        return b"".join(taken) if len(taken) > 1 else taken[0]


class Hub:
    """All open streams. Those that joined have been handed all events up to ``position``; ready once that is known."""

    def __init__(self) -> None:
        self.is_ready = False
        self.position = 0
        self.subscribers: set[Subscriber] = set()
        self._joined: defaultdict[frozenset[str], set[Subscriber]] = defaultdict(set)
        self._pending: list[StoredEvent] = []

    def open(self, subscriber: Subscriber) -> None:
        """Counts the stream from now on, without sending it anything yet."""
        self.subscribers.add(subscriber)

    def join(self, subscriber: Subscriber) -> None:
        """From the next event on, the first above ``position``, the stream gets what its channels carry."""
        self._joined[subscriber.channels].add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """The stream is over."""
        self.subscribers.discard(subscriber)
        self._joined[subscriber.channels].discard(subscriber)
        if not self._joined[subscriber.channels]:
            del self._joined[subscriber.channels]

    def deliver(self, event: StoredEvent) -> None:
        """Keeps the event for the next ``flush``."""
        self._pending.append(event)

    def flush(self, position: int) -> None:
        """Hands what was delivered to the streams that joined: encoded once, joined once for each set of channels."""
        frames = [frame(event) for event in self._pending] if self._joined else []
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, event in enumerate(self._pending):
            for channel in event.channels:
                places[channel].append(place)
        self._pending.clear()
        self.position, self.is_ready = position, True
        for channels, group in list(self._joined.items()):
            wanted = sorted({place for channel in channels & places.keys() for place in places[channel]})
            if wanted:
                pieces = pieces_of(frames[place] for place in wanted)
                for subscriber in list(group):
                    subscriber.give(pieces)
