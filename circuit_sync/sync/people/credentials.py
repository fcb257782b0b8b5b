"""Whose WorkStudio account a call is made with: planners' own, and the service account behind them.

A 401 counts against a planner's credential and the next one is tried; three in a row disable it. After a 403 nobody is
blamed, the account is good and may only not see this: the circuit's other planners, one account more and the service
account are tried, not all there are. The service account is never disabled.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from circuit_sync.database.connection import Database
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
class _Held:
    """A planner's working credential, decrypted for one run."""

    stored: StoredCredential
    account: Credential = field(repr=False)
    refusals: int


class CredentialRotation:
    """The credentials of one run. Safe for many threads.

    Successes are written by ``record_uses``, once per batch and at the end of the run; refusals at once.
    """

    def __init__(
        self,
        database: Database,
        service: Credential,
        held: Sequence[tuple[StoredCredential, Credential]],
        *,
        now: Callable[[], datetime],
        log: Callable[[str], object],
    ) -> None:
        """``held``: working credentials, the least recently used first."""
        self._database = database
        self._service = service
        self._held = [_Held(stored, account, stored.fail_count) for stored, account in held]
        self._credential_of = {stored.user_id: stored.id for stored, _ in held}
        self._now = now
        self._log = log
        self._mutex = threading.Lock()
        self._calls: Counter[int | str] = Counter()
        self._refused: Counter[int | str] = Counter()
        self._unwritten: dict[int, datetime] = {}

    def fetch_planned_units(self, workstudio: WorkStudio, work_order: str, planner_user_ids: Sequence[int]) -> Table:
        """The units of a work order: as one of its planners, else as whoever was used least recently, else as service.

        If none is answered, raises ``Unauthorized`` if the server knows none of them, else ``Forbidden``.
        """
        return self._ask(
            lambda refusals: self._for_units(planner_user_ids, refusals),
            lambda account: workstudio.fetch_planned_units(work_order, account),
        )

    def fetch_circuits(self, workstudio: WorkStudio, status: str, person: int | None = None) -> Table:
        """The circuits of a status: as the person (a user's id), else as service, else in turn.

        A planner's rights may filter the list, so theirs come last. Raises as ``fetch_planned_units``.
        """
        return self._ask(
            lambda refusals: self._for_circuits(person, refusals),
            lambda account: workstudio.fetch_circuits(status, account),
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
            with self._database.transaction() as connection:
                store.record_uses(connection, uses)

    def _ask(self, candidates: Callable[[_Refusals], Iterator[_Held | None]], fetch: _Fetch) -> Table:
        refusals: _Refusals = []
        asked = []
        for held in candidates(refusals):
            asked.append(held.stored.email if held else "the service account")
            try:
                table = fetch(held.account if held else self._service)
            except (Unauthorized, Forbidden) as error:
                refusals.append(error)
                self._note_refused(held)
                if isinstance(error, Unauthorized):
                    self._blame(held)
            else:
                self._accept(held)
                return table
        refusal = next((error for error in refusals if isinstance(error, Forbidden)), refusals[-1])
        raise type(refusal)(f"{refusal} (asked as {', '.join(asked)})")

    def _for_units(self, planners: Sequence[int], refusals: _Refusals) -> Iterator[_Held | None]:
        """Candidates are chosen as they are needed; ``None`` is the service account."""
        tried: list[_Held] = []
        for user in planners:
            if held := self._take(_account_of(user)):
                tried.append(held)
                yield held
        yield from self._in_turn(tried, refusals)
        yield None

    def _for_circuits(self, person: int | None, refusals: _Refusals) -> Iterator[_Held | None]:
        tried: list[_Held] = []
        if person is not None and (held := self._take(_account_of(person))):
            tried.append(held)
            yield held
        yield None
        yield from self._in_turn(tried, refusals)

    def _in_turn(self, tried: list[_Held], refusals: _Refusals) -> Iterator[_Held]:
        """The least recently used one, and the next while the server knows none: what one may not see, few may."""
        while held := self._take(lambda one: one not in tried):
            tried.append(held)
            yield held
            if isinstance(refusals[-1], Forbidden):
                return

    def _take(self, wanted: Callable[[_Held], bool]) -> _Held | None:
        """The least recently used one that is wanted; it becomes the most recently used."""
        with self._mutex:
            found = next(filter(wanted, self._held), None)
            if found is not None:
                self._held.remove(found)
                self._held.append(found)
            return found

    def _accept(self, held: _Held | None) -> None:
        with self._mutex:
            self._calls[held.stored.id if held else SERVICE] += 1
            if held is None:
                return
            self._unwritten[held.stored.id] = self._now()
            had_refusals, held.refusals = held.refusals > 0, 0
        if had_refusals:
            self.record_uses()

    def _note_refused(self, held: _Held | None) -> None:
        key = held.stored.id if held else SERVICE
        with self._mutex:
            self._calls[key] += 1
            self._refused[key] += 1

    def _blame(self, held: _Held | None) -> None:
        if held is None:
            return
        self.record_uses()
        with self._database.transaction() as connection:
            refusals = store.count_refusal(connection, held.stored, self._now())
        if refusals is not None:
            held.refusals = refusals
            return
        with self._mutex:
            if held not in self._held:
                return
            self._held.remove(held)
        self._log(
            f"the WorkStudio account of {held.stored.email} was refused and is not used any more: "
            "`circuit-sync credentials list` tells more, `credentials set` stores a new password"
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
    held = []
    for credential in stored:
        if not credential.is_valid:
            continue
        try:
            held.append((credential, decrypted(credential, keys)))
        except CannotDecrypt as error:
            session.log(f"warning: the credential of {credential.email} cannot be used: {error}")
    return CredentialRotation(session.database, session.service_credential, held, now=session.now, log=session.log)


def decrypted(credential: StoredCredential, keys: SecretKeys) -> Credential:
    """The account in clear. Raises ``CannotDecrypt``."""
    return Credential(keys.decrypt(credential.encrypted_username), keys.decrypt(credential.encrypted_password))


def _account_of(user_id: int) -> Callable[[_Held], bool]:
    return lambda held: held.stored.user_id == user_id
