"""What the steps of a run share: its database, WorkStudio, and the lock that says the run is alive.

No resource takes configuration: what is secret comes from the settings when a step first needs it, so that it is in no
run configuration, no event and no repr.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import dagster as dg

from circuit_sync.database.connection import Database
from circuit_sync.database.locks import run_lock
from circuit_sync.database.migrate import ensure_upgraded
from circuit_sync.domain.errors import CircuitSyncError, UsageError
from circuit_sync.environment import server_name
from circuit_sync.orchestration import clock
from circuit_sync.orchestration.runs.failures import failure
from circuit_sync.orchestration.runs.requests import request_of
from circuit_sync.orchestration.runs.runs import SYNC_TAG, TERMINAL_TAG, cancelled_by_a_person, tags_not_copied
from circuit_sync.orchestration.terminal.progress import report_progress
from circuit_sync.settings import Settings, load_settings
from circuit_sync.sync.log.closing import FailedSync, close_left_open, fail_unopened, failed_sync_of, fate_of
from circuit_sync.sync.people.secrets import SecretKeys
from circuit_sync.sync.session import Session, silent
from circuit_sync.workstudio.server import Credential, Server

_INTERRUPTIONS = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)


class RunContext:
    """What the steps of one run share. It opens at the first use and stays open until the run ends, however it ends.

    It sees to the run's sync log where no step can: before it is open, and between two steps.
    """

    def __init__(self, instance: dg.DagsterInstance | None, run: dg.DagsterRun | None, stack: ExitStack) -> None:
        self._instance = instance
        self._run = run
        self._stack = stack
        self._session: Session | None = None
        self._log: Callable[[str], object] = str

    @contextmanager
    def session(self, log: Callable[[str], object], *, calls_workstudio: bool = True) -> Iterator[Session]:
        """The run's session, for one step, whose log gets its lines; an error of ours becomes a failure of one line."""
        self._log = log
        try:
            self._session = session = self._prepared(calls_workstudio)
            yield session
        except CircuitSyncError as error:
            raise failure(error, self._failed_sync(error)) from None
        except BaseException as error:
            self._failed_sync(error)
            raise

    def _prepared(self, calls_workstudio: bool) -> Session:
        settings = load_settings()
        session = self._session or self._open(settings)
        if calls_workstudio and session.server is None:
            server, credential = Server.from_settings(settings), Credential.from_settings(settings)
            session = replace(session, server=server, service_credential=credential)
        return session

    def _open(self, settings: Settings) -> Session:
        """What fails here leaves nothing open: the next step tries again, and takes the lock anew."""
        with ExitStack() as opened:
            database = opened.enter_context(Database(database_url(settings)))
            if self._run is not None:  # before a migration that takes long: without the lock the run is taken for dead
                opened.enter_context(run_lock(database, self._run.run_id))
            if line := ensure_upgraded(database, mains_contain_splits=settings.workstudio_mains_contain_splits):
                self._say(line)
            key = settings.circuit_sync_secret_key
            session = Session(
                database,
                identity=server_name(settings),
                secret_keys=SecretKeys.parse(key.get_secret_value() if key else None),
                retry_delays=retry_delays(settings),
                was_cancelled=self._was_cancelled,
                log=self._say,
                progress=report_progress,
            )
            opened.callback(self._close_left_open, session)
            opened.callback(session.leave_store)
            self._stack.enter_context(opened.pop_all())
        return session

    def _close_left_open(self, session: Session) -> None:
        """When the run ends. Dagster calls this while it handles what ended it: the interpreter knows what that is."""
        if self._run is None:
            return
        try:
            ended_by = sys.exception()
            interruption = ended_by if isinstance(ended_by, _INTERRUPTIONS) else None
            close_left_open(session, self._run.run_id, interruption)
        except CircuitSyncError as error:
            self._say(f"the run's sync could not be closed ({error}); the sensor close_abandoned_syncs will")

    def _failed_sync(self, error: BaseException) -> FailedSync | None:
        """The sync that failed with ``error``, which the run then carries.

        Writes a failed sync log if the run ends before it opened its own; where that fails, the sensor
        close_abandoned_syncs does it.
        """
        if self._instance is None or self._run is None or (request := request_of(self._run)) is None:
            return None
        if not isinstance(error, Exception) and self._was_cancelled():
            return None
        failed = None
        with suppress(CircuitSyncError):
            settings = load_settings()
            with Database(database_url(settings)) as database:  # not migrated: it may be newer, and still take the log
                session = Session(database, retry_delays=retry_delays(settings), was_cancelled=self._was_cancelled)
                if not (isinstance(error, UsageError) and request.is_watched):  # then a person is told at once
                    reason, transient = fate_of(session, error)
                    fail_unopened(session, request, reason, transient=transient)
                failed = failed_sync_of(session, self._run.run_id)
        if failed is not None:
            with suppress(Exception):  # Dagster's storage may be away while ours is not.
                self._instance.add_run_tags(self._run.run_id, {SYNC_TAG: str(failed.id)})
        return failed

    def _was_cancelled(self) -> bool:
        """Dagster logs a cancellation before it interrupts the run; a shutdown interrupts and logs nothing."""
        if self._instance is None or self._run is None or TERMINAL_TAG in tags_not_copied(self._run):
            return True
        try:
            run = self._instance.get_run_by_id(self._run.run_id)
            return run is None or cancelled_by_a_person(self._instance, run)
        except Exception:
            return False  # Dagster's storage is away, and with it the way to cancel a run.

    def _say(self, line: str) -> None:
        with suppress(Exception):  # Dagster's storage may be away while ours is not: no sync fails for a line.
            self._log(line)


RunResource = dg.ResourceParam[RunContext]


@dg.resource(
    description="The database and WorkStudio as the settings name them, and the lock that says this run is alive"
)
def run_context(context: dg.InitResourceContext) -> Iterator[RunContext]:
    """Opened lazily, so that what is wrong with a setting fails the step that needs it, in one line."""
    with ExitStack() as stack:
        yield RunContext(context.instance, context.run, stack)


@contextmanager
def sensor_session(log: Callable[[str], None] = silent) -> Iterator[Session]:
    """A session for a sensor: the database only."""
    settings = load_settings()
    with Database(database_url(settings)) as database:
        ensure_upgraded(database, mains_contain_splits=settings.workstudio_mains_contain_splits)
        yield Session(database, retry_delays=retry_delays(settings), now=clock.now, log=log)


def retry_delays(settings: Settings) -> list[timedelta]:
    """After which a sync that failed for a transient reason runs again."""
    return [timedelta(minutes=minutes) for minutes in settings.circuit_sync_retry_delays]


def database_url(settings: Settings) -> str:
    """The configured database; ``UsageError`` if there is none, which our own commands see to."""
    if settings.circuit_sync_database_url is None:
        raise UsageError(
            "CIRCUIT_SYNC_DATABASE_URL is not set: set it, or start with `circuit-sync dev`, which brings a server"
        )
    return settings.circuit_sync_database_url.get_secret_value()
