"""The defaults of a database as an administrator may have set them for other programs: none may matter to us.

With ``HOSTILE_DATABASE=1`` the whole suite runs on them (``make e2e`` does). The connections that tests make for
themselves ask to be spared.
"""

import os
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql

IS_WANTED = bool(os.environ.get("HOSTILE_DATABASE"))
DEFAULTS = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "row_security": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "200ms",
    "lock_timeout": "100ms",
    "idle_in_transaction_session_timeout": "300ms",
    "idle_session_timeout": "500ms",
}
SEARCH_PATH = sql.SQL('"$user", nowhere')
_SPARED = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "row_security": "on",
    "default_transaction_isolation": r"read\ committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "search_path": "public",
}


def set_defaults(url: str) -> None:
    """For every later session of the URL's role, in each of its databases."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('hostile defaults', 0))")
        for name, value in DEFAULTS.items():
            setting = sql.SQL("ALTER ROLE CURRENT_USER SET {} TO {}").format(sql.Identifier(name), sql.Literal(value))
            connection.execute(setting)
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER SET search_path TO {}").format(SEARCH_PATH))


def spare_tests(patch: pytest.MonkeyPatch) -> None:
    """What tests look at the database with is as ever; the program connects in another way."""
    patch.setattr(psycopg, "connect", partial(_spared, psycopg.connect))


def _spared(connect: Any, *arguments: Any, options: str = "", **others: Any) -> Any:
    spared = " ".join(f"-c{name}={value}" for name, value in _SPARED.items())
    return connect(*arguments, options=f"{spared} {options}", **others)
