"""Databases of a test's own making: with another locale, another encoding, or tables of an earlier version."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from alembic import command
from psycopg import sql

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import migration_config
from circuit_sync_tests.scenery import look_away


@contextmanager
def made(server: str, options: str = "") -> Iterator[Database]:
    """A database without any table, made with ``options`` of ``CREATE DATABASE``."""
    name = f"made_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as administrator:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ").format(sql.Identifier(name))
        administrator.execute(create + sql.SQL(options))  # type: ignore[arg-type]
        try:
            with Database(f"{server.rsplit('/', 1)[0]}/{name}") as database:
                yield database
        finally:
            look_away(database.url)
            administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def migrate_to(database: Database, revision: str, path: str = "public") -> None:
    """As far as ``revision``, and no further, in the schema where ``path`` leads."""
    config = migration_config()
    with database.transaction() as connection:
        connection.exec_driver_sql(f"SET LOCAL search_path = {path}")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def execute(database: Database, *statements: str) -> None:
    """Statements of an administrator, each in a transaction of its own."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]
