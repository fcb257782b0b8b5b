"""Storing what was staged: set-based statements for one transaction, in the order that ``sync.circuits`` runs them.

A circuit's row lock guards its links, its UI state and its history too: whoever changes any of them locks the circuit
first, in the order of ids. What changed lies in the tables of ``temporary.py`` from one statement to the next.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.stages import add_ui_states, move_stages
from circuit_sync.database.circuits.temporary import changes, created, differing, make_temporary_tables, withheld
from circuit_sync.domain.circuit_fields import API_DATA_COLUMNS, FIELDS, FREE_TEXT_COLUMNS

_COLUMNS = (*("region_id" if field == "region" else field for field in FIELDS), "api_data")
_STORED = ", ".join(f"c.{column}" for column in _COLUMNS)
_OFFERED = ", ".join("r.id" if column == "region_id" else f"s.{column}" for column in _COLUMNS)
_STAGED = "staged_circuits AS s LEFT JOIN regions AS r ON circuit_sync_fold(r.name) = circuit_sync_fold(s.region)"


def _stored(field: str) -> str:
    """SQL: the stored value of ``field`` in the staged row's terms."""
    return "(SELECT name FROM regions WHERE id = c.region_id)" if field == "region" else f"c.{field}"


def _is_edited(field: str) -> str:
    """SQL: whether a person set ``field``."""
    if field == "region":
        return "c.user_modified_fields ?| ARRAY['region', 'region_id']"
    return f"c.user_modified_fields ? '{field}'"


_NEW_REGIONS = text("""
    SELECT min(s.region COLLATE "C")
    FROM (SELECT DISTINCT region FROM staged_circuits WHERE sync_log_id = :sync AND region IS NOT NULL) AS s
    WHERE NOT EXISTS (SELECT 1 FROM regions WHERE circuit_sync_fold(name) = circuit_sync_fold(s.region))
    GROUP BY circuit_sync_fold(s.region)
    ORDER BY 1
""")

_ADD_REGIONS = text("""
    INSERT INTO regions (name, code)
    SELECT name, CASE WHEN row_number() OVER (PARTITION BY code ORDER BY name) = 1
                           AND NOT EXISTS (SELECT 1 FROM regions WHERE code = new.code)
                      THEN code ELSE code || ' ' || md5(name) END
    FROM unnest(CAST(:names AS text[]), CAST(:codes AS text[])) AS new (name, code)
""")

_KEEP_UNKNOWN = {
    field: text(f"""
        UPDATE staged_circuits AS s SET {field} = {_stored(field)}
        FROM circuits AS c
        WHERE s.sync_log_id = :sync AND s.answer_status = :status AND c.job_guid = s.job_guid
    """)
    for field in FIELDS
}

_KEEP_UNKNOWN_DATA = text("""
    UPDATE staged_circuits AS s SET api_data = c.api_data || s.api_data
    FROM circuits AS c
    WHERE s.sync_log_id = :sync AND s.answer_status = :status AND c.job_guid = s.job_guid
""")

_LOCK_DIFFERING = text(f"""
    INSERT INTO {differing} (circuit_id, job_guid, is_edited)
    SELECT c.id, s.job_guid, c.user_modified_fields NOT IN ('{{}}', '[]')
    FROM {_STAGED} JOIN circuits AS c ON c.job_guid = s.job_guid
    WHERE s.sync_log_id = :sync
      AND (c.departed_at IS NOT NULL OR ({_STORED}) IS DISTINCT FROM ({_OFFERED}))
    ORDER BY c.id
    FOR NO KEY UPDATE OF c
""")

_EDITED_ROWS = f"""
    {differing} AS d
    JOIN circuits AS c ON c.id = d.circuit_id AND d.is_edited
    JOIN staged_circuits AS s ON s.sync_log_id = :sync AND s.job_guid = d.job_guid
"""

_ANY_EDITED = text(f"SELECT EXISTS (SELECT 1 FROM {differing} WHERE is_edited)")

_LIST_WITHHELD = {
    field: text(f"""
        INSERT INTO {withheld}
        SELECT c.id, '{field}', to_jsonb({_stored(field)}), to_jsonb(s.{field})
        FROM {_EDITED_ROWS}
        WHERE {_is_edited(field)} AND {_stored(field)} IS DISTINCT FROM s.{field}
    """)
    for field in FIELDS
}

_KEEP_EDITED = {
    field: text(f"""
        UPDATE staged_circuits AS s SET {field} = {_stored(field)}
        FROM {differing} AS d JOIN circuits AS c ON c.id = d.circuit_id AND d.is_edited
        WHERE s.sync_log_id = :sync AND s.job_guid = d.job_guid AND {_is_edited(field)}
    """)
    for field in FIELDS
}


def _difference(field: str) -> str:
    """SQL: the text of a JSON member for ``field`` where its value changes, else null."""
    old, new = _stored(field), f"s.{field}"
    test = "c.region_id IS DISTINCT FROM r.id" if field == "region" else f"{old} IS DISTINCT FROM {new}"
    pair = f"""'"{field}":{{"old":' || coalesce(to_json({old})::text, 'null')
               || ',"new":' || coalesce(to_json({new})::text, 'null') || '}}'"""
    return f"CASE WHEN {test} THEN {pair} END"


def _data_difference(column: str) -> str:
    """SQL: the same for a column kept in ``api_data``; of free text only that it changed."""
    old, new = f"c.api_data -> '{column}'", f"s.api_data -> '{column}'"
    if column in FREE_TEXT_COLUMNS:
        pair = '{"changed": true}'
        return f"""CASE WHEN {old} IS DISTINCT FROM {new} THEN '"api_data.{column}":{pair}' END"""
    return f"""CASE WHEN {old} IS DISTINCT FROM {new} THEN '"api_data.{column}":{{"old":'
               || coalesce(({old})::text, 'null') || ',"new":' || coalesce(({new})::text, 'null') || '}}' END"""


