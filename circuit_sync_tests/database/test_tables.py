"""The migrated database is the one that ``tables.py`` defines, and refuses what must not be."""

from collections import Counter
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.schema import CheckConstraint, CreateTable

from circuit_sync.database import tables
from circuit_sync.database.connection import Database
from circuit_sync.database.descriptions import columns_of, views
from circuit_sync.database.migrate import read_unit_types
from circuit_sync.database.urls import parse_url
from circuit_sync_tests.scenery import Desk


def test_the_migrated_database_equals_the_definitions(database: Database) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def test_checks_expressions_and_storage_equal_the_definitions(database: Database, database_url: str) -> None:
    """What the comparison above does not see: a schema made from the definitions alone looks the same."""
    with database.transaction() as connection:
        migrated = _catalogue(connection)
        connection.exec_driver_sql("CREATE SCHEMA defined")
        connection.exec_driver_sql("SET LOCAL search_path = defined, public")  # for circuit_sync_fold
        tables.metadata.create_all(connection, checkfirst=False)
        defined = _catalogue(connection)
        connection.exec_driver_sql("SET LOCAL search_path = public")

    assert defined == migrated


def _catalogue(connection: Any) -> dict[str, list[Any]]:
    queries = {
        "constraints": """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text <> 'alembic_version'
            ORDER BY 1, 2
        """,
        "indexes": """
            SELECT tablename, indexname, replace(indexdef, current_schema() || '.', '') FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename <> 'alembic_version' ORDER BY 1, 2
        """,
        "comments": """
            SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
            ORDER BY 1
        """,
        "columns": """
            SELECT c.relname, c.relpersistence, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   a.attidentity, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
            ORDER BY 1, 3
        """,
    }
    return {name: [tuple(row) for row in connection.exec_driver_sql(query)] for name, query in queries.items()}


@pytest.mark.parametrize("relation", [*tables.metadata.tables, *views.tables])
def test_a_table_or_view_and_its_columns_are_described_in_the_database(desk: Desk, relation: str) -> None:
    described = [(column.name, column.kind, column.text) for column in columns_of(relation)]
    found = desk.rows(
        "SELECT column_name, CASE data_type WHEN 'ARRAY' THEN 'text[]' ELSE data_type END AS kind,"
        " col_description(table_name::regclass, ordinal_position) AS text"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
        relation,
    )
    assert sorted((row["column_name"], row["kind"], row["text"]) for row in found) == sorted(described)
    assert all(text for _name, _kind, text in described)
    (stored,) = desk.column("SELECT obj_description(%s::regclass, 'pg_class')", relation)
    assert stored == (tables.metadata.tables | views.tables)[relation].comment


def test_no_view_goes_without_a_description(desk: Desk) -> None:
    found = desk.column("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
    assert set(found) == set(views.tables)


CONTRACT = {
    "regions": "id name code",
    "users": "id name email role ws_username ws_user_guid is_ws_linked",
    "user_regions": "user_id region_id",
    "user_ws_credentials": "user_id encrypted_username encrypted_password is_valid fail_count last_used_at failed_at",
    "unlinked_planners": "id ws_username first_seen_at last_seen_at occurrence_count linked_user_id",
    "circuits": "id job_guid work_order extension parent_circuit_id region_id title job_type cycle_type contractor"
    " taken_by total_miles miles_planned percent_complete total_acres start_date api_status api_modified_at api_data"
    " content_hash user_modified_fields is_excluded planned_units_sync_enabled last_planned_units_synced_at departed_at"
    " created_at updated_at",
    "circuit_ui_states": "circuit_id workflow_stage stage_changed_at stage_changed_by",
    "circuit_user": "circuit_id user_id assignment_source assigned_at",
    "circuit_history": "circuit_id valid_from valid_to api_status workflow_stage region_id taken_by is_excluded"
    " departed_at total_miles miles_planned percent_complete total_acres",
    "circuit_aggregates": "circuit_id aggregate_date is_rollup total_units total_linear_ft total_acres total_trees"
    " units_approved units_refused units_pending unit_counts_by_type linear_ft_by_type acres_by_type trees_by_type"
    " pending_by_date permission_counts planner_distribution computed_at",
    "circuit_snapshots": "circuit_id snapshot_date snapshot_type region_id taken_by api_status workflow_stage"
    " total_miles miles_planned percent_complete total_acres total_units total_linear_ft total_trees units_approved"
    " units_refused units_pending as_of created_at",
    "sync_logs": "id sync_type sync_status sync_trigger region_id api_status_filter triggered_by dagster_run_id"
    " retry_of retry_at started_at completed_at duration_seconds circuits_processed circuits_created circuits_updated"
    " circuits_unchanged rows_received rows_rejected rows_duplicate aggregates_created error_message error_details"
    " context",
    "sync_events": "id name channels payload circuit_id sync_log_id occurred_at",
    "unit_types": "code name category measurement dbh_min_in dbh_max_in species",
}


def test_every_column_of_the_contract_is_there(database_url: str) -> None:
    engine = create_engine(parse_url(database_url))
    inspector = inspect(engine)
    for table, names in CONTRACT.items():
        assert set(names.split()) <= {column["name"] for column in inspector.get_columns(table)}, table
    engine.dispose()


def test_times_are_kept_with_their_zone(database: Database) -> None:
    with database.transaction() as connection:
        plain = connection.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
        )
        assert plain.all() == []


