"""The sensor that hands events to webhooks, and forgets old ones once a day. It starts no run."""

from datetime import timedelta

import dagster as dg

from circuit_sync.domain.eastern import eastern_date
from circuit_sync.events.retention import prune_events
from circuit_sync.events.webhooks import Webhook
from circuit_sync.orchestration.resources import looking
from circuit_sync.settings import Settings, load_settings
from circuit_sync.sync.session import Session
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
    """How far each webhook got lies in the database; the cursor is the day of the last pruning."""
    settings = load_settings()
    urls = [url.get_secret_value() for url in settings.circuit_sync_webhooks]
    with looking(context.log.info) as session:
        told = deliver(session, Webhook.parse_all(urls), SECONDS) if urls else ["CIRCUIT_SYNC_WEBHOOKS names none"]
        today = eastern_date(session.now()).isoformat()
        if context.cursor != today:
            told += _pruned(session, settings)
            context.update_cursor(today)
    return dg.SkipReason("; ".join(told))


def _pruned(session: Session, settings: Settings) -> list[str]:
    days = settings.circuit_sync_event_retention_days
    pruned = prune_events(session.database, session.now() - timedelta(days=days))
    return [f"{pruned} events older than {days} days were pruned"] if pruned else []
