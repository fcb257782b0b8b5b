"""Dagster's storage where ``CIRCUIT_SYNC_DAGSTER_URL`` puts it, such as a database that several locations share."""

from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.database.replica_identity import identify_rows
from circuit_sync.database.urls import DAGSTER_SCHEMA, parse_url
from circuit_sync.domain.errors import UsageError

_DRIVER = "postgresql+psycopg2://"
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('circuit_sync dagster storage', 0))")
_HAS_SCHEMA = text("SELECT current_schema() IS NOT NULL")
_SCHEMA = text("SELECT quote_ident(current_schema())")
_MAKE_SCHEMA = text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}")
_IS_OURS = text("SELECT to_regclass(quote_ident(current_schema()) || '.sync_logs') IS NOT NULL")


def prepare_dagster_storage(url: str) -> None:
    """Makes the schema for Dagster's tables, unless the URL's search path leads to one. The tables Dagster makes.

    Raises ``UsageError`` for a URL with which Dagster's storage would break, or would mix with our own tables.
    """
    _check(url)
    with Database(url) as database, database.transaction() as connection:
        connection.execute(_ONE_AT_A_TIME)
        if not connection.scalar(_HAS_SCHEMA):
            connection.execute(_MAKE_SCHEMA)
        if not connection.scalar(_HAS_SCHEMA):
            raise UsageError("CIRCUIT_SYNC_DAGSTER_URL: its search_path names no schema that exists and may be used")
        if connection.scalar(_IS_OURS):
            raise UsageError(
                "CIRCUIT_SYNC_DAGSTER_URL leads to the schema of circuit_sync's own tables: end it with "
                f"?options=-csearch_path%3D{DAGSTER_SCHEMA}"
            )
        identify_rows(connection, str(connection.scalar(_SCHEMA)))


def _check(url: str) -> None:
    try:
        parse_url(url)
    except UsageError:
        url = ""
    if not url.startswith(_DRIVER):
        raise UsageError(
            f"CIRCUIT_SYNC_DAGSTER_URL is no URL of Dagster's storage: it looks like {_DRIVER}USER:PASSWORD@HOST:5432/"
            f"DATABASE?options=-csearch_path%3D{DAGSTER_SCHEMA}"
        )
