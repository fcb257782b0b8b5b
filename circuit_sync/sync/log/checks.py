"""The asset checks: each asks one question of the database. To add one, add an entry to ``CHECKS``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from circuit_sync.database.connection import Connection
from circuit_sync.database.log import checks as facts
from circuit_sync.database.progress import checks as progress
from circuit_sync.database.progress.snapshots import history_begins
from circuit_sync.domain import findings, freshness
from circuit_sync.domain.eastern import eastern_date
from circuit_sync.domain.findings import DateHeld, Finding, none_listed
from circuit_sync.domain.printable import Lines
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.sync.progress.rollups import why_empty
from circuit_sync.sync.session import Session

Asset = Literal["circuits", "circuit_aggregates", "daily_snapshots"]

_RECENT_SYNCS = 11
_WEEK = timedelta(days=7)
_LOOKED_BACK = timedelta(days=14)


@dataclass(frozen=True)
class Scope:
    """``statuses``: those that are synced; ``dates``: those of the run, none when a check is asked by itself."""

    now: datetime
    statuses: Sequence[str]
    first_snapshot: date
    dates: Sequence[date] = ()


@dataclass(frozen=True)
class Check:
    """``read`` gives ``judge`` all it needs. ``ages``: it turns red with time, so it is asked without a run, too."""

    name: str
    asset: Asset
    description: str
    read: Callable[[Connection, Scope], Any]
    judge: Callable[[Any], Finding]
    ages: bool = False

    def ask(self, session: Session, scope: Scope) -> Finding:
        """What the check finds now."""
        with session.database.transaction() as connection:
            return self.judge(self.read(connection, scope))


def _regions(connection: Connection, scope: Scope) -> tuple[Lines, Sequence[str]]:
    return facts.circuits_without_region(connection), facts.new_regions(connection, scope.now - _WEEK)


def _snapshots_taken(connection: Connection, scope: Scope) -> tuple[set[date], date | None, datetime]:
    """The dates of the last two weeks, and after which date each weekday has its snapshot."""
    synced = facts.first_sync(connection)
    begun = max(eastern_date(synced), scope.first_snapshot - timedelta(days=1)) if synced else None
    return facts.snapshot_dates(connection, eastern_date(scope.now) - _LOOKED_BACK), begun, scope.now


def _dates_without_snapshots(connection: Connection, scope: Scope) -> dict[date, str]:
    """Dates that were taken and hold nothing, and why."""
    held = {line.day for line in progress.dates_held(connection) if "snapshots" not in line.missing}
    taken = scope.dates or facts.snapshot_dates(connection, date.min)
    since = history_begins(connection)
    return {day: why_empty(day, since) for day in sorted(taken) if day not in held}


def _roll_ups(connection: Connection, scope: Scope) -> tuple[Sequence[DateHeld], Sequence[date]]:
    """What snapshots there are of the past is looked up by index; adding them all up is left to who asks for it."""
    held = progress.dates_held(connection)
    return held, progress.dates_that_differ(connection, scope.dates or [line.day for line in held])


_CHECKS = (
    Check(
        "no_unknown_region",
        "circuits",
        "Is every circuit in a region, and in one that was known a week ago?",
        _regions,
        lambda found: findings.judge_regions(*found),
    ),
    Check(
        "few_rejected_rows",
        "circuits",
        "Were at most 1 % of the rows of each status' latest answer rejected?",
        lambda connection, _: facts.recent_answers(connection, STATUS_CODES, 1),
        findings.judge_rejected,
    ),
    Check(
        "as_many_circuits_as_usual",
        "circuits",
        "Has each status about as many circuits as in its ten syncs before?",
        lambda connection, _: facts.recent_answers(connection, STATUS_CODES, _RECENT_SYNCS),
        findings.judge_counts,
    ),
    Check(
        "planners_are_linked",
        "circuits",
        "Is every planner who holds circuits a user?",
        facts.unlinked_planners,
        none_listed(
            "{} planners are not linked to a user: circuit-sync planners link NAME USER", "every planner is a user"
        ),
    ),
    Check(
        "splits_have_their_main_assessment",
        "circuits",
        "Is the main assessment of every open split known?",
        facts.orphaned_splits,
        none_listed("{} splits whose main assessment is in no answer", "every open split has its main assessment"),
    ),
    Check(
        "splits_are_contained",
        "circuits",
        "Has no work order splits of more miles than its main assessment, which shows them too?",
        facts.splits_not_contained,
        none_listed(
            "{} work orders whose splits have more miles than the main assessment: each counts whole",
            "every main assessment contains its splits, or is said to contain none",
        ),
    ),
    Check(
        "statuses_are_fresh",
        "circuits",
        "Was ACTIV synced within half a weekday, and every other status within 8 days?",
        lambda connection, scope: (facts.status_ages(connection, scope.statuses), scope.now),
        lambda found: freshness.judge_statuses(*found),
        ages=True,
    ),
    Check(
        "totals_reconcile",
        "circuit_aggregates",
        "Does every breakdown, by type, permission and planner, add up to its total?",
        facts.unreconciled_aggregates,
        none_listed("{} aggregates do not add up", "every breakdown adds up to its total", "error"),
    ),
    Check(
        "workstudio_counts_agree",
        "circuit_aggregates",
        "Does WorkStudio's own count of trees agree with ours?",
        facts.trees_that_differ,
        none_listed(
            "{} circuits have another number of trees in WorkStudio's own count",
            "WorkStudio's own counts agree where it gives them",
        ),
    ),
    Check(
        "few_failed_work_orders",
        "circuit_aggregates",
        "Did every work order of the latest sync succeed?",
        lambda connection, _: facts.latest_aggregate_sync(connection),
        findings.judge_failures,
    ),
    Check(
        "aggregates_are_recent",
        "circuit_aggregates",
        "Were the units of every active circuit fetched less than two weekdays ago?",
        lambda connection, scope: (facts.oldest_units(connection), freshness.working_day(scope.now)),
        lambda found: findings.judge_age(*found),
        ages=True,
    ),
    Check(
        "snapshots_are_taken",
        "daily_snapshots",
        "Has each of the last weekdays its snapshot?",
        _snapshots_taken,
        lambda found: freshness.judge_snapshots(*found),
        ages=True,
    ),
    Check(
        "dates_have_snapshots",
        "daily_snapshots",
        "Has each date of the run a snapshot? Asked by itself: each date that was ever taken?",
        _dates_without_snapshots,
        findings.judge_empty,
    ),
    Check(
        "roll_ups_agree",
        "daily_snapshots",
        "Is every date that has snapshots rolled up, and do those of the run's dates add up to their roll-ups? "
        "Asked by itself: those of all dates?",
        _roll_ups,
        lambda found: findings.judge_rolled_up(*found),
    ),
)

CHECKS: Mapping[str, Check] = {check.name: check for check in _CHECKS}
