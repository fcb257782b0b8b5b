"""Storing what was staged: set-based statements for one transaction, in the order that ``sync.circuits`` runs them.

A circuit's row lock guards its links, its UI state and its history too: whoever changes any of them locks the circuit first,
in the order of ids. Temporary tables carry what changed from one statement to the next:

``differing``   circuit_id, job_guid: stored circuits that the answer differs from, locked
``withheld``    circuit_id, field, kept, offered: values of the API that a person's edit held back
``changes``     circuit_id, changed (field → {old, new}), old_status, new_status: circuits whose row is rewritten
``created``     circuit_id
``departed``    circuit_id, api_status
``stage_changes``  circuit_id, old_stage, new_stage, changed_by
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from circuit_sync.domain.circuits import FREE_TEXT_COLUMNS
from circuit_sync.domain.errors import UsageError

FIELDS = (
    "work_order",
    "extension",
    "region",
    "title",
    "job_type",
    "cycle_type",
    "contractor",
    "taken_by",
    "total_miles",
    "miles_planned",
    "percent_complete",
    "total_acres",
    "start_date",
    "api_status",
    "api_modified_at",
)
"""The fields that an answer sets, by their names in reports and in ``circuits.user_modified_fields``."""

_COLUMNS = (*("region_id" if field == "region" else field for field in FIELDS), "api_data")
_STORED = ", ".join(f"c.{column}" for column in _COLUMNS)
_OFFERED = ", ".join("r.id" if column == "region_id" else f"s.{column}" for column in _COLUMNS)
_STAGED = "staged_circuits AS s LEFT JOIN regions AS r ON lower(r.name) = lower(s.region)"


def _stored(field: str) -> str:
    """SQL: the stored value of ``field`` in the staged row's terms."""
    return "(SELECT name FROM regions WHERE id = c.region_id)" if field == "region" else f"c.{field}"


def _is_edited(field: str) -> str:
    """SQL: whether a person set ``field``."""
    if field == "region":
        return "c.user_modified_fields ?| ARRAY['region', 'region_id']"
    return f"c.user_modified_fields ? '{field}'"


