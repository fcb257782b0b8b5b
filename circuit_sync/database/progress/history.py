"""What was true when: the history of circuits, and the snapshots computed from it."""

from datetime import datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops
from circuit_sync.database.locks import HISTORY, take_until_end
from circuit_sync.database.progress.states import PROGRESS, STATE

_STATE_COLUMNS = (*STATE, *PROGRESS, "is_excluded", "departed_at", "work_order", "extension", "start_date")
_STATE = ", ".join(f"u.{column}" if column == "workflow_stage" else f"c.{column}" for column in _STATE_COLUMNS)
_RECORDED = ", ".join(f"h.{column}" for column in _STATE_COLUMNS)
_NAMES = ", ".join(_STATE_COLUMNS)

_NAMED = "({0}.work_order, {0}.extension, {0}.start_date)"
_WAS = ", ".join(f"h.{column} AS was_{column}" for column in ("valid_from", "work_order", "extension", "start_date"))

_LIST_MOVED = text(f"""
    CREATE TEMPORARY TABLE moved ON COMMIT DROP AS
    SELECT c.id AS circuit_id, greatest(CAST(:now AS timestamptz), h.valid_from) AS moved_at, {_STATE}, {_WAS},
           h.work_order IS NOT NULL AND {_NAMED.format("h")} IS DISTINCT FROM {_NAMED.format("c")} AS is_renamed
    FROM circuits AS c
    JOIN circuit_ui_states AS u ON u.circuit_id = c.id
    LEFT JOIN LATERAL (
        SELECT * FROM circuit_history WHERE circuit_id = c.id ORDER BY valid_from DESC LIMIT 1) AS h ON true
    WHERE h.valid_to IS NOT NULL OR h.circuit_id IS NULL OR ({_STATE}) IS DISTINCT FROM ({_RECORDED})
""")
"""Each circuit's newest history row is looked up by index: what was before it costs nothing."""

_ANY_RENAMED = text("SELECT EXISTS (SELECT 1 FROM moved WHERE is_renamed)")

# Rows of before these columns have none of them, which reads as "as circuits says": it does not any more.
_KEEP_OLD_NAMES = text("""
    UPDATE circuit_history AS h
    SET work_order = m.was_work_order, extension = m.was_extension, start_date = m.was_start_date
    FROM moved AS m WHERE m.is_renamed AND h.circuit_id = m.circuit_id AND h.work_order IS NULL
""")

_CLOSE = text("""
    UPDATE circuit_history AS h SET valid_to = moved_at
    FROM moved WHERE h.circuit_id = moved.circuit_id AND h.valid_from = moved.was_valid_from AND h.valid_to IS NULL
""")

_OPEN = text(f"""
    INSERT INTO circuit_history (circuit_id, valid_from, {_NAMES})
    SELECT circuit_id, moved_at, {_NAMES} FROM moved
    ON CONFLICT (circuit_id, valid_from) DO UPDATE
    SET valid_to = NULL, {", ".join(f"{column} = excluded.{column}" for column in _STATE_COLUMNS)}
""")

_FORGET = text("DROP TABLE moved")


def record_history(connection: Connection, now: datetime) -> None:
    """Writes a row for every circuit whose state differs from its newest history row; an unchanged one gets none.

    It compares all circuits, so that a change made by another program is dated by the next sync or snapshot at the
    latest. One transaction at a time does so, up to its end; what one dated later than ``now`` stays in its order.
    """
    take_until_end(connection, HISTORY)
    with nested_loops(connection, allowed=True):
        connection.execute(_LIST_MOVED, {"now": now})
        if connection.scalar(_ANY_RENAMED):
            connection.execute(_KEEP_OLD_NAMES)
        connection.execute(_CLOSE)
    connection.execute(_OPEN)
    connection.execute(_FORGET)
