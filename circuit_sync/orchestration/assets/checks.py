"""The asset checks: each asks one question of the database and shows the answer in the UI."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial

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
from circuit_sync.sync.log.checks import AGGREGATE_CHECKS, CIRCUIT_CHECKS, run_check
from circuit_sync.sync.log.freshness import snapshots_are_taken, statuses_are_fresh
from circuit_sync.sync.log.snapshot_checks import dates_have_snapshots, roll_ups_agree
from circuit_sync.sync.session import Session

Ask = Callable[[Session], Finding]
AskOfDates = Callable[[Session, Sequence[date]], Finding]

_SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}

_QUESTIONS = {
    "no_unknown_region": "Is every circuit in a region, and in one that was known a week ago?",
    "few_rejected_rows": "Were at most 1 % of the rows of each status' latest answer rejected?",
    "as_many_circuits_as_usual": "Has each status about as many circuits as in its ten syncs before?",
    "planners_are_linked": "Is every planner who holds circuits a user?",
    "splits_have_their_main_assessment": "Is the main assessment of every open split known?",
    "splits_are_contained": "Has no work order splits of more miles than its main assessment, which shows them too?",
    "totals_reconcile": "Does every breakdown, by type, permission and planner, add up to its total?",
    "workstudio_counts_agree": "Does WorkStudio's own count of trees agree with ours?",
    "few_failed_work_orders": "Did every work order of the latest sync succeed?",
    "aggregates_are_recent": "Were the units of every active circuit fetched less than two weekdays ago?",
    "statuses_are_fresh": "Was ACTIV synced within half a weekday, and every other status within 8 days?",
    "snapshots_are_taken": "Has each of the last weekdays its snapshot?",
    "dates_have_snapshots": "Has each date of the run a snapshot? Asked by itself: each date that was ever taken?",
    "roll_ups_agree": "Is every date that has snapshots rolled up, and do those of the run's dates add up to their "
    "roll-ups? Asked by itself: those of all dates?",
}


def _statuses_are_fresh(session: Session) -> Finding:
    return statuses_are_fresh(session, load_settings().workstudio_statuses)


def _snapshots_are_taken(session: Session) -> Finding:
    return snapshots_are_taken(session, load_settings().circuit_sync_first_snapshot)


_ASKED: Mapping[str, tuple[dg.AssetsDefinition, Ask]] = {
    **{name: (circuits, partial(run_check, check=check)) for name, check in CIRCUIT_CHECKS.items()},
    "statuses_are_fresh": (circuits, _statuses_are_fresh),
    **{name: (circuit_aggregates, partial(run_check, check=check)) for name, check in AGGREGATE_CHECKS.items()},
    "snapshots_are_taken": (daily_snapshots, _snapshots_are_taken),
}
_OF_DATES: Mapping[str, AskOfDates] = {
    "dates_have_snapshots": dates_have_snapshots,
    "roll_ups_agree": roll_ups_agree,
}
"""Of the dates of the run: what is asked after each sync is not to cost more with every year."""

FRESHNESS = ("statuses_are_fresh", "aggregates_are_recent", "snapshots_are_taken")
"""The checks that turn red with time: they are asked without a run, too."""


def evaluate(name: str, session: Session) -> dg.AssetCheckEvaluation:
    """The answer to a check's question now, for the event log; it belongs to no run."""
    asset, ask = _ASKED[name]
    result = _told(ask(session))
    return dg.AssetCheckEvaluation(
        asset_key=asset.key,
        check_name=name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def _told(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        severity=_SEVERITIES[finding.severity],
        description=markdown(finding.message),  # the UI shows it as Markdown
        metadata=metadata.tables(found=finding.lines),
    )


def _asset_check(name: str, asset: dg.AssetsDefinition, ask: AskOfDates) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=_QUESTIONS[name])
    def check(context: dg.AssetCheckExecutionContext, run_context: dg.ResourceParam[RunContext]) -> dg.AssetCheckResult:
        try:
            with run_context.session(context.log.info, calls_workstudio=False) as session:
                return _told(ask(session, dates_of(context.run.tags)))
        except dg.Failure as failure:
            # What the run synced is stored: a question that could not be asked is no reason to fail it.
            return dg.AssetCheckResult(passed=False, description=markdown(f"not checked: {failure.description}"))

    return check


def _whatever_the_dates(ask: Ask) -> AskOfDates:
    return lambda session, _dates: ask(session)


asset_checks = [
    *(_asset_check(name, asset, _whatever_the_dates(ask)) for name, (asset, ask) in _ASKED.items()),
    *(_asset_check(name, daily_snapshots, ask) for name, ask in _OF_DATES.items()),
]
