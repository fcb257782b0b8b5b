"""A look at everything an installation rests on, for its first day. It stores nothing and claims nothing.

One part that fails does not stop the others; what rests on it is listed as not looked at.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.look import look_at_dagster_storage
from circuit_sync.database.locks import keeps_sessions
from circuit_sync.database.migrate import migration_config, revisions
from circuit_sync.database.server.requirements import look_at_database
from circuit_sync.database.urls import dagster_url, masked
from circuit_sync.domain.errors import CircuitSyncError, UsageError
from circuit_sync.domain.installation import Look, LookLine
from circuit_sync.events.webhooks import Sender, Webhook
from circuit_sync.settings import Settings
from circuit_sync.sync.installation.ownership import check_owner
from circuit_sync.sync.installation.workstudio import CHECKS, WorkStudioLook, undemanding
from circuit_sync.sync.installation.workstudio import PART as WORKSTUDIO
from circuit_sync.sync.people.secrets import SecretKeys
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.server import Credential, Server

SETTINGS, DATABASE, STORAGE, WEBHOOKS = "settings", "database", "Dagster's storage", "webhooks"
Faults = Sequence[tuple[str, str]]


class _Installation:
    def __init__(self, settings: Settings, faults: Faults, identity: str | None) -> None:
        self.found = Look()
        self._settings = settings
        self._faults = faults
        self._identity = identity
        self._has_database = False
        secret = settings.circuit_sync_database_url
        self._url = secret.get_secret_value() if secret else None

    def _say(self, part: str, check: str, found: str, wrong: str | None = None) -> None:
        """``wrong``, if there is anything; else what was ``found``."""
        self.found.say(part, check, "wrong" if wrong else "ok", wrong or found)

    def look_at_settings(self) -> None:
        for name, fault in self._faults:
            self._say(SETTINGS, name, "", fault)
        if not self._faults:
            file = ".env is read" if Path(".env").is_file() else "there is no .env here"
            self._say(SETTINGS, "values", f"each that is set is right; {file}")
        folder = self._settings.circuit_sync_state_dir.absolute()
        wrong = (
            None if _can_be_written(folder) else f"{folder} cannot be written: name another folder, or give the right"
        )
        self._say(SETTINGS, "CIRCUIT_SYNC_STATE_DIR", f"{folder}", wrong)
        key = self._settings.circuit_sync_secret_key
        try:
            if SecretKeys.parse(key.get_secret_value() if key else None):
                self._say(SETTINGS, "CIRCUIT_SYNC_SECRET_KEY", "planners' passwords can be stored")
            else:
                not_set = "not set: no planner's password can be stored"
                self.found.say(SETTINGS, "CIRCUIT_SYNC_SECRET_KEY", "note", not_set)
        except UsageError as error:
            self._say(SETTINGS, "CIRCUIT_SYNC_SECRET_KEY", "", str(error))

    def look_at_database(self) -> None:
        if self._url is None:
            folder = self._settings.circuit_sync_state_dir.absolute() / "postgres"
            found = f"CIRCUIT_SYNC_DATABASE_URL is not set: the embedded PostgreSQL server in {folder} would be used"
            self._say(DATABASE, "server", found)
            return
        with Database(self._url) as database:
            with database.rehearsal() as connection:
                aspects = look_at_database(connection, revisions(migration_config()))
            self._say(DATABASE, "connection", masked(self._url))
            for aspect in aspects:
                self._say(DATABASE, aspect.name, aspect.found, aspect.wrong)
            pooled = "a pooler gives connections away between transactions: set PgBouncer's pool_mode = session"
            self._say(
                DATABASE, "sessions", "each connection keeps its own", None if keeps_sessions(database) else pooled
            )
            self._has_database = True
            if any(aspect.name == "tables" and aspect.is_made for aspect in aspects):
                self._look_at_owner(database)

    def _look_at_owner(self, database: Database) -> None:
        if self._settings.workstudio_base_url is None:
            return
        wrong = None
        try:
            session = Session(database, Server.from_settings(self._settings), identity=self._identity)
            with database.rehearsal() as connection:
                check_owner(connection, session)
        except CircuitSyncError as error:
            wrong = str(error)
        self._say(DATABASE, "WorkStudio", "what it holds, if anything, is from the one configured", wrong)

    def look_at_storage(self) -> None:
        if self._url is None:
            self._say(STORAGE, "schema", "would be in the embedded server, too")
            return
        configured = self._settings.circuit_sync_dagster_url
        if configured is None and not self._has_database:
            self.found.say(STORAGE, "schema", "not looked at", "it is in the database, which cannot be used")
            return
        aspect = look_at_dagster_storage(configured.get_secret_value() if configured else dagster_url(self._url))
        self._say(STORAGE, aspect.name, aspect.found, aspect.wrong)

    def look_at_workstudio(self) -> None:
        if self._settings.workstudio_base_url is None and self._url is None:
            self._say(WORKSTUDIO, "server", "WORKSTUDIO_BASE_URL is not set: the bundled simulator would be used")
            return
        server = Server.from_settings(self._settings)
        credential = Credential.from_settings(self._settings)
        server.trusted_certificates()
        look = WorkStudioLook(server, credential, self._settings.workstudio_statuses)
        try:
            look.run(self._client(undemanding(server), credential))
        finally:
            self.found.columns = look.found.columns
            self.found.lines += sorted(look.found.lines, key=lambda line: CHECKS.index(line.check))
        for check in CHECKS:
            if all(line.check != check for line in look.found.lines):
                self.found.say(WORKSTUDIO, check, "not looked at", "what it rests on failed")

    @contextmanager
    def _client(self, server: Server, credential: Credential) -> Iterator[WorkStudio]:
        """In one pace with whatever runs on the database, if there is one."""
        if self._has_database and self._url is not None:
            with Database(self._url) as database, Session(database, server, credential).workstudio() as workstudio:
                yield workstudio
        else:
            with WorkStudio(server, credential) as workstudio:
                yield workstudio

    def look_at_webhooks(self) -> None:
        webhooks = Webhook.parse_all([url.get_secret_value() for url in self._settings.circuit_sync_webhooks])
        if not webhooks:
            self._say(WEBHOOKS, "all", "CIRCUIT_SYNC_WEBHOOKS names none")
            return
        with Sender() as sender, ThreadPoolExecutor(len(webhooks)) as threads:
            for webhook, answer in zip(webhooks, threads.map(sender.reach, webhooks), strict=True):
                cure = f": check number {webhook.place} of CIRCUIT_SYNC_WEBHOOKS, and its receiver"
                wrong = answer.error and f"{answer.error}{cure}"
                self._say(WEBHOOKS, webhook.name, "it can be reached; no event was sent", wrong)


# With the beginnings of the names of the settings that each part rests on.
_PARTS: Sequence[tuple[str, tuple[str, ...], Callable[[_Installation], None]]] = (
    (SETTINGS, (), _Installation.look_at_settings),
    (DATABASE, ("CIRCUIT_SYNC_DATABASE_URL",), _Installation.look_at_database),
    (STORAGE, ("CIRCUIT_SYNC_DATABASE_URL", "CIRCUIT_SYNC_DAGSTER_URL"), _Installation.look_at_storage),
    (WORKSTUDIO, ("WORKSTUDIO_",), _Installation.look_at_workstudio),
    (WEBHOOKS, ("CIRCUIT_SYNC_WEBHOOKS",), _Installation.look_at_webhooks),
)


def look_at_installation(
    settings: Settings, faults: Faults, *, identity: str | None = None, say: Callable[[str], object] = str
) -> Look:
    """Looks at one part after the other. ``faults``: wrong settings by name, for which ``settings`` has the default.

    ``identity``: as in ``Session``. ``say`` gets a line before each part.
    """
    installation = _Installation(settings, faults, identity)
    found = installation.found
    for part, names, look in _PARTS:
        say(f"looking at {part}")
        if wrong := {name for name, _ in faults if name.startswith(names)}:
            found.say(part, "all", "not looked at", f"it rests on {', '.join(sorted(wrong))}, which is wrong")
            continue
        try:
            look(installation)
        except CircuitSyncError as error:
            found.say(part, "configuration", "wrong", str(error))
    return found


def without_settings(reason: str) -> Look:
    """What there is to say when the settings cannot be read at all."""
    look = Look([LookLine(SETTINGS, "values", "wrong", reason)])
    for part, *_ in _PARTS[1:]:
        look.say(part, "all", "not looked at", "it rests on the settings, which cannot be read")
    return look


def _can_be_written(folder: Path) -> bool:
    """Whether it is a folder to write in, or can be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