def test_a_table_of_passing_rows_is_unlogged(database: Database) -> None:
    for table in (tables.staged_circuits, tables.staged_choices):
        assert "UNLOGGED" in str(CreateTable(table))


CIRCUIT = "INSERT INTO circuits (job_guid, work_order, api_status, content_hash{}) VALUES ('g', '1', {}, ''{})"
FORBIDDEN = {
    "a circuit of an unknown status": CIRCUIT.format("", "'OPEN'", ""),
    "more than all of it planned": CIRCUIT.format(", percent_complete", "'QC'", ", 100.01"),
    "less than nothing planned": CIRCUIT.format(", percent_complete", "'QC'", ", -0.01"),
    "one user name in two cases": "INSERT INTO users (name, email, ws_username)"
    " VALUES ('a', 'a', 'x'), ('b', 'b', 'X')",
    "an unknown role": "INSERT INTO users (name, email, role) VALUES ('a', 'a', 'boss')",
    "two regions of one name": "INSERT INTO regions (name, code) VALUES ('a', '1'), ('a', '2')",
    "two regions of one code": "INSERT INTO regions (name, code) VALUES ('a', '1'), ('b', '1')",
    "one run twice": "INSERT INTO sync_logs (sync_type, sync_trigger, dagster_run_id, started_at)"
    " SELECT 'aggregates', 'manual', 'r', now() FROM generate_series(1, 2)",
    "an unknown kind of sync": "INSERT INTO sync_logs (sync_type, sync_trigger, started_at)"
    " VALUES ('x', 'manual', now())",
    "an unknown trigger": "INSERT INTO sync_logs (sync_type, sync_trigger, started_at)"
    " VALUES ('aggregates', 'x', now())",
    "one unlinked planner twice": "INSERT INTO unlinked_planners (ws_username, first_seen_at, last_seen_at)"
    " VALUES ('C\\a', now(), now()), ('c\\A', now(), now())",
}
OF_ONE_CIRCUIT = {
    "an unknown stage": "INSERT INTO circuit_ui_states SELECT id, 'done', now(), 'sync' FROM circuits",
    "two open rows of history": "INSERT INTO circuit_history (circuit_id, valid_from, api_status, workflow_stage,"
    " is_excluded) SELECT id, d::date, 'QC', 'qc', false FROM circuits,"
    " (VALUES ('2026-01-01'), ('2026-01-02')) AS v (d)",
    "two aggregates of a date": "INSERT INTO circuit_aggregates (circuit_id, aggregate_date)"
    " SELECT id, '2026-01-01' FROM circuits, generate_series(1, 2)",
    "two daily snapshots of a date": "INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type,"
    " api_status, workflow_stage, as_of) SELECT id, '2026-01-01', 'daily', 'QC', 'qc', now()"
    " FROM circuits, generate_series(1, 2)",
    "a link of an unknown source": "WITH u AS (INSERT INTO users (name, email) VALUES ('a', 'a') RETURNING id)"
    " INSERT INTO circuit_user SELECT c.id, u.id, 'x', now() FROM circuits AS c, u",
}


@pytest.mark.parametrize("what", [*FORBIDDEN, *OF_ONE_CIRCUIT])
def test_the_database_refuses(desk: Desk, what: str) -> None:
    desk.execute(CIRCUIT.format("", "'QC'", "").replace("'g'", "'h'"))

    with pytest.raises(psycopg.errors.IntegrityError):
        desk.execute((FORBIDDEN | OF_ONE_CIRCUIT)[what])


def test_a_circuit_may_have_many_status_changes_a_day(desk: Desk) -> None:
    desk.execute(CIRCUIT.format("", "'QC'", ""))
    daily = OF_ONE_CIRCUIT["two daily snapshots of a date"]

    desk.execute(daily.replace("'daily'", "'status_change'"))


def test_the_unit_types_are_those_of_the_file(desk: Desk) -> None:
    stored = {row.pop("code"): row for row in desk.rows("SELECT * FROM unit_types")}
    shipped = {row["code"]: row for row in read_unit_types()}

    assert stored.keys() == shipped.keys()
    for code, row in stored.items():
        assert {name: row[name] for name in ("name", "category", "measurement", "species")} == {
            name: shipped[code][name] for name in ("name", "category", "measurement", "species")
        }
        for bound in ("dbh_min_in", "dbh_max_in"):
            assert (row[bound] is None) is (shipped[code][bound] is None)
            assert row[bound] is None or float(row[bound]) == float(shipped[code][bound])
    assert Counter(row["measurement"] for row in stored.values()).keys() == {"linear_ft", "acres", "tree_count", "none"}


def test_every_check_has_a_name_of_its_own() -> None:
    names = [c.name for t in tables.metadata.tables.values() for c in t.constraints if isinstance(c, CheckConstraint)]
    assert None not in names
