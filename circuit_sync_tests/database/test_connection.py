"""An error of the database says whether time may help: a refused connection that it cannot help is permanent."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from circuit_sync.database.connection import Database, DatabaseRefused, DatabaseUnavailable
from circuit_sync_tests.scenery import PATIENCE


def connect(url: str) -> None:
    with Database(url) as database, database.transaction():
        pass


@pytest.mark.parametrize(
    ("wrong", "instead", "told"),
    [
        (":[^:@/]+@", ":SECRET@", 'refused: password authentication failed for user "circuit_sync"; check its URL'),
        ("/test_", "/gone_", 'refused: database "gone_[0-9a-f]+" does not exist'),
        ("//circuit_sync:", "//stranger:", "refused: no pg_hba.conf entry for host"),
    ],
    ids=["password", "database", "role"],
)
def test_who_is_never_let_in_is_refused_for_good(database_url: str, wrong: str, instead: str, told: str) -> None:
    with pytest.raises(DatabaseRefused, match=told) as refused:
        connect(re.sub(wrong, instead, database_url, count=1))
    assert "SECRET" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("closed", "opened"),
    [
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
        ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
    ],
    ids=["closed for a while", "too many connections"],
)
def test_a_database_that_lets_nobody_in_for_a_while_is_unavailable(
    postgres_server: str, database_url: str, closed: str, opened: str
) -> None:
    name = sql.Identifier(database_url.rsplit("/", 1)[1])
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(closed)))
        with pytest.raises(DatabaseUnavailable, match="connections"):
            connect(database_url)
        server.execute(sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(opened)))
    connect(database_url)


def test_a_server_that_does_not_run_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(DatabaseUnavailable, match="is not available"):
            connect(f"postgresql://circuit_sync:SECRET@127.0.0.1:{unused.getsockname()[1]}/circuit_sync")


@pytest.mark.parametrize(
    "said",
    [
        'role "ada" does not exist',
        'role "ada" is not permitted to log in',
        'Peer authentication failed for user "ada"',
        'permission denied for database "circuit_sync"',
        'pg_hba.conf rejects connection for host "10.0.0.7", user "ada", database "circuit_sync", no encryption',
    ],
)
def test_a_refusal_that_only_other_servers_give_is_permanent_too(said: str) -> None:
    with saying(said) as server, pytest.raises(DatabaseRefused, match=re.escape(said)):
        connect(f"postgresql://ada@{server}/circuit_sync")


@pytest.mark.parametrize(
    "said",
    [
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "sorry, too many clients already",
        "Passwort-Authentifizierung für Benutzer »ada« fehlgeschlagen",
        'LDAP authentication failed for user "ada"',
    ],
)
def test_what_time_may_help_and_what_is_not_known_is_passing(said: str) -> None:
    with saying(said) as server, pytest.raises(DatabaseUnavailable, match=re.escape(said)):
        connect(f"postgresql://ada@{server}/circuit_sync")


def test_of_several_servers_one_that_is_starting_up_may_yet_let_in(database_url: str) -> None:
    with saying("the database system is starting up") as starting, saying('role "ada" does not exist') as other:
        with pytest.raises(DatabaseUnavailable):
            connect(f"postgresql://ada@/circuit_sync?host={starting}&host={other}")
        with pytest.raises(DatabaseRefused):
            connect(f"postgresql://ada@/circuit_sync?host={other}&host={other}")


def test_an_error_of_the_driver_itself_is_told_as_ours(database: Database, postgres_server: str) -> None:
    """COPY goes past SQLAlchemy."""

    def ask_past_sqlalchemy() -> None:
        with database.transaction() as connection, psycopg.connect(postgres_server, autocommit=True) as server:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            server.execute("SELECT pg_terminate_backend(%s)", [driver.info.backend_pid])
            driver.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable, match="is not available: "):
        ask_past_sqlalchemy()


def test_a_password_with_a_space_listens(database: Database, database_url: str) -> None:
    async def listen() -> None:
        async with await database.listen() as connection:
            await connection.execute("LISTEN anything")

    asyncio.run(listen())
    spaced = re.sub(":[^:@/]+@", ":a%20word@", database_url, count=1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        asyncio.run(Database(spaced).listen())  # not: a URL that cannot be read


@contextmanager
def saying(words: str) -> Iterator[str]:
    """The address of a server that answers everyone who connects with FATAL and these words."""
    fields = (b"SFATAL", b"VFATAL", b"CXXXXX", b"M" + words.encode())
    body = b"\0".join(fields) + b"\0\0"
    answer = b"E" + (len(body) + 4).to_bytes(4, "big") + body
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_answer_all, args=[listening, answer])
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def _answer_all(listening: socket.socket, answer: bytes) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client:
            while (asked := client.recv(1000)) and len(asked) == 8:
                client.sendall(b"N")  # asked for TLS or GSSAPI: no
            client.sendall(answer)
