"""One URL, spelled for each of its drivers and for people."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.sessions import pinned_url
from circuit_sync.database.sessions.driver import Target
from circuit_sync.database.urls import dagster_url, masked
from circuit_sync.domain.errors import CircuitSyncError, UsageError


@pytest.mark.parametrize(
    ("ours", "dagsters"),
    [
        ("postgresql://u:p@h/db", "u:p@h/db?connect_timeout=10&options=-csearch_path%3Ddagster"),
        ("postgres://u:p@h/db?connect_timeout=3", "u:p@h/db?connect_timeout=3&options=-csearch_path%3Ddagster"),
        (
            "postgresql://u:p@h/db?sslmode=require&options=-cwork_mem%3D8MB",
            "u:p@h/db?connect_timeout=10&options=-cwork_mem%3D8MB+-csearch_path%3Ddagster&sslmode=require",
        ),
    ],
)
def test_dagsters_storage_is_a_schema_of_the_same_database_that_nobody_waits_long_for(ours: str, dagsters: str) -> None:
    assert dagster_url(ours) == f"postgresql+psycopg2://{dagsters}"


def test_people_see_no_password() -> None:
    assert masked("postgresql+psycopg://u:SECRET@h:5432/db") == "postgresql://u:***@h:5432/db"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:///db?host=H&user=U&password=SECRET", "postgresql://U:***@H/db"),
        ("postgresql:///db?host=H&port=5433&sslpassword=SECRET&sslkey=SECRET", "postgresql://H:5433/db"),
        ("postgresql://u@h/db?passfile=/home/SECRET&application_name=SECRET", "postgresql://u@h/db"),
        ("postgresql:///?service=SECRET", "postgresql:///"),
        ("postgresql://u:SECRET@one:1,two:2/db", "postgresql://u:***@one:1,two:2/db"),
        ("postgresql://u:SECRET@/db?host=one:1&host=two:2", "postgresql://u:***@one:1,two:2/db"),
        ("postgresql://u:SECRET@one,two/db?target_session_attrs=SECRET", "postgresql://u:***@one,two/db"),
        ("postgresql://u:SECRET%40h%2F@[::1]:5432/db?options=-cSECRET%3DSECRET", "postgresql://u:***@[::1]:5432/db"),
        ("postgresql://u:a/SECRET@h/db", "postgresql://u:***@h/db"),
        ("postgresql://%2Fvar%2Frun/db?password=SECRET", "postgresql://:***@/var/run/db"),
        ("postgresql://u:SECRET?x@h/db#SECRET", None),
        ("postgresql://u:a@SECRET@h/db", None),
        ("postgresql://u:p@h/db&password=SECRET", None),
        ("postgresql://u:p@h/password=SECRET", None),
        ("postgresql://u:p@h:SECRET/db", None),
        ("host=h password=SECRET dbname=db", None),
        ("mysql://u:SECRET@h/db", None),
    ],
)
def test_of_a_url_people_see_user_hosts_ports_and_database_only(url: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(UsageError, match=r"^CIRCUIT_SYNC_DATABASE_URL is no PostgreSQL URL: ") as refused:
            masked(url)
        assert "SECRET" not in str(refused.value)
    else:
        assert masked(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/nowhere&user=U&password=SECRET",
        "postgresql:///?service=SECRET",
        "postgresql://u@/db?host=/nowhere&sslmode=SECRET",
        "postgresql://u@/db?host=/nowhere&connect_timeout=SECRET",
        "postgresql://u@/db?host=/nowhere&target_session_attrs=SECRET",
        "postgresql://u:SECRET@127.0.0.1:1,127.0.0.1:2/db",
    ],
)
def test_no_error_of_a_driver_tells_more(url: str) -> None:
    with pytest.raises(CircuitSyncError) as ours, Database(url) as database, database.transaction():
        pass
    assert "SECRET" not in str(ours.value)
    assert "SECRET" not in repr(database)
    with pytest.raises(OperationalError) as dagsters:
        create_engine(pinned_url(dagster_url(url))).connect()
    assert "SECRET" not in str(dagsters.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:p%20w@h/db", "postgresql://u:p w@h/db", "postgresql:///db?password=p w"]
)
def test_a_password_is_read_alike_whoever_connects(url: str) -> None:
    assert Target.of(url).server.parameters["password"] == "p w"
    assert Target.of(dagster_url(url)).server.parameters["password"] == "p w"
