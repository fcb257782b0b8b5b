"""Dagster's storage on PostgreSQL, as ``dagster.yaml`` names it: its sessions are ours, not the administrator's.

Every Dagster process loads this module: keep it to what it needs.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import click
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from circuit_sync.database.dagster.sessions import pinned_url
from circuit_sync.database.urls import dagster_url
from circuit_sync.domain.errors import UsageError

_URL, _FOLDER = "CIRCUIT_SYNC_DAGSTER_URL", "CIRCUIT_SYNC_DAGSTER_DIR"


class CommandError(click.ClickException, UsageError):
    """Dagster's own commands print its message as one line and exit."""

    exit_code = 2


class PinnedPostgresStorage(DagsterPostgresStorage):
    """Takes the same configuration. Refuses to work in any schema but the one that its URL names."""

    @classmethod
    def config_type(cls) -> Any:
        """Dagster asks this before it reads any variable that ``dagster.yaml`` names: what is missing is set here."""
        _complete_environment()
        return super().config_type()

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Dagster asks this of each storage class."""
        tables = config_value.get("should_autocreate_tables", True)
        try:
            return cls(pinned_url(pg_url_from_config(config_value)), tables, inst_data)
        except UsageError as error:
            raise CommandError(str(error)) from error


def _complete_environment() -> None:
    """Sets what ``circuit-sync`` sets before it starts Dagster, where Dagster was started by a command of its own."""
    if os.environ.get(_URL) and os.environ.get(_FOLDER):
        return
    from circuit_sync.settings import load_settings  # noqa: PLC0415  not in processes that have both variables

    try:
        settings = load_settings()
        storage = settings.circuit_sync_dagster_url or settings.circuit_sync_database_url
        if storage is None:
            raise UsageError(
                "CIRCUIT_SYNC_DATABASE_URL is not set, which Dagster's own commands need: name a database in .env, or "
                "use `circuit-sync dev` and `circuit-sync sync`, which bring a PostgreSQL server of their own"
            )
        url = storage.get_secret_value()
        wanted = {
            _URL: url if settings.circuit_sync_dagster_url else dagster_url(url),
            _FOLDER: str(Path(settings.circuit_sync_state_dir).resolve() / "dagster"),
        }
    except UsageError as error:
        raise CommandError(str(error)) from error
    os.environ.update({name: value for name, value in wanted.items() if not os.environ.get(name)})
