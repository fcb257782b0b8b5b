"""Administration of planners' WorkStudio accounts: stored, verified, listed, put under a new key."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuit_sync.database.log.sync_logs import resolve_user
from circuit_sync.database.people import credentials as store
from circuit_sync.database.people.credentials import StoredCredential
from circuit_sync.database.people.users import users_by_id
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Lines
from circuit_sync.sync.installation.ownership import check_owner
from circuit_sync.sync.people.credentials import decrypted
from circuit_sync.sync.people.secrets import CannotDecrypt, SecretKeys
from circuit_sync.sync.people.users import planner_name
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.errors import Forbidden, Unauthorized

NO_WORK_ORDER = "0000-0000"
"""A work order that does not exist: to ask for its units costs a server next to nothing."""
VALID = "valid"


@dataclass(frozen=True)
class AccountHolder:
    """A user about to store a WorkStudio account, and the name of that account."""

    user_id: int
    email: str
    ws_username: str


def account_holder(session: Session, user: str, ws_username: str | None = None) -> AccountHolder:
    """Who ``user`` is, and as whom they sign in to WorkStudio: under their own name there unless another is given.

    Raises ``UsageError``.
    """
    with session.database.transaction() as connection:
        user_id = resolve_user(connection, user)
        assert user_id is not None
        found = users_by_id(connection, [user_id])[user_id]
    name = ws_username if ws_username is not None else found.ws_username
    if name is None:
        raise UsageError(f"{found.email} has no WorkStudio user name: give one with --ws-username")
    if ":" in name:
        raise UsageError(f"{name!r} cannot sign in: Basic authentication allows no colon in a user name")
    return AccountHolder(user_id, found.email, planner_name(name))


def store_account(session: Session, keys: SecretKeys, holder: AccountHolder, password: str) -> None:
    """Stores the account encrypted, in place of the one before; it is not used before it is verified.

    Raises ``UsageError``, which never quotes the password.
    """
    if not password:
        raise UsageError("the password is empty: nothing was stored")
    if not password.isprintable():
        raise UsageError("the password holds a control character: nothing was stored")
    username, secret = keys.encrypt(holder.ws_username), keys.encrypt(password)
    with session.database.transaction() as connection:
        store.store_credential(connection, holder.user_id, username, secret)


def verify_accounts(session: Session, keys: SecretKeys, users: Sequence[str] = ()) -> Lines:
    """Makes a cheap call as each of the ``users`` (default: all who have an account) and marks what came of it.

    Returns lines of user, email, result: ``valid``, or why not. A failure that says nothing of the account (the server
    is down, say) is raised; what was verified before stays so.
    """
    with session.database.transaction() as connection:
        check_owner(connection, session)
        stored = _chosen(store.stored_credentials(connection), [resolve_user(connection, user) for user in users])
    with session.workstudio() as workstudio:
        workstudio.check_health()
        return [
            {"user": one.name, "email": one.email, "result": _verify(session, workstudio, keys, one)} for one in stored
        ]


def list_accounts(session: Session, keys: SecretKeys) -> Lines:
    """Every stored account without its password; its name only if a key fits. Times as they are stored."""
    with session.database.transaction() as connection:
        stored = sorted(store.stored_credentials(connection), key=lambda credential: credential.email)
    return [
        {
            "user": credential.name,
            "email": credential.email,
            "WorkStudio user": _username(credential, keys),
            "state": _state(credential),
            "refused in a row": credential.fail_count,
            "verified": credential.verified_at,
            "last used": credential.last_used_at,
            "last refused": credential.failed_at,
        }
        for credential in stored
    ]


def rotate_accounts(session: Session, keys: SecretKeys) -> int:
    """Encrypts every account anew with the first key, all or none; returns how many. Raises ``CannotDecrypt``."""
    keys.required()
    with session.database.transaction() as connection:
        stored = store.lock_stored_credentials(connection)
        for credential in stored:
            try:
                username, secret = map(keys.rotate, (credential.encrypted_username, credential.encrypted_password))
            except CannotDecrypt as error:
                raise CannotDecrypt(f"the account of {credential.email}: {error}; nothing was changed") from None
            store.reencrypt(connection, credential.id, username, secret)
    return len(stored)


def _chosen(stored: Sequence[StoredCredential], user_ids: Sequence[int | None]) -> list[StoredCredential]:
    chosen = [credential for credential in stored if not user_ids or credential.user_id in user_ids]
    if len(chosen) < max(1, len(set(user_ids))):
        who = "every user named" if user_ids else "anybody"
        raise UsageError(f"no account is stored for {who}: store it with `circuit-sync credentials set USER`")
    return chosen


def _verify(session: Session, workstudio: WorkStudio, keys: SecretKeys, credential: StoredCredential) -> str:
    try:
        workstudio.fetch_planned_units(NO_WORK_ORDER, decrypted(credential, keys))
    except CannotDecrypt as error:
        return str(error)
    except Unauthorized:
        with session.database.transaction() as connection:
            store.count_refusal(connection, credential, session.now(), most=1)
        return "refused: wrong password"
    except Forbidden:
        return "refused: the account may not see planned units; check its rights in WorkStudio"
    with session.database.transaction() as connection:
        store.mark_verified(connection, credential, session.now())
    return VALID


def _username(credential: StoredCredential, keys: SecretKeys) -> str:
    try:
        return keys.decrypt(credential.encrypted_username) if keys else "(no key)"
    except CannotDecrypt:
        return "(no key fits)"


def _state(credential: StoredCredential) -> str:
    if credential.is_valid:
        return VALID
    return "refused" if credential.fail_count else "not verified yet"
