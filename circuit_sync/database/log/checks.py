"""The questions of the asset checks, each one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

_RECENT_ANSWERS = text("""
    SELECT s.status, recent.id AS sync_id, recent.place, recent.counts
    FROM unnest(CAST(:statuses AS text[])) AS s (status)
    CROSS JOIN LATERAL (
        SELECT id, context -> 'per_status' -> s.status AS counts, row_number() OVER (ORDER BY id DESC) AS place
        FROM sync_logs
        WHERE sync_type = 'circuit_list' AND sync_status IN ('completed', 'warning')
          AND context -> 'per_status' ? s.status
        ORDER BY id DESC LIMIT :most) AS recent
    ORDER BY s.status, recent.place
""")

_WITHOUT_REGION = text("""
    SELECT work_order, extension FROM circuits
    WHERE region_id IS NULL AND departed_at IS NULL ORDER BY work_order, extension
""")

_NEW_REGIONS = text("""
    SELECT DISTINCT jsonb_array_elements_text(context -> 'new_regions') AS region FROM sync_logs
    WHERE sync_type = 'circuit_list' AND completed_at > :since AND jsonb_array_length(context -> 'new_regions') > 0
      AND id > (SELECT min(id) FROM sync_logs
                WHERE sync_type = 'circuit_list' AND sync_status IN ('completed', 'warning'))
    ORDER BY region
""")

_UNLINKED = text("""
    SELECT ws_username, occurrence_count AS circuits FROM unlinked_planners
    WHERE linked_user_id IS NULL AND occurrence_count > 0 ORDER BY occurrence_count DESC, ws_username
""")

_ORPHANED_SPLITS = text("""
    SELECT work_order, extension, api_status AS status FROM circuits
    WHERE extension <> '@' AND parent_circuit_id IS NULL AND departed_at IS NULL AND api_status <> 'CLOSE'
    ORDER BY work_order, extension
""")

_NOT_CONTAINED = text("""
    SELECT m.work_order, m.total_miles AS main_miles, count(*) AS splits, sum(s.total_miles) AS split_miles
    FROM circuit_own_values AS o
    JOIN circuits AS m ON m.id = o.circuit_id
    JOIN circuits AS s ON s.work_order = m.work_order AND s.extension <> '@' AND s.departed_at IS NULL
    WHERE o.splits_contained IS FALSE
      AND NOT EXISTS (SELECT 1 FROM database_settings WHERE name = 'mains_contain_splits' AND value = 'no')
    GROUP BY m.id
    HAVING bool_or(s.api_status <> 'CLOSE') OR (m.api_status <> 'CLOSE' AND m.departed_at IS NULL)
    ORDER BY m.work_order
""")

_LATEST = """
    SELECT a.* FROM circuits AS c CROSS JOIN (VALUES (false), (true)) AS kinds (is_rollup) CROSS JOIN LATERAL (
        SELECT * FROM circuit_aggregates WHERE circuit_id = c.id AND is_rollup = kinds.is_rollup
        ORDER BY aggregate_date DESC LIMIT 1) AS a
"""
"""The latest aggregates of each circuit, looked up one by one: what was before them costs nothing."""

_UNRECONCILED = text(f"""
    SELECT c.work_order, c.extension, a.is_rollup, a.aggregate_date AS date
    FROM ({_LATEST}) AS a
    JOIN circuits AS c ON c.id = a.circuit_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((value ->> 'unit_count')::int), 0) AS units,
               coalesce(sum((value ->> 'linear_ft')::numeric), 0) AS linear_ft,
               coalesce(sum((value ->> 'acres')::numeric), 0) AS acres,
               coalesce(sum((value ->> 'trees')::int), 0) AS trees
        FROM jsonb_each(a.planner_distribution)) AS p
    WHERE a.total_units <> (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(a.unit_counts_by_type))
       OR a.total_units <> (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(a.permission_counts))
       OR a.total_linear_ft <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.linear_ft_by_type))
       OR a.total_acres <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.acres_by_type))
       OR (a.total_units, a.total_linear_ft, a.total_acres, a.total_trees)
          IS DISTINCT FROM (p.units, p.linear_ft, p.acres, p.trees)
       OR (a.trees_by_type || a.pending_by_date <> '{{}}'
           AND (a.total_trees <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.trees_by_type))
                OR a.units_pending <> (SELECT coalesce(sum(value::numeric), 0)
                                       FROM jsonb_each_text(a.pending_by_date))))
    ORDER BY c.work_order, c.extension
