"""The environment of a command: the embedded server and the simulator if none are configured, Dagster's home.

Knows no Dagster, so that a command that only needs the database starts fast.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from circuit_sync.database.connection import Database
from circuit_sync.database.dagster.storage import prepare_dagster_storage
from circuit_sync.database.migrate import ensure_upgraded, upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.database.urls import dagster_url
from circuit_sync.domain.errors import PermanentError, UsageError
from circuit_sync.settings import Settings, load_settings
from circuit_sync.simulator.running import environment
from circuit_sync.sync.progress.snapshots import first_date_with_data
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.server import Server

BUNDLED = "bundled simulator"
_STOP_SECONDS = 10
_NO_WARNINGS = "ignore:Parameter `owners` of initializer"  # Dagster's of its own copying of our sensors


def server_name(settings: Settings) -> str | None:
    """The name that the database keeps of the bundled simulator, whose port changes; any other has its URL."""
    return BUNDLED if settings.circuit_sync_bundled_simulator else None


def named_server(settings: Settings) -> tuple[Server | None, str | None]:
    """The WorkStudio that commands would call, and the name that the database keeps for it if that is not its URL.

    Raises ``UsageError`` if a database is configured and no WorkStudio: invented data never gets into a real database.
    """
    if settings.workstudio_base_url is not None:
        return Server.from_settings(settings), server_name(settings)
    if settings.circuit_sync_database_url is not None:
        raise UsageError(
            "WORKSTUDIO_BASE_URL is not set, but CIRCUIT_SYNC_DATABASE_URL is: name the WorkStudio that fills this "
            "database (the simulator is used only if neither is set)"
        )
    return None, BUNDLED


def project_dir() -> Path:
    """The folder that holds ``dagster.yaml`` and ``workspace.yaml``: beside the package, or the working directory."""
    for folder in (Path(__file__).resolve().parents[1], Path.cwd()):
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            return folder
    raise UsageError("dagster.yaml and workspace.yaml are not here: run this command in the project's folder")


@contextmanager
def database_in_use(settings: Settings) -> Iterator[Database]:
    """The configured database, or the embedded server for as long as the context lasts; migrated."""
    with url_in_use(settings) as url, Database(url) as database:
        _upgrade(database, settings)
        yield database


@contextmanager
def url_in_use(settings: Settings) -> Iterator[str]:
    """The URL of the configured database, or of the embedded server, which runs as long as the context lasts."""
    if settings.circuit_sync_database_url is not None:
        yield settings.circuit_sync_database_url.get_secret_value()
        return
    with embedded_server(settings.circuit_sync_state_dir) as url:
        yield url


def storage_url(settings: Settings, url: str) -> str:
    """The URL of Dagster's storage: the configured one, or a schema of its own in our database at ``url``."""
    return _configured_storage(settings) or dagster_url(url)


def _configured_storage(settings: Settings) -> str | None:
    """None beside the embedded server: a variable left over in a shell would name its port of yesterday."""
    if settings.circuit_sync_dagster_url is None or settings.circuit_sync_database_url is None:
        return None
    return settings.circuit_sync_dagster_url.get_secret_value()


def _upgrade(database: Database, settings: Settings, *, recomputes: bool = False) -> None:
    bring_up = upgrade if recomputes else ensure_upgraded
    warning = bring_up(database, mains_contain_splits=settings.workstudio_mains_contain_splits)
    if warning and not recomputes:
        logging.getLogger(__name__).warning(warning)


@contextmanager
def prepared_environment(
    settings: Settings, *, calls_workstudio: bool = True, asked_from: date | None = None, recomputes: bool = False
) -> Iterator[Settings]:
    """Everything that a run of Dagster needs, here and in child processes; yields the settings that hold meanwhile.

    Unless it is set, the first partition is the first date that can have data, or ``asked_from``, which a command asks
    for, if that is earlier: such dates are shown as empty. ``recomputes``: the command itself computes older roll-ups
    anew. The definitions must not have been loaded before.
    Raises ``UsageError`` as ``named_server`` does.
    """
    with ExitStack() as stack:
        wanted = {"CIRCUIT_SYNC_STATE_DIR": str(settings.circuit_sync_state_dir.resolve())}
        if calls_workstudio:
            wanted |= stack.enter_context(_workstudio(settings))
        url = stack.enter_context(url_in_use(settings))
        with Database(url) as database:
            _upgrade(database, settings, recomputes=recomputes)
            wanted |= first_partition(settings, database, asked_from)
        if (storage := _configured_storage(settings)) is not None:
            prepare_dagster_storage(storage)
        home = _made(settings.circuit_sync_state_dir.resolve() / "dagster")
        wanted |= {
            "CIRCUIT_SYNC_DATABASE_URL": url,
            "CIRCUIT_SYNC_DAGSTER_URL": storage_url(settings, url),
            "CIRCUIT_SYNC_DAGSTER_DIR": str(home),
            "DAGSTER_HOME": str(project_dir()),
            "PYTHONWARNINGS": _NO_WARNINGS,
        }
        stack.enter_context(environment_with(wanted))
        yield load_settings()


def first_partition(settings: Settings, database: Database, asked_from: date | None = None) -> dict[str, str]:
    """The variable that says where partitions begin; none if the setting does."""
    if "circuit_sync_first_snapshot" in settings.model_fields_set:
        return {}
    first = first_date_with_data(Session(database))
    if asked_from is not None and asked_from >= settings.circuit_sync_first_snapshot:
        first = min(first, asked_from)
    return {"CIRCUIT_SYNC_FIRST_SNAPSHOT": first.isoformat()}


@contextmanager
def _workstudio(settings: Settings) -> Iterator[dict[str, str]]:
    """The variables of the configured WorkStudio (none to add), or those of a simulator that runs meanwhile."""
    configured, _ = named_server(settings)
    if configured is not None:
        yield {}
        return
    with simulator(settings.circuit_sync_state_dir.resolve() / "simulator.json") as base_url:
        yield environment(base_url) | {"CIRCUIT_SYNC_BUNDLED_SIMULATOR": "1"}


@contextmanager
def simulator(state: Path) -> Iterator[str]:
    """The bundled WorkStudio as a child, out of reach of the terminal's Ctrl-C; yields its base URL.

    It ends when its standard input does, so also if this process is killed. Its world lies in ``state``.
    """
    _made(state.parent)
    command = [sys.executable, "-m", "circuit_sync.simulator", "--port", "0", "--state", str(state)]
    with subprocess.Popen(  # noqa: S603  our own arguments
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        try:
            assert child.stdout is not None
            ready = child.stdout.readline()
            if not ready:
                raise PermanentError(f"the WorkStudio simulator does not start (exit status {child.wait()})")
            yield str(json.loads(ready)["base_url"])
        finally:
            stop(child, _STOP_SECONDS)


def _made(folder: Path) -> Path:
    """The folder, made if it is not there; ``UsageError`` if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"CIRCUIT_SYNC_STATE_DIR: the folder {folder} cannot be made: {error.strerror}") from None
    return folder


def stop(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Terminates the child; kills it if it still runs after ``seconds``."""
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()


@contextmanager
def environment_with(wanted: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile these variables are set, for this process and its children."""
    before = {name: os.environ[name] for name in wanted if name in os.environ}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            os.environ.pop(name, None)
        os.environ.update(before)
