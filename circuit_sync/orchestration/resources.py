"""The workplace of a run: its database, WorkStudio, and the lock that says the run is alive.

No resource takes configuration: what is secret comes from the settings when a step first needs it, so that it is in no
run configuration, no event and no repr.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

import dagster as dg

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import run_lock
from circuit_sync.database.migrate import upgrade
from circuit_sync.domain.errors import UsageError
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.failures import one_line
from circuit_sync.orchestration.local import server_name
from circuit_sync.orchestration.progress import tell_progress
from circuit_sync.orchestration.tags import TERMINAL_TAG
from circuit_sync.settings import Settings, load_settings
from circuit_sync.sync.secrets import SecretKeys
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.server import Credential, Server


class Workplace:
    """What the steps of one run share. It opens at the first use and stays open until the run ends, however it ends."""

    def __init__(self, run_id: str | None, was_cancelled: Callable[[], bool], stack: ExitStack) -> None:
        self._run_id = run_id
        self._was_cancelled = was_cancelled
        self._stack = stack
        self._session: Session | None = None
        self._log: Callable[[str], object] = str

    @contextmanager
    def session(self, log: Callable[[str], object], *, calls_workstudio: bool = True) -> Iterator[Session]:
        """The run's session, for one step, whose log gets its lines; an error of ours becomes a failure of one line."""
        self._log = log
        with one_line():
            settings = load_settings()
            session = self._session or self._open(settings)
            if calls_workstudio and session.server is None:
                server, credential = Server.from_settings(settings), Credential.from_settings(settings)
                session = replace(session, server=server, service_credential=credential)
            self._session = session
            yield session

    def _open(self, settings: Settings) -> Session:
        database = self._stack.enter_context(Database(database_url(settings)))
        upgrade(database)
        if self._run_id is not None:
            self._stack.enter_context(run_lock(database, self._run_id))
        key = settings.circuit_sync_secret_key
        session = Session(
            database,
            identity=server_name(settings),
            secret_keys=SecretKeys.parse(key.get_secret_value() if key else None),
            retry_delays=retry_delays(settings),
            was_cancelled=self._was_cancelled,
            log=self._say,
            progress=tell_progress,
        )
        self._stack.callback(session.leave_store)
        return session

    def _say(self, line: str) -> None:
        self._log(line)


@dg.resource(
    description="The database and WorkStudio as the settings name them, and the lock that says this run is alive"
)
def workplace(context: dg.InitResourceContext) -> Iterator[Workplace]:
    """Opened lazily, so that what is wrong with a setting fails the step that needs it, in one line."""

    def was_cancelled() -> bool:
        """Dagster notes a cancellation before it interrupts the run; a shutdown interrupts without a word."""
        if context.instance is None or context.run is None:
            return True
        try:
            run = context.instance.get_run_by_id(context.run.run_id)
        except Exception:
            return True  # Its storage is away, and ours with it: the sensor will close this sync as one that died.
        return run is None or TERMINAL_TAG in run.tags or run.status is not dg.DagsterRunStatus.STARTED

    with ExitStack() as stack:
        yield Workplace(context.run.run_id if context.run else None, was_cancelled, stack)


def _unheard(_line: str) -> None:
    """Nobody listens."""


@contextmanager
def looking(log: Callable[[str], None] = _unheard) -> Iterator[Session]:
    """A session for a sensor: the database only."""
    settings = load_settings()
    with Database(database_url(settings)) as database:
        upgrade(database)
        yield Session(database, retry_delays=retry_delays(settings), now=clock.now, log=log)


def retry_delays(settings: Settings) -> list[timedelta]:
    """After which a sync that failed for a passing reason runs again."""
    return [timedelta(minutes=minutes) for minutes in settings.circuit_sync_retry_delays]


def database_url(settings: Settings) -> str:
    """The configured database; ``UsageError`` if there is none, which our own commands see to."""
    if settings.circuit_sync_database_url is None:
        raise UsageError(
            "CIRCUIT_SYNC_DATABASE_URL is not set: set it, or start with `circuit-sync dev`, which brings a server"
        )
    return settings.circuit_sync_database_url.get_secret_value()
