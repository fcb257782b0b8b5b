"""A year's backfill of snapshots: against a bare INSERT … SELECT of as many rows into a table with the same indexes."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.sync.progress.rollups import roll_up
from circuit_sync.sync.progress.snapshots import SnapshotResult, open_snapshots, take_snapshots
from circuit_sync.sync.session import Session
from circuit_sync_tests.bench.measuring import in_turns, seconds
from circuit_sync_tests.bench.report import Report

CIRCUITS = 5_000
WEEKDAYS = 250
LAST = date(2026, 2, 27)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)

_EMPTY = text("""
    TRUNCATE circuits, circuit_history, circuit_aggregates, circuit_snapshots, regional_daily, planner_daily,
             sync_logs, sync_events CASCADE
""")

_CIRCUITS = text("""
    WITH places AS (
        INSERT INTO regions (name, code)
        SELECT 'Bench ' || n, 'BENCH' || n FROM generate_series(1, 6) AS n
        ON CONFLICT (name) DO UPDATE SET code = excluded.code RETURNING id)
    INSERT INTO circuits (job_guid, work_order, region_id, taken_by, total_miles, api_status, content_hash)
    SELECT 'bench-' || n, '2026-' || n, (SELECT min(id) FROM places) + n % 6, 'BENCH\\planner' || n % 40, 50, 'ACTIV',
           ''
    FROM generate_series(1, :circuits) AS n
""")

# Each circuit moves on every tenth day or so, and its units are computed anew every fifth.
_HISTORY = text("""
    INSERT INTO circuit_history (circuit_id, valid_from, valid_to, api_status, workflow_stage, region_id, taken_by,
                                 is_excluded, total_miles, miles_planned, percent_complete, total_acres)
    SELECT c.id, moved.at, lead(moved.at) OVER (PARTITION BY c.id ORDER BY moved.at), c.api_status, 'active',
           c.region_id, c.taken_by, false, c.total_miles, moved.step, 0, 0
    FROM circuits AS c, LATERAL (
        SELECT n AS step, CAST(:first AS timestamptz) + n * interval '10 days' + c.id % 97 * interval '1 hour' AS at
        FROM generate_series(0, 36) AS n) AS moved
    WHERE moved.at < :now
""")
_AGGREGATES = text("""
    INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units, total_linear_ft, units_approved)
    SELECT c.id, CAST(:first AS date) + n * 5, n, n * 10, n / 2 FROM circuits AS c, generate_series(0, 71) AS n
""")

_BARE_TABLE = text("CREATE TABLE bench_bare (LIKE circuit_snapshots INCLUDING ALL)")
_BARE = text("INSERT INTO bench_bare SELECT * FROM circuit_snapshots")


def bench_snapshots(database: Database, report: Report) -> None:
    """``WEEKDAYS`` weekdays over ``CIRCUITS`` circuits, then their roll-ups."""
    dates = weekdays_between(LAST - timedelta(days=WEEKDAYS * 7 // 5 - 1), LAST)
    session = Session(database, identity="bench", now=lambda: NOW)
    _fill(database, dates[0] - timedelta(days=7))

    def backfill() -> float:
        with database.transaction() as connection:
            connection.execute(text("TRUNCATE circuit_snapshots"))
        taken: list[SnapshotResult] = []
        whole = seconds(lambda: taken.append(take_snapshots(session, open_snapshots(session, SnapshotRequest(dates)))))
        return whole - taken[0].durations["roll_ups"]

    def bare() -> float:
        with database.transaction() as connection:
            connection.execute(text("DROP TABLE IF EXISTS bench_bare"))
            connection.execute(_BARE_TABLE)

        def insert() -> None:
            with database.transaction() as connection:
                connection.execute(_BARE)

        return seconds(insert)

    ours, peer = in_turns(backfill, bare)
    with database.transaction() as connection:
        rows = connection.scalar(text("SELECT count(*) FROM circuit_snapshots"))
    assert rows == CIRCUITS * len(dates), rows
    rolled = seconds(lambda: roll_up(session, dates))
    report.line(f"backfill of {len(dates)} weekdays over {CIRCUITS} circuits, {rows} rows", ours, "s")
    report.ratio("  ours / bare INSERT … SELECT of as many rows, same indexes", ours / peer, at_most=3)
    report.line("  their roll-ups by region, by planner and by season", rolled, "s")
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE bench_bare"))
        connection.execute(_EMPTY)


def _fill(database: Database, first: date) -> None:
    with database.transaction() as connection:
        connection.execute(_EMPTY)
        connection.execute(_CIRCUITS, {"circuits": CIRCUITS})
        since = datetime(first.year, first.month, first.day, tzinfo=UTC)
        connection.execute(_HISTORY, {"first": since, "now": NOW})
        connection.execute(_AGGREGATES, {"first": first})
    with database.lock_connection() as connection:
        connection.execute(text("VACUUM ANALYZE circuits, circuit_history, circuit_aggregates"))
