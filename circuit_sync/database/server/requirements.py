"""What a database must be and allow, asked before anything is stored there."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.database.urls import DAGSTER_SCHEMA
from circuit_sync.domain.errors import PermanentError

MINIMUM_SERVER_VERSION = 140000
_OURS = "staged_circuits"
"""A table of ours since the first version, whose name no other program is likely to use."""

_SURROUNDINGS = text("""
    SELECT quote_ident(current_database()) AS database, quote_ident(current_user) AS role,
           quote_ident(current_schema()) AS schema, to_regclass('alembic_version') IS NOT NULL AS has_version,
           current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
           has_database_privilege(current_database(), 'TEMPORARY') AS may_make_temporary_tables,
           has_database_privilege(current_database(), 'CREATE') AS may_make_schemas,
           has_schema_privilege(current_schema(), 'CREATE') AS may_make_tables,
           d.dagster IS NOT NULL AS has_dagster,
           has_schema_privilege(d.dagster, 'USAGE')
               AND (has_schema_privilege(d.dagster, 'CREATE')
                    OR EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = d.dagster)) AS may_use_dagster
    FROM (SELECT to_regnamespace(:dagster)::oid AS dagster) AS d
""")

_FORMER_PATH = text("""
    SELECT current_user AS role, current_schema() AS schema, reset_val AS path
    FROM pg_settings WHERE name = 'search_path'
""")
_WHERE_OURS_STAND = text("""
    SELECT path.name
    FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS path (name, place)
    JOIN pg_namespace AS n ON n.nspname = path.name
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = :ours
    ORDER BY path.place LIMIT 1
