"""The asset checks of ``sync.log.checks`` as Dagster's: each shows its answer in the UI, with or without a run."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from circuit_sync.domain.findings import Finding
from circuit_sync.domain.printable import markdown
from circuit_sync.orchestration.assets import metadata
from circuit_sync.orchestration.assets.aggregates import circuit_aggregates
from circuit_sync.orchestration.assets.circuits import circuits
from circuit_sync.orchestration.assets.partitions import dates_of
from circuit_sync.orchestration.assets.snapshots import daily_snapshots
from circuit_sync.orchestration.runs.resources import RunResource, sensor_session
from circuit_sync.settings import load_settings
from circuit_sync.sync.log.checks import CHECKS, Asset, Check, Scope
from circuit_sync.sync.session import Session

_SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}
_ASSETS: dict[Asset, dg.AssetsDefinition] = {
    "circuits": circuits,
    "circuit_aggregates": circuit_aggregates,
    "daily_snapshots": daily_snapshots,
}


@dg.sensor(
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks whether what we hold has become too old, and turns the asset checks red or green, without a run",
)
def freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Without a run: when something is wrong, it is often that nothing runs.

    Writes an evaluation to the event log only where the UI shows another answer, whoever gave it.
    """
    with sensor_session() as session:
        answers = [_evaluation(check, session) for check in CHECKS.values() if check.ages]
    failing = [f"{answer.check_name}: {answer.description}" for answer in answers if not answer.passed]
    new = [answer for answer in answers if not _is_shown(context.instance, answer)]
    return dg.SensorResult(asset_events=new, skip_reason="; ".join(failing) or "nothing is too old")


def _evaluation(check: Check, session: Session) -> dg.AssetCheckEvaluation:
    result = _answer(check, session)
    return dg.AssetCheckEvaluation(
        asset_key=_ASSETS[check.asset].key,
        check_name=check.name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def _answer(check: Check, session: Session, dates: Sequence[date] = ()) -> dg.AssetCheckResult:
    settings = load_settings()
    scope = Scope(session.now(), settings.workstudio_statuses, settings.circuit_sync_first_snapshot, dates)
    return _result(check.ask(session, scope))


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        severity=_SEVERITIES[finding.severity],
        description=markdown(finding.message),  # the UI shows it as Markdown
        metadata=metadata.tables(found=finding.lines),
    )


def _is_shown(instance: dg.DagsterInstance, answer: dg.AssetCheckEvaluation) -> bool:
    key = answer.asset_check_key
    summary = instance.event_log_storage.get_asset_check_summary_records([key]).get(key)
    latest = summary.last_completed_check_execution_record if summary else None
    shown = latest.evaluation if latest else None
    return shown is not None and (shown.passed, shown.description) == (answer.passed, answer.description)


def _asset_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=_ASSETS[check.asset], name=check.name, description=check.description)
    def evaluated(context: dg.AssetCheckExecutionContext, run_context: RunResource) -> dg.AssetCheckResult:
        try:
            with run_context.session(context.log.info, calls_workstudio=False) as session:
                return _answer(check, session, dates_of(context.run.tags))
        except dg.Failure as failure:
            # What the run synced is stored: a question that could not be asked is no reason to fail it.
            return dg.AssetCheckResult(passed=False, description=markdown(f"not checked: {failure.description}"))

    return evaluated


asset_checks = [_asset_check(check) for check in CHECKS.values()]
