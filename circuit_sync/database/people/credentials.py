"""Planners' WorkStudio accounts, encrypted: nothing here can read them.

A row's id stands for one password: a new one is given a new id, the same one under another key keeps it. So what comes
of a call is written to the password that it was made with, or to none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

REFUSALS_IN_A_ROW = 3
"""So many refusals one after another disable a credential."""

_STORE = text("""
    INSERT INTO user_ws_credentials (user_id, encrypted_username, encrypted_password)
    VALUES (:user, :username, :password)
    ON CONFLICT (user_id) DO UPDATE
    SET id = excluded.id,
        encrypted_username = excluded.encrypted_username, encrypted_password = excluded.encrypted_password,
        is_valid = false, fail_count = 0, failed_at = NULL, verified_at = NULL
""")

_READ = """
    SELECT k.id, k.user_id, u.name, u.email, k.encrypted_username, k.encrypted_password, k.is_valid, k.fail_count,
           k.last_used_at, k.failed_at, k.verified_at
    FROM user_ws_credentials AS k JOIN users AS u ON u.id = k.user_id
    WHERE CAST(:users AS bigint[]) IS NULL OR k.user_id = ANY(:users)
    ORDER BY k.last_used_at NULLS FIRST, k.id
"""
_STORED = text(_READ)
_LOCK_STORED = text(f"{_READ} FOR UPDATE OF k")

_REENCRYPT = text("""
    UPDATE user_ws_credentials SET encrypted_username = :username, encrypted_password = :password WHERE id = :id
""")

_ACCEPT = text("""
    UPDATE user_ws_credentials SET is_valid = true, fail_count = 0, verified_at = :now WHERE id = :id
""")

_REFUSE = text("""
    UPDATE user_ws_credentials
    SET fail_count = fail_count + 1, failed_at = :now, is_valid = is_valid AND fail_count + 1 < :most
    WHERE id = :id
    RETURNING fail_count, is_valid
""")

_RECORD_USES = text("""
    WITH used AS (
        SELECT k.id, u.at
        FROM user_ws_credentials AS k
        JOIN unnest(CAST(:ids AS bigint[]), CAST(:times AS timestamptz[])) AS u (id, at) ON u.id = k.id
        ORDER BY k.id FOR UPDATE OF k)
    UPDATE user_ws_credentials AS k SET last_used_at = greatest(k.last_used_at, used.at), fail_count = 0
    FROM used WHERE k.id = used.id
""")

_PLANNERS = text("""
    SELECT c.work_order, l.user_id
    FROM circuits AS c
    JOIN circuit_user AS l ON l.circuit_id = c.id
    JOIN user_ws_credentials AS k ON k.user_id = l.user_id AND k.is_valid
    JOIN users AS u ON u.id = l.user_id
    WHERE c.work_order = ANY(:work_orders) AND c.departed_at IS NULL
    GROUP BY c.work_order, l.user_id
    ORDER BY c.work_order,
             bool_or(circuit_sync_fold(u.ws_username) IS NOT DISTINCT FROM circuit_sync_fold(c.taken_by)) DESC,
             max(l.assigned_at) DESC, l.user_id
""")


@dataclass(frozen=True)
class StoredCredential:
    """One row of ``user_ws_credentials`` with its user; ``is_valid``: verified, and not refused too often since."""

    id: int
    user_id: int
    name: str
    email: str
    encrypted_username: str = field(repr=False)
    encrypted_password: str = field(repr=False)
    is_valid: bool
    fail_count: int
    last_used_at: datetime | None
    failed_at: datetime | None
    verified_at: datetime | None


def store_credential(connection: Connection, user_id: int, encrypted_username: str, encrypted_password: str) -> None:
    """Stores a user's account in place of the one before; it is not used before it is verified."""
    parameters = {"user": user_id, "username": encrypted_username, "password": encrypted_password}
    connection.execute(_STORE, parameters)


def stored_credentials(connection: Connection, user_ids: Sequence[int] | None = None) -> list[StoredCredential]:
    """The credentials of the users, or all; the least recently used first."""
    users = None if user_ids is None else list(user_ids)
    return [StoredCredential(**row._mapping) for row in connection.execute(_STORED, {"users": users})]


def lock_stored_credentials(connection: Connection) -> list[StoredCredential]:
    """All credentials, locked until the transaction ends."""
    return [StoredCredential(**row._mapping) for row in connection.execute(_LOCK_STORED, {"users": None})]


def reencrypt(connection: Connection, credential_id: int, encrypted_username: str, encrypted_password: str) -> None:
    """The same account under another key."""
    parameters = {"id": credential_id, "username": encrypted_username, "password": encrypted_password}
    connection.execute(_REENCRYPT, parameters)


def mark_verified(connection: Connection, credential: StoredCredential, now: datetime) -> None:
    """WorkStudio took it: it may be used. Nothing happens if it was replaced meanwhile."""
    connection.execute(_ACCEPT, {"id": credential.id, "now": now})


def count_refusal(
    connection: Connection, credential: StoredCredential, now: datetime, most: int = REFUSALS_IN_A_ROW
) -> int | None:
    """WorkStudio refused it: the ``most``-th time in a row disables it.

    Returns the refusals in a row, ``None`` if the credential may not be used any more: disabled, replaced or removed.
    """
    row = connection.execute(_REFUSE, {"id": credential.id, "now": now, "most": most}).first()
    return int(row.fail_count) if row is not None and row.is_valid else None


def record_uses(connection: Connection, uses: Mapping[int, datetime]) -> None:
    """When each credential (by id) was last used well; that ends a row of refusals."""
    connection.execute(_RECORD_USES, {"ids": list(uses), "times": list(uses.values())})


def planners_by_work_order(connection: Connection, work_orders: Sequence[str]) -> dict[str, list[int]]:
    """For each work order the ids of its circuits' planners who have a working credential.

    Who holds a circuit now comes first, then the latest linked.
    """
    found: dict[str, list[int]] = {}
    for row in connection.execute(_PLANNERS, {"work_orders": list(work_orders)}):
        found.setdefault(row.work_order, []).append(row.user_id)
    return found
