"""Freshness in the UI without a run: when something is wrong, it is often that nothing runs."""

from collections.abc import Sequence

import dagster as dg

from circuit_sync.orchestration.assets.checks import FRESHNESS, evaluate
from circuit_sync.orchestration.runs.resources import sensor_session

LOOK_EVERY = 600


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks whether what we hold has become too old, and turns the asset checks red or green, without a run",
)
def freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Writes an evaluation to the event log only where the UI shows another answer, whoever gave it."""
    with sensor_session() as session:
        answers = [evaluate(name, session) for name in FRESHNESS]
    failing = [f"{answer.check_name}: {answer.description}" for answer in answers if not answer.passed]
    return dg.SensorResult(
        asset_events=_not_shown(context.instance, answers), skip_reason="; ".join(failing) or "nothing is too old"
    )


def _not_shown(
    instance: dg.DagsterInstance, answers: Sequence[dg.AssetCheckEvaluation]
) -> list[dg.AssetCheckEvaluation]:
    """Those of the answers that differ from the latest of their check."""
    keys = [answer.asset_check_key for answer in answers]
    shown = {}
    for key, record in instance.event_log_storage.get_asset_check_summary_records(keys).items():
        latest = record.last_completed_check_execution_record
        if latest is not None and latest.evaluation is not None:
            shown[key] = (latest.evaluation.passed, latest.evaluation.description)
    return [answer for answer in answers if shown.get(answer.asset_check_key) != (answer.passed, answer.description)]
