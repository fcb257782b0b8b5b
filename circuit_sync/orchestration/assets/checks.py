"""The asset checks of ``sync.log.checks`` as Dagster's: each shows its answer in the UI."""

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
from circuit_sync.orchestration.runs.resources import RunContext
from circuit_sync.settings import load_settings
from circuit_sync.sync.log.checks import CHECKS, Asset, Check, Scope
from circuit_sync.sync.session import Session

_SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}
_ASSETS: dict[Asset, dg.AssetsDefinition] = {
    "circuits": circuits,
    "circuit_aggregates": circuit_aggregates,
    "daily_snapshots": daily_snapshots,
}


FRESHNESS = [name for name, check in CHECKS.items() if check.ages]


def evaluate(name: str, session: Session) -> dg.AssetCheckEvaluation:
    """The answer to a check's question now, for the event log; it belongs to no run."""
    check = CHECKS[name]
    result = _told(_ask(check, session))
    return dg.AssetCheckEvaluation(
        asset_key=_ASSETS[check.asset].key,
        check_name=name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def _ask(check: Check, session: Session, dates: Sequence[date] = ()) -> Finding:
    settings = load_settings()
    statuses, first_snapshot = settings.workstudio_statuses, settings.circuit_sync_first_snapshot
    return check.ask(session, Scope(session.now(), statuses, first_snapshot, dates))


def _told(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        severity=_SEVERITIES[finding.severity],
        description=markdown(finding.message),  # the UI shows it as Markdown
        metadata=metadata.tables(found=finding.lines),
    )


def _asset_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=_ASSETS[check.asset], name=check.name, description=check.description)
    def evaluated(
        context: dg.AssetCheckExecutionContext, run_context: dg.ResourceParam[RunContext]
    ) -> dg.AssetCheckResult:
        try:
            with run_context.session(context.log.info, calls_workstudio=False) as session:
                return _told(_ask(check, session, dates_of(context.run.tags)))
        except dg.Failure as failure:
            # What the run synced is stored: a question that could not be asked is no reason to fail it.
            return dg.AssetCheckResult(passed=False, description=markdown(f"not checked: {failure.description}"))

    return evaluated


asset_checks = [_asset_check(check) for check in CHECKS.values()]
