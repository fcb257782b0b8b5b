"""Which circuits need their planned units fetched (behaviour 11), and those that a sync chose of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

NEEDS_SYNC = """
    CASE
        WHEN c.departed_at IS NOT NULL OR c.is_excluded OR NOT c.planned_units_sync_enabled THEN NULL
        WHEN c.last_planned_units_synced_at IS NULL THEN 'never synced'
        WHEN c.api_status = 'CLOSE' AND EXISTS (
            SELECT 1 FROM circuit_history
            WHERE circuit_id = c.id AND api_status <> 'CLOSE' AND valid_to > c.last_planned_units_synced_at)
            THEN 'closed since'
        WHEN c.api_modified_at > c.last_planned_units_synced_at THEN 'changed'
        WHEN u.workflow_stage = 'pending_permissions' THEN 'pending permissions'
        WHEN c.last_planned_units_synced_at < :midnight THEN 'aged'
    END
"""
"""SQL: why a circuit ``c`` with the UI state ``u`` needs its units fetched, null if it does not.

A closed one that is still enabled after its last aggregate is so by a person's wish, and is judged as any other.
"""

_STATES = "circuits AS c LEFT JOIN circuit_ui_states AS u ON u.circuit_id = c.id"

_COUNT_DUE = text(f"""
    SELECT api_status, count(*) AS circuits
    FROM (SELECT c.api_status, {NEEDS_SYNC} AS reason FROM {_STATES}) AS due
    WHERE reason IS NOT NULL
    GROUP BY api_status
""")

_CHOOSE = text(f"""
    INSERT INTO staged_choices (sync_log_id, circuit_id, work_order, extension, reason)
    SELECT :sync, id, work_order, extension, reason
    FROM (
        SELECT c.id, c.work_order, c.extension,
               coalesce({NEEDS_SYNC},
                        CASE WHEN (:force OR cardinality(CAST(:work_orders AS text[])) > 0)
                                  AND c.departed_at IS NULL AND NOT c.is_excluded THEN 'forced' END) AS reason
        FROM {_STATES}
        WHERE c.api_status = ANY(:statuses)
          AND (cardinality(CAST(:work_orders AS text[])) = 0 OR c.work_order = ANY(:work_orders))) AS judged
    WHERE reason IS NOT NULL
""")

_REASONS = text("""
    SELECT reason, count(*) AS circuits FROM staged_choices WHERE sync_log_id = :sync GROUP BY reason ORDER BY reason
""")

_COUNT_CHOSEN = text("SELECT count(*) FROM staged_choices WHERE sync_log_id = :sync")

CHOSEN_COLUMNS = ("work_order", "circuit_id", "extension", "is_target", "last_units", "has_rollup", "is_excluded")

_CHOSEN = text("""
    SELECT m.work_order, m.id AS circuit_id, m.extension,
           NOT m.is_excluded AND (h.circuit_id IS NOT NULL OR m.planned_units_sync_enabled) AS is_target,
           coalesce(a.total_units, 0) AS last_units,
           EXISTS (SELECT 1 FROM circuit_aggregates WHERE circuit_id = m.id AND is_rollup) AS has_rollup,
           m.is_excluded
    FROM circuits AS m
    LEFT JOIN staged_choices AS h ON h.sync_log_id = :sync AND h.circuit_id = m.id
    LEFT JOIN LATERAL latest_aggregate(m.id, false) AS a ON NOT m.is_excluded
    WHERE m.work_order IN (SELECT work_order FROM staged_choices WHERE sync_log_id = :sync)
      AND m.departed_at IS NULL
    ORDER BY m.work_order, m.extension, m.api_status = 'CLOSE', m.job_guid COLLATE "C"
""")

_UNKNOWN_WORK_ORDERS = text("""
    SELECT named FROM unnest(CAST(:work_orders AS text[])) AS named
    WHERE NOT EXISTS (SELECT 1 FROM circuits WHERE work_order = named)
""")

_LEFT_OUT = text("""
    SELECT DISTINCT named FROM unnest(CAST(:work_orders AS text[])) AS named
    WHERE NOT EXISTS (SELECT 1 FROM staged_choices WHERE sync_log_id = :sync AND work_order = named)
    ORDER BY named
""")


def count_due(connection: Connection, midnight: datetime) -> dict[str, int]:
    """How many circuits of each status need units. ``midnight``: today's first instant in Eastern Time."""
    return {row.api_status: row.circuits for row in connection.execute(_COUNT_DUE, {"midnight": midnight})}


def choose(
    connection: Connection,
    sync_id: int,
    statuses: Sequence[str],
    *,
    midnight: datetime,
    work_orders: Sequence[str] = (),
    force: bool = False,
) -> dict[str, int]:
    """Chooses the circuits whose units a sync fetches; returns how many for which reason (``needs_sync``).

    ``work_orders`` and ``force`` choose circuits that are not due, too; departed and excluded ones never.
    """
    parameters = {
        "sync": sync_id,
        "statuses": list(statuses),
        "midnight": midnight,
        "work_orders": list(work_orders),
        "force": force,
    }
    connection.execute(_CHOOSE, parameters)
    return {row.reason: row.circuits for row in connection.execute(_REASONS, {"sync": sync_id})}


def unknown_work_orders(connection: Connection, work_orders: Sequence[str]) -> list[str]:
    """Those of ``work_orders`` that no circuit has."""
    return list(connection.scalars(_UNKNOWN_WORK_ORDERS, {"work_orders": list(work_orders)}))


def left_out(connection: Connection, sync_id: int, work_orders: Sequence[str]) -> list[str]:
    """Those of ``work_orders`` that no circuit was chosen of."""
    return list(connection.scalars(_LEFT_OUT, {"sync": sync_id, "work_orders": list(work_orders)}))


def count_chosen(connection: Connection, sync_id: int) -> int:
    """How many circuits are still chosen: a crash of the database empties an unlogged table."""
    return int(connection.scalar(_COUNT_CHOSEN, {"sync": sync_id}) or 0)


def chosen(connection: Connection, sync_id: int) -> list[tuple[Any, ...]]:
    """Every circuit of the chosen work orders, with ``CHOSEN_COLUMNS``.

    Those that are no target (their units are not kept up) are there for the roll-up of their work order, excluded ones
    for the units that are theirs and nobody else's. Of several main assessments the one that the splits hang on comes
    first.
    ``last_units``: how many units it had the last time; ``has_rollup``: whether it ever carried a roll-up.
    """
    return [tuple(row) for row in connection.execute(_CHOSEN, {"sync": sync_id})]
