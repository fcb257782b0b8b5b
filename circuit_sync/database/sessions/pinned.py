"""What every connection sets for itself, ours and Dagster's, whatever the administrator chose for other programs.

By ``SET`` after connecting, not by startup options: PgBouncer refuses those. ``default_transaction_read_only`` is left
as it is: who sets it wants nothing written now, as a managed server does whose disk is full (docs/adr/0012).
"""

from collections.abc import Mapping
from dataclasses import dataclass

_SETTINGS = {
    # No time limit of the administrator's: a wait for a lock is no outage, and a lock goes with its idle connection.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # How values are written and read.
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # What a statement sees.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "on",
}
QUOTING = {"standard_conforming_strings": "on"}
"""Not for psycopg2, which settles how it quotes when it connects: changed later, backslashes would come out doubled."""
_SINCE_17 = {"transaction_timeout": "0"}

SERVER = "extract(epoch FROM pg_postmaster_start_time())::text"
_WHO = f"SELECT pg_backend_pid(), {SERVER}, current_schema(), to_regclass('sync_logs') IS NOT NULL"


@dataclass(frozen=True)
class Session:
    """The server's side of a connection: its process, since when its server runs, where new tables would go.

    ``pid`` is told by the server: PgBouncer gives its clients numbers of its own. ``has_our_tables``: circuit_sync's.
    """

    pid: int
    server: str
    schema: str | None
    has_our_tables: bool


def pinning(schema: str, server_version: int, own: Mapping[str, str], more: Mapping[str, str] = QUOTING) -> str:
    """The statements that make a session ours, with the URL's ``own`` settings; their last row is a ``Session``."""
    pinned = {**_SETTINGS, **more, **(_SINCE_17 if server_version >= 170000 else {})}
    free = {name: value for name, value in own.items() if name.lower() not in {known.lower() for known in pinned}}
    settings = [f"SET {_quoted(name)} TO {_literal(value)}" for name, value in pinned.items()]
    settings += [f"SELECT set_config({_literal(name)}, {_literal(value)}, false)" for name, value in free.items()]
    return "; ".join([*settings, f"SET search_path TO {_quoted(schema)}", _WHO])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    """Right whether ``standard_conforming_strings`` is on or off."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"
