"""Events as they lie in ``sync_events``: the truth that every listener is served from."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import orjson
import psycopg
from sqlalchemy import Connection, text

T = TypeVar("T")

ANY_ID = 2**63 - 1
PRUNED = "events_pruned_up_to"
"""The row of ``database_settings`` that remembers the highest id that was pruned."""

_READ = text("""
    SELECT id, name, channels, (payload || jsonb_build_object('occurred_at', occurred_at))::text AS data, occurred_at
    FROM sync_events
    WHERE id > :after AND id <= :upto
      AND (CAST(:channels AS text[]) IS NULL OR channels && CAST(:channels AS text[]))
    ORDER BY id LIMIT :most
""")

_PRUNED = text(f"SELECT value::bigint FROM database_settings WHERE name = '{PRUNED}'")
_NEWEST = text("SELECT coalesce(max(id), 0) FROM sync_events")


class Transactions(Protocol):
    """The database, as whoever starts a follower hands it in."""

    def transaction(self) -> AbstractContextManager[Connection]: ...
    async def listen(self) -> psycopg.AsyncConnection[Any]: ...


class AsyncDatabase:
    """The database asked from an event loop: in threads, a few at a time, whatever the number of listeners."""

    def __init__(self, database: Transactions, at_once: int = 4) -> None:
        self.listen = database.listen
        self._database = database
        self._limiter = anyio.CapacityLimiter(at_once)

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """What ``question`` returns, in a transaction of its own. Raises as the database does.

        Whoever is cancelled does not wait for a database that does not answer.
        """
        return await anyio.to_thread.run_sync(self._answer, question, limiter=self._limiter, abandon_on_cancel=True)

    def _answer(self, question: Callable[[Connection], T]) -> T:
        with self._database.transaction() as connection:
            return question(connection)


@dataclass(frozen=True)
class StoredEvent:
    """One row; ``data`` is its payload and ``occurred_at`` as one line of JSON."""

    id: int
    name: str
    channels: Sequence[str]
    data: str
    occurred_at: datetime

    @cached_property
    def payload(self) -> dict[str, Any]:
        return dict(orjson.loads(self.data))


def read_events(
    connection: Connection,
    after: int,
    *,
    most: int,
    upto: int = ANY_ID,
    channels: Collection[str] | None = None,
) -> list[StoredEvent]:
    """Events with an id above ``after`` in their order, at most ``most``; of ``channels`` only, if given."""
    wanted = None if channels is None else sorted(channels)
    found = connection.execute(_READ, {"after": after, "upto": upto, "channels": wanted, "most": most})
    return [StoredEvent(**row._mapping) for row in found]


def pruned_up_to(connection: Connection) -> int:
    """The highest id that was ever pruned, 0 if none was."""
    return int(connection.scalar(_PRUNED) or 0)


def newest_id(connection: Connection) -> int:
    """The highest id so far: whoever begins here gets what comes from now on."""
    return max(int(connection.scalar(_NEWEST) or 0), pruned_up_to(connection))
