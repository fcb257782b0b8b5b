"""The sensor that sends events to webhooks, and the job that prunes old events every night, before the first sync."""

from datetime import timedelta

import dagster as dg

from circuit_sync.domain.eastern import TIME_ZONE
from circuit_sync.events import outbox
from circuit_sync.events.webhooks import Webhook
from circuit_sync.orchestration.runs.resources import RunContext, sensor_session
from circuit_sync.settings import load_settings
from circuit_sync.sync import webhooks

LOOK_EVERY = 15
SECONDS = 25.0
"""With one call's timeout well below the minute after which Dagster gives up a sensor."""


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends the events of syncs to CIRCUIT_SYNC_WEBHOOKS, each at least once, in order, with backoff",
)
def deliver_events(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """How far each webhook got lies in the database, so there is no cursor to lose. It starts no run."""
    urls = [url.get_secret_value() for url in load_settings().circuit_sync_webhooks]
    if not urls:
        return dg.SkipReason("CIRCUIT_SYNC_WEBHOOKS names no webhook")
    with sensor_session(context.log.info) as session:
        return dg.SkipReason("; ".join(webhooks.deliver_events(session, Webhook.parse_all(urls), SECONDS)))


@dg.op(description="Deletes the events older than CIRCUIT_SYNC_EVENT_RETENTION_DAYS", out=dg.Out(dg.Nothing))
def delete_old_events(context: dg.OpExecutionContext, run_context: dg.ResourceParam[RunContext]) -> None:
    days = load_settings().circuit_sync_event_retention_days
    with run_context.session(context.log.info, calls_workstudio=False) as session:
        pruned = outbox.prune_events(session.database, session.now() - timedelta(days=days))
        session.log(f"{pruned} events older than {days} days deleted")
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
