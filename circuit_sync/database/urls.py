"""Database URLs: ours for psycopg 3, Dagster's storage for psycopg 2, and one fit for an operator's eyes."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from circuit_sync.domain.errors import UsageError

DAGSTER_SCHEMA = "dagster"
_CONNECT_TIMEOUT_SECONDS = "10"


def parse_url(text: str) -> URL:
    """The URL with the driver of our own data; any of PostgreSQL's spellings is taken."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername.split("+")[0] not in {"postgresql", "postgres"} or not url.database:
        raise UsageError(
            "CIRCUIT_SYNC_DATABASE_URL is no PostgreSQL URL: it looks like postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    return url.set(drivername="postgresql+psycopg")


def masked(text: str) -> str:
    """The URL without its password, for messages."""
    return parse_url(text).set(drivername="postgresql").render_as_string(hide_password=True)


def dagster_url(text: str) -> str:
    """The URL of Dagster's storage: a schema of its own in the same database.

    It names the driver: SQLAlchemy takes a bare ``postgresql://`` as psycopg 3, with which Dagster's storage breaks.
    And it bounds each attempt to connect, of which Dagster makes several: a host may drop what is sent to it.
    """
    url = parse_url(text)
    options = f"{url.query.get('options', '')} -csearch_path={DAGSTER_SCHEMA}".strip()
    wanted = {"connect_timeout": _CONNECT_TIMEOUT_SECONDS} | dict(url.query) | {"options": options}
    url = url.set(drivername="postgresql+psycopg2").set(query=wanted)
    return url.render_as_string(hide_password=False)