_TEMPORARY_TABLES = [
    text(f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP")
    for table in (
        "withheld (circuit_id bigint, field text, kept jsonb, offered jsonb)",
        "created (circuit_id bigint)",
        "departed (circuit_id bigint, api_status text)",
        "stage_changes (circuit_id bigint, old_stage text, new_stage text, changed_by text)",
    )
]

_ADD_REGIONS = text("""
    INSERT INTO regions (name, code)
    SELECT DISTINCT ON (lower(s.region)) s.region, upper(s.region)
    FROM staged_circuits AS s
    WHERE s.sync_log_id = :sync AND s.region IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM regions WHERE lower(name) = lower(s.region))
    ORDER BY lower(s.region), s.region
    RETURNING name
""")

_KEEP_UNKNOWN = {
    field: text(f"""
        UPDATE staged_circuits AS s SET {field} = {_stored(field)}
        FROM circuits AS c
        WHERE s.sync_log_id = :sync AND s.answer_status = :status AND c.job_guid = s.job_guid
    """)
    for field in FIELDS
}

_LOCK_DIFFERING = text(f"""
    CREATE TEMPORARY TABLE differing ON COMMIT DROP AS
    SELECT c.id AS circuit_id, s.job_guid, c.user_modified_fields NOT IN ('{{}}', '[]') AS is_edited
    FROM {_STAGED} JOIN circuits AS c ON c.job_guid = s.job_guid
    WHERE s.sync_log_id = :sync
      AND (c.departed_at IS NOT NULL OR ({_STORED}) IS DISTINCT FROM ({_OFFERED}))
    ORDER BY c.id
    FOR UPDATE OF c
""")

_EDITED_ROWS = """
    differing AS d
    JOIN circuits AS c ON c.id = d.circuit_id AND d.is_edited
    JOIN staged_circuits AS s ON s.sync_log_id = :sync AND s.job_guid = d.job_guid
"""

_ANY_EDITED = text("SELECT EXISTS (SELECT 1 FROM differing WHERE is_edited)")

_LIST_WITHHELD = {
    field: text(f"""
        INSERT INTO withheld
        SELECT c.id, '{field}', to_jsonb({_stored(field)}), to_jsonb(s.{field})
        FROM {_EDITED_ROWS}
        WHERE {_is_edited(field)} AND {_stored(field)} IS DISTINCT FROM s.{field}
    """)
    for field in FIELDS
}

_KEEP_EDITED = {
    field: text(f"""
        UPDATE staged_circuits AS s SET {field} = {_stored(field)}
        FROM differing AS d JOIN circuits AS c ON c.id = d.circuit_id AND d.is_edited
        WHERE s.sync_log_id = :sync AND s.job_guid = d.job_guid AND {_is_edited(field)}
    """)
    for field in FIELDS
}


def _difference(field: str) -> str:
    """SQL: the text of a JSON member for ``field`` where its value changes, else null."""
    old, new = _stored(field), f"s.{field}"
    if field == "region":
        test = "c.region_id IS DISTINCT FROM r.id"
    else:
        test = f"{old} IS DISTINCT FROM {new}"
    pair = f"""'"{field}":{{"old":' || coalesce(to_jsonb({old})::text, 'null')
               || ',"new":' || coalesce(to_jsonb({new})::text, 'null') || '}}'"""
    return f"CASE WHEN {test} THEN {pair} END"


_FREE_TEXT = ", ".join(f"'{column}'" for column in sorted(FREE_TEXT_COLUMNS))

_DATA_DIFFERENCE = f"""
    CASE WHEN c.api_data IS DISTINCT FROM s.api_data THEN (
        SELECT string_agg(
            to_json('api_data.' || key)::text || ':' || CASE WHEN key IN ({_FREE_TEXT}) THEN '{{"changed": true}}' ELSE
                '{{"old":' || coalesce(old.value::text, 'null') || ',"new":' || coalesce(new.value::text, 'null') || '}}' END,
            ',' ORDER BY key)
        FROM jsonb_each(c.api_data) AS old FULL JOIN jsonb_each(s.api_data) AS new USING (key)
        WHERE old.value IS DISTINCT FROM new.value)
    END
"""

_RETURN_DIFFERENCE = """
    CASE WHEN c.departed_at IS NOT NULL THEN '"departed_at":{"old":' || to_jsonb(c.departed_at)::text || ',"new": null}' END
"""

_LIST_CHANGES = text(f"""
    CREATE TEMPORARY TABLE changes ON COMMIT DROP AS
    SELECT c.id AS circuit_id, s.job_guid, c.api_status AS old_status, s.api_status AS new_status,
           ('{{' || concat_ws(',', {", ".join(map(_difference, FIELDS))}, {_DATA_DIFFERENCE}, {_RETURN_DIFFERENCE})
                || '}}')::jsonb AS changed
    FROM differing AS d
    JOIN circuits AS c ON c.id = d.circuit_id
    JOIN ({_STAGED}) ON s.sync_log_id = :sync AND s.job_guid = d.job_guid
    WHERE c.departed_at IS NOT NULL OR ({_STORED}) IS DISTINCT FROM ({_OFFERED})
""")

_SET = ", ".join(f"{column} = {'r.id' if column == 'region_id' else 's.' + column}" for column in _COLUMNS)

_REWRITE = text(f"""
    UPDATE circuits AS c
    SET {_SET}, content_hash = s.content_hash, departed_at = NULL, updated_at = :now,
        planned_units_sync_enabled = c.planned_units_sync_enabled
            OR (x.old_status = 'CLOSE' AND x.new_status <> 'CLOSE'
                AND NOT c.user_modified_fields ? 'planned_units_sync_enabled')
    FROM changes AS x JOIN ({_STAGED}) ON s.sync_log_id = :sync AND s.job_guid = x.job_guid
    WHERE c.id = x.circuit_id
""")

_CREATE = text(f"""
    WITH new AS (
        INSERT INTO circuits (job_guid, {", ".join(_COLUMNS)}, content_hash, planned_units_sync_enabled, created_at, updated_at)
        SELECT s.job_guid, {_OFFERED}, s.content_hash, s.api_status <> 'CLOSE', :now, :now
        FROM {_STAGED}
        WHERE s.sync_log_id = :sync AND NOT EXISTS (SELECT 1 FROM circuits WHERE job_guid = s.job_guid)
        ORDER BY s.status_order, s.row_number
        RETURNING id)
    INSERT INTO created SELECT id FROM new
""")

_TIE_SPLITS = text("""
    WITH mains AS (
        SELECT DISTINCT ON (m.work_order) m.work_order, m.id
        FROM circuits AS m
        WHERE m.extension = '@'
          AND m.work_order IN (SELECT work_order FROM staged_circuits WHERE sync_log_id = :sync)
        ORDER BY m.work_order, (m.departed_at IS NOT NULL), m.id)
    UPDATE circuits AS c
    SET parent_circuit_id = wanted.parent
    FROM (SELECT k.id, CASE WHEN k.extension <> '@' THEN mains.id END AS parent
          FROM circuits AS k LEFT JOIN mains ON mains.work_order = k.work_order
          WHERE k.work_order IN (SELECT work_order FROM staged_circuits WHERE sync_log_id = :sync)) AS wanted
    WHERE c.id = wanted.id AND c.parent_circuit_id IS DISTINCT FROM wanted.parent
""")

_HELD = text("""
    SELECT c.api_status, count(*) AS held, count(*) FILTER (WHERE s.answer_status <> c.api_status) AS moved
    FROM circuits AS c
    LEFT JOIN staged_circuits AS s ON s.sync_log_id = :sync AND s.job_guid = c.job_guid
    WHERE c.api_status = ANY(:statuses) AND c.departed_at IS NULL
    GROUP BY c.api_status
""")

_MISSING = text("""
    SELECT c.id, c.job_guid, c.work_order, c.extension
    FROM circuits AS c
    WHERE c.api_status = :status AND c.departed_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM staged_circuits WHERE sync_log_id = :sync AND job_guid = c.job_guid)
    ORDER BY c.id
""")

_DEPART = text("""
    WITH locked AS (
        SELECT id FROM circuits WHERE id = ANY(:circuits) AND departed_at IS NULL ORDER BY id FOR UPDATE),
    gone AS (
        UPDATE circuits AS c SET departed_at = :now FROM locked WHERE c.id = locked.id RETURNING c.id, c.api_status)
    INSERT INTO departed SELECT id, api_status FROM gone
""")

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
              FROM changes AS x JOIN circuits AS c ON c.id = x.circuit_id
              JOIN circuit_ui_states AS v ON v.circuit_id = c.id) AS wanted
        WHERE u.circuit_id = wanted.circuit_id
          AND (wanted.has_moved
               OR (coalesce(u.stage_changed_by, 'sync') = 'sync'
                   AND u.workflow_stage IN ('active', 'pending_permissions')
                   AND wanted.stage IN ('active', 'pending_permissions')))
          AND (u.workflow_stage <> wanted.stage OR coalesce(u.stage_changed_by, 'sync') <> 'sync')
        RETURNING u.circuit_id, wanted.old_stage, wanted.stage)
    INSERT INTO stage_changes
    SELECT circuit_id, old_stage, stage, 'sync' FROM moved WHERE old_stage <> stage
