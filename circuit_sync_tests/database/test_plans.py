"""No statement joins two large inputs row by row: in a database that was never analyzed, at 20,000 circuits."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from circuit_sync.domain.eastern import eastern_date, previous_weekday
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.events.page import common_state
from circuit_sync.sync.log.checks import CHECKS
from circuit_sync.sync.log.overview import overview
from circuit_sync.sync.progress.report import report_page, week_progress
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync_tests.scenery import Desk, ask

CIRCUITS = 20_000
MANY = 500
EXPLAIN = "EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) "
EXPLAINED = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE|CREATE TEMPORARY TABLE \S+ (ON COMMIT DROP )?AS)\b")
UNITS = """
    INSERT INTO circuit_aggregates (circuit_id, aggregate_date, is_rollup, total_units, units_pending, pending_by_date)
    SELECT id, %s, is_rollup, 3, 3, '{"2026-02-01": 2, "unknown": 1}'
    FROM circuits, (VALUES (false), (true)) AS kinds (is_rollup)
"""


def answer(edition: int) -> list[dict[str, Any]]:
    """20,000 circuits in ten regions; every tenth work order is split in three."""
    rows = []
    for number in range(CIRCUITS):
        split = number % 40 < 4
        work_order = number // 4 * 4 if split else number
        extension = ("@", "C_a", "C_b", "C_ba")[number % 4] if split else "@"
        rows.append(
            {
                "SS_WO": f"2026-{work_order:05}",
                "SS_EXT": extension,
                "REGION": f"Region {number % 10}",
                "SS_TAKENBY": f"CONTRACTOR\\planner{number % 40}",
                "VEGJOB_LENGTH": 60 if extension == "@" else 15,
                "VEGJOB_LENGTHCOMP": 3 + edition,
                "VEGJOB_PRCENT": 20 + edition,
            }
        )
    return rows


class Plans:
    """What the server says that each statement did, tried and undone before it is executed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def explain(self, connection: Connection, _cursor: object, statement: str, parameters: Any, *_others: Any) -> None:
        if not EXPLAINED.match(statement):
            return
        driver: Any = connection.connection.driver_connection
        with driver.transaction() as attempt:
            (plan,) = driver.execute(EXPLAIN + statement, parameters).fetchone()[0]
            self.seen.append((statement, plan["Plan"]))
            raise psycopg.Rollback(attempt)

    def row_by_row(self) -> Iterator[str]:
        for query, plan in self.seen:
            for node in _nodes(plan):
                if node["Node Type"] == "Nested Loop" and _is_large(node["Plans"][-1]):
                    yield " ".join(query.split())[:300]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _is_large(inner: dict[str, Any]) -> bool:
    """Read many times over, and much of it each time."""
    return any(
        node["Actual Loops"] >= MANY
        and node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
        >= MANY
        for node in _nodes(inner)
    )


@pytest.fixture
def plans(desk: Desk) -> Plans:
    found = Plans()
    event.listen(desk.database._engine, "before_cursor_execute", found.explain)
    return found


def test_no_statement_joins_two_large_inputs_row_by_row(desk: Desk, plans: Plans) -> None:
    today = eastern_date(desk.clock())
    for edition in (0, 1):
        desk.answer("ACTIV", answer(edition))
        desk.sync()
    desk.execute(UNITS, today - timedelta(days=1))
    desk.answer("CLOSE", answer(2)[:2000])
    desk.answer("QC", answer(2)[2000:4000])
    desk.sync("QC", "CLOSE")
    session = desk.session
    for dates in ([today], [previous_weekday(today), today]):
        take_snapshots(session, open_snapshots(session, SnapshotRequest(dates)))
    report_page(week_progress(session))
    overview(session)
    with session.database.transaction() as connection:
        common_state(connection)
    for check in CHECKS:
        ask(session, check)
    assert len(plans.seen) > 100
    assert list(plans.row_by_row()) == []


def test_the_latest_aggregate_is_looked_up_in_the_plan_of_whoever_asks(desk: Desk) -> None:
    plan = desk.rows(
        "EXPLAIN SELECT a.* FROM circuits AS c LEFT JOIN LATERAL latest_aggregate(c.id, false) AS a ON true"
    )
    told = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "Function Scan" not in told
    assert "uq_circuit_aggregates_circuit_id_aggregate_date_is_rollup" in told


def test_two_large_inputs_that_are_joined_row_by_row_are_seen(desk: Desk, plans: Plans) -> None:
    with desk.database.transaction() as connection:
        connection.execute(text("SELECT count(*) FROM generate_series(1, 600) AS a, generate_series(1, 600) AS b"))
    assert len(list(plans.row_by_row())) == 1
