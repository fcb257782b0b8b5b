"""The one ``Definitions`` object. Loading it touches no network, no database and no secret."""

import dagster as dg

from circuit_sync.orchestration.assets.aggregates import circuit_aggregates
from circuit_sync.orchestration.assets.checks import asset_checks, freshness
from circuit_sync.orchestration.assets.circuits import circuits
from circuit_sync.orchestration.assets.rollups import roll_ups
from circuit_sync.orchestration.assets.snapshots import daily_snapshots
from circuit_sync.orchestration.automation import events, sensors
from circuit_sync.orchestration.automation.schedules import schedules
from circuit_sync.orchestration.recovery.closing import close_abandoned_syncs
from circuit_sync.orchestration.recovery.retrying import retry_failed_syncs
from circuit_sync.orchestration.runs import jobs
from circuit_sync.orchestration.runs.resources import run_context
from circuit_sync.orchestration.terminal.progress import progress_logger

defs = dg.Definitions(
    assets=[circuits, circuit_aggregates, daily_snapshots, *roll_ups],
    asset_checks=asset_checks,
    jobs=[
        jobs.sync_circuits,
        jobs.sync_circuit_aggregates,
        jobs.create_daily_snapshots,
        jobs.preview_circuits,
        jobs.sync_work_orders,
        events.prune_events,
    ],
    schedules=[*schedules, events.prune_events_nightly],
    sensors=[
        sensors.aggregates_after_circuits,
        sensors.snapshots_after_sync,
        sensors.departed_circuits,
        close_abandoned_syncs,
        retry_failed_syncs,
        events.deliver_events,
        freshness,
    ],
    resources={"run_context": run_context},
    loggers={"console": dg.colored_console_logger, "progress": progress_logger},
    executor=dg.in_process_executor,
)
