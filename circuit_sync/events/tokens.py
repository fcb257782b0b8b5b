"""Tokens of users: a random string that is shown once; the database holds its SHA-256 only.

A token has 256 random bits, so a plain hash of it cannot be searched, unlike that of a password.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, text

from circuit_sync.domain.errors import UsageError

TICKET_SECONDS = 60
_PREFIX = "cst_"
_MOST_TICKETS = 10_000

_USER = text("""
    SELECT id FROM users WHERE circuit_sync_fold(email) = circuit_sync_fold(:email)
    ORDER BY email = :email DESC, id LIMIT 1
""")
_ISSUE = text("INSERT INTO user_tokens (user_id, token_hash, created_at) VALUES (:user, :hash, :now)")
_REVOKE = text("UPDATE user_tokens SET revoked_at = :now WHERE user_id = :user AND revoked_at IS NULL")
_HOLDER = text("""
    SELECT t.id AS token_id, u.id AS user_id, u.name, u.role,
           coalesce(t.last_used_at < :now - interval '1 minute', true) AS is_use_due
    FROM user_tokens AS t JOIN users AS u ON u.id = t.user_id
    WHERE (t.token_hash = :hash OR t.id = :token_id) AND t.revoked_at IS NULL
""")
_USED = text("UPDATE user_tokens SET last_used_at = :now WHERE id = :token_id")


@dataclass(frozen=True)
class Holder:
    """The user of a token."""

    token_id: int
    user_id: int
    name: str
    role: str


def issue_token(connection: Connection, email: str, now: datetime) -> str:
    """A new token for the user with this e-mail address; to be shown once. Raises ``UsageError`` for an unknown one."""
    token = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(_ISSUE, {"user": _user(connection, email), "hash": hash_of(token), "now": now})
    return token


def revoke_tokens(connection: Connection, email: str, now: datetime) -> int:
    """Revokes all tokens of the user; returns how many there were. Raises ``UsageError`` for an unknown address."""
    return connection.execute(_REVOKE, {"user": _user(connection, email), "now": now}).rowcount


def find_holder(
    connection: Connection, now: datetime, *, token: str | None = None, token_id: int | None = None
) -> Holder | None:
    """Whose token this is; ``None`` if it is unknown or revoked."""
    hashed = hash_of(token) if token is not None else None
    row = connection.execute(_HOLDER, {"hash": hashed, "token_id": token_id, "now": now}).one_or_none()
    if row is None:
        return None
    if row.is_use_due:
        connection.execute(_USED, {"token_id": row.token_id, "now": now})
    return Holder(row.token_id, row.user_id, row.name, row.role)


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode()).hexdigest()


def _user(connection: Connection, email: str) -> int:
    user: int | None = connection.scalar(_USER, {"email": email.strip()})
    if user is None:
        raise UsageError(f"no user has the e-mail address {email!r}: `circuit-sync users list` shows who is known")
    return user


class Tickets:
    """They replace a token where a browser cannot send one: each opens one stream, within a minute.

    They are kept in memory: after a restart of the gateway the page asks for another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[str, tuple[int, float]] = {}

    def issue(self, token_id: int) -> str:
        """A ticket for the holder of the token."""
        now = self._clock()
        # In the order of their issue, so the expired ones come first.
        for ticket, (_, until) in list(self._issued.items()):
            if until > now and len(self._issued) < _MOST_TICKETS:
                break
            del self._issued[ticket]
        ticket = secrets.token_urlsafe(32)
        self._issued[ticket] = token_id, now + TICKET_SECONDS
        return ticket

    def redeem(self, ticket: str) -> int | None:
        """The id of the token it stands for, once; ``None`` if it was used, has expired, or was never issued."""
        token_id, until = self._issued.pop(ticket, (None, 0.0))
        return token_id if until > self._clock() else None
