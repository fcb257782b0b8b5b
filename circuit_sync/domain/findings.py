"""What asset checks find, and how bad it is: decided here, from facts that the database gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Any, Literal

from circuit_sync.domain.eastern import weekdays_between

Severity = Literal["warning", "error"]
Lines = Sequence[Mapping[str, Any]]

REJECTED_WARNING, REJECTED_ERROR = 0.01, 0.10
FEWER_WARNING, FEWER_ERROR, MORE_WARNING = 0.75, 0.50, 1.5
FAILED_ERROR = 0.20
AGED_WARNING, AGED_ERROR = 2, 5


@dataclass(frozen=True)
class Finding:
    """The answer of one check: ``lines`` is a table of what is wrong."""

    passed: bool
    message: str
    severity: Severity = "warning"
    lines: Lines = field(default_factory=tuple)


def judge_regions(without: Lines, new: Sequence[str]) -> Finding:
    """Every circuit is in a region that was there before: a new name may be a typing error in WorkStudio."""
    if not without and not new:
        return Finding(True, "every circuit is in a known region")
    told = [f"{len(without)} circuits without a region"] if without else []
    told += [f"new in the last week: {', '.join(new)}"] if new else []
    return Finding(False, "; ".join(told), lines=without)


def judge_rejected(answers: Lines) -> Finding:
    """The share of rejected rows in the latest answer of each status. ``answers``: status, place, counts."""
    latest = [answer for answer in answers if answer["place"] == 1]
    shares = {a["status"]: a["counts"]["rows_rejected"] / max(1, a["counts"]["rows_received"]) for a in latest}
    lines = [{"status": status, "share": f"{share:.1%}"} for status, share in shares.items() if share]
    worst = max(shares.values(), default=0)
    message = ", ".join(f"{line['status']}: {line['share']}" for line in lines) or "no row was rejected"
    return Finding(worst <= REJECTED_WARNING, message, "error" if worst > REJECTED_ERROR else "warning", lines)


def judge_counts(answers: Lines) -> Finding:
    """Each status' circuits against the median of its recent past."""
    lines, severity = [], "warning"
    for status in dict.fromkeys(answer["status"] for answer in answers):
        counts = [answer["counts"]["processed"] for answer in answers if answer["status"] == status]
        newest, usual = counts[0], median(counts[1:] or counts)
        if newest < usual * FEWER_WARNING or newest > usual * MORE_WARNING:
            lines.append({"status": status, "circuits": newest, "usual": usual})
            severity = "error" if newest < usual * FEWER_ERROR else severity
    message = "; ".join(f"{line['status']}: {line['circuits']} circuits, usually {line['usual']:g}" for line in lines)
    return Finding(
        not lines, message or "as many circuits as usual", "error" if severity == "error" else "warning", lines
    )


def judge_unlinked(planners: Lines) -> Finding:
    """Planners who hold circuits and are no user's: their circuits are nobody's in the events' channels."""
    message = f"{len(planners)} planners are no user's: circuit-sync planners link NAME USER" if planners else ""
    return Finding(not planners, message or "every planner is a user", lines=planners)


def judge_orphans(splits: Lines) -> Finding:
    """Open splits have their main assessment."""
    message = f"{len(splits)} splits whose main assessment is in no answer" if splits else ""
    return Finding(not splits, message or "every open split has its main assessment", lines=splits)


def judge_contained(work_orders: Lines) -> Finding:
    """Main assessments show the miles of their splits too. ``work_orders``: main_miles, splits, split_miles."""
    message = f"{len(work_orders)} work orders whose splits have more miles than the main assessment: each counts whole"
    return Finding(
        not work_orders,
        message if work_orders else "every main assessment contains its splits, or is said to contain none",
        lines=work_orders,
    )


def judge_reconciliation(unreconciled: Lines) -> Finding:
    """Every breakdown adds up to its total: anything else is a defect of ours."""
    message = f"{len(unreconciled)} aggregates do not add up" if unreconciled else ""
    return Finding(not unreconciled, message or "every breakdown adds up to its total", "error", unreconciled)


def judge_unit_counts(differing: Lines) -> Finding:
    """WorkStudio's own count of trees against ours."""
    message = f"{len(differing)} circuits have another number of trees in WorkStudio's own count" if differing else ""
    return Finding(not differing, message or "WorkStudio's own counts agree where it gives them", lines=differing)


def judge_failures(latest: Mapping[str, Any] | None) -> Finding:
    """The share of work orders that failed in the latest aggregate sync."""
    if latest is None or not latest["failed"]:
        return Finding(True, "no work order failed in the latest sync")
    tried = latest["done"] + latest["failed"]
    message = f"{latest['failed']} of {tried} work orders failed in sync {latest['sync_id']}"
    return Finding(False, message, "error" if latest["failed"] > tried * FAILED_ERROR else "warning")


def judge_age(work_order: str | None, synced: date | None, today: date) -> Finding:
    """The age in weekdays, up to ``today``, of the oldest aggregate of an active circuit. Dates in Eastern Time."""
    if work_order is None or synced is None:
        return Finding(True, "no active circuit has an aggregate yet")
    age = len(weekdays_between(synced, today)) - 1
    message = f"the oldest aggregate of an active circuit, {work_order}, is of {synced} ({max(age, 0)} weekdays ago)"
    return Finding(age < AGED_WARNING, message, "error" if age >= AGED_ERROR else "warning")


def judge_empty(reasons: Mapping[date, str]) -> Finding:
    """Dates that were taken and hold nothing; ``reasons``: why."""
    spans: dict[str, list[date]] = {}
    for day, reason in sorted(reasons.items()):
        spans.setdefault(reason, []).append(day)
    message = "; ".join(f"no snapshot of {_span(days)}: {reason}" for reason, days in spans.items())
    lines = [{"date": day.isoformat(), "empty": reason} for day, reason in sorted(reasons.items())]
    return Finding(not reasons, message or "every date that was taken has snapshots", lines=lines)


def judge_rolled_up(held: Lines, differing: Sequence[date]) -> Finding:
    """Each date's snapshots and its roll-ups. ``held``: day; whether it has snapshots, by_region, by_planner."""
    kinds = ("snapshots", "by_region", "by_planner")
    wrong = {line["day"]: _missing(line, kinds) for line in held if not all(line[kind] for kind in kinds)}
    wrong |= {day: "the sums differ" for day in differing if day not in wrong}
    lines = [{"date": day.isoformat(), "found": found} for day, found in sorted(wrong.items())]
    if not wrong:
        return Finding(True, "the roll-ups add up to the snapshots")
    message = f"the roll-ups of {_span(sorted(wrong))} are not those of the snapshots: materialise these dates again"
    return Finding(False, message, "error", lines)


def _missing(line: Mapping[str, Any], kinds: Sequence[str]) -> str:
    return f"missing: {', '.join(kind.replace('_', ' ') for kind in kinds if not line[kind])}"


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} dates, {days[0]} to {days[-1]}"
