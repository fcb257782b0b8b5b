"""Dagster's storage on PostgreSQL, as ``dagster.yaml`` names it: its sessions are ours, not the administrator's.

Every Dagster process loads this module: keep it to what it needs.
"""

from collections.abc import Mapping
from typing import Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from circuit_sync.database.dagster.sessions import pinned_url


class PinnedPostgresStorage(DagsterPostgresStorage):
    """Takes the same configuration. Refuses to work in any schema but the one that its URL names."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Dagster asks this of each storage class."""
        tables = config_value.get("should_autocreate_tables", True)
        return cls(pinned_url(pg_url_from_config(config_value)), tables, inst_data)
