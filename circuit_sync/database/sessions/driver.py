"""Connections by psycopg 3: each sets its session, and none waits for ever for a server that has gone silent."""

import asyncio
import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg

from circuit_sync.database.sessions.pinned import Session, pinning
from circuit_sync.database.sessions.silence import ANSWER_SECONDS, Server, Silent, Wait, hurry
from circuit_sync.database.urls import CONNECT_TIMEOUT_SECONDS, connect_parameters, own_settings, parse_url

_EVERYWHERE = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "client_encoding": "UTF8",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
OUR_SCHEMA = "public"


@dataclass(frozen=True)
class Target:
    """Where connections lead, and what their sessions are to be."""

    server: Server
    own_settings: dict[str, str] = field(default_factory=dict)
    schema: str = OUR_SCHEMA

    @classmethod
    def of(cls, text: str, schema: str = OUR_SCHEMA) -> Self:
        """Raises ``UsageError`` if the text is no PostgreSQL URL."""
        url = parse_url(text)
        return cls(Server(_EVERYWHERE | connect_parameters(url)), own_settings(url), schema)

    def pinning(self, server_version: int) -> str:
        """The statements that a new connection begins with."""
        return pinning(self.schema, server_version, self.own_settings)


class WatchedConnection(psycopg.Connection[Any]):
    """Asks, when it waits long, from a second connection whether the server still answers."""

    server: Server
    session: Session | None = None

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
        """Raises ``psycopg.OperationalError`` if the server is silent; the connection is closed then."""
        try:
            return super().wait(self._watched(gen), *arguments, **options)
        except Exception:
            raise
        except BaseException:
            hurry()
            raise

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        waiting = Wait(self.server, self.session)
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                waiting.tick(bool(ready))
                wanted = gen.send(ready)
        except StopIteration as ended:
            return ended.value
        except Silent as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(str(error)) from None


def connect(target: Target, **parameters: Any) -> WatchedConnection:
    """A connection whose session is ours. Raises ``psycopg.Error``."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of each connection that an interruption ends
    try:
        target.server.expect_answers()
        connection = WatchedConnection.connect(**{**target.server.parameters, **parameters}, autocommit=True)
    except Silent as error:
        raise psycopg.OperationalError(str(error)) from None
    except psycopg.errors.ConnectionTimeout:
        target.server.found_silent("")
        raise
    connection.server = target.server
    try:
        cursor = connection.execute(target.pinning(connection.info.server_version))
        while cursor.nextset():
            pass
        connection.session = Session(*(cursor.fetchone() or ()))
    except BaseException:
        connection.close()
        raise
    connection.autocommit = False
    return connection


async def connect_to_listen(target: Target) -> psycopg.AsyncConnection[Any]:
    """A connection that listens: it may be idle as long as it likes. Raises ``psycopg.Error``, ``TimeoutError``."""
    named = {"application_name": "circuit_sync listening"}
    connection = await psycopg.AsyncConnection.connect(**{**target.server.parameters, **named}, autocommit=True)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.execute(target.pinning(connection.info.server_version))
    except BaseException:
        await connection.close()
        raise
    return connection
