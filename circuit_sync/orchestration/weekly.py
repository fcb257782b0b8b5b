"""Weeks follow their days: after daily roll-ups were computed, the pictures of their weeks are made anew."""

from collections.abc import Iterable
from datetime import date

import dagster as dg

from circuit_sync.domain.weeks import monday_of
from circuit_sync.orchestration.partitions import partition_tags
from circuit_sync.orchestration.rollups import planner_daily, planner_weekly, regional_daily, regional_weekly
from circuit_sync.orchestration.tags import TRIGGER_TAG, WORKFLOW_EVENT

MOST_EVENTS = 1000

create_weekly_rollups = dg.define_asset_job(
    "create_weekly_rollups",
    selection=[regional_weekly, planner_weekly],
    description="Shows what the chosen weeks came to, by region and planner",
)


@dg.sensor(
    job=create_weekly_rollups,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After days were rolled up: shows their weeks anew, in one run",
)
def weeks_after_days(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Reads on in the event log where it stopped; of more events than it reads at once, the rest comes next time."""
    seen = int(context.cursor or 0)
    pages = [
        context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset.key, after_storage_id=seen), limit=MOST_EVENTS, ascending=True
        ).records
        for asset in (regional_daily, planner_daily)
    ]
    days = [record.partition_key for page in pages for record in page if record.partition_key]
    cut = [page[-1].storage_id for page in pages if len(page) == MOST_EVENTS]
    last = min(cut) if cut else max((page[-1].storage_id for page in pages if page), default=seen)
    if not days:
        return dg.SensorResult(skip_reason="no day was rolled up since the last look", cursor=str(last))
    tags = {TRIGGER_TAG: WORKFLOW_EVENT} | partition_tags(span_of_weeks(days))
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"weeks_after_days:{last}", tags=tags)], cursor=str(last)
    )


def span_of_weeks(days: Iterable[str]) -> list[str]:
    """The first and the last Monday of the weeks that ``days`` lie in; those between are shown too."""
    mondays = sorted(monday_of(date.fromisoformat(day)).isoformat() for day in days)
    return list(dict.fromkeys((mondays[0], mondays[-1])))