""")

_TREES_DIFFER = text(f"""
    SELECT c.work_order, c.extension, a.total_trees AS ours, c.api_data ->> 'UNITCOUNTS_NUMTREES' AS workstudio
    FROM ({_LATEST}) AS a JOIN circuits AS c ON c.id = a.circuit_id
    WHERE a.is_rollup = EXISTS (SELECT 1 FROM circuit_aggregates WHERE circuit_id = c.id AND is_rollup)
      AND c.departed_at IS NULL AND c.last_planned_units_synced_at >= c.updated_at
      AND jsonb_typeof(c.api_data -> 'UNITCOUNTS_NUMTREES') = 'number'
      AND (c.api_data ->> 'UNITCOUNTS_NUMTREES')::numeric <> a.total_trees
    ORDER BY c.work_order, c.extension
""")

_LATEST_AGGREGATE_SYNC = text("""
    SELECT id AS sync_id, (context -> 'counts' ->> 'work_orders')::int AS done,
           (context -> 'counts' ->> 'failed')::int AS failed
    FROM sync_logs
    WHERE sync_type = 'aggregates' AND sync_status <> 'started' AND context ? 'counts'
      AND coalesce(context -> 'work_orders', '[]') = '[]'
    ORDER BY id DESC LIMIT 1
""")

_OLDEST_AGGREGATE = text("""
    SELECT work_order, extension, last_planned_units_synced_at AS synced_at FROM circuits
    WHERE api_status = 'ACTIV' AND planned_units_sync_enabled AND NOT is_excluded AND departed_at IS NULL
      AND last_planned_units_synced_at IS NOT NULL
    ORDER BY last_planned_units_synced_at, id LIMIT 1
""")


def recent_answers(connection: Connection, statuses: Sequence[str], most: int) -> list[dict[str, Any]]:
    """The latest good syncs of each status, newest first: status, sync_id, place (from 1), counts."""
    return _rows(connection, _RECENT_ANSWERS, {"statuses": list(statuses), "most": most})


def circuits_without_region(connection: Connection) -> list[dict[str, Any]]:
    return _rows(connection, _WITHOUT_REGION)


def new_regions(connection: Connection, since: datetime) -> list[str]:
    """Regions that syncs created since then, those of the very first sync left out."""
    return list(connection.scalars(_NEW_REGIONS, {"since": since}))


def unlinked(connection: Connection) -> list[dict[str, Any]]:
    return _rows(connection, _UNLINKED)


def orphaned_splits(connection: Connection) -> list[dict[str, Any]]:
    """Open splits whose main assessment is not known."""
    return _rows(connection, _ORPHANED_SPLITS)


def splits_not_contained(connection: Connection) -> list[dict[str, Any]]:
    """Work orders, with an open circuit, whose splits have more miles than their main assessment: work_order,
    main_miles, splits, split_miles. None where ``WORKSTUDIO_MAINS_CONTAIN_SPLITS`` says that mains show no splits.
    """
    return _rows(connection, _NOT_CONTAINED)


def unreconciled_aggregates(connection: Connection) -> list[dict[str, Any]]:
    """Latest aggregates in which a breakdown does not add up to its total.

    A row that has neither trees by type nor pending units by date is from before there were such, or from another
    program that knows neither: these two are then not compared.
    """
    return _rows(connection, _UNRECONCILED)


def trees_that_differ(connection: Connection) -> list[dict[str, Any]]:
    """Circuits for which WorkStudio counts other trees than we do, though their units are newer than their change.

    WorkStudio's count of a main assessment includes its splits, as our roll-up does.
    """
    return _rows(connection, _TREES_DIFFER)


def latest_aggregate_sync(connection: Connection) -> dict[str, Any] | None:
    """How many work orders the latest aggregate sync did and how many failed."""
    return next(iter(_rows(connection, _LATEST_AGGREGATE_SYNC)), None)


def oldest_aggregate(connection: Connection) -> dict[str, Any] | None:
    """The ACTIV circuit whose units were fetched longest ago."""
    return next(iter(_rows(connection, _OLDEST_AGGREGATE)), None)


def _rows(
    connection: Connection, statement: TextClause, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(statement, parameters or {})]
