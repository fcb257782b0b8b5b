"""One circuit under a person's hands: found, locked, edited, shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Connection, select, text, update

from circuit_sync.database.circuits.stages import add_ui_states, move_stages
from circuit_sync.database.circuits.temporary import changes, make_temporary_tables, stage_changes
from circuit_sync.database.tables import circuits
from circuit_sync.domain.printable import Lines

_FIND = text("""
    SELECT id, job_guid, work_order, extension, departed_at FROM circuits
    WHERE work_order = :name OR job_guid = :name
    ORDER BY extension, departed_at NULLS FIRST, id DESC
""")

_LOCK = text("SELECT id FROM circuits WHERE id = :circuit FOR NO KEY UPDATE")

_READ = text("""
    SELECT c.*, r.name AS region, m.work_order || ' ' || m.extension AS split_of,
           u.workflow_stage, u.stage_changed_at, u.stage_changed_by
    FROM circuits AS c
    LEFT JOIN circuit_ui_states AS u ON u.circuit_id = c.id
    LEFT JOIN regions AS r ON r.id = c.region_id
    LEFT JOIN circuits AS m ON m.id = c.parent_circuit_id
    WHERE c.id = :circuit
""")

_LIST_AS_CHANGED = text(f"""
    INSERT INTO {changes} (circuit_id, old_status, new_status)
    SELECT id, api_status, api_status FROM circuits WHERE id = :circuit
""")

_STAGE_MOVED = select(stage_changes.c.old_stage, stage_changes.c.new_stage)

_SET_STAGE = text("""
    UPDATE circuit_ui_states SET workflow_stage = :stage, stage_changed_at = :now, stage_changed_by = :person
    WHERE circuit_id = :circuit
""")

_LINKS = text("""
    SELECT u.name AS user, u.email, u.ws_username, l.assignment_source AS source, l.assigned_at AS since
    FROM circuit_user AS l JOIN users AS u ON u.id = l.user_id
    WHERE l.circuit_id = :circuit
    ORDER BY l.assigned_at DESC, u.name
""")

_LATEST_AGGREGATES = text("""
    SELECT aggregate_date AS date, CASE WHEN a.is_rollup THEN 'main and splits' ELSE 'this circuit' END AS of,
           total_units AS units, units_approved AS approved, units_pending AS pending, units_refused AS refused,
           total_linear_ft AS feet, total_acres AS acres, total_trees AS trees
    FROM (VALUES (false), (true)) AS kinds (is_rollup)
    CROSS JOIN LATERAL latest_aggregate(CAST(:circuit AS bigint), kinds.is_rollup) AS a
    ORDER BY a.is_rollup
""")


class Edit(TypedDict, total=False):
    """What ``user_modified_fields`` says of a field: who set it, when, and what it held before the first person's edit:
    WorkStudio's value, or our default for a field that WorkStudio does not know.
    """

    by: int | None
    at: str
    api_value: Any


@dataclass(frozen=True)
class FoundCircuit:
    """A circuit by all its names."""

    id: int
    job_guid: str
    work_order: str
    extension: str
    departed_at: datetime | None


@dataclass(frozen=True)
class StoredCircuit:
    """``values``: every column of the circuit and its UI state, ``region`` by name, ``split_of`` by work order and
    extension.
    """

    id: int
    work_order: str
    extension: str
    values: Mapping[str, Any]


def find_circuits(connection: Connection, name: str) -> list[FoundCircuit]:
    """The circuits of a work order, or the one of a ``job_guid``."""
    return [FoundCircuit(**row._mapping) for row in connection.execute(_FIND, {"name": name})]


def lock_circuit(connection: Connection, circuit_id: int, now: datetime) -> StoredCircuit:
    """Locks a circuit against syncs and other people until the transaction ends, then reads it as it is now."""
    connection.execute(_LOCK, {"circuit": circuit_id})
    add_ui_states(connection, now)
    return read_circuit(connection, circuit_id)


def read_circuit(connection: Connection, circuit_id: int) -> StoredCircuit:
    """The circuit as it is now."""
    row = connection.execute(_READ, {"circuit": circuit_id}).one()
    return StoredCircuit(row.id, row.work_order, row.extension, dict(row._mapping))


def write_edit(
    connection: Connection, circuit_id: int, columns: Mapping[str, Any], edited: Mapping[str, Edit], now: datetime
) -> None:
    """Sets columns of a circuit, and which of its fields people changed."""
    connection.execute(
        update(circuits)
        .where(circuits.c.id == circuit_id)
        .values(**columns, user_modified_fields=dict(edited), updated_at=now)
    )


def settle_stage(connection: Connection, circuit_id: int, now: datetime) -> tuple[str, str] | None:
    """Moves the circuit's stage if its percentage asks for that, as a sync would; returns the old and new one.

    Once in a transaction.
    """
    make_temporary_tables(connection)
    connection.execute(_LIST_AS_CHANGED, {"circuit": circuit_id})
    move_stages(connection, now)
    moved = connection.execute(_STAGE_MOVED).first()
    return (moved.old_stage, moved.new_stage) if moved else None


def write_stage(connection: Connection, circuit_id: int, stage: str, person: str, now: datetime) -> None:
    """Sets the stage of a circuit in a person's name."""
    connection.execute(_SET_STAGE, {"circuit": circuit_id, "stage": stage, "person": person, "now": now})


def links(connection: Connection, circuit_id: int) -> Lines:
    """Who is linked to a circuit, the latest first: user, email, ws_username, source, since."""
    return [dict(row._mapping) for row in connection.execute(_LINKS, {"circuit": circuit_id})]


def latest_aggregates(connection: Connection, circuit_id: int) -> Lines:
    """The latest aggregate of a circuit, and the latest roll-up if it has splits. Feet, acres, trees."""
    return [dict(row._mapping) for row in connection.execute(_LATEST_AGGREGATES, {"circuit": circuit_id})]
