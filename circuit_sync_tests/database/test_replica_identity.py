"""Rows of every table can be told apart: else a publication of all tables forbids to update and to delete them."""

from dagster_postgres import DagsterPostgresStorage

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.storage import prepare_dagster_storage
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.urls import dagster_url
from circuit_sync_tests.database.databases import execute, rows

WITHOUT_IDENTITY = """
    SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'dagster')
      AND NOT (c.relreplident = 'f'
               OR EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = c.oid
                          AND (i.indisprimary AND c.relreplident = 'd' OR i.indisreplident)))
    ORDER BY 1
"""


def test_every_table_has_a_primary_key_or_a_replica_identity(database: Database) -> None:
    DagsterPostgresStorage(dagster_url(database.url), should_autocreate_tables=True)
    assert rows(database, "SELECT to_regclass('dagster.runs') IS NOT NULL") == [(True,)]

    assert rows(database, WITHOUT_IDENTITY) == []


def test_a_table_of_dagster_that_an_old_version_made_without_a_key_gets_one(database: Database) -> None:
    execute(database, "CREATE TABLE dagster.kvs (key text, value text)", 'CREATE TABLE dagster."Odd: 50%" (key text)')
    upgrade(database)

    assert rows(database, WITHOUT_IDENTITY) == []


def test_so_does_one_where_dagsters_storage_is_configured(database: Database) -> None:
    execute(database, "CREATE SCHEMA engine", "CREATE TABLE engine.kvs (key text, value text)")

    prepare_dagster_storage(dagster_url(database.url).replace("dagster", "engine"))

    assert rows(database, "SELECT relreplident FROM pg_class WHERE oid = 'engine.kvs'::regclass") == [("f",)]


def test_what_a_person_decided_stays(database: Database) -> None:
    execute(
        database,
        "CREATE TABLE dagster.kvs (key text NOT NULL UNIQUE)",
        "ALTER TABLE dagster.kvs REPLICA IDENTITY USING INDEX kvs_key_key",
    )
    upgrade(database)

    assert rows(database, "SELECT relreplident FROM pg_class WHERE oid = 'dagster.kvs'::regclass") == [("i",)]
