"""One database, one server: circuits of two WorkStudios are never mixed.

Each sync begins with ``check_owner``; the first that stores what WorkStudio sent claims the database for it in the same
transaction. So an attempt that stores nothing, such as with a mistyped URL, ties it to nothing.
"""

from circuit_sync.database.connection import Connection
from circuit_sync.database.settings import claim, read_setting, write_setting
from circuit_sync.domain.errors import UsageError
from circuit_sync.sync.session import Session

_OWNER = "workstudio"


def identity_of(session: Session) -> str:
    """How the database remembers this WorkStudio: its URL without regard to case, or the name it was given."""
    if session.identity is not None:
        return session.identity
    if session.server is None:
        raise UsageError("no WorkStudio is configured: set WORKSTUDIO_BASE_URL")
    return session.server.base_url.lower()


def check_owner(connection: Connection, session: Session) -> None:
    """``UsageError`` if the database is tied to another WorkStudio."""
    wanted = identity_of(session)
    _refuse_another(read_setting(connection, _OWNER) or wanted, wanted)


def claim_database(connection: Connection, session: Session) -> None:
    """Ties an untied database to this WorkStudio; ``UsageError`` if it is tied to another."""
    wanted = identity_of(session)
    _refuse_another(claim(connection, _OWNER, wanted), wanted)


def _refuse_another(owner: str, wanted: str) -> None:
    if owner != wanted:
        raise UsageError(
            f"this database was filled by {owner}, and WORKSTUDIO_BASE_URL is {wanted}: nothing was done. Use another "
            "database (CIRCUIT_SYNC_DATABASE_URL), or, if it is the same WorkStudio at a new address, run: "
            "circuit-sync db adopt"
        )


def adopt_database(session: Session) -> tuple[str | None, str]:
    """Ties the database to this WorkStudio whatever filled it before; returns the former owner and the new one."""
    wanted = identity_of(session)
    with session.database.transaction() as connection:
        before = read_setting(connection, _OWNER)
        write_setting(connection, _OWNER, wanted)
    return before, wanted
