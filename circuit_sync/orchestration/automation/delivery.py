"""The sensor that hands events to webhooks. It starts no run."""

import dagster as dg

from circuit_sync.events.webhooks import Webhook
from circuit_sync.orchestration.runs.resources import sensor_session
from circuit_sync.settings import load_settings
from circuit_sync.sync.webhooks import deliver_events as deliver

LOOK_EVERY = 15
SECONDS = 25.0
"""With one call's timeout well below the minute after which Dagster gives up a sensor."""


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends the events of syncs to CIRCUIT_SYNC_WEBHOOKS, each at least once, in order, with backoff",
)
def deliver_events(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """How far each webhook got lies in the database, so there is no cursor to lose."""
    urls = [url.get_secret_value() for url in load_settings().circuit_sync_webhooks]
    if not urls:
        return dg.SkipReason("CIRCUIT_SYNC_WEBHOOKS names no webhook")
    with sensor_session(context.log.info) as session:
        return dg.SkipReason("; ".join(deliver(session, Webhook.parse_all(urls), SECONDS)))