""")

_COUNTS = text("""
    SELECT s.answer_status, count(*) AS processed, count(n.circuit_id) AS created, count(x.circuit_id) AS updated
    FROM staged_circuits AS s
    JOIN circuits AS c ON c.job_guid = s.job_guid
    LEFT JOIN created AS n ON n.circuit_id = c.id
    LEFT JOIN changes AS x ON x.circuit_id = c.id
    WHERE s.sync_log_id = :sync
    GROUP BY s.answer_status
""")

_COUNT_RETURNED = text("SELECT count(*) FROM changes WHERE changed ? 'departed_at'")

_CHANGES_SHOWN = text("""
    SELECT c.work_order, c.extension, w.what, w.field, w.old, w.new
    FROM (
        SELECT circuit_id, 1 AS place, 'created' AS what, '' AS field, NULL AS old, NULL AS new FROM created
        UNION ALL
        SELECT circuit_id, 2, 'changed', d.key,
               coalesce(d.value ->> 'old', ''), CASE WHEN d.value ? 'new' THEN coalesce(d.value ->> 'new', '') ELSE '(not shown)' END
        FROM changes, jsonb_each(changed) AS d
        UNION ALL
        SELECT circuit_id, 3, 'stage', 'workflow_stage', old_stage, new_stage FROM stage_changes
        UNION ALL
        SELECT circuit_id, 4, 'withheld', field, kept #>> '{}', offered #>> '{}' FROM withheld
        UNION ALL
        SELECT circuit_id, 5, 'departed', '', NULL, NULL FROM departed
    ) AS w JOIN circuits AS c ON c.id = w.circuit_id
    ORDER BY w.place, c.work_order, c.extension, w.field
    LIMIT :most
