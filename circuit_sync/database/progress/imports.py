"""Snapshots from another system, and manual ones: what is not computed from history."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import copy_rows
from circuit_sync.database.progress.snapshots import keep_own_values
from circuit_sync.database.progress.states import PROGRESS, STATE, UNITS, dated_states
from circuit_sync.domain.eastern import end_of
from circuit_sync.domain.folding import fold

_VALUES = ("circuit_id", "snapshot_date", *STATE, *PROGRESS, *UNITS)
_NAMES = ", ".join(_VALUES)

_CIRCUITS = text("SELECT id, job_guid, work_order, extension FROM circuits")
_REGIONS = text("SELECT id, name FROM regions")

_INCOMING = text(f"""
    CREATE TEMPORARY TABLE incoming_snapshots ON COMMIT DROP AS
    SELECT 0 AS line, {_NAMES} FROM circuit_snapshots WITH NO DATA
""")

_TWICE = text("""
    SELECT line, first FROM (
        SELECT line, min(line) OVER (PARTITION BY circuit_id, snapshot_date) AS first FROM incoming_snapshots) AS found
    WHERE line > first ORDER BY line
""")

_REPLACE = text("""
    DELETE FROM circuit_snapshots
    WHERE snapshot_type = 'daily' AND snapshot_date IN (SELECT snapshot_date FROM incoming_snapshots)
""")

_IMPORT = text(f"""
    INSERT INTO circuit_snapshots (snapshot_type, {_NAMES}, as_of, created_at, is_imported)
    SELECT 'daily', {_NAMES}, ((snapshot_date + 1)::timestamp AT TIME ZONE :zone) - interval '1 microsecond', :now, true
    FROM incoming_snapshots
""")

_COUNT = text("SELECT snapshot_date, count(*) AS rows FROM incoming_snapshots GROUP BY snapshot_date ORDER BY 1")


def known_circuits(connection: Connection) -> list[tuple[int, str, str, str]]:
    """Every circuit: id, job_guid, work_order, extension."""
    return [tuple(row) for row in connection.execute(_CIRCUITS)]


def known_regions(connection: Connection) -> dict[str, int]:
    """Folded region name → id."""
    return {fold(row.name): row.id for row in connection.execute(_REGIONS)}


def stage_snapshots(connection: Connection, lines: Iterable[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, int]]:
    """Copies numbered lines, as they come, to where ``store_staged`` takes them; returns those that repeat a line."""
    connection.execute(_INCOMING)
    rows = ((number, *(values[name] for name in _VALUES)) for number, values in lines)
    copy_rows(connection, "incoming_snapshots", ("line", *_VALUES), rows)
    return [(row.line, row.first) for row in connection.execute(_TWICE)]


def store_staged(connection: Connection, zone: str, now: datetime) -> dict[date, int]:
    """Replaces each staged date as a whole, marked as imported; returns the rows of each date.

    What has no history gets its own values from the rows of its date.
    """
    counted = {row.snapshot_date: row.rows for row in connection.execute(_COUNT)}
    connection.execute(_REPLACE)
    connection.execute(_IMPORT, {"zone": zone, "now": now})
    with dated_states(connection, {day: end_of(day) for day in counted}, with_snapshots=True):
        keep_own_values(connection, list(counted))
    return counted
