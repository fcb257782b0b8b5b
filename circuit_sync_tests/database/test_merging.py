"""The migration to one way of folding names merges what now is one, wherever it is referred to."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync_tests.database.databases import execute, made, migrate_to, rows
from circuit_sync_tests.database.test_migrate import REVISIONS

BEFORE = REVISIONS[REVISIONS.index("0008") - 1]
DAY = "2026-03-02"
DECOMPOSED = "Acme\\Joa\u0303o"


@pytest.fixture
def earlier(postgres_server: str) -> Iterator[Database]:
    """A database of locale C as the version before left it: two of three regions are one, so are users."""
    with made(postgres_server, "LOCALE_PROVIDER libc LOCALE 'C'") as database:
        migrate_to(database, BEFORE)
        execute(
            database,
            "INSERT INTO regions (name, code) VALUES ('São José', 'S'), ('SÃO JOSÉ', 'T'), ('Lehigh', 'L')",
            r"""
            INSERT INTO users (name, email, ws_username, is_ws_linked)
            VALUES ('Ann', 'ann@x', 'ACME\Ânn', true), ('Ann', 'too@x', 'acme\ânn', true), ('Bob', 'bob@x', NULL, false)
            """,
            "INSERT INTO user_regions VALUES (1, 1), (1, 2), (2, 2), (3, 3)",
            rf"""
            INSERT INTO unlinked_planners
                (ws_username, first_seen_at, last_seen_at, occurrence_count, linked_user_id)
            VALUES ('ACME\JOÃO', '2026-01-02Z', '2026-01-03Z', 2, NULL),
                   ('ACME\zoe', '2026-01-01Z', '2026-01-01Z', 1, NULL),
                   ('acme\joão', '2026-01-01Z', '2026-01-05Z', 3, 3),
                   ('{DECOMPOSED}', '2026-01-04Z', '2026-01-04Z', 1, NULL)
            """,
        )
        yield database


def fill(database: Database, table: str, value: int, **given: Any) -> None:
    """A row of ``table`` with ``value`` in each column that needs a number and is not ``given``."""
    with psycopg.connect(database.url) as connection:
        columns = connection.execute(
            """
            SELECT column_name, data_type FROM information_schema.columns
            WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
            """,
            (table,),
        ).fetchall()
        values = {
            name: "now" if "time" in kind else "QC" if kind == "text" else value for name, kind in columns
        } | given
        names, holders = map(sql.Identifier, values), sql.SQL(", ").join([sql.Placeholder()] * len(values))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
        connection.execute(
            insert.format(sql.Identifier(table), sql.SQL(", ").join(names), holders), list(values.values())
        )


def test_regions_that_now_are_one_are_merged_wherever_they_are_referred_to(earlier: Database) -> None:
    for region in (1, 2, 3, None):
        fill(earlier, "circuits", 0, job_guid=f"{region}", work_order=f"{region}", region_id=region)
        fill(earlier, "sync_logs", 0, sync_type="circuit_list", sync_trigger="manual", region_id=region)
        for table in ("circuit_history", "circuit_snapshots"):
            kind = {"snapshot_type": "daily", "snapshot_date": DAY} if table == "circuit_snapshots" else {}
            flag = {"is_excluded": False} if table == "circuit_history" else {}
            fill(earlier, table, 0, circuit_id=region or 4, region_id=region, workflow_stage="qc", **kind, **flag)

    upgrade(earlier)

    assert rows(earlier, "SELECT id, name FROM regions ORDER BY 1") == [(1, "São José"), (3, "Lehigh")]
    assert rows(earlier, "SELECT user_id, region_id FROM user_regions ORDER BY 1, 2") == [(1, 1), (2, 1), (3, 3)]
    for table in ("circuits", "circuit_history", "circuit_snapshots", "sync_logs"):
        found = rows(earlier, f"SELECT region_id, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
        assert found == [(1, 2), (3, 1), (None, 1)], table


def test_roll_ups_of_what_now_is_one_are_added_up(earlier: Database) -> None:
    for region, value in ((1, 1), (2, 10), (3, 100), (None, 1000)):
        fill(earlier, "regional_daily", value, snapshot_date=DAY, region_id=region)
        fill(earlier, "planner_daily", value, snapshot_date=DAY, region_id=region, taken_by="ACME\\JOÃO")
    fill(earlier, "planner_daily", 10_000, snapshot_date=DAY, region_id=2, taken_by="acme\\joão")
    fill(earlier, "planner_daily", 7, snapshot_date=DAY, region_id=2, taken_by=None)
    fill(earlier, "regional_daily", 5, snapshot_date="2026-03-03", region_id=2)

    upgrade(earlier)

    measures = "miles_planned, total_units, total_linear_ft::int, miles_planned_change, circuits"
    assert rows(earlier, f"SELECT region_id, {measures} FROM regional_daily ORDER BY snapshot_date, 1") == [
        (1, 11, 11, 11, 11, 11),
        (3, 100, 100, 100, 100, 100),
        (None, 1000, 1000, 1000, 1000, 1000),
        (1, 5, 5, 5, 5, 5),
    ]
    planners = rows(earlier, f"SELECT region_id, circuit_sync_fold(taken_by), {measures} FROM planner_daily")
    assert sorted(planners, key=lambda row: str(row[2])) == [
        (3, "acme\\joa\u0303o", 100, 100, 100, 100, 100),
        (None, "acme\\joa\u0303o", 1000, 1000, 1000, 1000, 1000),
        (1, "acme\\joa\u0303o", 10_011, 10_011, 10_011, 10_011, 10_011),
        (1, None, 7, 7, 7, 7, 7),
    ]
    weekly = rows(earlier, "SELECT region_id, total_units FROM planner_weekly WHERE taken_by IS NOT NULL ORDER BY 1")
    assert weekly == [(1, 10_011), (3, 100), (None, 1000)]


def test_planners_that_now_are_one_keep_all_that_is_known_of_them(earlier: Database) -> None:
    upgrade(earlier)

    found = rows(
        earlier,
        "SELECT ws_username, first_seen_at::text, last_seen_at::text, occurrence_count, linked_user_id"
        " FROM unlinked_planners ORDER BY id",
    )
    assert [(name, str(first)[:10], str(last)[:10], *rest) for name, first, last, *rest in found] == [
        ("ACME\\JOÃO", "2026-01-01", "2026-01-05", 6, 3),
        ("ACME\\zoe", "2026-01-01", "2026-01-01", 1, None),
    ]


def test_of_users_with_one_workstudio_name_the_first_keeps_it_and_all_stay(earlier: Database) -> None:
    fill(earlier, "circuits", 0, job_guid="1", work_order="1")
    execute(earlier, "INSERT INTO circuit_user (circuit_id, user_id, assignment_source) VALUES (1, 2, 'api_sync')")

    upgrade(earlier)

    assert rows(earlier, "SELECT id, ws_username, is_ws_linked FROM users ORDER BY 1") == [
        (1, "ACME\\Ânn", True),
        (2, None, False),
        (3, None, False),
    ]
    assert rows(earlier, "SELECT user_id FROM circuit_user") == [(2,)]


def test_nothing_changes_where_no_two_names_are_one(earlier: Database) -> None:
    execute(earlier, "DELETE FROM user_regions WHERE region_id = 2", "DELETE FROM regions WHERE id = 2")
    fill(earlier, "regional_daily", 1, snapshot_date=DAY, region_id=1)
    query = "SELECT ctid::text, xmin::text, * FROM"
    before = [rows(earlier, f"{query} {table} ORDER BY 1") for table in ("regions", "regional_daily", "user_regions")]

    upgrade(earlier)

    assert before == [
        rows(earlier, f"{query} {table} ORDER BY 1") for table in ("regions", "regional_daily", "user_regions")
    ]


def test_a_claim_on_an_empty_database_ends_and_one_on_a_filled_one_stays(earlier: Database) -> None:
    claim = "INSERT INTO database_settings VALUES ('workstudio', 'https://mistyped/')"
    execute(earlier, claim)
    fill(earlier, "circuits", 0, job_guid="1", work_order="1")
    upgrade(earlier)
    assert rows(earlier, "SELECT value FROM database_settings WHERE name = 'workstudio'") == [("https://mistyped/",)]


def test_a_claim_of_a_try_that_stored_nothing_ends(earlier: Database) -> None:
    execute(earlier, "INSERT INTO database_settings VALUES ('workstudio', 'https://mistyped/')")

    upgrade(earlier)

    assert rows(earlier, "SELECT value FROM database_settings WHERE name = 'workstudio'") == []
