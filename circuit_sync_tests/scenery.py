"""What tests of the syncs stand on: a clock of their own, a desk to sync from, the database as a value."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from circuit_sync.database.connection import Database
from circuit_sync.domain.findings import Finding
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.simulator import (
    CIRCUITS_VIEW,
    PLANNED_UNITS_VIEW,
    SERVICE_PASSWORD,
    SERVICE_USERNAME,
    Simulator,
    circuits_table,
)
from circuit_sync.sync.circuits.sync import (
    CircuitSyncResult,
    fetch_circuits,
    open_circuit_sync,
    preview_circuits,
    store_circuits,
)
from circuit_sync.sync.log.checks import CHECKS, Scope
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync_tests import hostile

Row = Mapping[str, Any]
MONDAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
"""04:30 in Eastern Time, of a Monday."""

PATIENCE = 60.0
"""Seconds that a test waits for what surely comes: long, as the machine may be busy with other things."""


def examples(wanted: int) -> int:
    """How many examples a law is tried on that cost a good part of a second each: ``make e2e`` wants all, else half."""
    return wanted if hostile.IS_WANTED else wanted // 2


get, post = partial(httpx.get, timeout=PATIENCE), partial(httpx.post, timeout=PATIENCE)

CIRCUIT_TABLES = (
    "regions",
    "users",
    "unlinked_planners",
    "circuits",
    "circuit_ui_states",
    "circuit_user",
    "circuit_history",
    "circuit_aggregates",
    "circuit_snapshots",
)
"""The tables that a circuit sync may change, the sync's own log and events aside."""


@dataclass
class Clock:
    """Tells the time it is set to."""

    instant: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> datetime:
        """Moves on by a ``timedelta`` and returns the new time."""
        self.instant += timedelta(**span)
        return self.instant


_looking: dict[tuple[str, int], psycopg.Connection[dict[str, Any]]] = {}


def looking_at(url: str) -> psycopg.Connection[dict[str, Any]]:
    """This thread's own connection to a test's database, kept: to connect costs as much as thirty queries."""
    place = url, threading.get_ident()
    with suppress(KeyError, psycopg.OperationalError):
        _looking[place].execute("SELECT 1")
        return _looking[place]
    _looking[place] = psycopg.connect(
        url, autocommit=True, prepare_threshold=None, options="-c timezone=UTC", row_factory=dict_row
    )
    return _looking[place]


def look_away(url: str) -> None:
    """Closes them: the database is no more."""
    for place in [place for place in _looking if place[0] == url]:
        _looking.pop(place).close()


def session_for(database: Database, base_url: str, clock: Callable[[], datetime], **options: Any) -> Session:
    """A session that calls the simulator at ``base_url``: no pauses, one attempt unless ``attempts`` says more."""
    server = Server(
        base_url,
        CIRCUITS_VIEW,
        PLANNED_UNITS_VIEW,
        timeout=options.pop("timeout", PATIENCE),
        max_attempts=options.pop("attempts", 1),
        backoff_base=0.001,
        rate_limit_delay=0.0,
    )
    return Session(database, server, Credential(SERVICE_USERNAME, SERVICE_PASSWORD), now=clock, **options)


def ask(session: Session, check: str, *dates: date) -> Finding:
    """What an asset check finds now, of ``dates`` if it is one of dates."""
    return CHECKS[check].ask(session, Scope(session.now(), STATUS_CODES, date(2026, 1, 1), dates))


