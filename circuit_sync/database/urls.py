"""Database URLs: what the drivers are given, what Dagster's storage is given, and what people are shown."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import ArgumentError

from circuit_sync.domain.errors import UsageError

DAGSTER_SCHEMA = "dagster"
DAGSTER_DRIVER = "postgresql+psycopg2://"
CONNECT_TIMEOUT_SECONDS = 10

_LOOKS_LIKE = (
    "CIRCUIT_SYNC_DATABASE_URL is no PostgreSQL URL: it looks like postgresql://USER:PASSWORD@HOST:5432/DATABASE, with "
    "%40 for an @ in user or password"
)
_A_HOST = re.compile(r"[\w.:%/~,-]*")
_NO_DATABASE = re.compile(r"[=&@#:\s]")
_OPTION = re.compile(r"\s*(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)")
_SHOWN = ("user", "host", "port", "dbname")


def parse_url(text: str) -> URL:
    """The URL with the driver of our own data; any of PostgreSQL's spellings is taken, several hosts too.

    Raises ``UsageError`` also where the parts that are shown could hold a piece of a password that was not encoded.
    """
    try:
        url = make_url(text.strip())
        if url.drivername.split("+")[0] not in {"postgresql", "postgres"}:
            raise UsageError(_LOOKS_LIKE)
        url = url.set(drivername="postgresql+psycopg", host=unquote(url.host) if url.host else None)
        parameters = connect_parameters(url)
    except (ArgumentError, ValueError):
        url = _as_libpq_reads_it(text)
        parameters = connect_parameters(url)
    database = str(parameters.get("dbname") or "")
    if not (database or "service" in parameters) or _NO_DATABASE.search(database):
        raise UsageError(_LOOKS_LIKE)
    if not _A_HOST.fullmatch(str(parameters.get("host") or "")):
        raise UsageError(_LOOKS_LIKE)
    return url


def _as_libpq_reads_it(text: str) -> URL:
    """What SQLAlchemy cannot read: ``postgresql://one:5432,two:5433/database``."""
    try:
        found = conninfo_to_dict(re.sub(r"^\s*postgres(?:ql)?(?:\+\w+)?://", "postgresql://", text))
    except ProgrammingError:
        found = {}
    if not re.match(r"\s*postgres(?:ql)?(?:\+\w+)?://", text) or "," not in str(found.get("host", "")):
        raise UsageError(_LOOKS_LIKE)
    database = str(found.pop("dbname", "") or "")
    return URL.create(
        "postgresql+psycopg", database=database, query={name: str(value) for name, value in found.items()}
    )


def connect_parameters(url: URL) -> dict[str, Any]:
    """The URL as libpq's parameters. Every connection is made from these, so that no two read a URL differently."""
    dialect: Any = PGDialect_psycopg
    _, parameters = dialect().create_connect_args(url.difference_update_query(["options"]))
    return {name: value for name, value in parameters.items() if name != "context" and value is not None}


def own_settings(url: URL) -> dict[str, str]:
    """The session settings that the URL's ``options`` name.

    They are made with ``SET`` after connecting: PgBouncer refuses ``options``. Raises ``UsageError`` for other options.
    """
    found = _OPTION.findall(options := _options(url))
    if _OPTION.sub("", options).strip():
        raise UsageError("the options of a database URL may be settings only: options=-cNAME%3DVALUE")
    return {name.replace("-", "_"): re.sub(r"\\(.)", r"\1", value) for name, value in found}


def _options(url: URL) -> str:
    options = url.query.get("options", "")
    return options if isinstance(options, str) else " ".join(options)


def masked(text: str) -> str:
    """User, hosts, ports and database of the URL, for messages; that it holds a password, but nothing else of it."""
    parameters = connect_parameters(parse_url(text))
    user, hosts, ports, database = (str(parameters.get(name) or "") for name in _SHOWN)
    secret = ":***" if parameters.get("password") else ""
    login = f"{user}{secret}@" if user or secret else ""
    return f"postgresql://{login}{_places(hosts, ports)}/{database}"


def _places(hosts: str, ports: str) -> str:
    named, numbers = hosts.split(","), ports.split(",")
    numbers = numbers * len(named) if len(numbers) == 1 else numbers
    bracketed = [f"[{host}]" if ":" in host else host for host in named]
    return ",".join(f"{host}:{port}" if port else host for host, port in zip(bracketed, numbers, strict=False))


def without_secrets(message: str, parameters: Mapping[str, Any]) -> str:
    """What a driver said, without the parameters but for those that are shown: drivers quote wrong values."""
    shown = {str(parameters.get(name)) for name in _SHOWN}
    for name, value in parameters.items():
        secret = str(value)
        if not secret or secret in shown:
            continue
        message = re.sub(f"(['\"]){re.escape(secret)}\\1", "\\1***\\1", message)
        if "pass" in name or "secret" in name or "key" in name:
            message = message.replace(secret, "***")
    return message


def dagster_url(text: str) -> str:
    """The URL of Dagster's storage: a schema of its own in the same database.

    It names the driver: SQLAlchemy takes a bare ``postgresql://`` as psycopg 3, with which Dagster's storage breaks.
    And it bounds each attempt to connect, of which Dagster makes several: a host may drop what is sent to it.
    """
    url = parse_url(text)
    options = f"{_options(url)} -csearch_path={DAGSTER_SCHEMA}".strip()
    wanted = {"connect_timeout": str(CONNECT_TIMEOUT_SECONDS)} | dict(url.query) | {"options": options}
    url = url.set(drivername="postgresql+psycopg2").set(query=wanted)
    return url.render_as_string(hide_password=False)


def check_dagster_url(text: str) -> None:
    """Raises ``UsageError`` for a URL with which Dagster's storage would break."""
    try:
        own_settings(parse_url(text))
    except UsageError:
        text = ""
    if not text.startswith(DAGSTER_DRIVER):
        raise UsageError(
            "CIRCUIT_SYNC_DAGSTER_URL is not a URL of Dagster's storage: it looks like "
            f"{DAGSTER_DRIVER}USER:PASSWORD@HOST:5432/DATABASE?options=-csearch_path%3D{DAGSTER_SCHEMA}"
        )


def dagster_schema(settings: Mapping[str, str]) -> str:
    """Where Dagster's tables stand by the settings of its URL: the first schema of ``search_path``, else ``public``."""
    return settings.get("search_path", "public").split(",")[0].strip().strip('"')
