"""The asset checks: what the database says, judged."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from circuit_sync.database.connection import Connection
from circuit_sync.database.log import checks as questions
from circuit_sync.domain import findings
from circuit_sync.domain.eastern import eastern_date
from circuit_sync.domain.findings import Finding
from circuit_sync.domain.freshness import working_day
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.sync.session import Session

RECENT_SYNCS = 11
_WEEK = timedelta(days=7)

Check = Callable[[Connection, Session], Finding]


def _regions(connection: Connection, session: Session) -> Finding:
    new = questions.new_regions(connection, session.now() - _WEEK)
    return findings.judge_regions(questions.circuits_without_region(connection), new)


def _rejected(connection: Connection, _session: Session) -> Finding:
    return findings.judge_rejected(questions.recent_answers(connection, STATUS_CODES, 1))


def _counts(connection: Connection, _session: Session) -> Finding:
    return findings.judge_counts(questions.recent_answers(connection, STATUS_CODES, RECENT_SYNCS))


def _unlinked(connection: Connection, _session: Session) -> Finding:
    return findings.judge_unlinked(questions.unlinked(connection))


def _orphans(connection: Connection, _session: Session) -> Finding:
    return findings.judge_orphans(questions.orphaned_splits(connection))


def _contained(connection: Connection, _session: Session) -> Finding:
    return findings.judge_contained(questions.splits_not_contained(connection))


def _reconciliation(connection: Connection, _session: Session) -> Finding:
    return findings.judge_reconciliation(questions.unreconciled_aggregates(connection))


def _unit_counts(connection: Connection, _session: Session) -> Finding:
    return findings.judge_unit_counts(questions.trees_that_differ(connection))


def _failures(connection: Connection, _session: Session) -> Finding:
    return findings.judge_failures(questions.latest_aggregate_sync(connection))


def _age(connection: Connection, session: Session) -> Finding:
    oldest = questions.oldest_aggregate(connection)
    today = working_day(session.now())
    if oldest is None:
        return findings.judge_age(None, None, today)
    name = f"{oldest['work_order']} {oldest['extension']}"
    return findings.judge_age(name, eastern_date(oldest["synced_at"]), today)


CIRCUIT_CHECKS: Mapping[str, Check] = {
    "no_unknown_region": _regions,
    "few_rejected_rows": _rejected,
    "as_many_circuits_as_usual": _counts,
    "planners_are_linked": _unlinked,
    "splits_have_their_main_assessment": _orphans,
    "splits_are_contained": _contained,
}
AGGREGATE_CHECKS: Mapping[str, Check] = {
    "totals_reconcile": _reconciliation,
    "workstudio_counts_agree": _unit_counts,
    "few_failed_work_orders": _failures,
    "aggregates_are_recent": _age,
}


def run_check(session: Session, check: Check) -> Finding:
    """What ``check`` finds now."""
    with session.database.transaction() as connection:
        return check(connection, session)
