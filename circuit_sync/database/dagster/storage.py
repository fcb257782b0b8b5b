"""Dagster's storage where ``CIRCUIT_SYNC_DAGSTER_URL`` puts it, such as a database that several locations share."""

from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.sessions import OURS
from circuit_sync.database.locks import DAGSTER_STORAGE, take_until_end
from circuit_sync.database.server.replica_identity import identify_rows
from circuit_sync.database.urls import DAGSTER_SCHEMA, check_dagster_url, dagster_schema, own_settings, parse_url
from circuit_sync.domain.errors import UsageError

_HAS_SCHEMA = text("SELECT current_schema() IS NOT NULL")
_SCHEMA = text("SELECT quote_ident(current_schema())")
_MAKE_SCHEMA = text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}")
_IS_OURS = text("SELECT to_regclass(quote_ident(current_schema()) || '.sync_logs') IS NOT NULL")


def prepare_dagster_storage(url: str) -> None:
    """Makes the schema for Dagster's tables, if it is not there. The tables Dagster makes.

    Raises ``UsageError`` for a URL with which Dagster's storage would break, or would mix with our own tables.
    """
    check_dagster_url(url)
    schema = dagster_schema(own_settings(parse_url(url)))
    with Database(url, schema) as database, database.transaction() as connection:
        take_until_end(connection, DAGSTER_STORAGE)
        if schema == DAGSTER_SCHEMA and not connection.scalar(_HAS_SCHEMA):
            connection.execute(_MAKE_SCHEMA)
        if not connection.scalar(_HAS_SCHEMA):
            raise UsageError("CIRCUIT_SYNC_DAGSTER_URL: its search_path names no schema that exists and may be used")
        if connection.scalar(_IS_OURS):
            raise UsageError(OURS)
        identify_rows(connection, str(connection.scalar(_SCHEMA)))
