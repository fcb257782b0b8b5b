"""What was imported, shown in Dagster: its dates are green, and say where they come from."""

import dagster as dg

from circuit_sync.orchestration.assets.rollups import materialisations
from circuit_sync.orchestration.assets.snapshots import snapshots_told
from circuit_sync.orchestration.installation import asset_key
from circuit_sync.orchestration.terminal.storage import storage_needed
from circuit_sync.sync.progress.imports import Imported


def report_imported(instance: dg.DagsterInstance, imported: Imported) -> None:
    """Materialisations of the imported dates, of their roll-ups and weeks; they belong to no run."""
    snapshots = asset_key("daily_snapshots")
    with storage_needed("what was imported is stored; import the file again to see its dates in Dagster"):
        for day, number in imported.per_date.items():
            told = snapshots_told({"snapshots": number, "imported": number})
            instance.report_runless_asset_event(
                dg.AssetMaterialization(snapshots, partition=day.isoformat(), metadata=told)
            )
        for materialisation in materialisations(imported.rolled_up):
            instance.report_runless_asset_event(materialisation)
