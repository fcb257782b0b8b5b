"""Real servers for every test: one PostgreSQL for the whole run, a fresh database and a WorkStudio for each test."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.simulator import Simulator, World
from circuit_sync.sync.session import Session
from circuit_sync_tests import hostile
from circuit_sync_tests.scenery import Clock, Desk, look_away, session_for

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# Where a suite is started with a shell's `&`, SIGINT is ignored, and so it would be by every process that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


MEMORY = Path("/dev/shm")
"""Where a database is copied at a fifth of a disk's cost, if the machine has it and there is room."""

SERVER_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """The first process makes the folder of the server that all share, and removes it when all have ended."""
    if hasattr(config, "workerinput"):
        config.stash[SERVER_FOLDER] = Path(config.workerinput["server"])
        return
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * 1024**3
    folder = tempfile.mkdtemp(prefix="circuit_sync_tests.", dir=MEMORY if has_room else None)
    config.stash[SERVER_FOLDER] = Path(folder)
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))


def pytest_configure_node(node: Any) -> None:
    node.workerinput["server"] = str(node.config.stash[SERVER_FOLDER])


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of one server that all test processes share; the last one to end stops it."""
    folder = pytestconfig.stash[SERVER_FOLDER]
    with embedded_server(folder, durable=False) as url, pytest.MonkeyPatch.context() as patch:
        _let_in_fast(url)
        if hostile.IS_WANTED:
            hostile.spare_tests(patch)
            hostile.set_defaults(url)
        yield url


@pytest.fixture(scope="session")
def template_database(postgres_server: str) -> str:
    """A migrated database of this test process, to be copied."""
    name = f"template_{uuid4().hex[:12]}"
    _run(postgres_server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with Database(_renamed(postgres_server, name)) as database:
        upgrade(database)
    return name


@pytest.fixture
def database_url(postgres_server: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database."""
    name = f"test_{uuid4().hex[:12]}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
        sql.Identifier(name), sql.Identifier(template_database)
    )
    _run(postgres_server, statement)
    url = _renamed(postgres_server, name)
    yield url
    look_away(url)
    _run(postgres_server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        yield database


@pytest.fixture(scope="session")
def _standing_simulator() -> Iterator[Simulator]:
    with Simulator(World(circuits=60), advance=False) as simulator:
        yield simulator


@pytest.fixture
def simulator(_standing_simulator: Simulator) -> Iterator[Simulator]:
    """A WorkStudio whose world stands still, without a fault, an exact answer or a call from another test."""
    _standing_simulator.clear()
    _standing_simulator.start()
    yield _standing_simulator
    _standing_simulator.clear()


@pytest.fixture
def clock() -> Clock:
    """The time in the tests: a Monday, half past four in the morning Eastern Time, until it is moved on."""
    return Clock()


@pytest.fixture
def session(database: Database, simulator: Simulator, clock: Clock) -> Session:
    """What the use cases are given: a fresh database, the simulator, the test's clock; one attempt, no pauses."""
    return session_for(database, simulator.base_url, clock)


@pytest.fixture
def desk(database: Database, simulator: Simulator, clock: Clock) -> Desk:
    """Where circuits are synced from; ``lines`` holds the log lines meant for people."""
    lines: list[str] = []
    return Desk(session_for(database, simulator.base_url, clock, log=lines.append), simulator, clock, lines)


def _let_in_fast(url: str) -> None:
    """Proving a password costs as much as ten statements, unless it is hashed once only."""
    password = sql.Literal(conninfo_to_dict(url)["password"])
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('let in fast', 0))")
        connection.execute("SET LOCAL scram_iterations = 1")
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


def _run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _renamed(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"
