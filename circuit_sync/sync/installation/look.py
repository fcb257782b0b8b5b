"""A look at everything an installation rests on, for its first day. It stores nothing and claims nothing.

One part that fails does not stop the others; what rests on it is told as not looked at.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.look import look_at_dagster_storage
from circuit_sync.database.migrate import migration_config, revisions
from circuit_sync.database.server.requirements import look_at_database
from circuit_sync.database.sessions.pooling import keeps_sessions
from circuit_sync.database.urls import dagster_url, masked
from circuit_sync.domain.errors import CircuitSyncError, UsageError
from circuit_sync.domain.installation import Column, Line, Result
from circuit_sync.events.webhooks import Sender, Webhook
from circuit_sync.settings import Settings
from circuit_sync.sync.installation import workstudio as workstudio_look
from circuit_sync.sync.installation.ownership import check_owner
from circuit_sync.sync.installation.workstudio import WorkStudioLook, undemanding
from circuit_sync.sync.people.secrets import SecretKeys
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.server import Credential, Server

SETTINGS, DATABASE, STORAGE, WEBHOOKS = "settings", "database", "Dagster's storage", "webhooks"
_RESTS_ON = {
    DATABASE: ("CIRCUIT_SYNC_DATABASE_URL",),
    STORAGE: ("CIRCUIT_SYNC_DATABASE_URL", "CIRCUIT_SYNC_DAGSTER_URL"),
    workstudio_look.PART: ("WORKSTUDIO_",),
    WEBHOOKS: ("CIRCUIT_SYNC_WEBHOOKS",),
}
"""Beginnings of the names of the settings that each part rests on."""

Faults = Sequence[tuple[str, str]]


@dataclass
class Look:
    """What was found: a line for each thing, and the columns of both views."""

    lines: list[Line] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)

    @property
    def wrong(self) -> list[Line]:
        return [line for line in self.lines if line.result == "wrong"]

    def say(self, part: str, check: str, result: Result, found: str) -> None:
        self.lines.append(Line(part, check, result, found))


def look_at_installation(
    settings: Settings, faults: Faults, *, identity: str | None = None, say: Callable[[str], object] = str
) -> Look:
    """Looks at one part after the other. ``faults``: wrong settings by name, for which ``settings`` has the default.

    ``identity``: what the database remembers the WorkStudio by, where its URL does not do. ``say`` is told which part
    comes next.
    """
    return _Installation(settings, faults, identity, say).look_at_all()


def without_settings(reason: str) -> Look:
    """What there is to say when the settings cannot be read at all."""
    look = Look([Line(SETTINGS, "values", "wrong", reason)])
    for part in _RESTS_ON:
        look.say(part, "all", "not looked at", "it rests on the settings, which cannot be read")
    return look


class _Installation:
    def __init__(self, settings: Settings, faults: Faults, identity: str | None, say: Callable[[str], object]) -> None:
        self._settings = settings
        self._faults = faults
        self._identity = identity
        self._tell = say
        self._found = Look()
        self._has_database = False
        secret = settings.circuit_sync_database_url
        self._url = secret.get_secret_value() if secret else None

    def look_at_all(self) -> Look:
        self._part(SETTINGS, self._look_at_settings)
        self._part(DATABASE, self._look_at_database)
        self._part(STORAGE, self._look_at_storage)
        self._part(workstudio_look.PART, self._look_at_workstudio)
        self._part(WEBHOOKS, self._look_at_webhooks)
        return self._found

    def _part(self, part: str, look: Callable[[], None]) -> None:
        self._tell(f"looking at {part}")
        wrong = {name for name, _ in self._faults if name.startswith(_RESTS_ON.get(part, ("?",)))}
        if wrong:
            self._found.say(part, "all", "not looked at", f"it rests on {', '.join(sorted(wrong))}, which is wrong")
            return
        try:
            look()
        except CircuitSyncError as error:
            self._found.say(part, "configuration", "wrong", str(error))

    def _look_at_settings(self) -> None:
        for name, fault in self._faults:
            self._found.say(SETTINGS, name, "wrong", fault)
        if not self._faults:
            file = ".env is read" if Path(".env").is_file() else "there is no .env here"
            self._found.say(SETTINGS, "values", "ok", f"each that is set is right; {file}")
        folder = self._settings.circuit_sync_state_dir.absolute()
        can_be_written = _can_be_written(folder)
        told = f"{folder}" if can_be_written else f"{folder} cannot be written: name another folder, or give the right"
        self._found.say(SETTINGS, "CIRCUIT_SYNC_STATE_DIR", "ok" if can_be_written else "wrong", told)
        key = self._settings.circuit_sync_secret_key
        try:
            usable = bool(SecretKeys.parse(key.get_secret_value() if key else None))
            told = "planners' passwords can be stored" if usable else "not set: no planner's password can be stored"
            self._found.say(SETTINGS, "CIRCUIT_SYNC_SECRET_KEY", "ok" if usable else "note", told)
        except UsageError as error:
            self._found.say(SETTINGS, "CIRCUIT_SYNC_SECRET_KEY", "wrong", str(error))

    def _look_at_database(self) -> None:
        if self._url is None:
            folder = self._settings.circuit_sync_state_dir.absolute() / "postgres"
            told = f"CIRCUIT_SYNC_DATABASE_URL is not set: the embedded PostgreSQL server in {folder} would be used"
            self._found.say(DATABASE, "server", "ok", told)
            return
        with Database(self._url) as database:
            with database.rehearsal() as connection:
                aspects = look_at_database(connection, revisions(migration_config()))
            self._found.say(DATABASE, "connection", "ok", masked(self._url))
            for aspect in aspects:
                self._found.say(DATABASE, aspect.name, "wrong" if aspect.wrong else "ok", aspect.wrong or aspect.found)
            self._look_at_sessions(database)
            self._has_database = True
            if any(aspect.name == "tables" and aspect.is_made for aspect in aspects):
                self._look_at_owner(database)

    def _look_at_sessions(self, database: Database) -> None:
        if keeps_sessions(database):
            self._found.say(DATABASE, "sessions", "ok", "each connection keeps its own")
        else:
            told = "a pooler gives connections away between transactions: set PgBouncer's pool_mode = session"
            self._found.say(DATABASE, "sessions", "wrong", told)

    def _look_at_owner(self, database: Database) -> None:
        if self._settings.workstudio_base_url is None:
            return
        try:
            session = Session(database, Server.from_settings(self._settings), identity=self._identity)
            with database.rehearsal() as connection:
                check_owner(connection, session)
        except CircuitSyncError as error:
            self._found.say(DATABASE, "WorkStudio", "wrong", str(error))
        else:
            self._found.say(DATABASE, "WorkStudio", "ok", "what it holds, if anything, is from the one configured")

    def _look_at_storage(self) -> None:
        if self._url is None:
            self._found.say(STORAGE, "schema", "ok", "would be in the embedded server, too")
            return
        configured = self._settings.circuit_sync_dagster_url
        if configured is None and not self._has_database:
            self._found.say(STORAGE, "schema", "not looked at", "it is in the database, which cannot be used")
            return
        aspect = look_at_dagster_storage(configured.get_secret_value() if configured else dagster_url(self._url))
        self._found.say(STORAGE, aspect.name, "wrong" if aspect.wrong else "ok", aspect.wrong or aspect.found)

    def _look_at_workstudio(self) -> None:
        part = workstudio_look.PART
        if self._settings.workstudio_base_url is None and self._url is None:
            told = "WORKSTUDIO_BASE_URL is not set: the bundled simulator would be used"
            self._found.say(part, "server", "ok", told)
            return
        server = Server.from_settings(self._settings)
        credential = Credential.from_settings(self._settings)
        server.trusted_certificates()
        look = WorkStudioLook(server, credential, self._settings.workstudio_statuses)
        self._found.columns, lines = look.columns, look.lines
        try:
            look.run(self._client(undemanding(server), credential))
        finally:
            self._found.lines += sorted(lines, key=lambda line: workstudio_look.CHECKS.index(line.check))
        for check in workstudio_look.CHECKS:
            if all(line.check != check for line in lines):
                self._found.say(part, check, "not looked at", "what it rests on failed")

    @contextmanager
    def _client(self, server: Server, credential: Credential) -> Iterator[WorkStudio]:
        """In one pace with whatever runs on the database, if there is one."""
        if self._has_database and self._url is not None:
            with Database(self._url) as database, Session(database, server, credential).workstudio() as workstudio:
                yield workstudio
        else:
            with WorkStudio(server, credential) as workstudio:
                yield workstudio

    def _look_at_webhooks(self) -> None:
        webhooks = Webhook.parse_all([url.get_secret_value() for url in self._settings.circuit_sync_webhooks])
        if not webhooks:
            self._found.say(WEBHOOKS, "all", "ok", "CIRCUIT_SYNC_WEBHOOKS names none")
            return
        with Sender() as sender, ThreadPoolExecutor(len(webhooks)) as threads:
            for webhook, answer in zip(webhooks, threads.map(sender.reach, webhooks), strict=True):
                told = answer.error or "it can be reached; no event was sent"
                cure = f"{told}: check number {webhook.place} of CIRCUIT_SYNC_WEBHOOKS, and its receiver"
                self._found.say(WEBHOOKS, webhook.name, *(("wrong", cure) if answer.error else ("ok", told)))


def _can_be_written(folder: Path) -> bool:
    """Whether it is a folder to write in, or can be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
