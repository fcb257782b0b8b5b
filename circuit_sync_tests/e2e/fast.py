"""The code location as it is, with one schedule that fires every minute, whatever the weekday."""

import dagster as dg

from circuit_sync.definitions import defs as real
from circuit_sync.orchestration.jobs import sync_circuits
from circuit_sync.orchestration.schedules import ACTIVE, Tick, _circuits


@dg.schedule(job=sync_circuits, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_minute(context: dg.ScheduleEvaluationContext) -> Tick:
    """ACTIV."""
    return _circuits(context, "every_minute", ACTIVE)


defs = dg.Definitions(
    assets=real.assets,
    asset_checks=real.asset_checks,
    jobs=real.jobs,
    schedules=[every_minute],
    sensors=real.sensors,
    resources=real.resources,
    loggers=real.loggers,
    executor=real.executor,
)
