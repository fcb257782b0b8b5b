"""Every session is as we need it, whatever the administrator set for other programs."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, create_engine, text

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.sessions import pinned_url
from circuit_sync.database.urls import dagster_url
from circuit_sync.domain.errors import UsageError
from circuit_sync_tests import hostile

SHOWN = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
NOT_DAGSTERS = {"standard_conforming_strings"}
"""psycopg2 quotes as it was when it connected."""


@pytest.fixture
def hostile_url(database_url: str) -> Iterator[str]:
    """A database with every default other than we need it."""
    name = sql.Identifier(database_url.rsplit("/", 1)[1])
    with psycopg.connect(database_url, autocommit=True) as owner:
        for setting, value in hostile.DEFAULTS.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} TO {}")
            owner.execute(statement.format(name, sql.Identifier(setting), sql.Literal(value)))
        owner.execute(sql.SQL("ALTER DATABASE {} SET search_path TO {}").format(name, hostile.SEARCH_PATH))
    return database_url


def settings_of(connection: Connection) -> dict[str, str]:
    names = [*hostile.DEFAULTS, "search_path", "transaction_timeout"]
    return {row.name: row.setting for row in connection.execute(SHOWN, {"names": names})}


def test_our_sessions_and_dagsters_are_the_same_whatever_the_defaults_are(hostile_url: str) -> None:
    with Database(hostile_url) as database, database.transaction() as connection:
        ours = settings_of(connection)
    with create_engine(pinned_url(dagster_url(hostile_url))).connect() as connection:
        dagsters = settings_of(connection)
    assert ours.pop("search_path") == "public"
    assert dagsters.pop("search_path") == "dagster"
    assert {name: dagsters[name] for name in ours.keys() - NOT_DAGSTERS} == {
        name: ours[name] for name in ours.keys() - NOT_DAGSTERS
    }
    assert ours["TimeZone"] == "UTC"
    assert {value for name, value in ours.items() if name.endswith("_timeout")} == {"0"}
    assert not {name for name, value in ours.items() if value == hostile.DEFAULTS.get(name)}


@pytest.mark.parametrize("sent", ["a 'quoted' \\ back\\\\slash", "São José, 木"])
def test_text_comes_back_as_it_was_sent(hostile_url: str, sent: str) -> None:
    with Database(hostile_url) as database, database.transaction() as connection:
        assert connection.scalar(text("SELECT CAST(:sent AS text)"), {"sent": sent}) == sent
    with create_engine(pinned_url(dagster_url(hostile_url))).connect() as connection:
        assert connection.scalar(text("SELECT CAST(:sent AS text)"), {"sent": sent}) == sent


def test_an_instant_comes_back_as_it_was_sent(hostile_url: str) -> None:
    sent = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)
    with Database(hostile_url) as database, database.transaction() as connection:
        assert connection.scalar(text("SELECT CAST(:sent AS timestamptz)"), {"sent": sent}) == sent
        assert connection.scalar(text("SELECT CAST(:sent AS timestamptz)::date::text"), {"sent": sent}) == "2026-03-04"


def test_settings_of_the_urls_own_options_are_set_unless_we_need_them_otherwise(database_url: str) -> None:
    url = f"{database_url}?options=-cwork_mem%3D8MB%20-c%20statement_timeout%3D1%20--TimeZone%3DAsia/Kathmandu"
    with Database(url) as database, database.transaction() as connection:
        assert connection.scalar(text("SHOW work_mem")) == "8MB"
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
        assert connection.scalar(text("SHOW TimeZone")) == "UTC"


def test_options_that_are_no_settings_are_refused(database_url: str) -> None:
    with pytest.raises(UsageError, match="options of a database URL may be settings only"):
        Database(f"{database_url}?options=-f%20s")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            "?options=-csearch_path%3Dnowhere",
            "the schema nowhere, which does not exist .*run `circuit-sync db upgrade`",
        ),
        ("", "leads to the schema of circuit_sync's own tables"),
    ],
)
def test_dagsters_storage_works_in_no_schema_but_its_own(database_url: str, options: str, complaint: str) -> None:
    url = database_url.replace("postgresql:", "postgresql+psycopg2:") + options
    with pytest.raises(UsageError, match=complaint) as refused:
        create_engine(pinned_url(url)).connect()
    assert "\n" not in str(refused.value)
