"""The job that prunes old events, every night before the first sync."""

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE
from circuit_sync.orchestration.runs.resources import RunContext
from circuit_sync.settings import load_settings
from circuit_sync.sync.retention import prune_old_events


@dg.op(description="Deletes the events older than CIRCUIT_SYNC_EVENT_RETENTION_DAYS", out=dg.Out(dg.Nothing))
def delete_old_events(context: dg.OpExecutionContext, run_context: dg.ResourceParam[RunContext]) -> None:
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        pruned = prune_old_events(session, load_settings().circuit_sync_event_retention_days)
    context.add_output_metadata({"events_deleted": pruned})


@dg.job(description="Prunes old events, in small steps")
def prune_events() -> None:
    """Delete."""
    delete_old_events()


prune_events_nightly = dg.ScheduleDefinition(
    name="prune_events_nightly",
    job=prune_events,
    cron_schedule="15 2 * * *",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="02:15 every day: prunes old events",
)
