r"""Users and their regions, and the planners that circuits name who are no user's yet.

Whoever links circuits locks them first, in the order of ids, as the circuit sync does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from circuit_sync.database.people.planners import link_planners
from circuit_sync.domain.printable import Lines

ROLES = ("planner", "general_foreman", "admin", "sudo_admin")

_ADD_USER = text("""
    INSERT INTO users (name, email, role, ws_username, ws_user_guid, is_ws_linked)
    SELECT CAST(:name AS text), CAST(:email AS text), CAST(:role AS text), CAST(:ws_username AS text),
           CAST(:ws_user_guid AS text), CAST(:ws_username AS text) IS NOT NULL
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE circuit_sync_fold(email) = circuit_sync_fold(:email))
    ON CONFLICT DO NOTHING
    RETURNING id
""")

_USERS_BY_ID = text("SELECT id, name, email, ws_username FROM users WHERE id = ANY(:users)")

_USER_WITH_EMAIL = text("""
    SELECT id, name, email, ws_username FROM users WHERE circuit_sync_fold(email) = circuit_sync_fold(:email)
    ORDER BY email = :email DESC, id LIMIT 1
""")

_USER_OF_PLANNER = text("""
    SELECT u.id, u.name, u.email, u.ws_username
    FROM users AS u WHERE circuit_sync_fold(u.ws_username) = circuit_sync_fold(:planner)
    UNION
    SELECT u.id, u.name, u.email, u.ws_username
    FROM unlinked_planners AS p JOIN users AS u ON u.id = p.linked_user_id
    WHERE circuit_sync_fold(p.ws_username) = circuit_sync_fold(:planner)
""")

_ADD_USER_REGIONS = text(
    "INSERT INTO user_regions (user_id, region_id) SELECT :user, unnest(CAST(:regions AS bigint[]))"
)

_REGIONS = text("SELECT id, name FROM regions ORDER BY name")

_USERS = text("""
    SELECT u.name, u.email, u.role, u.ws_username,
           (SELECT string_agg(r.name, ', ' ORDER BY r.name)
            FROM user_regions AS x JOIN regions AS r ON r.id = x.region_id WHERE x.user_id = u.id) AS regions,
           (SELECT count(*) FROM circuit_user AS l JOIN circuits AS c ON c.id = l.circuit_id
            WHERE l.user_id = u.id AND c.departed_at IS NULL) AS circuits
    FROM users AS u
    ORDER BY u.name, u.id
""")

_PLANNERS = text("""
    SELECT p.ws_username, p.occurrence_count AS circuits, p.first_seen_at, p.last_seen_at, u.email AS linked_to
    FROM unlinked_planners AS p LEFT JOIN users AS u ON u.id = p.linked_user_id
    WHERE :everyone OR p.linked_user_id IS NULL
    ORDER BY p.occurrence_count DESC, circuit_sync_fold(p.ws_username)
""")

_UNLINKED_NAME = text("""
    SELECT ws_username FROM unlinked_planners WHERE circuit_sync_fold(ws_username) = circuit_sync_fold(:planner)
""")

_LOCK_CIRCUITS = text("""
    SELECT id FROM circuits WHERE circuit_sync_fold(taken_by) = circuit_sync_fold(:planner) AND departed_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
""")

_LINK_PLANNER = text("""
    UPDATE unlinked_planners SET linked_user_id = :user
    WHERE circuit_sync_fold(ws_username) = circuit_sync_fold(:planner)
""")

_NAME_USER = text("""
    UPDATE users SET ws_username = :planner, is_ws_linked = true WHERE id = :user AND ws_username IS NULL
""")

_COUNT_LINKS = text("SELECT count(*) FROM circuit_user WHERE user_id = :user")


@dataclass(frozen=True)
class User:
    """Who is meant, by every name."""

    id: int
    name: str
    email: str
    ws_username: str | None


def add_user(
    connection: Connection, *, name: str, email: str, role: str, ws_username: str | None, ws_user_guid: str | None
) -> int | None:
    """The new user's id; ``None``, and nothing done, if the e-mail or the WorkStudio name is another's."""
    user: int | None = connection.scalar(
        _ADD_USER,
        {"name": name, "email": email, "role": role, "ws_username": ws_username, "ws_user_guid": ws_user_guid},
    )
    return user


def users_by_id(connection: Connection, user_ids: Sequence[int]) -> dict[int, User]:
    """User id → user."""
    return {row.id: User(**row._mapping) for row in connection.execute(_USERS_BY_ID, {"users": list(user_ids)})}


def user_with_email(connection: Connection, email: str) -> User | None:
    """The user with this e-mail, whatever its case."""
    row = connection.execute(_USER_WITH_EMAIL, {"email": email}).first()
    return User(**row._mapping) if row else None


def user_of_planner(connection: Connection, ws_username: str) -> User | None:
    """The user whom circuits of this planner are linked to."""
    row = connection.execute(_USER_OF_PLANNER, {"planner": ws_username}).first()
    return User(**row._mapping) if row else None


def add_user_regions(connection: Connection, user_id: int, region_ids: Sequence[int]) -> None:
    connection.execute(_ADD_USER_REGIONS, {"user": user_id, "regions": list(region_ids)})


def regions(connection: Connection) -> dict[str, int]:
    """Region name → id, by name."""
    return {row.name: row.id for row in connection.execute(_REGIONS)}


def users(connection: Connection) -> Lines:
    """Every user: name, email, role, ws_username, regions, circuits (those linked and not departed)."""
    return [dict(row._mapping) for row in connection.execute(_USERS)]


def planners(connection: Connection, *, everyone: bool) -> Lines:
    """The planners who were no user's when first seen: ws_username, circuits, first_seen_at, last_seen_at, linked_to.

    Those linked since only with ``everyone``.
    """
    return [dict(row._mapping) for row in connection.execute(_PLANNERS, {"everyone": everyone})]


def unlinked_name(connection: Connection, ws_username: str) -> str | None:
    """How circuits write the name of this planner, whatever its case; ``None`` if none ever did."""
    name: str | None = connection.scalar(_UNLINKED_NAME, {"planner": ws_username})
    return name


def link_circuits(connection: Connection, ws_username: str, user_id: int, now: datetime) -> int:
    """Links the circuits that name the planner as the next sync would; returns how many links the user gained."""
    before = int(connection.scalar(_COUNT_LINKS, {"user": user_id}) or 0)
    connection.execute(_LOCK_CIRCUITS, {"planner": ws_username})
    link_planners(connection, now)
    return int(connection.scalar(_COUNT_LINKS, {"user": user_id}) or 0) - before


def link_to_user(connection: Connection, ws_username: str, user_id: int, now: datetime) -> int:
    """Makes an unlinked planner the user, who gets that WorkStudio name if they have none; returns the circuits linked.

    A user with another WorkStudio name keeps theirs.
    """
    connection.execute(_LOCK_CIRCUITS, {"planner": ws_username})
    connection.execute(_LINK_PLANNER, {"planner": ws_username, "user": user_id})
    connection.execute(_NAME_USER, {"planner": ws_username, "user": user_id})
    return link_circuits(connection, ws_username, user_id, now)
