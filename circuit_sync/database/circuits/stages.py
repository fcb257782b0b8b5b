"""The workflow stage of each circuit, which lives beside it in its UI state.

A stage set by a person (``stage_changed_by`` is not ``sync``) stays until the circuit's API status changes next.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.temporary import changes, stage_changes

_STATUS_STAGE = """
    CASE {status} WHEN 'ACTIV' THEN CASE WHEN {percent} >= 100 THEN 'pending_permissions' ELSE 'active' END
                  WHEN 'QC' THEN 'qc' WHEN 'REWRK' THEN 'rework' ELSE 'closed' END
"""

_STAGE_OF_CIRCUIT = _STATUS_STAGE.format(status="c.api_status", percent="c.percent_complete")

_ADD_UI_STATES = text(f"""
    INSERT INTO circuit_ui_states (circuit_id, workflow_stage, stage_changed_at, stage_changed_by)
    SELECT c.id, {_STAGE_OF_CIRCUIT}, :now, 'sync'
    FROM circuits AS c
    WHERE NOT EXISTS (SELECT 1 FROM circuit_ui_states WHERE circuit_id = c.id)
    ON CONFLICT DO NOTHING
""")

_READ_UI_STATE = text("""
    SELECT workflow_stage, stage_changed_at, stage_changed_by FROM circuit_ui_states WHERE circuit_id = :circuit
""")

_MOVE_STAGES = text(f"""
    WITH moved AS (
        UPDATE circuit_ui_states AS u
        SET workflow_stage = wanted.stage, stage_changed_at = :now, stage_changed_by = 'sync'
        FROM (SELECT x.circuit_id, x.old_status <> x.new_status AS has_moved, {_STAGE_OF_CIRCUIT} AS stage,
                     v.workflow_stage AS old_stage
              FROM {changes} AS x JOIN circuits AS c ON c.id = x.circuit_id
              JOIN circuit_ui_states AS v ON v.circuit_id = c.id) AS wanted
        WHERE u.circuit_id = wanted.circuit_id
          AND (wanted.has_moved
               OR (coalesce(u.stage_changed_by, 'sync') = 'sync'
                   AND u.workflow_stage IN ('active', 'pending_permissions')
                   AND wanted.stage IN ('active', 'pending_permissions')))
          AND (u.workflow_stage <> wanted.stage OR coalesce(u.stage_changed_by, 'sync') <> 'sync')
        RETURNING u.circuit_id, wanted.old_stage, wanted.stage)
    INSERT INTO {stage_changes}
    SELECT circuit_id, old_stage, stage, 'sync' FROM moved WHERE old_stage <> stage
""")


@dataclass(frozen=True)
class UIState:
    """A row of ``circuit_ui_states``."""

    workflow_stage: str
    stage_changed_at: datetime
    stage_changed_by: str | None


def add_ui_states(connection: Connection, now: datetime) -> None:
    """Gives every circuit that has no UI state the one of its status."""
    connection.execute(_ADD_UI_STATES, {"now": now})


def get_or_create_ui_state(connection: Connection, circuit_id: int, now: datetime) -> UIState:
    """The circuit's UI state, made if it has none."""
    add_ui_states(connection, now)
    return UIState(**connection.execute(_READ_UI_STATE, {"circuit": circuit_id}).one()._mapping)


def move_stages(connection: Connection, now: datetime) -> None:
    """Moves the stages of ``changes`` as status and percentage say; lists the moves in ``stage_changes``."""
    connection.execute(_MOVE_STAGES, {"now": now})