""")


def add_regions(connection: Connection, sync_id: int) -> list[str]:
    """Creates the regions that the staged rows name and nobody knows yet; returns their names."""
    return list(connection.scalars(_ADD_REGIONS, {"sync": sync_id}))


def lock_differing(connection: Connection, sync_id: int, *, absent: Mapping[str, Iterable[str]]) -> None:
    """Locks the stored circuits that differ from what was staged.

    ``absent``: for each status the fields that its answer had no column for: of these the stored value stays.
    """
    for statement in _TEMPORARY_TABLES:
        connection.execute(statement)
    for status, fields in absent.items():
        for field in fields:
            connection.execute(_KEEP_UNKNOWN[field], {"sync": sync_id, "status": status})
    connection.execute(_LOCK_DIFFERING, {"sync": sync_id})


def keep_edits(connection: Connection, sync_id: int) -> None:
    """Puts the values that people set in place of what was staged, and lists what that holds back in ``withheld``."""
    if not connection.scalar(_ANY_EDITED):
        return
    for field in FIELDS:
        connection.execute(_LIST_WITHHELD[field], {"sync": sync_id})
        connection.execute(_KEEP_EDITED[field], {"sync": sync_id})


def write_circuits(connection: Connection, sync_id: int, now: datetime) -> None:
    """Rewrites the changed circuits, creates the new ones, ties splits to their main assessment and moves the stages."""
    parameters = {"sync": sync_id, "now": now}
    connection.execute(_LIST_CHANGES, parameters)
    connection.execute(_REWRITE, parameters)
    connection.execute(_CREATE, parameters)
    connection.execute(_TIE_SPLITS, parameters)
    add_ui_states(connection, now)
    connection.execute(_MOVE_STAGES, parameters)


def add_ui_states(connection: Connection, now: datetime) -> None:
    """Gives every circuit that has no UI state the one of its status."""
    connection.execute(_ADD_UI_STATES, {"now": now})


def get_or_create_ui_state(connection: Connection, circuit_id: int, now: datetime) -> dict[str, Any]:
    """The circuit's UI state (workflow_stage, stage_changed_at, stage_changed_by), made if it has none."""
    add_ui_states(connection, now)
    return dict(connection.execute(_READ_UI_STATE, {"circuit": circuit_id}).one()._mapping)


def circuits_held(connection: Connection, sync_id: int, statuses: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each status: how many circuits it held before this sync, and how many of them came under another one now."""
    rows = connection.execute(_HELD, {"sync": sync_id, "statuses": list(statuses)})
    return {row.api_status: (row.held, row.moved) for row in rows}


def missing_circuits(connection: Connection, sync_id: int, status: str) -> list[dict[str, Any]]:
    """The circuits of ``status`` that no answer of this sync named: id, job_guid, work_order, extension."""
    return [dict(row._mapping) for row in connection.execute(_MISSING, {"sync": sync_id, "status": status})]


def mark_departed(connection: Connection, circuit_ids: Sequence[int], now: datetime) -> None:
    """Marks circuits as gone from their status' answer; nothing else of them changes."""
    connection.execute(_DEPART, {"circuits": list(circuit_ids), "now": now})


def count_stored(connection: Connection, sync_id: int) -> dict[str, dict[str, int]]:
    """For each answered status: processed, created, updated, unchanged."""
    return {
        row.answer_status: {
            "processed": row.processed,
            "created": row.created,
            "updated": row.updated,
            "unchanged": row.processed - row.created - row.updated,
        }
        for row in connection.execute(_COUNTS, {"sync": sync_id})
    }


def count_of(connection: Connection, table: str) -> int:
    """The number of rows of one of this transaction's temporary tables."""
    if table not in {"withheld", "created", "departed", "stage_changes", "changes"}:
        raise UsageError(f"no such table of changes: {table}")
    return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def count_returned(connection: Connection) -> int:
    """How many departed circuits were seen again."""
    return int(connection.scalar(_COUNT_RETURNED) or 0)


def changes_shown(connection: Connection, most: int) -> list[dict[str, Any]]:
    """What this transaction changes, field by field, at most ``most`` lines: work_order, extension, what, field, old, new."""
    return [dict(row._mapping) for row in connection.execute(_CHANGES_SHOWN, {"most": most})]
