"""Snapshots from another system, and manual ones: what is not computed from history."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.database.staging import copy_rows
from circuit_sync.domain.folding import fold

_VALUES = (
    "circuit_id",
    "snapshot_date",
    "region_id",
    "taken_by",
    "api_status",
    "workflow_stage",
    "total_miles",
    "miles_planned",
    "percent_complete",
    "total_acres",
    "total_units",
    "total_linear_ft",
    "total_trees",
    "units_approved",
    "units_refused",
    "units_pending",
)
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

_TAKE = text(f"""
    INSERT INTO circuit_snapshots (snapshot_type, {_NAMES}, as_of, created_at)
    SELECT 'manual', h.circuit_id, :day, h.region_id, h.taken_by, h.api_status, h.workflow_stage, h.total_miles,
           h.miles_planned, h.percent_complete, h.total_acres, coalesce(a.total_units, 0),
           coalesce(a.total_linear_ft, 0), coalesce(a.total_trees, 0), coalesce(a.units_approved, 0),
           coalesce(a.units_refused, 0), coalesce(a.units_pending, 0), :now, :now
    FROM circuit_history AS h
    JOIN circuits AS c ON c.id = h.circuit_id
    LEFT JOIN LATERAL (
        SELECT * FROM circuit_aggregates WHERE circuit_id = c.id AND NOT is_rollup
        ORDER BY aggregate_date DESC LIMIT 1) AS a ON true
    WHERE h.valid_to IS NULL AND h.api_status <> 'CLOSE' AND NOT h.is_excluded AND h.departed_at IS NULL
      AND (cardinality(CAST(:work_orders AS text[])) = 0 OR c.work_order = ANY(:work_orders))
""")


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
    """Replaces each staged date as a whole, marked as imported; returns the rows of each date."""
    counted = {row.snapshot_date: row.rows for row in connection.execute(_COUNT)}
    connection.execute(_REPLACE)
    connection.execute(_IMPORT, {"zone": zone, "now": now})
    return counted


def take_manual(connection: Connection, day: date, now: datetime, work_orders: Sequence[str]) -> int:
    """A ``manual`` snapshot of every open circuit, or of those of ``work_orders``; returns how many."""
    taken = connection.execute(_TAKE, {"day": day, "now": now, "work_orders": list(work_orders)})
    return taken.rowcount
