"""The aggregate sync: choose the circuits that need units, one call per work order, store batch by batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from circuit_sync.database.circuits.staging import discard_orphans, discard_staged
from circuit_sync.database.log import sync_logs
from circuit_sync.database.units import due
from circuit_sync.database.units import store as aggregate_store
from circuit_sync.domain.aggregates import with_roots
from circuit_sync.domain.eastern import eastern_date, midnight
from circuit_sync.domain.errors import TransientError, UsageError
from circuit_sync.domain.requests import AggregateSyncRequest
from circuit_sync.domain.statuses import parse_statuses
from circuit_sync.domain.sync_log import ErrorDetails, FailedWorkOrder, SyncContext, UnitsChanged
from circuit_sync.events.outbox import emit
from circuit_sync.sync.installation.ownership import check_owner, identity_of
from circuit_sync.sync.log.closing import closing_on_failure, complete_log, done_so_far
from circuit_sync.sync.log.opening import open_log
from circuit_sync.sync.session import Session
from circuit_sync.sync.units.batches import AggregateRun


@dataclass(frozen=True)
class AggregateSyncResult:
    """``counts``: work_orders, circuits, stored, unchanged, failed, units; ``reasons``: circuits per reason."""

    sync_id: int
    sync_status: str
    message: str | None
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    failures: Sequence[FailedWorkOrder]
    changes: Sequence[UnitsChanged]
    calls: Mapping[str, float]
    durations: Mapping[str, float]


def open_aggregate_sync(session: Session, request: AggregateSyncRequest) -> int:
    """Opens the sync log, looks whether WorkStudio is up, and chooses the circuits; returns the log's id."""
    statuses = parse_statuses(request.statuses)
    now = session.now()
    with session.database.transaction() as connection:
        discard_orphans(connection)
        check_owner(connection, session)
        if unknown := due.unknown_work_orders(connection, request.work_orders):
            raise UsageError(
                f"no circuit has the work order {', '.join(unknown)}: sync its circuits first, or look at its number"
            )
        log = open_log(connection, replace(request, statuses=statuses), now)
        reasons = due.choose(
            connection,
            log.id,
            statuses,
            midnight=midnight(eastern_date(now)),
            work_orders=request.work_orders,
            force=request.force,
        )
        left_out = due.left_out(connection, log.id, request.work_orders)
        sync_logs.remember(connection, log.id, {"reasons": reasons, "left_out": left_out})
    session.log(f"sync {log.id}: {sum(reasons.values())} circuits need units: {_listed(reasons) or 'none'}")
    if reasons:
        with closing_on_failure(session, log.id), session.workstudio() as workstudio:
            session.log(f"sync {log.id}: planned units from {identity_of(session)}")
            workstudio.check_health()
    return log.id


def fetch_and_store_aggregates(session: Session, sync_id: int) -> dict[str, int]:
    """Fetches the units of each chosen work order and stores the aggregates batch by batch; returns the counts.

    What a batch stored stays, whatever happens later. Raises ``TransientError`` when a crash of the database lost what
    was chosen, and what ``AggregateRun.fetch_and_store`` raises.
    """
    with closing_on_failure(session, sync_id):
        with session.database.transaction() as connection:
            reasons = sync_logs.read(connection, sync_id).context["reasons"]
            if due.count_chosen(connection, sync_id) != sum(reasons.values()):
                raise TransientError(f"what sync {sync_id} chose is gone, as after a crash of the database: sync again")
            circuits = pd.DataFrame(due.chosen(connection, sync_id), columns=due.CHOSEN_COLUMNS)
            measurements = aggregate_store.measurements(connection)
        run = AggregateRun(session, sync_id, with_roots(circuits), measurements)
        try:
            run.fetch_and_store()
        finally:
            run.remember()
    return run.counts


def complete_aggregate_sync(session: Session, sync_id: int) -> AggregateSyncResult:
    """Closes the sync log: as ``warning`` if a work order failed or a unit could not be counted."""
    with closing_on_failure(session, sync_id), session.database.transaction() as connection:
        log = sync_logs.read(connection, sync_id)
        counts = log.context["counts"]
        message = _message(counts, log.error_details, log.context)
        processed, unchanged = counts["circuits"], counts["unchanged"]
        of_circuits = {"processed": processed, "updated": processed - unchanged, "unchanged": unchanged}
        completed = complete_log(connection, sync_id, session.now(), message, done_so_far(log.context), of_circuits)
        emit(connection, [completed], completed.completed_at)
        discard_staged(connection, sync_id)
    session.log(f"sync {sync_id}: {completed.sync_status}; {_listed(counts)}")
    if message:
        session.log(f"sync {sync_id}: {message}")
    return AggregateSyncResult(
        sync_id=sync_id,
        sync_status=completed.sync_status,
        message=message,
        counts=counts,
        reasons=log.context["reasons"],
        failures=log.error_details["failures"],
        changes=log.context["changes"],
        calls=log.context["calls"],
        durations=log.context["seconds"],
    )


def _message(counts: Mapping[str, int], details: ErrorDetails, context: SyncContext) -> str | None:
    lines = []
    if left_out := context["left_out"]:
        lines.append(f"nothing was fetched for {', '.join(left_out)}: every circuit of it is excluded or has departed")
    if failed := counts["failed"]:
        failures = "1 work order failed" if failed == 1 else f"{failed} work orders failed"
        if context["force"] or context["work_orders"]:
            lines.append(f"{failures} (listed in error_details): ask for what was not due again, with --work-order")
        else:
            lines.append(f"{failures} and {'stays' if failed == 1 else 'stay'} due (listed in error_details)")
    if rejected := sum(line["units"] for line in details["rejected_units"]):
        lines.append(f"{rejected} units could not be read and are not counted")
    if unknown := details["unknown_unit_types"]:
        lines.append(f"unknown unit types, counted as units without a measure: {', '.join(sorted(unknown))}")
    if undated := details["pending_units_undated"]:
        lines.append(f"{undated} pending units have a date assessed that cannot be read, counted as unknown")
    if now_empty := details["extensions_now_empty"]:
        lines.append(f"{len(now_empty)} circuits have no units any more, asked twice (listed in error_details)")
    return "; ".join(lines) or None


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
