"""Freshness in the UI without a run: when something is wrong, it is often that nothing runs."""

import json

import dagster as dg

from circuit_sync.orchestration.checks import FRESHNESS, evaluate
from circuit_sync.orchestration.resources import looking

LOOK_EVERY = 600


@dg.sensor(
    minimum_interval_seconds=LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks whether what we hold has become too old, and turns the asset checks red or green, without a run",
)
def freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Writes an evaluation to the event log only where the answer is another than the last time."""
    before = json.loads(context.cursor or "{}")
    with looking() as session:
        answers = {name: evaluate(name, session) for name in FRESHNESS}
    told = {name: [answer.passed, answer.description] for name, answer in answers.items()}
    failing = [f"{name}: {answer.description}" for name, answer in answers.items() if not answer.passed]
    return dg.SensorResult(
        asset_events=[answer for name, answer in answers.items() if told[name] != before.get(name)],
        cursor=json.dumps(told),
        skip_reason="; ".join(failing) or "nothing is too old",
    )
