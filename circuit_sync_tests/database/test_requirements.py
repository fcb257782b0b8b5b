"""What cannot work is refused in one line, with the cure, before anything is stored (behaviour 21)."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.requirements import check_database
from circuit_sync.domain.errors import PermanentError
from circuit_sync_tests.database.databases import execute, made, migrate_to, rows
from circuit_sync_tests.database.test_migrate import REVISIONS

TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_|^information' ORDER BY 1, 2"
SETS = "SELECT schemaname FROM pg_tables WHERE tablename = 'circuits'"


@pytest.fixture
def empty(postgres_server: str) -> Iterator[Database]:
    with made(postgres_server) as database:
        yield database


def refused(database: Database) -> str:
    """The line that ``upgrade`` refuses with, having stored nothing."""
    before = rows(database, TABLES)
    with pytest.raises(PermanentError) as raised:
        upgrade(database)
    assert rows(database, TABLES) == before
    assert rows(database, "SELECT to_regproc('circuit_sync_fold') IS NULL") == [(True,)]
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_an_encoding_other_than_utf8_is_refused(
    postgres_server: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
    with made(postgres_server, f"ENCODING '{encoding}' LOCALE 'C'") as database:
        assert f"has the encoding {encoding}, and UTF8 is needed" in refused(database)


RIGHTS = {
    "REVOKE TEMPORARY ON DATABASE {0} FROM PUBLIC, {1}": "GRANT TEMPORARY ON DATABASE {0} TO {1}",
    "REVOKE CREATE ON SCHEMA public FROM pg_database_owner": "GRANT CREATE ON SCHEMA public TO {1}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC, pg_database_owner": "GRANT USAGE, CREATE ON SCHEMA public TO {1}",
    "REVOKE CREATE ON DATABASE {0} FROM {1}": "CREATE SCHEMA dagster AUTHORIZATION {1}",
}


@pytest.mark.parametrize(("taken", "cure"), RIGHTS.items())
def test_a_missing_right_is_named_with_the_statement_that_gives_it(empty: Database, taken: str, cure: str) -> None:
    ((name, role),) = rows(empty, "SELECT current_database(), current_user")
    execute(empty, taken.format(name, role))

    assert cure.format(name, role) in refused(empty)


def test_a_schema_of_dagster_that_the_role_may_not_fill_is_refused(empty: Database) -> None:
    execute(empty, "CREATE SCHEMA dagster", "REVOKE CREATE ON SCHEMA dagster FROM CURRENT_USER")

    assert "GRANT USAGE, CREATE ON SCHEMA dagster TO" in refused(empty)


def test_all_missing_rights_are_named_at_once(empty: Database) -> None:
    ((name, role),) = rows(empty, "SELECT current_database(), current_user")
    execute(empty, *(statement.format(name, role) for statement in list(RIGHTS)[:2]))

    line = refused(empty)

    assert all(cure.format(name, role) in line for cure in list(RIGHTS.values())[:2])


def test_where_all_tables_are_made_no_right_to_make_any_is_needed(database: Database) -> None:
    execute(
        database,
        "REVOKE CREATE ON SCHEMA public FROM pg_database_owner",
        f"REVOKE CREATE ON DATABASE {database.url.rsplit('/', 1)[1]} FROM CURRENT_USER",
    )

    upgrade(database)


def test_where_all_tables_are_made_temporary_ones_still_have_to_be_allowed(database: Database) -> None:
    execute(database, f"REVOKE TEMPORARY ON DATABASE {database.url.rsplit('/', 1)[1]} FROM PUBLIC, CURRENT_USER")

    with pytest.raises(PermanentError, match="GRANT TEMPORARY"):
        upgrade(database)


@pytest.mark.parametrize("versions", [["284a732df317"], ["0003"], ["9999"], [], ["0001", "284a732df317"]])
def test_the_version_table_of_another_program_is_refused_and_left_alone(empty: Database, versions: list[str]) -> None:
    execute(empty, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    for version in versions:
        execute(empty, f"INSERT INTO alembic_version VALUES ('{version}')")

    assert "another program's, such as Dagster's" in refused(empty)
    assert [version for (version,) in rows(empty, "SELECT version_num FROM alembic_version ORDER BY 1")] == versions


@pytest.mark.parametrize(
    "spoilt",
    [
        "UPDATE alembic_version SET version_num = '284a732df317'",
        "INSERT INTO alembic_version VALUES ('284a732df317')",
    ],
)
def test_tables_of_dagster_among_our_own_are_told(database: Database, spoilt: str) -> None:
    execute(database, spoilt)

    with pytest.raises(PermanentError, match=r"284a732df317.*another program's, such as Dagster's"):
        upgrade(database)


# Behaviour 21: never a second set of tables.


@pytest.fixture
def elsewhere(empty: Database) -> Database:
    """Tables of the first version in a schema named like the role, where PostgreSQL's own search_path leads first."""
    execute(empty, "CREATE SCHEMA AUTHORIZATION CURRENT_USER")
    migrate_to(empty, REVISIONS[0], path='"$user"')
    return empty


def test_our_tables_elsewhere_on_the_roles_path_are_told(elsewhere: Database) -> None:
    ((role,),) = rows(elsewhere, "SELECT current_user")
    with elsewhere.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = public")
        with pytest.raises(PermanentError, match=rf"stand in the schema {role}, .* kept in public now: move them"):
            check_database(connection, REVISIONS)


def test_tables_that_the_path_leads_to_are_taken_as_they_are(elsewhere: Database) -> None:
    with elsewhere.transaction() as connection:
        connection.exec_driver_sql('SET LOCAL search_path = "$user"')
        check_database(connection, REVISIONS)


def test_no_second_set_of_tables_is_made(elsewhere: Database) -> None:
    with suppress(PermanentError):
        upgrade(elsewhere)

    assert len(rows(elsewhere, SETS)) == 1


def test_a_schema_named_like_the_role_without_our_tables_is_no_obstacle(empty: Database) -> None:
    execute(empty, "CREATE SCHEMA AUTHORIZATION CURRENT_USER")

    upgrade(empty)

    assert len(rows(empty, SETS)) == 1


def test_tables_elsewhere_that_no_path_leads_to_are_somebody_elses(empty: Database) -> None:
    execute(empty, 'CREATE SCHEMA "Their own"')
    migrate_to(empty, REVISIONS[0], path='"Their own"')

    upgrade(empty)

    assert len(rows(empty, SETS)) == 2


def test_a_path_set_for_the_role_is_read_with_its_quotes(empty: Database) -> None:
    ((name,),) = rows(empty, "SELECT current_database()")
    execute(empty, 'CREATE SCHEMA "Our, ""own"""')
    migrate_to(empty, REVISIONS[0], path='"Our, ""own"""')
    execute(empty, f'ALTER ROLE CURRENT_USER IN DATABASE {name} SET search_path = missing, "Our, ""own""", public')

    with Database(empty.url) as database, database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = public")
        with pytest.raises(PermanentError, match='stand in the schema Our, "own"'):
            check_database(connection, REVISIONS)


def test_the_statements_of_the_docs_move_the_tables(elsewhere: Database) -> None:
    ((role,),) = rows(elsewhere, "SELECT current_user")
    section = Path("docs/deploy.md").read_text().split("## Another schema")[1]
    statement = section.split("```sql")[1].split("\\gexec")[0].replace("OLD", str(role))
    execute(elsewhere, *(str(line) for (line,) in rows(elsewhere, statement)), f"DROP SCHEMA {role}")

    upgrade(elsewhere)

    assert rows(elsewhere, SETS) == [("public",)]
