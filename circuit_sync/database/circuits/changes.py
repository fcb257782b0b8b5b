"""What a transaction that stores circuits changes, counted and listed from its temporary tables."""

from sqlalchemy import Connection, Table, func, select, text

from circuit_sync.database.circuits.temporary import changes, created, departed, stage_changes, withheld
from circuit_sync.domain.printable import Lines

_COUNTS = text(f"""
    SELECT s.answer_status, count(*) AS processed, count(n.circuit_id) AS created, count(x.circuit_id) AS updated
    FROM staged_circuits AS s
    JOIN circuits AS c ON c.job_guid = s.job_guid
    LEFT JOIN {created} AS n ON n.circuit_id = c.id
    LEFT JOIN {changes} AS x ON x.circuit_id = c.id
    WHERE s.sync_log_id = :sync
    GROUP BY s.answer_status
""")

_COUNT_RETURNED = text(f"SELECT count(*) FROM {changes} WHERE changed ? 'departed_at'")

_CHANGES_SHOWN = text(f"""
    SELECT c.work_order, c.extension, w.what, w.field, w.old, w.new
    FROM (
        SELECT circuit_id, 1 AS place, 'departed' AS what, '' AS field, NULL AS old, NULL AS new FROM {departed}
        UNION ALL
        SELECT circuit_id, 2, 'withheld', field, kept #>> '{{}}', offered #>> '{{}}' FROM {withheld}
        UNION ALL
        SELECT circuit_id, 3, 'stage', 'workflow_stage', old_stage, new_stage FROM {stage_changes}
        UNION ALL
        SELECT circuit_id, 4, 'changed', d.key,
               CASE WHEN d.value ? 'new' THEN coalesce(d.value ->> 'old', '') ELSE '(not shown)' END,
               CASE WHEN d.value ? 'new' THEN coalesce(d.value ->> 'new', '') ELSE '(not shown)' END
        FROM (SELECT x.* FROM {changes} AS x JOIN circuits AS c ON c.id = x.circuit_id WHERE x.changed <> '{{}}'
              ORDER BY c.work_order, c.extension LIMIT :most) AS first,
             jsonb_each(first.changed) AS d
        UNION ALL
        SELECT circuit_id, 5, 'created', '', NULL, NULL FROM {created}
    ) AS w JOIN circuits AS c ON c.id = w.circuit_id
    ORDER BY w.place, c.work_order, c.extension, w.field
    LIMIT :most
""")

_WITHHELD = text(f"""
    SELECT c.work_order, c.extension, w.field, w.kept, w.offered
    FROM {withheld} AS w JOIN circuits AS c ON c.id = w.circuit_id
    ORDER BY c.work_order, c.extension, c.id, w.field
    LIMIT :most
""")


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


def count_of(connection: Connection, table: Table) -> int:
    """The number of rows of one of this transaction's temporary tables."""
    return connection.scalar(select(func.count()).select_from(table)) or 0


def count_returned(connection: Connection) -> int:
    """How many departed circuits were seen again."""
    return int(connection.scalar(_COUNT_RETURNED) or 0)


def changes_shown(connection: Connection, most: int) -> Lines:
    """What changes, field by field, at most ``most`` lines: work_order, extension, what, field, old, new.

    What an operator should not miss comes first: departures, then withheld values, stages, other changes, new circuits.
    """
    return [dict(row._mapping) for row in connection.execute(_CHANGES_SHOWN, {"most": most})]


def withheld_values(connection: Connection, most: int) -> Lines:
    """The API's values that a person's edit held back: work_order, extension, field, kept, offered."""
    return [dict(row._mapping) for row in connection.execute(_WITHHELD, {"most": most})]
