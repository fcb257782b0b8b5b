"""What asset checks find, and how bad it is: decided here, from facts that the database gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median
from typing import Literal

from circuit_sync.domain.eastern import eastern_date, weekdays_between
from circuit_sync.domain.printable import Line, Lines

Severity = Literal["warning", "error"]

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


@dataclass(frozen=True)
class StatusAnswer:
    """What came for one status in a good sync."""

    status: str
    processed: int
    rows_received: int
    rows_rejected: int


@dataclass(frozen=True)
class AggregateSyncCounts:
    """How many work orders an aggregate sync did, and how many failed."""

    sync_id: int
    done: int
    failed: int


@dataclass(frozen=True)
class FetchedUnits:
    """When the units of a circuit, named by work order and extension, were fetched."""

    circuit: str
    synced_at: datetime


@dataclass(frozen=True)
class DateHeld:
    """A date of which there are snapshots or roll-ups, and which of these it lacks."""

    day: date
    missing: Sequence[str]


def none_listed(wrong: str, right: str, severity: Severity = "warning") -> Callable[[Lines], Finding]:
    """Judges a table whose every line is wrong; ``wrong`` says so with their number in place of ``{}``."""
    return lambda lines: Finding(not lines, wrong.format(len(lines)) if lines else right, severity, lines)


def judge_regions(without: Lines, new: Sequence[str]) -> Finding:
    """Every circuit is in a region that was there before: a new name may be a typing error in WorkStudio."""
    if not without and not new:
        return Finding(True, "every circuit is in a known region")
    parts = [f"{len(without)} circuits without a region"] if without else []
    parts += [f"new in the last week: {', '.join(new)}"] if new else []
    return Finding(False, "; ".join(parts), lines=without)


def judge_rejected(answers: Sequence[StatusAnswer]) -> Finding:
    """The share of rejected rows in the latest answer of each status."""
    shares = {answer.status: answer.rows_rejected / max(1, answer.rows_received) for answer in answers}
    lines = [{"status": status, "share": f"{share:.1%}"} for status, share in shares.items() if share]
    worst = max(shares.values(), default=0)
    message = ", ".join(f"{line['status']}: {line['share']}" for line in lines) or "no row was rejected"
    return Finding(worst <= REJECTED_WARNING, message, "error" if worst > REJECTED_ERROR else "warning", lines)


def judge_counts(answers: Sequence[StatusAnswer]) -> Finding:
    """Each status' circuits, in answers from the newest on, against the median of its recent past."""
    lines: list[Line] = []
    severity: Severity = "warning"
    for status in dict.fromkeys(answer.status for answer in answers):
        newest, *before = [answer.processed for answer in answers if answer.status == status]
        usual = median(before or [newest])
        if newest < usual * FEWER_WARNING or newest > usual * MORE_WARNING:
            lines.append({"status": status, "circuits": newest, "usual": usual})
            severity = "error" if newest < usual * FEWER_ERROR else severity
    message = "; ".join(f"{line['status']}: {line['circuits']} circuits, usually {line['usual']:g}" for line in lines)
    return Finding(not lines, message or "as many circuits as usual", severity, lines)


def judge_failures(latest: AggregateSyncCounts | None) -> Finding:
    """The share of work orders that failed in the latest aggregate sync."""
    if latest is None or not latest.failed:
        return Finding(True, "no work order failed in the latest sync")
    tried = latest.done + latest.failed
    message = f"{latest.failed} of {tried} work orders failed in sync {latest.sync_id}"
    return Finding(False, message, "error" if latest.failed > tried * FAILED_ERROR else "warning")


def judge_age(oldest: FetchedUnits | None, today: date) -> Finding:
    """The age in weekdays, up to ``today`` in Eastern Time, of the oldest aggregate of an active circuit."""
    if oldest is None:
        return Finding(True, "no active circuit has an aggregate yet")
    synced = eastern_date(oldest.synced_at)
    age = len(weekdays_between(synced, today)) - 1
    message = (
        f"the oldest aggregate of an active circuit, {oldest.circuit}, is of {synced} ({max(age, 0)} weekdays ago)"
    )
    return Finding(age < AGED_WARNING, message, "error" if age >= AGED_ERROR else "warning")


def judge_empty(reasons: Mapping[date, str]) -> Finding:
    """Dates that were taken and hold nothing; ``reasons``: why."""
    spans: dict[str, list[date]] = {}
    for day, reason in sorted(reasons.items()):
        spans.setdefault(reason, []).append(day)
    message = "; ".join(f"no snapshot of {_span(days)}: {reason}" for reason, days in spans.items())
    lines = [{"date": day.isoformat(), "empty": reason} for day, reason in sorted(reasons.items())]
    return Finding(not reasons, message or "every date that was taken has snapshots", lines=lines)


def judge_rolled_up(held: Sequence[DateHeld], differing: Sequence[date]) -> Finding:
    """Each date's snapshots and its roll-ups; ``differing``: dates whose sums differ."""
    wrong = {line.day: f"missing: {', '.join(line.missing)}" for line in held if line.missing}
    wrong |= {day: "the sums differ" for day in differing if day not in wrong}
    lines = [{"date": day.isoformat(), "found": found} for day, found in sorted(wrong.items())]
    if not wrong:
        return Finding(True, "the roll-ups add up to the snapshots")
    message = f"the roll-ups of {_span(sorted(wrong))} are not those of the snapshots: materialise these dates again"
    return Finding(False, message, "error", lines)


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} dates, {days[0]} to {days[-1]}"
