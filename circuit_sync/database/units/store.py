"""Storing the aggregates that were computed of planned units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from circuit_sync.database.circuits.staging import copy_rows
from circuit_sync.domain.aggregates import AGGREGATE_COLUMNS

_VALUES = tuple(name for name in AGGREGATE_COLUMNS if name not in {"circuit_id", "is_rollup"})
_TOTALS = tuple(name for name in _VALUES if name.startswith(("total_", "units_")))

_LOCK = text("SELECT id FROM circuits WHERE id = ANY(:circuits) ORDER BY id FOR UPDATE")


def _of(alias: str) -> str:
    """SQL: the computed values of the table ``alias``."""
    return ", ".join(f"{alias}.{name}" for name in _VALUES)


_INCOMING = text(f"""
    CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS
    SELECT circuit_id, is_rollup, {", ".join(_VALUES)} FROM circuit_aggregates WITH NO DATA
""")

_STORE = text(f"""
    WITH latest AS (
        SELECT a.* FROM incoming AS i CROSS JOIN LATERAL latest_aggregate(i.circuit_id, i.is_rollup) AS a),
    stored AS (
        INSERT INTO circuit_aggregates (circuit_id, is_rollup, aggregate_date, computed_at, {", ".join(_VALUES)})
        SELECT i.circuit_id, i.is_rollup, :day, :now, {_of("i")}
        FROM incoming AS i LEFT JOIN latest AS l USING (circuit_id, is_rollup)
        WHERE l.circuit_id IS NULL
           OR ({_of("i")}) IS DISTINCT FROM ({_of("l")})
        ON CONFLICT (circuit_id, aggregate_date, is_rollup) DO UPDATE
        SET computed_at = excluded.computed_at, {", ".join(f"{name} = excluded.{name}" for name in _VALUES)}
        RETURNING *)
    SELECT s.circuit_id, s.is_rollup, c.work_order, c.extension, s.permission_counts,
           {", ".join(f"s.{name}" for name in _TOTALS)},
           l.circuit_id IS NOT NULL AS has_previous, {", ".join(f"l.{name} AS previous_{name}" for name in _TOTALS)}
    FROM stored AS s JOIN circuits AS c ON c.id = s.circuit_id LEFT JOIN latest AS l USING (circuit_id, is_rollup)
    ORDER BY s.circuit_id, s.is_rollup
""")

_MARK_SYNCED = text("""
    UPDATE circuits AS c
    SET last_planned_units_synced_at = asked.at,
        planned_units_sync_enabled = c.planned_units_sync_enabled AND (
            c.user_modified_fields ? 'planned_units_sync_enabled' OR NOT EXISTS (
                SELECT 1 FROM circuit_history
                WHERE circuit_id = c.id AND api_status = 'CLOSE' AND c.api_status = 'CLOSE'
                  AND valid_from <= asked.at AND (valid_to IS NULL OR valid_to > asked.at)))
    FROM unnest(CAST(:circuits AS bigint[]), CAST(:asked AS timestamptz[])) AS asked (circuit_id, at)
    WHERE c.id = asked.circuit_id
""")

_MEASUREMENTS = text("SELECT code, measurement FROM unit_types")


@dataclass(frozen=True)
class WrittenAggregate:
    """An aggregate that was written. ``totals``, and those of the aggregate before, by column, as JSON numbers."""

    circuit_id: int
    work_order: str
    extension: str
    is_rollup: bool
    permission_counts: Mapping[str, int]
    totals: Mapping[str, float]
    previous: Mapping[str, float] | None


def measurements(connection: Connection) -> dict[str, str]:
    """Unit code → kind of measurement."""
    return {row.code: row.measurement for row in connection.execute(_MEASUREMENTS)}


def store_aggregates(
    connection: Connection,
    rows: Sequence[Sequence[Any]],
    asked: Mapping[int, datetime],
    *,
    day: date,
    now: datetime,
) -> list[WrittenAggregate]:
    """Writes the aggregates that differ from the latest of their circuit, and dates the circuits' last sync.

    ``rows`` have the values of ``AGGREGATE_COLUMNS``; ``asked``: when each circuit's units were asked for: one that was
    closed already then has its last aggregate now, unless a person enabled it.
    """
    connection.execute(_LOCK, {"circuits": sorted({*asked, *(row[0] for row in rows)})})
    connection.execute(_INCOMING)
    copy_rows(connection, "incoming", AGGREGATE_COLUMNS, rows)
    written = [_written(row) for row in connection.execute(_STORE, {"day": day, "now": now})]
    connection.execute(_MARK_SYNCED, {"circuits": list(asked), "asked": list(asked.values())})
    connection.execute(text("DROP TABLE incoming"))
    return written


def _written(row: Row[*tuple[Any, ...]]) -> WrittenAggregate:
    return WrittenAggregate(
        row.circuit_id,
        row.work_order,
        row.extension,
        row.is_rollup,
        row.permission_counts,
        totals=_totals(row),
        previous=_totals(row, "previous_") if row.has_previous else None,
    )


def _totals(row: Row[*tuple[Any, ...]], prefix: str = "") -> dict[str, float]:
    values = {name: row._mapping[prefix + name] for name in _TOTALS}
    return {name: value if isinstance(value, int) else float(value) for name, value in values.items()}
