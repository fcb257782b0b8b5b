"""The connections of Dagster's storage, by psycopg2, treated as our own: pinned session, no wait for ever.

Dagster makes its engines from a URL alone, so this is a plugin of SQLAlchemy's that the URL names (``pinned_url``).
Daemon and webserver load this module, and nothing of circuit_sync but what it imports.
"""

import select
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE, connection, set_wait_callback
from sqlalchemy import URL, Engine, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin
from sqlalchemy.pool import QueuePool

from circuit_sync.database.sessions.driver import Target
from circuit_sync.database.sessions.pinned import Session, pinning
from circuit_sync.database.sessions.silence import Server, Silent, Wait, hurry
from circuit_sync.database.urls import check_dagster_url, dagster_schema, own_settings, parse_url, without_secrets
from circuit_sync.domain.errors import UsageError

_PLUGIN = "circuit_sync_pinned"
_KEPT: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 1, "pool_pre_ping": True}
_pooling: dict[str, Any] = {}
_TICK_MILLISECONDS = 1_000


def pinned_url(text: str) -> str:
    """The URL of Dagster's storage, for Dagster's own ``create_engine``: it names what pins the sessions.

    Raises ``UsageError`` if Dagster's storage would break with it.
    """
    check_dagster_url(text)
    plugins.register(_PLUGIN, __name__, PinnedSessions.__name__)
    set_wait_callback(_wait)
    url = parse_url(text).set(drivername="postgresql+psycopg2").update_query_dict({"plugin": _PLUGIN})
    return url.render_as_string(hide_password=False)


def keep_connections() -> None:
    """Engines that are made from now on keep a connection: a run asks Dagster's storage for some 200, each a new one.

    For a process that lives as long as its run: daemon and webserver would hold connections that they rarely use.
    """
    _pooling.update(_KEPT)


class PinnedSessions(CreateEnginePlugin):
    """Sets what Dagster relies on when a connection is made, its schema first."""

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        kwargs.update(_pooling)
        own = url.difference_update_query(["plugin"])
        self._target = Target.of(own.render_as_string(hide_password=False), dagster_schema(own_settings(own)))

    def update_url(self, url: URL) -> URL:
        """The session's settings are set after connecting, and PgBouncer refuses this."""
        return url.difference_update_query(["options"])

    def engine_created(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", self._connect)

    def _connect(self, _dialect: Any, _record: Any, _arguments: Any, _parameters: Any) -> connection:
        try:
            self._target.server.expect_answers()
        except Silent as error:
            raise psycopg2.OperationalError(str(error)) from None
        found = _first_that_lets_in(self._target.server)
        try:
            found.session = session = self._pinned(found)
            _check(session, self._target.schema)
        except BaseException:
            found.close()
            raise
        return found

    def _pinned(self, found: connection) -> Session:
        with found.cursor() as cursor:
            target = self._target
            cursor.execute(pinning(target.schema, found.server_version, target.own_settings, more={}))
            session = Session(*cursor.fetchone())
        found.commit()
        return session


def _check(session: Session, schema: str) -> None:
    if session.schema != schema:
        raise UsageError(
            f"CIRCUIT_SYNC_DAGSTER_URL: its search_path names the schema {schema}, which does not exist or may not be "
            "used: run `circuit-sync db upgrade`, which makes it"
        )
    if session.has_our_tables:
        raise UsageError(OURS)


OURS = (
    "CIRCUIT_SYNC_DAGSTER_URL leads to the schema of circuit_sync's own tables: end it with "
    "?options=-csearch_path%3Ddagster"
)


class _Watched(connection):  # type: ignore[misc]  # psycopg2 is untyped
    """Knows which server it waits for, and as which session of that."""

    session: Session | None = None

    def __init__(self, dsn: str, async_: int = 0, *, server: Server) -> None:
        self.server = server
        super().__init__(dsn, async_)


def _first_that_lets_in(server: Server) -> _Watched:
    """libpq bounds no attempt where somebody else waits for it, so each host is tried by itself."""
    hosts = str(server.parameters.get("host", "")).split(",")
    ports = str(server.parameters.get("port", "")).split(",")
    places = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
    attempts: list[MutableMapping[str, Any]] = [{"host": host, "port": port} for host, port in places]
    watched = partial(_Watched, server=server)
    while True:
        place = {name: value for name, value in attempts.pop(0).items() if value}
        parameters = {name: value for name, value in server.parameters.items() if name not in {"host", "port"}}
        try:
            found: _Watched = psycopg2.connect(**parameters, **place, connection_factory=watched)
        except psycopg2.OperationalError as error:
            if not attempts:
                raise psycopg2.OperationalError(without_secrets(str(error), server.parameters)) from None
        else:
            return found


def _wait(waiting: connection) -> None:
    """Waits as libpq would, but hears signals, and asks whether the server still answers. For all of this process."""
    watch = Wait(waiting.server, waiting.session) if isinstance(waiting, _Watched) else None
    try:
        while (state := waiting.poll()) != POLL_OK:
            ready = select.poll()
            ready.register(waiting.fileno(), select.POLLOUT if state == POLL_WRITE else select.POLLIN)
            came = ready.poll(_TICK_MILLISECONDS)
            if watch is not None:
                watch.tick(bool(came))
    except Silent as error:
        raise psycopg2.OperationalError(str(error)) from None
    except Exception:
        raise
    except BaseException:
        hurry()
        raise
