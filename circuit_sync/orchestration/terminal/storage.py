"""Dagster's storage as a command needs it: one wait when it is away, and one line."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException

from circuit_sync.database.connection import DatabaseUnavailable, outage
from circuit_sync.database.urls import dagster_url, masked
from circuit_sync.orchestration.dagster_internals import InstanceRef
from circuit_sync.settings import load_settings

_JUST_NOW_SECONDS = 5.0


class StorageAway(BaseException):
    """Dagster's storage is away. No ``Exception``: Dagster would print it, and try to store that it happened."""


class TerminalInstance(dg.DagsterInstance):
    """An instance that waits once for a storage that is away, not at each of the nine calls by which a run ends."""

    _away_since = float("-inf")
    _why = ""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Dagster asks this of an ``instance_class``: no configuration of its own."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster asks this of an ``instance_class``: those of any instance."""
        return InstanceRef.config_defaults(base_dir)

    def handle_new_event(self, event: Any, **options: Any) -> None:
        """Raises ``StorageAway``, unless the event is only a line: for a line no run fails."""
        try:
            with self._waiting_once():
                super().handle_new_event(event, **options)
        except StorageAway:
            if event.is_dagster_event:
                raise

    def get_run_by_id(self, run_id: str) -> dg.DagsterRun | None:
        """Raises ``StorageAway``."""
        with self._waiting_once():
            return super().get_run_by_id(run_id)

    @contextmanager
    def _waiting_once(self) -> Iterator[None]:
        if time.monotonic() - self._away_since < _JUST_NOW_SECONDS:
            raise StorageAway(self._why)
        try:
            yield
        except Exception as error:
            if not _means_away(error):
                raise
            self._away_since = time.monotonic()
            self._why = _cause(error)
            raise StorageAway(self._why) from None


@contextmanager
def storage_needed(advice: str) -> Iterator[None]:
    """Says in one line that Dagster's storage is away, and what is to be done."""
    try:
        yield
    except (Exception, StorageAway) as error:
        if not _means_away(error):
            raise
        raise DatabaseUnavailable(f"the database {_where()} is not available: {_cause(error)}; {advice}") from None


def _where() -> str:
    """The database of Dagster's storage; named as ours if it is a schema in that."""
    settings = load_settings()
    ours, storage = settings.circuit_sync_database_url, settings.circuit_sync_dagster_url
    urls = [url.get_secret_value() for url in (ours, storage) if url is not None]
    return masked(urls[0] if dagster_url(urls[0]) == urls[-1] else urls[-1])


def _means_away(error: BaseException) -> bool:
    """Dagster tries again to connect, but lets through what breaks a connection in the middle of a statement."""
    return isinstance(error, StorageAway | DagsterPostgresException) or outage(error) is not None


def _cause(error: BaseException) -> str:
    """What the driver said, in one line: Dagster's exception only says that it gave up."""
    cause = error.__cause__ if isinstance(error, DagsterPostgresException) and error.__cause__ else error
    return outage(cause) or str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
