"""The code location as it is, but for its clockwork: one schedule, every minute of any day once it is switched on, and
sensors that look every five seconds. The one that closes what died keeps its pace: it promises a minute.
"""

from typing import Any

import dagster as dg

from circuit_sync import definitions
from circuit_sync.orchestration.automation.schedules import circuits_tick
from circuit_sync.orchestration.runs.jobs import sync_circuits

every_minute = dg.schedule(name="every_minute", job=sync_circuits, cron_schedule="* * * * *")(
    circuits_tick("every_minute", "ACTIV")
)


def _hurried(sensor: Any) -> Any:
    if sensor.name != "close_abandoned_syncs":
        sensor._min_interval = 5
    return sensor


defs = dg.Definitions(
    assets=definitions.defs.assets,
    asset_checks=definitions.defs.asset_checks,
    jobs=definitions.defs.jobs,
    schedules=[every_minute],
    sensors=[_hurried(sensor) for sensor in definitions.defs.sensors or ()],
    resources=definitions.defs.resources,
    loggers=definitions.defs.loggers,
    executor=definitions.defs.executor,
)
