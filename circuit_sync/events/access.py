"""Who may listen to which channel. A circuit that does not exist and one closed to the user look the same."""

import re
from collections.abc import Iterable

from sqlalchemy import Connection, text

from circuit_sync.events.catalogue import DASHBOARD, SYNC_STATUS

ADMIN_ROLES = ("sudo_admin", "admin")

_CIRCUIT = re.compile(r"circuit\.([1-9][0-9]{0,17})")

MAY_SEE = f"""
    (u.role IN {ADMIN_ROLES}
     OR EXISTS (SELECT 1 FROM circuit_user AS l WHERE l.circuit_id = c.id AND l.user_id = u.id)
     OR EXISTS (SELECT 1 FROM user_regions AS r WHERE r.region_id = c.region_id AND r.user_id = u.id))
"""
"""SQL: whether the user ``u`` may see the circuit ``c``."""

_REFUSED = text(f"""
    SELECT DISTINCT asked.listener
    FROM unnest(CAST(:listeners AS bigint[]), CAST(:tokens AS bigint[]), CAST(:channels AS text[]),
                CAST(:circuits AS bigint[])) AS asked (listener, token_id, channel, circuit_id)
    LEFT JOIN user_tokens AS t ON t.id = asked.token_id AND t.revoked_at IS NULL
    LEFT JOIN users AS u ON u.id = t.user_id
    WHERE u.id IS NULL OR NOT CASE asked.channel
        WHEN '{DASHBOARD}' THEN true
        WHEN '{SYNC_STATUS}' THEN u.role IN {ADMIN_ROLES}
        ELSE EXISTS (SELECT 1 FROM circuits AS c WHERE c.id = asked.circuit_id AND {MAY_SEE})
    END
""")


def unknown_channel(names: Iterable[str]) -> str | None:
    """One line on the first name that cannot be a channel; ``None`` if all can."""
    wrong = (name for name in names if name not in {DASHBOARD, SYNC_STATUS} and _circuit_of(name) is None)
    return next(
        (f"unknown channel {name!r}: allowed are dashboard, sync-status and circuit.ID" for name in wrong), None
    )


def _circuit_of(channel: str) -> int | None:
    found = _CIRCUIT.fullmatch(channel)
    return int(found[1]) if found else None


def refused(connection: Connection, asked: Iterable[tuple[int, int, Iterable[str]]]) -> set[int]:
    """Of listeners (number, id of the token, channels) the numbers of those that may not have all their channels.

    One statement for all: it is asked again for every open stream, several times a minute.
    """
    rows = [(number, token, name, _circuit_of(name)) for number, token, channels in asked for name in channels]
    columns = map(list, zip(*rows, strict=True))
    parameters = dict(zip(("listeners", "tokens", "channels", "circuits"), columns, strict=False))
    return set(connection.scalars(_REFUSED, parameters)) if rows else set()
