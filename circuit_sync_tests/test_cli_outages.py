"""A database that takes no writes, or goes away at the worst moment: one line, and what can be tried again is."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from circuit_sync.simulator import Fault, Simulator
from circuit_sync_tests import test_cli
from circuit_sync_tests.scenery import until
from circuit_sync_tests.test_cli import Command, away, end_outage

configured, circuit_sync, outage = test_cli.configured, test_cli.circuit_sync, test_cli.outage


@pytest.fixture
def read_only(database_url: str, postgres_server: str) -> Iterator[Callable[[], None]]:
    """Makes the server take no writes from this database's sessions until the test ends, as after a failover."""
    name = sql.Identifier(database_url.rsplit("/", 1)[1])

    def begin() -> None:
        with psycopg.connect(postgres_server, autocommit=True) as server:
            server.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name._obj[0]])

    yield begin
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "circuits", "--status", "QC"],
        ["sync", "all"],
        ["db", "upgrade"],
        ["users", "add", "Ann Birch", "--email", "ann@example.com"],
    ],
    ids=" ".join,
)
def test_a_read_only_server_gets_one_line(
    configured: dict[str, str],
    circuit_sync: Command,
    database_url: str,
    read_only: Callable[[], None],
    arguments: list[str],
) -> None:
    read_only()
    status, out, err = circuit_sync(*arguments)
    assert status == 1
    (line,) = [line for line in err.splitlines() if not line.startswith("circuits ")]
    assert line.startswith(away(database_url))
    assert "read-only transaction" in line
    assert out == ""


def test_a_server_that_turns_read_only_in_a_sync_gets_one_line_and_the_sync_is_tried_again(
    configured: dict[str, str],
    circuit_sync: Command,
    simulator: Simulator,
    database_url: str,
    postgres_server: str,
    read_only: Callable[[], None],
) -> None:
    assert circuit_sync("db", "upgrade")[0] == 0
    simulator.add_fault(Fault("delay", match="circuits", seconds=1))

    def in_the_second_step() -> None:
        until(lambda: any(call.view == "circuits" for call in simulator.calls), 60)
        read_only()

    with ThreadPoolExecutor() as threads:
        done = threads.submit(in_the_second_step)
        status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
        done.result()
    assert status == 1
    assert "Traceback" not in err
    assert "[SQL" not in err
    line = err.splitlines()[-1]
    assert line.startswith(away(database_url))

    with psycopg.connect(postgres_server, autocommit=True) as server:
        name = sql.Identifier(database_url.rsplit("/", 1)[1])
        server.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
    simulator.clear_faults()
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 0, err
    with psycopg.connect(database_url) as connection:
        logs = connection.execute("SELECT sync_status, retry_at IS NOT NULL FROM sync_logs ORDER BY id").fetchall()
    assert logs == [("failed", True), ("completed", False)]


def test_a_server_that_is_stopped_at_once_in_the_middle_of_snapshots_gets_one_line(
    configured: dict[str, str],
    circuit_sync: Command,
    database_url: str,
    postgres_server: str,
    outage: Callable[[], None],
) -> None:
    assert circuit_sync("sync", "circuits", "--status", "QC")[0] == 0
    with closing(psycopg.connect(database_url)) as holder, ThreadPoolExecutor() as threads:
        holder.execute("LOCK TABLE circuit_snapshots")

        def while_it_waits() -> None:
            with psycopg.connect(postgres_server, autocommit=True) as server:
                waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
                name = database_url.rsplit("/", 1)[1]
                until(lambda: bool((server.execute(waits, [name]).fetchone() or (0,))[0]), 60)
            outage()

        done = threads.submit(while_it_waits)
        status, _, err = circuit_sync("sync", "snapshots", "--date", "2026-03-06")
        done.result()
    end_outage(database_url, postgres_server)
    assert status == 1
    (line,) = [line for line in err.splitlines() if not line.startswith(("snapshots ", "  "))]
    assert line.startswith(away(database_url))
