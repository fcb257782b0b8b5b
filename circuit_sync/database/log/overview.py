"""What an operator asks: the latest syncs, where circuits stand, what is due."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.database.units.due import NEEDS_SYNC
from circuit_sync.domain.printable import Lines


def _at_most(query: str) -> Callable[[Connection, int], Lines]:
    """The first rows of ``query``, as many as are asked for."""
    statement = text(query)
    return lambda connection, most: _rows(connection, statement, most=most)


latest_syncs = _at_most("""
    SELECT l.id, l.sync_type, l.api_status_filter AS statuses, l.sync_status, l.sync_trigger AS trigger, l.started_at,
           l.duration_seconds AS seconds, l.circuits_processed AS processed, l.circuits_created AS created,
           l.circuits_updated AS updated, l.circuits_unchanged AS unchanged, l.rows_rejected AS rejected,
           l.aggregates_created AS aggregates, u.name AS by, l.retry_of, l.retry_at,
           jsonb_array_length(coalesce(l.context -> 'work_orders', '[]')) AS work_orders,
           nullif(concat_ws('; not tried again: ', l.error_message, l.context ->> 'retry_cancelled'), '') AS message
    FROM sync_logs AS l LEFT JOIN users AS u ON u.id = l.triggered_by
    ORDER BY l.id DESC LIMIT :most
""")
"""The newest sync logs, newest first. ``work_orders``: of how many; 0 if of its statuses as a whole."""

_LAST_GOOD = text("""
    SELECT s.status, good.completed_at AS last_good, nullif(good.sync_status, 'completed') AS result,
           good.id AS sync_id, bad.completed_at AS last_failed, bad.error_message AS why
    FROM unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS s (status, place)
    LEFT JOIN LATERAL (
        SELECT id, sync_status, completed_at FROM syncs
        WHERE sync_type = 'circuit_list' AND is_good AND s.status = ANY(statuses)
        ORDER BY id DESC LIMIT 1) AS good ON true
    LEFT JOIN LATERAL (
        SELECT completed_at, error_message FROM syncs
        WHERE sync_type = 'circuit_list' AND sync_status = 'failed' AND id > coalesce(good.id, 0)
          AND s.status = ANY(statuses)
        ORDER BY id DESC LIMIT 1) AS bad ON true
    ORDER BY s.place
""")

_CIRCUITS = text("""
    SELECT c.api_status AS status, coalesce(u.workflow_stage, '') AS stage, count(*) AS circuits,
           sum(o.own_total_miles) AS miles, sum(o.own_miles_planned) AS planned
    FROM circuits AS c JOIN circuit_own_values AS o ON o.circuit_id = c.id
    LEFT JOIN circuit_ui_states AS u ON u.circuit_id = c.id
    WHERE c.departed_at IS NULL AND NOT c.is_excluded
    GROUP BY c.api_status, u.workflow_stage
    ORDER BY array_position(CAST(:statuses AS text[]), c.api_status), stage
""")

_UNITS = text("""
    SELECT coalesce(r.name, '(no region)') AS region, count(*) AS circuits,
           coalesce(sum(a.total_units), 0) AS units, coalesce(sum(a.units_approved), 0) AS approved,
           coalesce(sum(a.units_pending), 0) AS pending, coalesce(sum(a.units_refused), 0) AS refused,
           coalesce(sum(a.total_linear_ft), 0) AS feet, coalesce(sum(a.total_acres), 0) AS acres,
           coalesce(sum(a.total_trees), 0) AS trees
    FROM circuits AS c
    LEFT JOIN regions AS r ON r.id = c.region_id
    LEFT JOIN LATERAL latest_aggregate(c.id, false) AS a ON true
    WHERE c.departed_at IS NULL AND NOT c.is_excluded AND c.api_status <> 'CLOSE'
    GROUP BY r.name
    ORDER BY r.name
""")

_DUE = text(f"""
    SELECT api_status AS status, reason, count(*) AS circuits
    FROM (SELECT c.api_status, {NEEDS_SYNC} AS reason
          FROM circuits AS c LEFT JOIN circuit_ui_states AS u ON u.circuit_id = c.id) AS judged
    WHERE reason IS NOT NULL
    GROUP BY api_status, reason
    ORDER BY array_position(CAST(:statuses AS text[]), api_status), reason
""")

rejected_rows = _at_most("""
    SELECT l.id AS sync_id, r.value ->> 'status' AS status, r.value ->> 'row' AS row, r.value ->> 'column' AS column,
           r.value ->> 'reason' AS reason, r.value ->> 'work_order' AS work_order
    FROM (SELECT id, error_details FROM syncs
          WHERE sync_type = 'circuit_list' AND is_good ORDER BY id DESC LIMIT 4) AS l
    CROSS JOIN LATERAL jsonb_array_elements(coalesce(l.error_details -> 'rejected', '[]')) AS r
    ORDER BY l.id DESC, status, (r.value ->> 'row')::int LIMIT :most
""")
"""The rows that the latest circuit syncs rejected, and why."""

departed_circuits = _at_most("""
    SELECT work_order, extension, title, api_status AS status, departed_at FROM circuits
    WHERE departed_at IS NOT NULL ORDER BY departed_at DESC, work_order, extension LIMIT :most
""")
"""Circuits that left their status' answer and were not seen since."""

unlinked_planners = _at_most("""
    SELECT ws_username, occurrence_count AS circuits, first_seen_at, last_seen_at FROM unlinked_planners
    WHERE linked_user_id IS NULL AND occurrence_count > 0 ORDER BY occurrence_count DESC, ws_username LIMIT :most
""")
"""Planners who hold circuits and are no user's."""


def last_good_syncs(connection: Connection, statuses: Sequence[str]) -> Lines:
    """When each status was last synced well, and what failed since. ``result``: ``warning`` if it ended with one."""
    return _rows(connection, _LAST_GOOD, statuses=list(statuses))


def circuits_by_status(connection: Connection, statuses: Sequence[str]) -> Lines:
    """Circuits, own miles and own miles planned by status and workflow stage, without departed or excluded ones."""
    return _rows(connection, _CIRCUITS, statuses=list(statuses))


def units_by_region(connection: Connection) -> Lines:
    """Units and permissions by the latest aggregates, feet, acres and trees of the circuits that count: open and not
    excluded.
    """
    return _rows(connection, _UNITS)


def due_circuits(connection: Connection, statuses: Sequence[str], midnight: datetime) -> Lines:
    """How many circuits of each status need units, by reason."""
    return _rows(connection, _DUE, statuses=list(statuses), midnight=midnight)


def _rows(connection: Connection, statement: Any, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(statement, parameters)]
