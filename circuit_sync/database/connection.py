"""The database connection: transactions, and errors as ours, transient or permanent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from circuit_sync.database.sessions.driver import OUR_SCHEMA, Target, WatchedConnection, connect, connect_to_listen
from circuit_sync.database.urls import connect_parameters, masked, parse_url, without_secrets
from circuit_sync.domain.errors import PermanentError, TransientError

__all__ = ["Connection", "Database", "DatabaseRefused", "DatabaseUnavailable"]

_TRANSIENT_SQLSTATES = ("08", "25006", "40", "53", "55P03", "57")
_FATAL = re.compile(r"FATAL: +(.*)")
_REFUSED_FOR_GOOD = re.compile(
    r"(password|Peer|Ident|certificate) authentication failed for user "
    r'|role ".*" (does not exist|is not permitted to log in)'
    r'|database ".*" does not exist'
    r"|permission denied for database "
    r"|no pg_hba\.conf entry for "
    r"|pg_hba\.conf rejects connection for "
)


class DatabaseUnavailable(TransientError):
    """The database cannot be reached, is silent, is restarting, takes no writes now, or is overloaded."""


class DatabaseRefused(PermanentError):
    """The database understood and said no: a wrong password, a missing right, a broken rule of a table."""


class Database:
    """One PostgreSQL database. Cheap to make: it connects at the first use."""

    def __init__(self, url: str, schema: str = OUR_SCHEMA) -> None:
        self.url = url
        self._target = Target.of(url, schema)
        # The engine knows the driver only, so that no error of its own can show where it leads.
        self._engine = create_engine("postgresql+psycopg://", pool_size=5, pool_pre_ping=True, hide_parameters=True)
        event.listen(self._engine, "do_connect", self._connect)

    def __repr__(self) -> str:
        return f"Database({masked(self.url)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction, committed at the end, rolled back by any exception.

        Raises ``DatabaseUnavailable`` or ``DatabaseRefused`` with one line and no values of rows.
        """
        with self._errors_of_ours(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[Connection]:
        """A transaction that is rolled back at its end, whatever happened in it."""
        with self._errors_of_ours(), self._engine.connect() as connection, connection.begin() as transaction:
            try:
                yield connection
            finally:
                transaction.rollback()

    @contextmanager
    def lock_connection(self) -> Iterator[Connection]:
        """A connection of its own outside any transaction, for locks that last as long as it does."""
        engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._errors_of_ours(), engine.connect() as connection:
            try:
                yield connection
            finally:
                # A session's locks go with its connection: never hand it back to the pool.
                connection.invalidate()

    async def listen(self) -> psycopg.AsyncConnection[Any]:
        """A connection for ``LISTEN``, outside of any transaction; who asks closes it. Raises ``psycopg.Error``."""
        return await connect_to_listen(self._target)

    def _connect(self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> WatchedConnection:
        return connect(self._target, application_name="circuit_sync", context=parameters.get("context"))

    @contextmanager
    def _errors_of_ours(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, psycopg.Error, PoolTimeout, PendingRollbackError) as error:
            raise _error_of_ours(error, self.url) from None


def outage(error: BaseException) -> str | None:
    """What a driver said, ours or Dagster's, in one line, if it means that the database is away or takes no writes now.

    ``None`` for any other error: a retry would not help.
    """
    original = getattr(error, "orig", None) or error
    sqlstate = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""
    if isinstance(error, PendingRollbackError):
        return "the connection was lost"
    is_transient_kind = isinstance(error, OperationalError | InterfaceError | PoolTimeout | psycopg.OperationalError)
    if sqlstate.startswith(_TRANSIENT_SQLSTATES) or (is_transient_kind and not sqlstate):
        return _first_line(original)
    return None


def _first_line(original: Any) -> str:
    """Without the values of the statement, which a driver tells in the lines below."""
    message = getattr(getattr(original, "diag", None), "message_primary", None)
    return str(message or str(original).strip() or type(original).__name__).splitlines()[0]


def _error_of_ours(error: Any, url: str) -> TransientError | PermanentError:
    """Our error for the driver's: what failed and why, without the values of the statement."""
    original = getattr(error, "orig", None) or error
    sqlstate = getattr(original, "sqlstate", None)
    where, parameters = masked(url), connect_parameters(parse_url(url))
    if not sqlstate and (refusal := _refusal_to_connect(str(original))):
        return DatabaseRefused(f"the database {where} refused: {refusal}; check its URL in the settings")
    if (away := outage(error)) is not None:
        return DatabaseUnavailable(f"the database {where} is not available: {without_secrets(away, parameters)}")
    said = without_secrets(_first_line(original), parameters)
    return DatabaseRefused(f"the database {where} refused ({sqlstate or type(original).__name__}): {said}")


def _refusal_to_connect(message: str) -> str | None:
    """What a server said that lets nobody in until a person changes something; ``None`` if time may help.

    An error of connecting has no SQLSTATE, so the server's words are read. Other words (another cause, a server that
    speaks another language) count as transient: a retry too many harms less than one too few. A URL may lead to several
    servers: all that answered must have refused.
    """
    said = _FATAL.findall(message)
    return said[0] if said and all(map(_REFUSED_FOR_GOOD.match, said)) else None