_DATA_DIFFERENCE = f"""
    CASE WHEN c.api_data IS DISTINCT FROM s.api_data
         THEN nullif(concat_ws(',', {", ".join(map(_data_difference, API_DATA_COLUMNS))}), '') END
"""

_RETURN_DIFFERENCE = """
    CASE WHEN c.departed_at IS NOT NULL
         THEN '"departed_at":{"old":' || to_json(c.departed_at)::text || ',"new": null}' END
"""

_LIST_CHANGES = text(f"""
    INSERT INTO {changes} (circuit_id, job_guid, old_status, new_status, changed)
    SELECT c.id, s.job_guid, c.api_status, s.api_status,
           ('{{' || concat_ws(',', {", ".join(map(_difference, FIELDS))}, {_DATA_DIFFERENCE}, {_RETURN_DIFFERENCE})
                || '}}')::jsonb
    FROM {differing} AS d
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
    FROM {changes} AS x JOIN ({_STAGED}) ON s.sync_log_id = :sync AND s.job_guid = x.job_guid
    WHERE c.id = x.circuit_id
""")

_CREATE = text(f"""
    WITH new AS (
        INSERT INTO circuits (job_guid, {", ".join(_COLUMNS)}, content_hash, planned_units_sync_enabled,
                              created_at, updated_at)
        SELECT s.job_guid, {_OFFERED}, s.content_hash, s.api_status <> 'CLOSE', :now, :now
        FROM {_STAGED}
        WHERE s.sync_log_id = :sync AND NOT EXISTS (SELECT 1 FROM circuits WHERE job_guid = s.job_guid)
        ORDER BY s.status_order, s.row_number
        RETURNING id)
    INSERT INTO {created} SELECT id FROM new
""")

_EDITABLE = "ARRAY['" + "', '".join((*FIELDS, "region_id")) + "']"

_GIVE_BACK = text(f"""
    UPDATE circuits AS c
    SET user_modified_fields = c.user_modified_fields - {_EDITABLE}
    FROM staged_circuits AS s
    WHERE s.sync_log_id = :sync AND s.job_guid = c.job_guid AND c.user_modified_fields ?| {_EDITABLE}
""")

_TIE_SPLITS = text("""
    UPDATE circuits AS c
    SET parent_circuit_id = wanted.parent
    FROM (SELECT DISTINCT ON (k.id) k.id, m.id AS parent
          FROM circuits AS k
          LEFT JOIN circuits AS m ON m.work_order = k.work_order AND m.extension = '@' AND k.extension <> '@'
          WHERE k.extension <> '@' OR k.parent_circuit_id IS NOT NULL
          ORDER BY k.id, m.departed_at IS NOT NULL, m.api_status = 'CLOSE', m.job_guid COLLATE "C") AS wanted
    WHERE c.id = wanted.id AND c.parent_circuit_id IS DISTINCT FROM wanted.parent
""")


def add_regions(connection: Connection, sync_id: int) -> list[str]:
    """Creates the regions that the staged rows name and nobody knows yet; returns their names."""
    names = list(connection.scalars(_NEW_REGIONS, {"sync": sync_id}))
    # Upper case is made here: in the database it depends on the locale.
    connection.execute(_ADD_REGIONS, {"names": names, "codes": [name.upper() for name in names]})
    return names


def lock_differing(connection: Connection, sync_id: int, *, absent: Mapping[str, Iterable[str]]) -> None:
    """Locks the stored circuits that differ from what was staged.

    ``absent``: for each status the fields, and the columns of ``api_data``, that its answer had no column for: of these
    the stored value stays.
    """
    make_temporary_tables(connection)
    _keep_unknown(connection, sync_id, absent)
    connection.execute(_LOCK_DIFFERING, {"sync": sync_id})
    # Whoever held a row until it was locked may have changed what it holds.
    _keep_unknown(connection, sync_id, absent)


def _keep_unknown(connection: Connection, sync_id: int, absent: Mapping[str, Iterable[str]]) -> None:
    for status, names in absent.items():
        parameters = {"sync": sync_id, "status": status}
        for field in sorted(_KEEP_UNKNOWN.keys() & set(names)):
            connection.execute(_KEEP_UNKNOWN[field], parameters)
        if not set(names).isdisjoint(API_DATA_COLUMNS):
            connection.execute(_KEEP_UNKNOWN_DATA, parameters)


def keep_edits(connection: Connection, sync_id: int) -> None:
    """Puts the values that people set in place of what was staged, and lists in ``withheld`` what that holds back."""
    if not connection.scalar(_ANY_EDITED):
        return
    for field in FIELDS:
        connection.execute(_LIST_WITHHELD[field], {"sync": sync_id})
        connection.execute(_KEEP_EDITED[field], {"sync": sync_id})


def give_back_edits(connection: Connection, sync_id: int) -> None:
    """Forgets that people set fields which this sync overrides: from now on WorkStudio's values hold again."""
    connection.execute(_GIVE_BACK, {"sync": sync_id})


def write_circuits(connection: Connection, sync_id: int, now: datetime) -> None:
    """Rewrites the changed circuits, creates the new ones, ties splits to their main assessment, moves the stages."""
    parameters = {"sync": sync_id, "now": now}
    connection.execute(_LIST_CHANGES, parameters)
    connection.execute(_REWRITE, parameters)
    connection.execute(_CREATE, parameters)
    connection.execute(_TIE_SPLITS)
    add_ui_states(connection, now)
    move_stages(connection, now)
