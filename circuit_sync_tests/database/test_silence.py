"""A database that has gone silent is an outage; one that works long, or makes us wait, is none."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from circuit_sync.database.connection import Database, DatabaseUnavailable
from circuit_sync.database.dagster.sessions import pinned_url
from circuit_sync.database.sessions import driver, silence
from circuit_sync.database.urls import dagster_url
from circuit_sync_tests.proxy import Proxy
from circuit_sync_tests.scenery import until

SELECT_1 = text("SELECT 1")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, in fractions of a second."""
    monkeypatch.setattr(silence, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(silence, "HURRIED_SECONDS", 0.1)
    monkeypatch.setattr(silence, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(silence, "_hurried_at", float("-inf"))
    monkeypatch.setitem(driver._EVERYWHERE, "connect_timeout", 2)
    monkeypatch.setattr("circuit_sync.database.dagster.sessions._TICK_MILLISECONDS", 50)


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(database_url) as proxy:
        yield proxy


def ours(url: str) -> Callable[[str], Any]:
    """Asks in a transaction of our own."""
    database = Database(url)

    def ask(question: str) -> Any:
        with database.transaction() as connection:
            return connection.scalar(text(question))

    return ask


def dagsters(url: str) -> Callable[[str], Any]:
    """Asks as Dagster's webserver does, on a connection that it keeps."""
    engine = create_engine(pinned_url(dagster_url(url)), isolation_level="AUTOCOMMIT", pool_size=1)

    def ask(question: str) -> Any:
        with engine.connect() as connection:
            return connection.scalar(text(question))

    return ask


both = pytest.mark.parametrize("asking", [ours, dagsters])
OUTAGE = (DatabaseUnavailable, OperationalError)


@both
def test_a_server_that_falls_silent_is_away(proxy: Proxy, asking: Callable[[str], Any]) -> None:
    ask = asking(proxy.url)
    assert ask("SELECT 1") == 1
    proxy.fall_silent()
    with pytest.raises(OUTAGE, match="does not answer"):
        ask("SELECT 2")
    proxy.recover()
    until(lambda: _answers(ask), 60)


def _answers(ask: Callable[[str], Any]) -> bool:
    with suppress(*OUTAGE):
        return bool(ask("SELECT 1") == 1)
    return False


@both
def test_a_statement_that_works_long_is_left_alone(proxy: Proxy, asking: Callable[[str], Any]) -> None:
    ask = asking(proxy.url)
    assert ask("SELECT count(*) FROM pg_sleep(2)") == 1
    assert proxy.accepted >= 2, "the server was asked meanwhile whether it still answers"


@both
def test_a_wait_for_a_lock_is_no_outage(proxy: Proxy, database_url: str, asking: Callable[[str], Any]) -> None:
    ask = asking(proxy.url)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(1)")
        waiting = threading.Thread(target=ask, args=["SELECT pg_advisory_xact_lock(1)"])
        waiting.start()
        until(lambda: proxy.accepted >= 3, 60)
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_connection_that_alone_is_cut_off_is_lost_though_the_server_answers(proxy: Proxy) -> None:
    def cut_off_in_a_transaction() -> None:
        with Database(proxy.url) as database, database.transaction() as connection:
            connection.execute(SELECT_1)
            proxy.fall_silent(for_new=False)
            connection.execute(SELECT_1)

    with pytest.raises(DatabaseUnavailable, match="its answer was lost"):
        cut_off_in_a_transaction()


def test_so_is_one_of_dagsters(proxy: Proxy) -> None:
    ask = dagsters(proxy.url)
    ask("SELECT 1")
    proxy.fall_silent(for_new=False)
    with pytest.raises(OperationalError, match="its answer was lost"):
        ask("SELECT 2")
    assert ask("SELECT 3") == 3


def test_a_server_that_lets_nobody_else_in_answers(database_url: str) -> None:
    name = database_url.rsplit("/", 1)[1]
    with (
        psycopg.connect(database_url, autocommit=True) as owner,
        Database(database_url) as database,
        database.transaction() as connection,
    ):
        connection.execute(SELECT_1)
        owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')  # type: ignore[arg-type]
        try:
            assert connection.scalar(text("SELECT count(*) FROM pg_sleep(1)")) == 1
        finally:
            owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')  # type: ignore[arg-type]


def test_a_silent_server_lets_nobody_wait_twice(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "_JUST_NOW_SECONDS", 600.0)
    ask = ours(proxy.url)
    ask("SELECT 1")
    proxy.fall_silent()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        ask("SELECT 2")
    seen = proxy.accepted
    with pytest.raises(DatabaseUnavailable, match="was asked a moment ago"):
        ask("SELECT 3")
    assert proxy.accepted == seen


def test_dagsters_attempt_to_connect_to_a_silent_server_ends(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "CONNECT_TIMEOUT_SECONDS", 0.5)
    proxy.fall_silent()
    with pytest.raises(OperationalError, match="no connection within"):
        dagsters(proxy.url)("SELECT 1")


def test_of_several_hosts_dagster_takes_the_first_that_answers(
    database_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "CONNECT_TIMEOUT_SECONDS", 0.5)
    proxy.fall_silent()
    silent, alive = (url.rsplit("@", 1)[1].split("/")[0] for url in (proxy.url, database_url))
    assert dagsters(database_url.replace(alive, f"{silent},{alive}"))("SELECT 1") == 1


def test_the_first_interrupt_ends_dagsters_wait_for_a_silent_server(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "PATIENCE_SECONDS", 3600.0)
    ask = dagsters(proxy.url)
    ask("SELECT 1")
    proxy.fall_silent()
    main = threading.get_ident()
    interrupting = threading.Timer(1, signal.pthread_kill, [main, signal.SIGINT])
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        ask("SELECT 2")
    interrupting.join()
    with pytest.raises(OUTAGE):
        ask("SELECT 3")


def test_hurry_reaches_who_waits_already(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "PATIENCE_SECONDS", 3600.0)
    ask = dagsters(proxy.url)
    ask("SELECT 1")
    proxy.fall_silent()
    threading.Timer(0.5, silence.hurry).start()
    with pytest.raises(OperationalError, match="does not answer"):
        ask("SELECT 2")


def test_nothing_is_lost_where_a_plain_connection_of_psycopg2_waits(database_url: str) -> None:
    pinned_url(dagster_url(database_url))
    with psycopg2.connect(database_url, options="-cstatement_timeout=0") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_sleep(0.2)")
        assert cursor.fetchone() == (1,)


def test_the_second_connection_reads_the_url_as_the_first_does(database_url: str) -> None:
    target = driver.Target.of(database_url)
    connection = driver.connect(target)
    assert connection.session is not None
    assert target.server.state_of(connection.session) == "idle"
    connection.close()
    until(lambda: target.server.state_of(connection.session) is None)  # type: ignore[arg-type]
