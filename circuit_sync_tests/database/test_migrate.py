"""Migrations run forward from any released version, once, whoever asks and how often."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql

from circuit_sync.database.connection import Database
from circuit_sync.database.log.checks import unreconciled_aggregates
from circuit_sync.database.migrate import ensure_upgraded, migration_config, upgrade
from circuit_sync.domain.errors import PermanentError

REVISIONS = [script.revision for script in ScriptDirectory.from_config(migration_config()).walk_revisions()][::-1]


@pytest.fixture
def empty(postgres_server: str) -> Iterator[Database]:
    """A database without any table."""
    name = f"empty_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with Database(f"{postgres_server.rsplit('/', 1)[0]}/{name}") as database:
            yield database
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def version(database: Database) -> str:
    with database.transaction() as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def migrate_to(database: Database, revision: str) -> None:
    config = migration_config()
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_an_empty_database_is_brought_to_the_newest_schema(empty: Database) -> None:
    upgrade(empty)

    assert version(empty) == REVISIONS[-1]
    with empty.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM unit_types").scalar_one() > 0
        assert connection.exec_driver_sql("SELECT to_regnamespace('dagster') IS NOT NULL").scalar_one()


def test_migrating_again_changes_nothing(database: Database) -> None:
    def versions() -> list[object]:
        with database.transaction() as connection:
            return list(connection.exec_driver_sql("SELECT ctid, xmin, code FROM unit_types ORDER BY code"))

    before = versions()
    upgrade(database)

    assert versions() == before


def test_a_role_that_may_make_no_schema_is_enough_where_all_is_made(database: Database) -> None:
    name = database.url.rsplit("/", 1)[1]
    with database.transaction() as connection:
        connection.exec_driver_sql(f'REVOKE CREATE ON DATABASE "{name}" FROM CURRENT_USER')

    upgrade(database)

    with database.transaction() as connection:
        may_create = f"SELECT has_database_privilege('{name}', 'CREATE')"
        assert connection.exec_driver_sql(may_create).scalar_one() is False


def test_a_unit_type_that_was_changed_is_what_the_file_says_again(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE unit_types SET name = 'x' WHERE code = 'SPM'")
        connection.exec_driver_sql("INSERT INTO unit_types VALUES ('OWN', 'own', 'own', 'none')")
    upgrade(database)

    with database.transaction() as connection:
        names = connection.exec_driver_sql("SELECT code, name FROM unit_types WHERE code IN ('SPM', 'OWN') ORDER BY 1")
        assert [tuple(row) for row in names] == [("OWN", "own"), ("SPM", "Single Phase - Manual")]


@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_data_of_an_earlier_version_is_kept(empty: Database, released: str) -> None:
    migrate_to(empty, released)
    with empty.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO users (name, email) VALUES ('Ann', 'ann@example.org')")
        connection.exec_driver_sql(
            "INSERT INTO circuits (job_guid, work_order, api_status, content_hash) VALUES ('g', '1', 'QC', '')"
        )
        connection.exec_driver_sql(
            "INSERT INTO circuit_snapshots"
            " (circuit_id, snapshot_date, snapshot_type, api_status, workflow_stage, as_of)"
            " SELECT id, '2026-01-01', 'daily', 'QC', 'qc', now() FROM circuits"
        )
        connection.exec_driver_sql(
            "INSERT INTO sync_logs (sync_type, sync_trigger, started_at) VALUES ('aggregates', 'manual', now())"
        )

    upgrade(empty)

    with empty.transaction() as connection:
        for table in ("users", "circuits", "circuit_snapshots", "sync_logs"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 1, table
    assert version(empty) == REVISIONS[-1]


def test_aggregates_from_before_there_were_pending_dates_have_none_and_are_right(empty: Database) -> None:
    migrate_to(empty, "0005")
    with empty.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuits (job_guid, work_order, api_status, content_hash) VALUES ('g', '1', 'QC', '')"
        )
        connection.exec_driver_sql("""
            INSERT INTO circuit_aggregates (circuit_id, aggregate_date, total_units, total_trees, units_pending,
                                            unit_counts_by_type, permission_counts, planner_distribution)
            SELECT id, '2026-01-01', 1, 3, 1, '{"REM612": 1}', '{"Pending": 1}',
                   '{"Ann": {"unit_count": 1, "linear_ft": 0, "acres": 0, "trees": 3}}'
            FROM circuits
        """)

    upgrade(empty)

    with empty.transaction() as connection:
        breakdowns = connection.exec_driver_sql("SELECT trees_by_type, pending_by_date FROM circuit_aggregates")
        assert [tuple(row) for row in breakdowns] == [({}, {})]
        assert unreconciled_aggregates(connection) == []


def test_two_programs_migrate_one_after_the_other(empty: Database) -> None:
    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(upgrade, empty) for _ in range(3)]:
            done.result()

    assert version(empty) == REVISIONS[-1]


def test_a_database_of_a_newer_program_is_refused_and_left_alone(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(PermanentError, match="9999 is newer than this program"):
        upgrade(database)

    assert version(database) == "9999"


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: Database) -> None:
    with empty.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE unit_types (code int)")

    with pytest.raises(PermanentError, match="unit_types"):
        upgrade(empty)

    with empty.transaction() as connection:
        left = connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert [row.tablename for row in left] == ["unit_types"]


def test_migrations_are_numbered_in_their_order() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    assert all(Path(migration_config().get_main_option("script_location") or "").glob("versions/0001_*.py"))


def test_a_database_that_is_upgraded_is_left_alone_until_there_is_something_to_do(empty: Database) -> None:
    def said() -> list[object]:
        with empty.transaction() as connection:
            return list(
                connection.exec_driver_sql("SELECT ctid, xmin, name, value FROM database_settings ORDER BY name")
            )

    ensure_upgraded(empty, mains_contain_splits="auto")
    before = said()
    ensure_upgraded(empty, mains_contain_splits="auto")
    assert said() == before
    ensure_upgraded(empty, mains_contain_splits="no")
    assert said() != before


@pytest.mark.parametrize(
    "undone",
    [
        "DROP SCHEMA dagster",
        "UPDATE database_settings SET value = '0000' WHERE name = 'upgraded_to'",
        "UPDATE database_settings SET value = '0000' WHERE name = 'upgraded_to'; DELETE FROM unit_types",
    ],
)
def test_what_is_not_as_the_last_upgrade_left_it_is_upgraded_again(empty: Database, undone: str) -> None:
    upgrade(empty)
    with empty.transaction() as connection:
        connection.exec_driver_sql(undone)

    ensure_upgraded(empty)

    with empty.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM unit_types").scalar_one() > 0
        assert connection.exec_driver_sql("SELECT to_regnamespace('dagster') IS NOT NULL").scalar_one()


def test_a_database_of_a_newer_program_is_refused_each_time(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE database_settings SET value = '9999 x' WHERE name = 'upgraded_to'")

    with pytest.raises(PermanentError, match="is newer than this program"):
        ensure_upgraded(empty)
