"""What tests use of Dagster that it does not publish, beside what the product does: how the daemon does what we expect.

- ``check_run_timeout``: the daemon's end of a run that takes too long.
- ``schedule_execution_time_iterator``: the instants at which the daemon evaluates a schedule.
- ``create_execution_plan``: the steps of a run, as Dagster stores them with it.
"""

from dagster._core.execution.api import create_execution_plan
from dagster._daemon.monitoring.run_monitoring import check_run_timeout
from dagster._utils.schedules import schedule_execution_time_iterator

__all__ = ["check_run_timeout", "create_execution_plan", "schedule_execution_time_iterator"]
