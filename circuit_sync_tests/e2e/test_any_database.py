"""Commands through a PgBouncer, against a database that falls silent, and one that is stopped at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.simulator import Simulator, World, environment
from circuit_sync_tests import hostile
from circuit_sync_tests.e2e.deployment import Deployment, answers, free_port
from circuit_sync_tests.proxy import Proxy
from circuit_sync_tests.scenery import until

PGBOUNCER = "/usr/sbin/pgbouncer"
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = session
default_pool_size = 40
{more}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with embedded_server(tmp_path / "server") as url:
        yield url


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(circuits=20), advance=False) as simulator:
        yield simulator


def settings_for(url: str, simulator: Simulator, folder: Path) -> dict[str, str]:
    return environment(simulator.base_url) | {
        "CIRCUIT_SYNC_DATABASE_URL": url,
        "CIRCUIT_SYNC_STATE_DIR": str(folder / "state"),
        "CIRCUIT_SYNC_RETRY_DELAYS": "0",
        "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
        "WORKSTUDIO_MAX_ATTEMPTS": "1",
    }


def begin(folder: Path, settings: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "circuit_sync.cli", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=os.environ | dict(settings), **pipes)  # type: ignore[call-overload, no-any-return]


def run(folder: Path, settings: Mapping[str, str], *arguments: str) -> str:
    with begin(folder, settings, *arguments) as child:
        out, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    return out


# --- PgBouncer in session mode ---


@contextmanager
def pgbouncer(url: str, folder: Path, more: str = "") -> Iterator[str]:
    """The URL of a PgBouncer before the server of ``url``; it refuses to serve as root."""
    assert Path(PGBOUNCER).exists(), "PgBouncer is not installed: apt-get install pgbouncer"
    parts, listen = urlsplit(url), free_port()
    folder.mkdir(mode=0o755)
    (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
    filled = CONFIGURATION.format(host=parts.hostname, port=parts.port, listen=listen, folder=folder, more=more)
    (folder / "pgbouncer.ini").write_text(filled)
    account = ["--user", "nobody"] if os.geteuid() == 0 else []
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    command = [PGBOUNCER, *account, str(folder / "pgbouncer.ini")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(listen), 60)
            yield url.replace(f":{parts.port}/", f":{listen}/")
        finally:
            process.kill()


@pytest.mark.parametrize("more", ["", "ignore_startup_parameters = options,extra_float_digits"], ids=["strict", "lax"])
def test_a_whole_deployment_works_through_pgbouncer_in_session_mode(
    server: str, simulator: Simulator, tmp_path: Path, more: str
) -> None:
    with psycopg.connect(server) as connection:
        connection.execute("CREATE SCHEMA circuit_sync")
    hostile.set_defaults(server)
    with pgbouncer(server, tmp_path / "bouncer", more) as url:
        settings = settings_for(url, simulator, tmp_path)
        run(tmp_path, settings, "db", "upgrade")
        run(tmp_path, settings, "sync", "all")
        assert "completed" in run(tmp_path, settings, "status")
        with Deployment(tmp_path / "home", url, {"circuit_sync": settings}, "circuit_sync_tests.e2e.fast") as dagster:
            direct = {"url": f"{server}?options=-csearch_path%3Dpublic%20-cstatement_timeout%3D0"}
            before = dagster.rows("SELECT max(id) AS id FROM sync_logs", **direct)[0]["id"]
            launched = dagster.launch("sync_circuits", "QC")
            mine = f"id > {before} AND dagster_run_id = '{launched}'"
            finished = f"SELECT 1 FROM sync_logs WHERE {mine} AND sync_status <> 'started'"
            until(lambda: bool(dagster.rows(finished, **direct)), 120)
            tables = dagster.rows(
                "SELECT schemaname AS schema, tablename AS name FROM pg_tables"
                " WHERE tablename IN ('runs', 'event_logs', 'job_ticks', 'circuits', 'sync_logs')"
                " ORDER BY 1, 2",
                **direct,
            )
            assert [(table["schema"], table["name"]) for table in tables] == [
                ("dagster", "event_logs"),
                ("dagster", "job_ticks"),
                ("dagster", "runs"),
                ("public", "circuits"),
                ("public", "sync_logs"),
            ]
            until(lambda: bool(dagster.rows("SELECT 1 FROM dagster.job_ticks", **direct)), 120)
        with begin(tmp_path, settings, "events", "tail", "--from", "1") as tail:
            assert tail.stdout is not None
            assert "sync.started" in tail.stdout.readline()
            tail.send_signal(signal.SIGINT)
            assert tail.wait(60) == 130


# --- A database that falls silent ---


@contextmanager
def a_sync_of_silence(proxy: Proxy, simulator: Simulator, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """A sync whose database falls silent while it calls WorkStudio."""
    settings = settings_for(proxy.url, simulator, folder)
    run(folder, settings, "db", "upgrade")
    simulator.fault("delay", seconds=3, match="circuits")
    with begin(folder, settings, "sync", "circuits", "--status", "QC") as child:
        until(lambda: any(call.view == "circuits" for call in simulator.calls), 120)
        proxy.fall_silent()
        yield child


def errors_of(err: str) -> list[str]:
    assert "Traceback" not in err, err
    assert "[SQL" not in err, err
    return [line for line in err.splitlines() if line.startswith("error:")]


def test_a_sync_whose_database_falls_silent_ends_by_itself_in_one_line(
    server: str, simulator: Simulator, tmp_path: Path
) -> None:
    with Proxy(server) as proxy, a_sync_of_silence(proxy, simulator, tmp_path) as child:
        _, err = child.communicate(timeout=300)
    assert child.returncode == 1
    (line,) = errors_of(err)
    assert "is not available: " in line
    assert "does not answer" in line or "no connection within" in line


@pytest.mark.parametrize("seconds", [0.0, 12.0], ids=["in the call", "while it waits"])
def test_the_first_interrupt_ends_a_sync_whose_database_is_silent(
    server: str, simulator: Simulator, tmp_path: Path, seconds: float
) -> None:
    with Proxy(server) as proxy, a_sync_of_silence(proxy, simulator, tmp_path) as child:
        time.sleep(seconds)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=300)
    assert child.returncode in (1, 130), err
    assert len(errors_of(err)) == 1


@pytest.mark.parametrize("arguments", [["status"], ["events", "tail"], ["users", "list"]], ids=" ".join)
def test_the_first_interrupt_ends_other_commands_too(
    server: str, simulator: Simulator, tmp_path: Path, arguments: list[str]
) -> None:
    with Proxy(server) as proxy:
        settings = settings_for(proxy.url, simulator, tmp_path)
        run(tmp_path, settings, "db", "upgrade")
        with psycopg.connect(server) as holder:
            holder.execute("LOCK TABLE users, circuits, sync_events")
            with begin(tmp_path, settings, *arguments) as child:
                seen = proxy.accepted
                until(lambda: proxy.accepted > seen, 120)
                time.sleep(5)
                proxy.fall_silent()
                child.send_signal(signal.SIGINT)
                _, err = child.communicate(timeout=120)
    assert child.returncode in (1, 130), err
    assert len(errors_of(err)) <= 1


# --- A server that is stopped at once ---


def test_a_server_that_is_stopped_at_once_during_snapshots_gets_one_line(
    server: str, simulator: Simulator, tmp_path: Path
) -> None:
    settings = settings_for(server, simulator, tmp_path)
    run(tmp_path, settings, "sync", "circuits", "--status", "QC")
    postmaster = int((tmp_path / "server/postgres/data/postmaster.pid").read_text().split()[0])
    holder, looking = psycopg.connect(server), psycopg.connect(server, autocommit=True)
    holder.execute("LOCK TABLE circuit_snapshots")
    with begin(tmp_path, settings, "sync", "snapshots") as child:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: bool((looking.execute(waits).fetchone() or (0,))[0]), 120)
        threading.Thread(target=os.kill, args=[postmaster, signal.SIGQUIT]).start()
        _, err = child.communicate(timeout=300)
    assert child.returncode == 1
    (line,) = errors_of(err)
    assert "is not available: " in line
