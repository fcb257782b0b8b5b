"""names are folded in one way that no locale changes; every table's rows can be told apart; a claim on nothing ends.

Regions and planners that now are one are merged, wherever they are referred to: the one of the lowest id stays, as it
is spelt.
"""

import sqlalchemy as sa
from alembic import op

from circuit_sync.database.migrations.unicode_14 import expansions, simple_foldings

revision = "0008"
down_revision = "0007"

_REGIONAL_KEY = "snapshot_date, coalesce(region_id, 0)"
_PLANNER_KEY = "snapshot_date, coalesce(circuit_sync_fold(taken_by), ''), coalesce(region_id, 0)"
_INDEXES = {
    "uq_regions_name_folded": "regions (circuit_sync_fold(name))",
    "uq_users_ws_username_folded": "users (circuit_sync_fold(ws_username))",
    "uq_unlinked_planners_ws_username_folded": "unlinked_planners (circuit_sync_fold(ws_username))",
    "uq_regional_daily_snapshot_date_region": f"regional_daily ({_REGIONAL_KEY})",
    "uq_planner_daily_snapshot_date_planner_region": f"planner_daily ({_PLANNER_KEY})",
}
_OF_REGIONS = ("circuits", "circuit_history", "circuit_snapshots", "sync_logs", "regional_daily", "planner_daily")
_NOT_ADDED = {"oldest_pending_on": "min"} | dict.fromkeys(
    ("snapshot_date", "region_id", "taken_by", "computed_at"), "max"
)
_WITHOUT_KEY = ("regional_daily", "planner_daily", "staged_circuits", "staged_choices")


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    _create_fold()
    op.execute(f"DROP INDEX {', '.join(_INDEXES)}")
    _merge_regions()
    _merge_planners()
    _name_one_user_each()
    _add_up("regional_daily", _REGIONAL_KEY)
    _add_up("planner_daily", _PLANNER_KEY)
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE UNIQUE INDEX {name} ON {columns}")
    _fold_in_view("planner_weekly")
    for table in _WITHOUT_KEY:
        op.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    # Earlier versions tied a database to a WorkStudio at the first try, whatever came of it.
    op.execute("DELETE FROM database_settings WHERE name = 'workstudio' AND NOT EXISTS (SELECT 1 FROM circuits)")


def _create_fold() -> None:
    """In three steps, each taken only by what the one before does not serve: the last looks at a thousand letters."""
    simple = simple_foldings()
    several = "\n".join(f"folded := replace(folded, '{one}', '{others}');" for one, others in expansions().items())
    op.execute(rf"""
        CREATE FUNCTION circuit_sync_fold(name text) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5 AS $$
        DECLARE
            folded text;
        BEGIN
            IF octet_length(name) = char_length(name) THEN
                RETURN lower(name COLLATE "C");
            END IF;
            folded := lower(normalize(name, NFD) COLLATE "C");
            IF folded COLLATE "C" ~ '[^\u0001-\u007F\u0300-\u0344\u0346-\u036F]' THEN
                folded := translate(folded, '{"".join(simple)}', '{"".join(simple.values())}');
                {several}
            END IF;
            RETURN folded;
        END $$
    """)
    op.execute("COMMENT ON FUNCTION circuit_sync_fold(text) IS 'a name without regard to case, whatever the locale'")
    op.execute("GRANT EXECUTE ON FUNCTION circuit_sync_fold(text) TO PUBLIC")  # whoever writes a name evaluates it


def _merge_regions() -> None:
    op.execute("""
        CREATE TEMPORARY TABLE merged_regions ON COMMIT DROP AS
        SELECT id, kept FROM (
            SELECT id, min(id) OVER (PARTITION BY circuit_sync_fold(name)) AS kept FROM regions) AS named
        WHERE id <> kept;
        INSERT INTO user_regions (user_id, region_id)
        SELECT u.user_id, m.kept FROM user_regions AS u JOIN merged_regions AS m ON m.id = u.region_id
        ON CONFLICT DO NOTHING;
    """)
    for table in _OF_REGIONS:
        op.execute(f"UPDATE {table} AS t SET region_id = m.kept FROM merged_regions AS m WHERE t.region_id = m.id")
    op.execute("DELETE FROM regions WHERE id IN (SELECT id FROM merged_regions)")


def _merge_planners() -> None:
    op.execute("""
        CREATE TEMPORARY TABLE merged_planners ON COMMIT DROP AS
        SELECT min(id) AS kept, array_agg(id) AS ids, min(first_seen_at) AS first_seen_at,
               max(last_seen_at) AS last_seen_at, sum(occurrence_count) AS occurrence_count,
               (array_agg(linked_user_id ORDER BY id) FILTER (WHERE linked_user_id IS NOT NULL))[1] AS linked_user_id
        FROM unlinked_planners GROUP BY circuit_sync_fold(ws_username) HAVING count(*) > 1;
        UPDATE unlinked_planners AS p
        SET first_seen_at = m.first_seen_at, last_seen_at = m.last_seen_at, occurrence_count = m.occurrence_count,
            linked_user_id = m.linked_user_id
        FROM merged_planners AS m WHERE p.id = m.kept;
        DELETE FROM unlinked_planners AS p USING merged_planners AS m WHERE p.id = ANY(m.ids) AND p.id <> m.kept;
    """)


def _name_one_user_each() -> None:
    """Of users with one WorkStudio name the first keeps it. The others stay, with all they hold, but for the name."""
    op.execute("""
        UPDATE users AS u SET ws_username = NULL, is_ws_linked = false
        WHERE EXISTS (SELECT 1 FROM users AS first
                      WHERE circuit_sync_fold(first.ws_username) = circuit_sync_fold(u.ws_username) AND first.id < u.id)
    """)


def _add_up(table: str, key: str) -> None:
    """Adds up the rows of a roll-up that came to have the same key: all their measures are sums over circuits."""
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    added = [f"{_NOT_ADDED.get(name, 'sum')}({name})" for name in columns]
    op.execute(f"""
        WITH together AS (
            DELETE FROM {table}
            WHERE ({key}) IN (SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1)
            RETURNING *)
        INSERT INTO {table} ({", ".join(columns)}) SELECT {", ".join(added)} FROM together GROUP BY {key}
    """)


def _fold_in_view(view: str) -> None:
    definition = op.get_bind().scalar(sa.text(f"SELECT pg_get_viewdef('{view}'::regclass)"))
    op.execute(sa.text(f"CREATE OR REPLACE VIEW {view} AS {str(definition).replace('lower(', 'circuit_sync_fold(')}"))
