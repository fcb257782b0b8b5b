"""What stands where Dagster's storage is to be; nothing is made."""

from typing import Any

from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.sessions import OURS
from circuit_sync.database.server.requirements import Aspect
from circuit_sync.database.urls import check_dagster_url, dagster_schema, masked, own_settings, parse_url

_FOUND = text("""
    SELECT quote_ident(current_database()) AS database, quote_ident(current_user) AS role, quote_ident(:schema) AS name,
           n.oid IS NOT NULL AS is_there, has_database_privilege(current_database(), 'CREATE') AS may_make_schemas,
           has_schema_privilege(n.oid, 'USAGE') AS may_use, has_schema_privilege(n.oid, 'CREATE') AS may_make_tables,
           (SELECT count(*) FROM pg_tables WHERE schemaname = :schema) AS tables,
           EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = 'sync_logs') AS is_ours
    FROM (SELECT 1) AS one LEFT JOIN pg_namespace AS n ON n.nspname = :schema
""")


def look_at_dagster_storage(url: str) -> Aspect:
    """The schema of Dagster's tables: where, what is in it, and whether the role may fill it.

    Raises ``UsageError`` for a URL with which Dagster's storage would break, and what ``Database`` raises.
    """
    check_dagster_url(url)
    schema = dagster_schema(own_settings(parse_url(url)))
    with Database(url) as database, database.transaction() as connection:
        found = connection.execute(_FOUND, {"schema": schema}).one()
    stand = f"{found.tables} tables" if found.tables else "no tables yet: Dagster makes them"
    return Aspect("schema", f"{schema} at {masked(url)}: {stand}", _wrong(found))


def _wrong(found: Any) -> str:
    if found.is_ours:
        return OURS
    if not found.is_there and not found.may_make_schemas:
        return f"the schema {found.name} is not there: CREATE SCHEMA {found.name} AUTHORIZATION {found.role}"
    if found.is_there and not (found.may_use and (found.tables or found.may_make_tables)):
        return (
            f"the role {found.role} may not use {found.name}: GRANT USAGE, CREATE ON SCHEMA {found.name} "
            f"TO {found.role}"
        )
    return ""