""")
_IN_A_PATH = re.compile(r'"((?:[^"]|"")*)"|([^",\s]+)')
_VERSIONS = text("SELECT version_num FROM alembic_version ORDER BY 1")
_SERVER_VERSION = text("SELECT current_setting('server_version')")
_IS_READ_ONLY = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")
_IS_HERE = text("SELECT to_regclass(:table) IS NOT NULL")


def check_database(connection: Connection, revisions: Sequence[str]) -> None:
    """Raises ``PermanentError``, in one line with the cures, for a database in which this program cannot work.

    ``revisions`` of our schema, oldest first. The right to make tables is asked for if there are some to make.
    """
    found = connection.execute(_SURROUNDINGS, {"dagster": DAGSTER_SCHEMA}).one()
    _refuse(_unfit(found))
    _refuse(_elsewhere(connection))
    revision = _revision(connection, revisions, found.schema) if found.has_version else None
    _refuse(_rights_missing(found, makes_tables=revision != revisions[-1]))


@dataclass(frozen=True)
class Aspect:
    """One thing that a database must be or allow: what is so, and why it cannot work, with the cure.

    ``is_made``: our tables are there.
    """

    name: str
    found: str
    wrong: str = ""
    is_made: bool = False


def look_at_database(connection: Connection, revisions: Sequence[str]) -> list[Aspect]:
    """What ``check_database`` asks, one by one, for people who want to know; nothing is refused."""
    found = connection.execute(_SURROUNDINGS, {"dagster": DAGSTER_SCHEMA}).one()
    revision, foreign = None, ""
    try:
        revision = _revision(connection, revisions, found.schema) if found.has_version else None
    except PermanentError as error:
        foreign = str(error)
    makes_tables = revision != revisions[-1]
    stand = f"made, of revision {revision}" if revision else "not made yet: any command makes them"
    older = f"; {revisions[-1]} is the newest, any command migrates to it" if revision and makes_tables else ""
    return [
        Aspect("version", f"PostgreSQL {connection.scalar(_SERVER_VERSION)}", _joined(_too_old(found))),
        Aspect("encoding", found.encoding, _joined(_wrong_encoding(found))),
        Aspect("tables", stand + older, _joined(_elsewhere(connection)) or foreign, revision is not None),
        Aspect(
            "rights",
            f"the role {found.role} may make what is to be made in {found.database}",
            _joined(_rights_missing(found, makes_tables=makes_tables)),
        ),
        Aspect("writes", "taken", _joined(_read_only(connection))),
    ]


def _joined(reasons: Iterator[str]) -> str:
    return "; ".join(reasons)


def _read_only(connection: Connection) -> Iterator[str]:
    if connection.scalar(_IS_READ_ONLY):
        yield (
            "the server takes no writes now: name the primary server in CIRCUIT_SYNC_DATABASE_URL, or end its "
            "default_transaction_read_only"
        )


def _refuse(reasons: Iterator[str]) -> None:
    if line := _joined(reasons):
        raise PermanentError(f"{line}; nothing was done")


def _unfit(found: Any) -> Iterator[str]:
    yield from _too_old(found)
    yield from _wrong_encoding(found)


def _too_old(found: Any) -> Iterator[str]:
    if found.version < MINIMUM_SERVER_VERSION:
        yield f"PostgreSQL 14 or later is needed; this server is version {found.version // 10000}"


def _wrong_encoding(found: Any) -> Iterator[str]:
    if found.encoding != "UTF8":
        yield (
            f"the database {found.database} has the encoding {found.encoding}, and UTF8 is needed: make another one "
            "with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', and name it in CIRCUIT_SYNC_DATABASE_URL"
        )


def _elsewhere(connection: Connection) -> Iterator[str]:
    """Whether our tables stand where a session of this role is led by default, and not where we keep them."""
    found = connection.execute(_FORMER_PATH).one()
    entries = [quoted.replace('""', '"') or bare.lower() for quoted, bare in _IN_A_PATH.findall(found.path)]
    names = [found.role if name == "$user" else name for name in (*entries, "$user")]
    place = connection.scalar(_WHERE_OURS_STAND, {"names": names, "ours": _OURS})
    if place is not None and place != found.schema:
        yield (
            f"the tables of circuit_sync stand in the schema {place}, where the search_path of the role {found.role} "
            f"leads, and are kept in {found.schema} now: move them (docs/deploy.md, *Another schema*)"
        )


def _revision(connection: Connection, revisions: Sequence[str], schema: str) -> str:
    """The revision of our schema; ``PermanentError`` if it is none of ``revisions``, or another program's."""
    versions = [str(version) for version in connection.scalars(_VERSIONS)]
    is_ours = bool(connection.scalar(_IS_HERE, {"table": _OURS})) and len(versions) == 1
    if is_ours and versions[0] in revisions:
        return versions[0]
    if is_ours and re.fullmatch("[0-9]{4}", versions[0]):
        raise PermanentError(
            f"the database's schema {versions[0]} is newer than this program: install the newer circuit_sync"
        )
    said = ", ".join(map(repr, versions)) or "nothing"
    raise PermanentError(
        f"the table alembic_version of the schema {schema} says {said}: it is another program's, such as Dagster's; "
        "name a database without one in CIRCUIT_SYNC_DATABASE_URL; nothing was done"
    )


def _rights_missing(found: Any, *, makes_tables: bool) -> Iterator[str]:
    database, role, schema = found.database, found.role, found.schema
    if schema is None:
        yield f"the role {role} may use no schema of its search_path: GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    elif makes_tables and not found.may_make_tables:
        yield (
            f"the role {role} may make no tables in the schema {schema} (since PostgreSQL 15 only the database's owner "
            f"may): GRANT CREATE ON SCHEMA {schema} TO {role}"
        )
    if not found.may_make_temporary_tables:
        yield f"the role {role} may make no temporary tables: GRANT TEMPORARY ON DATABASE {database} TO {role}"
    if not found.has_dagster and not found.may_make_schemas:
        yield f"the role {role} may make no schema: CREATE SCHEMA {DAGSTER_SCHEMA} AUTHORIZATION {role}"
    if found.has_dagster and not found.may_use_dagster:
        yield f"the role {role} may not use {DAGSTER_SCHEMA}: GRANT USAGE, CREATE ON SCHEMA {DAGSTER_SCHEMA} TO {role}"
