"""Who holds which circuit: links of users, and the planners nobody is linked to."""

from datetime import datetime

from sqlalchemy import Connection, text

_KNOWN = """(
    SELECT circuit_sync_fold(ws_username) AS name, id AS user_id FROM users WHERE ws_username IS NOT NULL
    UNION
    SELECT circuit_sync_fold(ws_username), linked_user_id FROM unlinked_planners WHERE linked_user_id IS NOT NULL
)"""

_LINK = text(f"""
    INSERT INTO circuit_user (circuit_id, user_id, assignment_source, assigned_at)
    SELECT c.id, known.user_id, 'api_sync', :now
    FROM circuits AS c JOIN {_KNOWN} AS known ON known.name = circuit_sync_fold(c.taken_by)
    WHERE c.departed_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM circuit_user WHERE circuit_id = c.id AND user_id = known.user_id)
    ON CONFLICT DO NOTHING
""")

_TRACK_UNLINKED = text(f"""
    INSERT INTO unlinked_planners AS p (ws_username, first_seen_at, last_seen_at, occurrence_count)
    SELECT min(c.taken_by), :now, :now, count(*)
    FROM circuits AS c LEFT JOIN {_KNOWN} AS known ON known.name = circuit_sync_fold(c.taken_by)
    WHERE c.departed_at IS NULL AND c.taken_by IS NOT NULL AND known.user_id IS NULL
    GROUP BY circuit_sync_fold(c.taken_by)
    ON CONFLICT (circuit_sync_fold(ws_username)) DO UPDATE
    SET last_seen_at = excluded.last_seen_at, occurrence_count = excluded.occurrence_count
""")

_RECOUNT = text("""
    UPDATE unlinked_planners AS p
    SET occurrence_count = named.circuits, linked_user_id = coalesce(p.linked_user_id, named.user_id)
    FROM (SELECT q.id, u.id AS user_id, count(c.id) AS circuits
          FROM unlinked_planners AS q
          LEFT JOIN users AS u ON circuit_sync_fold(u.ws_username) = circuit_sync_fold(q.ws_username)
          LEFT JOIN circuits AS c
              ON circuit_sync_fold(c.taken_by) = circuit_sync_fold(q.ws_username) AND c.departed_at IS NULL
          GROUP BY q.id, u.id) AS named
    WHERE p.id = named.id
      AND (p.occurrence_count <> named.circuits OR (p.linked_user_id IS NULL AND named.user_id IS NOT NULL))
""")


def link_planners(connection: Connection, now: datetime) -> None:
    """Links every circuit to the user it names, and counts the names that are no user's.

    No link is ever removed, and a ``manual`` one stays so.
    """
    connection.execute(_LINK, {"now": now})
    connection.execute(_TRACK_UNLINKED, {"now": now})
    connection.execute(_RECOUNT)