@dataclass
class Desk:
    """Where a test syncs circuits from; every sync happens a minute after the one before."""

    session: Session
    simulator: Simulator
    clock: Clock
    lines: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.session.database

    def answer(self, status: str, rows: Iterable[Row], heading: Sequence[str] | None = None) -> None:
        """What the simulator answers for ``status`` from now on."""
        self.simulator.answer(status, circuits_table(({"WSREQ_STATUS": status} | dict(row) for row in rows), heading))

    def sync(self, *statuses: str, **options: Any) -> CircuitSyncResult:
        """One circuit sync, of ``ACTIV`` if nothing else is said."""
        return self.store(self.fetch(*statuses, **options))

    def fetch(self, *statuses: str, **options: Any) -> int:
        """A sync up to the point where all is fetched and nothing stored; returns its log's id."""
        self.clock.advance(minutes=1)
        sync_id = open_circuit_sync(self.session, CircuitSyncRequest(statuses or ("ACTIV",), **options))
        fetch_circuits(self.session, sync_id)
        return sync_id

    def store(self, sync_id: int) -> CircuitSyncResult:
        """The rest of that sync."""
        return store_circuits(self.session, sync_id)

    @contextmanager
    def storing(self, sync_id: int, lock: str) -> Iterator[Future[CircuitSyncResult]]:
        """The rest of that sync, in a thread of its own, held up at what ``lock`` locks until the block ends."""
        with ThreadPoolExecutor(1) as threads, psycopg.connect(self.database.url) as holder:
            holder.execute(lock)  # type: ignore[arg-type]
            stored = threads.submit(self.store, sync_id)
            until(lambda: self.waiting() > 0)
            yield stored

    def waiting(self) -> int:
        """How many locks of this database somebody waits for."""
        return int(
            self.one(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
            )
        )

    def preview(self, *statuses: str, **options: Any) -> CircuitSyncResult:
        self.clock.advance(minutes=1)
        return preview_circuits(self.session, CircuitSyncRequest(statuses or ("ACTIV",), **options))

    def patiently(self, attempts: int = 5) -> "Desk":
        """The same desk, whose calls are tried ``attempts`` times."""
        assert self.session.server is not None
        server = replace(self.session.server, max_attempts=attempts)
        return replace(self, session=replace(self.session, server=server))

    def with_session(self, **options: Any) -> "Desk":
        """The same desk, whose session differs in ``options``."""
        return replace(self, session=replace(self.session, **options))

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query; ``%s`` takes the values in turn."""
        return looking_at(self.database.url).execute(query, values).fetchall()  # type: ignore[arg-type]

    def execute(self, statement: str, *values: Any) -> None:
        looking_at(self.database.url).execute(statement, values)  # type: ignore[arg-type]

    def column(self, query: str, *values: Any) -> list[Any]:
        """The first column of a query."""
        return [next(iter(row.values())) for row in self.rows(query, *values)]

    def one(self, query: str, *values: Any) -> Any:
        """The one value of a query."""
        (value,) = self.column(query, *values)
        return value

    def circuit(self, work_order: str, extension: str = "@") -> dict[str, Any]:
        """A circuit with its region's name and its stage."""
        (row,) = self.rows(
            "SELECT c.*, r.name AS region, u.workflow_stage, u.stage_changed_by, u.stage_changed_at FROM circuits AS c"
            " LEFT JOIN regions AS r ON r.id = c.region_id LEFT JOIN circuit_ui_states AS u ON u.circuit_id = c.id"
            " WHERE c.work_order = %s AND c.extension = %s",
            work_order,
            extension,
        )
        return row

    def log(self, sync_id: int | None = None) -> dict[str, Any]:
        """A sync's log, the newest if nothing else is said."""
        (row,) = self.rows("SELECT * FROM sync_logs WHERE id = coalesce(%s, (SELECT max(id) FROM sync_logs))", sync_id)
        return row

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events so far, oldest first."""
        return self.rows("SELECT * FROM sync_events WHERE name = coalesce(%s, name) ORDER BY id", name)

    def versions(self, table: str) -> list[tuple[str, str]]:
        """Which version each row of a table is: two equal lists mean that no row was written in between."""
        return [
            (row["ctid"], row["xmin"]) for row in self.rows(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY 1")
        ]

    def contents(self, tables: Iterable[str] = CIRCUIT_TABLES) -> dict[str, list[dict[str, Any]]]:
        """Every row of the tables, with the version it is."""
        return {table: self.rows(f"SELECT ctid::text, xmin::text, * FROM {table} ORDER BY 1") for table in tables}

    def meaning(self) -> dict[str, list[dict[str, Any]]]:
        """What the database says, whoever wrote it when: no ids, no history, no instants of our own."""
        return {
            "circuits": self.rows(
                "SELECT c.job_guid, c.work_order, c.extension, m.job_guid AS parent, r.name AS region, c.title,"
                " c.job_type, c.cycle_type, c.contractor, c.taken_by, c.total_miles, c.miles_planned,"
                " c.percent_complete, c.total_acres, c.start_date, c.api_status, c.api_modified_at, c.api_data,"
                " c.content_hash, c.is_excluded, c.planned_units_sync_enabled, c.departed_at IS NULL AS is_here,"
                " u.workflow_stage, u.stage_changed_by"
                " FROM circuits AS c LEFT JOIN circuits AS m ON m.id = c.parent_circuit_id"
                " LEFT JOIN regions AS r ON r.id = c.region_id JOIN circuit_ui_states AS u ON u.circuit_id = c.id"
                " ORDER BY c.job_guid"
            ),
            "regions": self.rows("SELECT name, code FROM regions ORDER BY name"),
            "links": self.rows(
                "SELECT c.job_guid, u.email, l.assignment_source FROM circuit_user AS l"
                " JOIN circuits AS c ON c.id = l.circuit_id JOIN users AS u ON u.id = l.user_id ORDER BY 1, 2"
            ),
            "unlinked": self.rows(
                "SELECT lower(ws_username) AS name, occurrence_count FROM unlinked_planners"
                " WHERE occurrence_count > 0 ORDER BY 1"
            ),
            "open history": self.rows(
                "SELECT c.job_guid, h.api_status, h.workflow_stage, r.name AS region, h.taken_by, h.is_excluded,"
                " h.departed_at IS NULL AS is_here, h.total_miles, h.miles_planned, h.percent_complete, h.total_acres"
                " FROM circuit_history AS h JOIN circuits AS c ON c.id = h.circuit_id"
                " LEFT JOIN regions AS r ON r.id = h.region_id WHERE h.valid_to IS NULL ORDER BY 1"
            ),
        }

    def forget(self) -> None:
        """Empties the database."""
        self.execute(
            f"TRUNCATE {', '.join(CIRCUIT_TABLES)}, sync_logs, sync_events, staged_circuits, database_settings"
            " RESTART IDENTITY CASCADE"
        )


def until(is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Waits for something another process or thread does."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)
