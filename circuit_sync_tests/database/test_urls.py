"""One URL, spelled for each of its drivers and for people."""

import pytest

from circuit_sync.database.urls import dagster_url, masked


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
