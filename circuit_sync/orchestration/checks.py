"""The asset checks: each asks one question of the database and shows the answer in the UI."""

import dagster as dg

from circuit_sync.orchestration import metadata
from circuit_sync.orchestration.aggregates import circuit_aggregates
from circuit_sync.orchestration.circuits import circuits
from circuit_sync.orchestration.resources import Workplace
from circuit_sync.sync.checks import AGGREGATE_CHECKS, CIRCUIT_CHECKS, Check, run_check

_SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}


def _asset_check(asset: dg.AssetsDefinition, name: str, check: Check, question: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=question)
    def ask(context: dg.AssetCheckExecutionContext, workplace: dg.ResourceParam[Workplace]) -> dg.AssetCheckResult:
        with workplace.session(context.log.info, calls_workstudio=False) as session:
            finding = run_check(session, check)
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=_SEVERITIES[finding.severity],
            description=finding.message,
            metadata=metadata.tables(found=finding.lines),
        )

    return ask


_QUESTIONS = {
    "no_unknown_region": "Is every circuit in a region, and in one that was known a week ago?",
    "few_rejected_rows": "Were at most 1 % of the rows of each status' latest answer rejected?",
    "as_many_circuits_as_usual": "Has each status about as many circuits as in its ten syncs before?",
    "planners_are_linked": "Is every planner who holds circuits a user?",
    "splits_have_their_main_assessment": "Is the main assessment of every open split known?",
    "totals_reconcile": "Does every breakdown, by type, permission and planner, add up to its total?",
    "workstudio_counts_agree": "Does WorkStudio's own count of trees agree with ours?",
    "few_failed_work_orders": "Did every work order of the latest sync succeed?",
    "aggregates_are_recent": "Were the units of every active circuit fetched within two weekdays?",
}

asset_checks = [
    _asset_check(asset, name, check, _QUESTIONS[name])
    for asset, checks in ((circuits, CIRCUIT_CHECKS), (circuit_aggregates, AGGREGATE_CHECKS))
    for name, check in checks.items()
]
