"""What years cost: the first day of a database that was never analyzed, and pages read with 100 times the past."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.progress.rollups import replace_rollups
from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.requests import CircuitSyncRequest, SnapshotRequest
from circuit_sync.simulator import CIRCUITS_VIEW, PLANNED_UNITS_VIEW, Simulator, World, circuits_table
from circuit_sync.simulator.running import environment
from circuit_sync.sync.circuits.sync import fetch_circuits, open_circuit_sync, store_circuits
from circuit_sync.sync.log.overview import overview
from circuit_sync.sync.progress.report import report_page, week_progress
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync_tests.bench.measuring import medians, seconds
from circuit_sync_tests.bench.report import Report

FIRST_DAY = 20_000
CIRCUITS = 5_000
TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAST = 100

_PAST = [
    text("""
        INSERT INTO circuit_history (circuit_id, valid_from, valid_to, api_status, workflow_stage, region_id, taken_by,
                                     is_excluded, total_miles, miles_planned, work_order, extension)
        SELECT h.circuit_id, h.valid_from - n * interval '1 day', h.valid_from - (n - 1) * interval '1 day', 'ACTIV',
               'active', h.region_id, h.taken_by, false, h.total_miles, 100 - n, h.work_order, h.extension
        FROM circuit_history AS h, generate_series(1, :past) AS n WHERE h.valid_to IS NULL
    """),
    text("""
        INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units, units_pending, pending_by_date)
        SELECT c.id, CAST(:today AS date) - n, 100 - n, 100 - n, jsonb_build_object('2026-01-05', 100 - n)
        FROM circuits AS c, generate_series(1, :past) AS n
    """),
    text("""
        INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type, region_id, taken_by, api_status,
                                       workflow_stage, total_miles, miles_planned, as_of)
        SELECT c.id, day, 'daily', c.region_id, c.taken_by, 'ACTIV', 'active', c.total_miles, 1, now()
        FROM unnest(CAST(:dates AS date[])) AS day, circuits AS c
    """),
]

_PAGES = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = %s"
_BUSY = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"


def bench_first_day(folder: Path, report: Report) -> None:
    """The whole commands, on a database that nobody has analyzed yet."""
    rounds = []
    for number in range(2):
        with Simulator(World(circuits=FIRST_DAY)) as simulator:
            state = {"CIRCUIT_SYNC_STATE_DIR": str(folder / f"first-day-{number}")}
            run = partial(
                subprocess.run,
                env=os.environ | environment(simulator.base_url) | state,
                check=True,
                capture_output=True,
            )
            command = [sys.executable, "-m", "circuit_sync.cli"]
            run([*command, "db", "upgrade"])
            whole = [partial(run, [*command, "sync", what]) for what in ("circuits", "snapshots")]
            rounds.append([seconds(work) for work in whole])
    circuits, snapshots = medians(rounds)
    report.line(f"`sync circuits`, the first of {FIRST_DAY} circuits, whole command", circuits, "s")
    report.line("`sync snapshots` after it, with roll-ups, whole command", snapshots, "s")
    report.ratio("  snapshots / circuits", snapshots / circuits, at_most=1)


def bench_pages(url: str, report: Report) -> None:
    """The pages that PostgreSQL reads, from its cache or not: with a day of past, and with ``PAST`` times as much."""
    small, large = (_pages_read(url, past) for past in (1, PAST))
    for what, pages in small.items():
        report.ratio(f"{what}: pages with {PAST} times the past / with a day of it", large[what] / pages, at_most=1.5)


def _pages_read(url: str, past: int) -> dict[str, int]:
    name = f"bench_past_{past}"
    with psycopg.connect(url, autocommit=True) as watcher, Simulator() as simulator:
        watcher.execute(f"CREATE DATABASE {name}")
        server = Server(simulator.base_url, CIRCUITS_VIEW, PLANNED_UNITS_VIEW)
        credential = Credential(*next(iter(simulator.accounts.items())))
        place = _url_of(url, name)

        def measured(work: Callable[[Session], object]) -> int:
            before = _settled(watcher, name)
            with Database(place) as database:
                work(Session(database, server, credential, identity="bench", now=lambda: NOW))
            return _settled(watcher, name) - before

        simulator.answer("ACTIV", circuits_table(_circuit(number) for number in range(CIRCUITS)))
        with Database(place) as database:
            upgrade(database)
            session = Session(database, server, credential, identity="bench", now=lambda: NOW)
            _sync(session)
            _fill(database, past)
        return {
            "a sync in which nothing changed": measured(_sync),
            "today's snapshot with roll-ups": measured(_take),
            "status": measured(overview),
            "the report": measured(lambda session: report_page(week_progress(session))),
        }


def _circuit(number: int) -> Mapping[str, object]:
    split = number % 40 < 4
    return {
        "SS_WO": f"2026-{number // 4 * 4 if split else number:05}",
        "SS_EXT": ("@", "C_a", "C_b", "C_ba")[number % 4] if split else "@",
        "REGION": f"Region {number % 6}",
        "SS_TAKENBY": f"CONTRACTOR\\planner{number % 40}",
        "VEGJOB_LENGTH": 60 if not split or number % 4 == 0 else 15,
    }


def _fill(database: Database, past: int) -> None:
    dates = weekdays_between(TODAY - timedelta(days=past * 7 // 5 + 2), TODAY - timedelta(days=1))[-past:]
    with database.transaction() as connection:
        for statement in _PAST:
            connection.execute(statement, {"past": past, "today": TODAY, "dates": dates})
        replace_rollups(connection, dates, NOW)


def _sync(session: Session) -> None:
    sync_id = open_circuit_sync(session, CircuitSyncRequest(["ACTIV"]))
    fetch_circuits(session, sync_id)
    store_circuits(session, sync_id)


def _take(session: Session) -> None:
    take_snapshots(session, open_snapshots(session, SnapshotRequest([TODAY])))


def _settled(watcher: psycopg.Connection, name: str) -> int:
    """The pages read so far; a connection counts its own when it ends."""
    while watcher.execute(_BUSY, (name,)).fetchone() != (0,):
        time.sleep(0.05)
    (pages,) = watcher.execute(_PAGES, (name,)).fetchone() or (0,)
    return int(pages)


def _url_of(url: str, name: str) -> str:
    return url.rsplit("/", 1)[0] + f"/{name}"
