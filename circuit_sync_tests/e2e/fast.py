"""The code location as it is, with one schedule instead of the four: every minute, any day, once it is switched on."""

import dagster as dg

from circuit_sync import definitions
from circuit_sync.orchestration.jobs import sync_circuits
from circuit_sync.orchestration.schedules import ACTIVE, Tick, _circuits


@dg.schedule(job=sync_circuits, cron_schedule="* * * * *")
def every_minute(context: dg.ScheduleEvaluationContext) -> Tick:
    """ACTIV."""
    return _circuits(context, "every_minute", ACTIVE)


defs = dg.Definitions(
    assets=definitions.defs.assets,
    asset_checks=definitions.defs.asset_checks,
    jobs=definitions.defs.jobs,
    schedules=[every_minute],
    sensors=definitions.defs.sensors,
    resources=definitions.defs.resources,
    loggers=definitions.defs.loggers,
    executor=definitions.defs.executor,
)
