"""Brings a database to the newest schema; runs forward from any released version and keeps the data."""

import csv
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from circuit_sync.database.connection import Database
from circuit_sync.database.descriptions import describe
from circuit_sync.database.locks import MIGRATE, take_until_end
from circuit_sync.database.progress.recompute import FEW, dates_to_recompute, recompute
from circuit_sync.database.server.replica_identity import identify_rows
from circuit_sync.database.server.requirements import check_database
from circuit_sync.database.settings import read_setting, write_setting
from circuit_sync.database.tables import unit_types
from circuit_sync.database.urls import DAGSTER_SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_UNIT_TYPES = resources.files("circuit_sync.domain") / "unit_types.csv"
_UPGRADED = "upgraded_to"
"""The row of ``database_settings`` that says what the last upgrade left nothing to do of."""
_IS_THERE = text(
    f"SELECT to_regclass('database_settings') IS NOT NULL AND to_regnamespace('{DAGSTER_SCHEMA}') IS NOT NULL"
)


def ensure_upgraded(database: Database, *, mains_contain_splits: str | None = None) -> str | None:
    """Like ``upgrade``, which is not done again where the last one left nothing to do for this program."""
    with database.transaction() as connection:
        is_upgraded = (
            connection.scalar(_IS_THERE)
            and read_setting(connection, _UPGRADED) == _upgraded_to()
            and mains_contain_splits in {None, read_setting(connection, "mains_contain_splits")}
        )
    return None if is_upgraded else upgrade(database, mains_contain_splits=mains_contain_splits)


def upgrade(database: Database, *, mains_contain_splits: str | None = None) -> str | None:
    """Migrates, fills the unit types and makes the schema of Dagster's storage; nothing to do when all is there.

    Numbers of a few dates that a migration makes out of date are computed anew; of more it returns a line to say.
    ``mains_contain_splits``: the setting, which the database keeps for its views (behaviour 19).

    Raises ``PermanentError``, before it stores anything, for what cannot work: see ``database.requirements``.
    """
    from alembic import command  # noqa: PLC0415  takes a third of a second, and most commands find nothing to do
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    with database.transaction() as connection:
        take_until_end(connection, MIGRATE)
        config = migration_config()
        check_database(connection, revisions(config))
        config.attributes["connection"] = connection
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(config, "head")
        if before != MigrationContext.configure(connection).get_current_revision():
            describe(connection)
        _fill_unit_types(connection)
        _make_dagster_schema(connection)
        identify_rows(connection, DAGSTER_SCHEMA)
        if mains_contain_splits not in {None, read_setting(connection, "mains_contain_splits")}:
            write_setting(connection, "mains_contain_splits", str(mains_contain_splits))
        pending = len(dates_to_recompute(connection, FEW + 1))
        if not pending:
            write_setting(connection, _UPGRADED, _upgraded_to())
    if pending > FEW:
        return (
            f"the roll-ups of more than {FEW} dates are of before splits were told from their main assessments: they "
            "may count miles twice until `circuit-sync db upgrade` was run, which takes some minutes"
        )
    if pending:
        recompute(database, datetime.now(UTC), lambda _line: None)
    return None


@cache
def _upgraded_to() -> str:
    """The newest revision, and what unit types are filled from."""
    newest = max(path.name.split("_")[0] for path in _MIGRATIONS.glob("versions/0*.py"))
    return f"{newest} {sha256(_UNIT_TYPES.read_bytes()).hexdigest()[:16]}"


def migration_config() -> "Config":
    """Alembic's configuration; there is no ini file to go missing."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def revisions(config: "Config") -> list[str]:
    """The revisions that this program knows, oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def read_unit_types() -> list[dict[str, Any]]:
    """The unit types shipped with the package, an empty cell as ``None``."""
    with _UNIT_TYPES.open(encoding="utf-8") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]


def _make_dagster_schema(connection: Connection) -> None:
    # Asked first: IF NOT EXISTS wants the right to create schemas even where there is nothing to create.
    if connection.scalar(text(f"SELECT to_regnamespace('{DAGSTER_SCHEMA}') IS NULL")):
        connection.execute(text(f"CREATE SCHEMA {DAGSTER_SCHEMA}"))


def _fill_unit_types(connection: Connection) -> None:
    statement = insert(unit_types)
    new = {name: statement.excluded[name] for name in unit_types.columns.keys() if name != "code"}  # noqa: SIM118
    changed = text("ROW(unit_types.*) IS DISTINCT FROM ROW(excluded.*)")
    connection.execute(
        statement.on_conflict_do_update(index_elements=["code"], set_=new, where=changed), read_unit_types()
    )
