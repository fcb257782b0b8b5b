"""Several WorkStudio servers on one Dagster: each is a code location, with its own settings, database and asset names.

Where there is one server only, ``CIRCUIT_SYNC_ASSET_PREFIX`` is not set and nothing here changes anything.
"""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from circuit_sync.settings import load_settings

INSTALLATION_TAG = "circuit_sync/installation"


def graph_asset(**options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``dg.graph_asset`` with what all of our assets have in common."""
    owners, policy = list(load_settings().circuit_sync_owners), dg.BackfillPolicy.single_run()
    decorate = dg.graph_asset(owners=owners, backfill_policy=policy, **options)
    return lambda compose: with_asset_prefix(decorate(compose))


def with_asset_prefix(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset and what it depends on by this installation's names; ops and their configuration stay as they are."""
    keys = {asset.key, *asset.asset_deps[asset.key]}
    return asset.with_attributes(asset_key_replacements={key: asset_key(*key.path) for key in keys})


def asset_key(*path: str) -> dg.AssetKey:
    """The asset's key in this installation."""
    prefix = load_settings().circuit_sync_asset_prefix
    return dg.AssetKey([prefix, *path] if prefix else path)


def installation_tags() -> dict[str, str]:
    """The tag by which a schedule knows its runs from those of another installation's schedule of the same name."""
    prefix = load_settings().circuit_sync_asset_prefix
    return {INSTALLATION_TAG: prefix} if prefix else {}


def is_ours(tags: Mapping[str, str]) -> bool:
    """Whether a run with these tags was started by a schedule of this installation."""
    return tags.get(INSTALLATION_TAG) == load_settings().circuit_sync_asset_prefix
