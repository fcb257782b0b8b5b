"""What every use case is given: the database, WorkStudio, the clock and a place for log lines."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import pace_lock, store_lock
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import printable
from circuit_sync.sync.people.secrets import SecretKeys
from circuit_sync.workstudio.pace import Pace
from circuit_sync.workstudio.server import Credential, Server

if TYPE_CHECKING:
    from circuit_sync.workstudio.client import WorkStudio


def silent(_line: str) -> None:
    """Writes no log line."""


@dataclass(frozen=True)
class Session:
    """The surroundings of one run's use cases.

    ``server`` and ``service_credential`` are absent where WorkStudio is not asked (snapshots, overviews).
    ``identity`` names the WorkStudio that fills the database, where its URL does not. ``secret_keys`` decrypt planners'
    passwords. ``retry_delays``: after which a sync that failed for a transient reason runs again. ``was_cancelled``:
    whether a person ended the run that is being interrupted. ``log`` takes lines for people, ``progress`` how many of
    how many calls are done.
    """

    database: Database
    server: Server | None = None
    service_credential: Credential | None = None
    identity: str | None = None
    secret_keys: SecretKeys = field(default_factory=SecretKeys)
    retry_delays: Sequence[timedelta] = ()
    was_cancelled: Callable[[], bool] = lambda: True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    log: Callable[[str], None] = silent
    progress: Callable[[int, int], None] = lambda _done, _total: None
    _store: ExitStack = field(default_factory=ExitStack, repr=False)
    _confirmations: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        """A line names work orders and planners as WorkStudio writes them: none may begin a second one."""
        log = self.log
        object.__setattr__(self, "log", lambda line: log(printable(line)))

    @contextmanager
    def workstudio(self) -> "Iterator[WorkStudio]":
        """A client of the configured WorkStudio, in one pace with every other run on this database."""
        from circuit_sync.workstudio.client import WorkStudio  # noqa: PLC0415  needs pandas, which few commands do

        if self.server is None or self.service_credential is None:
            raise UsageError(
                "WorkStudio is not configured: set WORKSTUDIO_BASE_URL and the service account (see .env.example)"
            )
        calls, delay = self.server.calls_before_delay, self.server.rate_limit_delay
        with (
            pace_lock(self.database) as lock,
            Pace(calls, delay, lock=lock) as pace,
            WorkStudio(self.server, self.service_credential, pace=pace, log=self.log, now=self.now) as client,
        ):
            yield client

    def hold_store(self) -> None:
        """Makes this run the one that fetches and stores circuits, until ``leave_store`` or the end of the process."""
        self.leave_store()
        self._confirmations.append(self._store.enter_context(store_lock(self.database, say=self.log)))

    def confirm_store(self) -> None:
        """Raises ``TransientError`` if the hold on the store was lost: another run may have stored a newer answer."""
        for confirm in self._confirmations:
            confirm()

    def leave_store(self) -> None:
        """Lets the next run fetch and store circuits."""
        self._confirmations.clear()
        self._store.close()
