"""Whose WorkStudio account a call is made with: planners' own, and the service account behind them.

A 401 counts against a planner's credential and the next one is tried; three in a row disable it. A 403 counts against
none, as the account only may not see this: the circuit's other planners, one account more and the service account are
tried, not all there are. The service account is never disabled.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from circuit_sync.database.people import credentials as store
from circuit_sync.database.people.credentials import StoredCredential
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.sync_log import CredentialUse
from circuit_sync.sync.people.secrets import SETTING, CannotDecrypt, SecretKeys
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.ddotable import Table
from circuit_sync.workstudio.errors import Forbidden, Unauthorized
from circuit_sync.workstudio.server import Credential

SERVICE = "service"

_Fetch = Callable[[Credential], Table]
_Refusals = list[Unauthorized | Forbidden]


@dataclass(eq=False)
class _Account:
    """A planner's working account, decrypted for one run; without ``stored`` the service account."""

    stored: StoredCredential | None
    credential: Credential = field(repr=False)
    refusals: int = 0

    @property
    def key(self) -> int | str:
        return self.stored.id if self.stored else SERVICE


class CredentialRotation:
    """The credentials of one run. Safe for many threads.

    Successes are written by ``record_uses``, once per batch and at the end of the run; refusals at once.
    """

    def __init__(
        self, session: Session, service: Credential, working: Sequence[tuple[StoredCredential, Credential]]
    ) -> None:
        """``working``: planners' accounts, the least recently used first."""
        self._session = session
        self._service = _Account(None, service)
        self._accounts = [_Account(stored, credential, stored.fail_count) for stored, credential in working]
        self._credential_of = {stored.user_id: stored.id for stored, _ in working}
        self._mutex = threading.Lock()
        self._calls: Counter[int | str] = Counter()
        self._refused: Counter[int | str] = Counter()
        self._unwritten: dict[int, datetime] = {}

    def fetch_planned_units(self, workstudio: WorkStudio, work_order: str, planner_user_ids: Sequence[int]) -> Table:
        """The units of a work order: as one of its planners, else as whoever was used least recently, else as service.

        If none is answered, raises ``Unauthorized`` if the server knows none of them, else ``Forbidden``.
        """
        return self._ask(
            lambda refusals: self._candidates(planner_user_ids, refusals, service_last=True),
            lambda credential: workstudio.fetch_planned_units(work_order, credential),
        )

    def fetch_circuits(self, workstudio: WorkStudio, status: str, person: int | None = None) -> Table:
        """The circuits of a status: as the person (a user's id), else as service, else in turn.

        A planner's rights may filter the list, so theirs come last. Raises as ``fetch_planned_units``.
        """
        return self._ask(
            lambda refusals: self._candidates([] if person is None else [person], refusals, service_last=False),
            lambda credential: workstudio.fetch_circuits(status, credential),
        )

    def used(self) -> list[CredentialUse]:
        """Who was used, for the sync log."""
        with self._mutex:
            return [
                {"credential_id": key, "calls": calls, "refused": self._refused[key]}
                for key, calls in sorted(self._calls.items(), key=lambda item: str(item[0]))
            ]

    def served(self, person: int) -> bool:
        """Whether WorkStudio answered the person (a user's id)."""
        with self._mutex:
            credential = self._credential_of.get(person)
            return credential is not None and self._calls[credential] > self._refused[credential]

    def record_uses(self) -> None:
        """Writes when the credentials were last used; nothing if only the service account was."""
        with self._mutex:
            uses, self._unwritten = self._unwritten, {}
        if uses:
            with self._session.database.transaction() as connection:
                store.record_uses(connection, uses)

    def _ask(self, candidates: Callable[[_Refusals], Iterator[_Account]], fetch: _Fetch) -> Table:
        refusals: _Refusals = []
        asked = []
        for account in candidates(refusals):
            asked.append(account.stored.email if account.stored else "the service account")
            try:
                table = fetch(account.credential)
            except (Unauthorized, Forbidden) as error:
                refusals.append(error)
                self._note_refused(account, is_blamed=isinstance(error, Unauthorized))
            else:
                self._note_answered(account)
                return table
        refusal = next((error for error in refusals if isinstance(error, Forbidden)), refusals[-1])
        raise type(refusal)(f"{refusal} (asked as {', '.join(asked)})")

    def _candidates(self, users: Sequence[int], refusals: _Refusals, *, service_last: bool) -> Iterator[_Account]:
        """The accounts of ``users``, then the others in turn and the service account; each chosen when it is needed."""
        tried: list[_Account] = []
        for user in users:
            if account := self._take(_is_of(user)):
                tried.append(account)
                yield account
        if not service_last:
            yield self._service
        # After the least recently used one the next only while the server knows none: what one may not see, few may.
        while account := self._take(lambda one: one not in tried):
            tried.append(account)
            yield account
            if isinstance(refusals[-1], Forbidden):
                break
        if service_last:
            yield self._service

    def _take(self, wanted: Callable[[_Account], bool]) -> _Account | None:
        """The least recently used one that is wanted; it becomes the most recently used."""
        with self._mutex:
            found = next(filter(wanted, self._accounts), None)
            if found is not None:
                self._accounts.remove(found)
                self._accounts.append(found)
            return found

    def _note_answered(self, account: _Account) -> None:
        with self._mutex:
            self._calls[account.key] += 1
            if account.stored is None:
                return
            self._unwritten[account.stored.id] = self._session.now()
            had_refusals, account.refusals = account.refusals > 0, 0
        if had_refusals:
            self.record_uses()

    def _note_refused(self, account: _Account, *, is_blamed: bool) -> None:
        with self._mutex:
            self._calls[account.key] += 1
            self._refused[account.key] += 1
        if account.stored is None or not is_blamed:
            return
        self.record_uses()
        with self._session.database.transaction() as connection:
            refusals = store.count_refusal(connection, account.stored, self._session.now())
        if refusals is not None:
            account.refusals = refusals
            return
        with self._mutex:
            if account not in self._accounts:
                return
            self._accounts.remove(account)
        self._session.log(
            f"the WorkStudio account of {account.stored.email} was refused and is not used any more: "
            "`circuit-sync credentials list` shows more, `credentials set` stores a new password"
        )


def open_rotation(session: Session, keys: SecretKeys) -> CredentialRotation:
    """The credentials for one run: all that are verified and can be decrypted, and the service account.

    Without a key, or with the wrong one, it is the service account alone; that is logged if anything is stored.
    """
    if session.service_credential is None:
        raise UsageError("WorkStudio is not configured: set the service account (see .env.example)")
    with session.database.transaction() as connection:
        stored = store.stored_credentials(connection)
    if stored and not keys:
        session.log(f"warning: {SETTING} is not set: the {len(stored)} stored credentials cannot be used")
        stored = []
    working = []
    for credential in stored:
        if not credential.is_valid:
            continue
        try:
            working.append((credential, decrypted(credential, keys)))
        except CannotDecrypt as error:
            session.log(f"warning: the credential of {credential.email} cannot be used: {error}")
    return CredentialRotation(session, session.service_credential, working)


def decrypted(credential: StoredCredential, keys: SecretKeys) -> Credential:
    """The account in clear. Raises ``CannotDecrypt``."""
    return Credential(keys.decrypt(credential.encrypted_username), keys.decrypt(credential.encrypted_password))


def _is_of(user_id: int) -> Callable[[_Account], bool]:
    return lambda account: account.stored is not None and account.stored.user_id == user_id
