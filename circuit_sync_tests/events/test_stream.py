"""Events reach those who listen: each once, in order, whatever happens in between."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.events import hub
from circuit_sync.events.outbox import emit, prune_events
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import NOW, Listener, Told, gateway_running, tell, token_of, wait_for
from circuit_sync_tests.scenery import PATIENCE, get, until


def test_each_event_comes_once_and_in_order_with_its_id_name_and_payload(place: Place, url: str) -> None:
    with Listener(url, place.tokens["ada"], ["dashboard", "circuit.1", "sync-status"]) as listener:
        tell(place.database, [1], "dashboard", "circuit.1")
        tell(place.database, [2], "circuit.2")
        tell(place.database, range(3, 50), "sync-status")
        assert listener.until(48) == [1, *range(3, 50)]
    ids = [event_id for event_id, _, _ in listener.events]
    assert ids == sorted(set(ids))
    assert listener.events[0][1:] == (
        "circuit.updated",
        {"number": 1, "padding": "", "occurred_at": "2026-03-02T09:30:00+00:00"},
    )


def test_an_idle_stream_is_kept_alive_by_comments_that_carry_the_id_to_resume_from(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"]) as listener:
        before = listener.last_id
        tell(place.database, [1], "sync-status")
        until(lambda: listener.last_id != before and len(listener.comments) > 2)
    assert set(listener.comments) == {"heartbeat"}
    assert listener.events == []


def test_a_client_that_comes_back_misses_and_repeats_nothing(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"]) as first:
        tell(place.database, range(5))
        first.until(5)
    tell(place.database, range(5, 3000))
    with Listener(url, place.tokens["pat"], last_id=first.last_id) as second:
        tell(place.database, range(3000, 3010))
        assert second.until(3005) == list(range(5, 3010))


def test_clients_that_join_while_events_pour_in_miss_and_repeat_nothing(place: Place, url: str) -> None:
    """Each joins behind an event of a moment ago: the table is read, the hub goes on meanwhile."""
    pouring = threading.Thread(target=lambda: [tell(place.database, [number]) for number in range(400)])
    joined = []
    with Listener(url, place.tokens["pat"]) as first, ExitStack() as stack:
        pouring.start()
        for wanted in range(20, 400, 40):
            first.until(wanted)
            seen, _, told = first.events[wanted // 2]
            joined.append((told["number"], stack.enter_context(Listener(url, place.tokens["pat"], last_id=str(seen)))))
        pouring.join()
        assert first.until(400) == list(range(400))
        for begin, listener in joined:
            assert listener.until(399 - begin) == list(range(begin + 1, 400))


def test_an_event_of_a_transaction_that_commits_later_is_not_skipped(place: Place, url: str) -> None:
    """The later one waits with its ids until the first has ended, so ids become visible in their order."""
    with Listener(url, place.tokens["pat"]) as listener, Database(place.database.url) as other:
        with place.database.transaction() as slow:
            emit(slow, [Told(1, ["dashboard"])], NOW)
            quick = threading.Thread(target=tell, args=[other, [2]])
            quick.start()
            until(lambda: _waits_for_a_lock(place))
            assert listener.numbers == []
        quick.join()
        assert listener.until(2) == [1, 2]


def test_what_was_rolled_back_is_never_told(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"]) as listener:
        with place.database.rehearsal() as connection:
            emit(connection, [Told(1, ["dashboard"])], NOW)
        tell(place.database, [2])
        assert listener.until(1) == [2]


def test_the_gateway_killed_and_started_again_loses_nothing(place: Place, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with _gateway_process(place, port, tmp_path) as process, Listener(url, place.tokens["pat"]) as first:
        tell(place.database, range(10))
        first.until(10)
        process.kill()
        first.until_over()
    tell(place.database, range(10, 20))
    with (
        _gateway_process(place, port, tmp_path) as process,
        Listener(url, place.tokens["pat"], last_id=first.last_id) as second,
    ):
        tell(place.database, range(20, 30))
        assert second.until(20) == list(range(10, 30))
        process.send_signal(signal.SIGTERM)
        second.until_over()
        assert process.wait(PATIENCE) == 143
    assert first.is_cut
    assert not second.is_cut, "streams are ended in order, before those still open are cut"


def test_lost_database_connections_are_made_anew_and_nothing_is_missed(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"]) as listener:
        for round_ in range(3):
            place.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                          " AND pid <> pg_backend_pid()")  # fmt: skip
            tell(place.database, [round_])
            assert listener.until(round_ + 1) == list(range(round_ + 1))
        until(lambda: _listens(place))


def test_postgresql_restarted_is_found_again_and_nothing_is_missed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with embedded_server(tmp_path, durable=False) as url, Database(url) as database:
            upgrade(database)
            with database.transaction() as connection:
                connection.execute(text("INSERT INTO users (name, email) VALUES ('Pat', 'pat@example.com')"))
            gateway = stack.enter_context(gateway_running(database))
            listener = stack.enter_context(Listener(gateway, token_of(database, "pat@example.com")))
            tell(database, [1])
            listener.until(1)
        with embedded_server(tmp_path, durable=False) as url, Database(url) as database:
            tell(database, [2])
            assert listener.until(2) == [1, 2]
            assert not listener.is_over


def test_without_a_database_requests_are_told_to_come_again(place: Place, url: str) -> None:
    with _no_connections_allowed(place):
        response = get(f"{url}/state", headers={"Authorization": f"Bearer {place.tokens['pat']}"})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
        assert "postgresql" not in response.text


def test_a_reader_that_lags_too_far_is_cut_off_and_others_are_not(
    place: Place, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "QUEUE_BYTES", 500_000)
    host, port = url.removeprefix("http://").split(":")
    with Listener(url, place.tokens["pat"]) as quick, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        head = [
            "GET /events?channel=dashboard HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {place.tokens['pat']}",
        ]
        slow.sendall("\r\n".join([*head, "", ""]).encode())
        assert b"200 OK" in slow.recv(1000)
        until(lambda: get(f"{url}/health").json()["streams"] == 2)
        sent = 0
        while get(f"{url}/health").json()["streams"] == 2:
            tell(place.database, range(sent, sent + 40), padding="x" * 5000)
            sent += 40
            assert len(quick.until(sent)) == sent
        assert quick.numbers == list(range(sent))


def test_a_client_told_that_what_it_missed_is_pruned(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"]) as first:
        tell(place.database, [1])
        first.until(1)
    tell(place.database, [2, 3])
    with place.database.transaction() as connection:
        newest = connection.scalar(text("SELECT max(id) FROM sync_events"))
        connection.execute(text("UPDATE sync_events SET occurred_at = '2025-01-01'"))
    assert prune_events(place.database, NOW, batch=2) == 3
    with Listener(url, place.tokens["pat"], last_id=first.last_id) as second:
        tell(place.database, [4])
        assert second.until(1) == [4]
    assert second.events[0] == (int(first.last_id), "gap", {"after": int(first.last_id)})
    with Listener(url, place.tokens["pat"], last_id=str(newest)) as third:
        assert third.until(1) == [4]
    assert len(third.events) == 1


def test_an_id_from_the_future_is_told_as_a_gap(place: Place, url: str) -> None:
    with Listener(url, place.tokens["pat"], last_id="999999") as listener:
        until(lambda: bool(listener.events))
        tell(place.database, [1])
        assert listener.until(1) == [1]
    assert listener.events[0][1] == "gap"


@contextmanager
def _gateway_process(place: Place, port: int, folder: Path):
    surroundings = os.environ | {"CIRCUIT_SYNC_DATABASE_URL": place.database.url, "WORKSTUDIO_BASE_URL": ""}
    command = [sys.executable, "-m", "circuit_sync.cli", "gateway", "--port", str(port)]
    with subprocess.Popen(command, env=surroundings, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield process
        finally:
            process.kill()


@contextmanager
def _no_connections_allowed(place: Place):
    name = place.database.url.rsplit("/", 1)[1]
    with psycopg.connect(place.database.url.replace(name, "circuit_sync"), autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def _listens(place: Place) -> bool:
    with place.database.transaction() as connection:
        return bool(connection.scalar(text(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'circuit_sync listening')")))  # fmt: skip


def _waits_for_a_lock(place: Place) -> bool:
    with Database(place.database.url) as looking, looking.transaction() as connection:
        return bool(connection.scalar(text(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database()))")))  # fmt: skip
