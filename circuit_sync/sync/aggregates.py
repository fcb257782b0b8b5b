"""The aggregate sync: choose the circuits that need units, one call per work order, store batch by batch."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from circuit_sync.database import aggregate_store, sync_logs
from circuit_sync.database.staging import discard_orphans
from circuit_sync.domain.aggregates import UnitFaults, compute_aggregates, with_roots
from circuit_sync.domain.circuits import MAIN_EXTENSION
from circuit_sync.domain.eastern import eastern_date, midnight
from circuit_sync.domain.errors import CircuitSyncError, PassingError, PermanentError, UsageError
from circuit_sync.domain.statuses import STATUS_CODES, parse_statuses
from circuit_sync.domain.values import BadValue, clean_text
from circuit_sync.events.catalogue import PlannedUnitsSynced, SyncCompleted, SyncStarted
from circuit_sync.events.outbox import emit
from circuit_sync.sync.circuits import call_counts
from circuit_sync.sync.closing import closing_on_failure
from circuit_sync.sync.ownership import claim_database, identity_of
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.ddotable import Table
from circuit_sync.workstudio.errors import Unauthorized

FAILURES_IN_A_ROW = 3
BATCH_WORK_ORDERS = 25
BATCH_UNITS = 20_000
LINES_LISTED = 50


@dataclass(frozen=True)
class AggregateSyncRequest:
    """Whose units to fetch: the circuits of ``statuses`` that are due, or ``work_orders``; ``force``: due or not."""

    statuses: Sequence[str] = STATUS_CODES
    work_orders: Sequence[str] = ()
    trigger: str = "manual"
    triggered_by: str | None = None
    run_id: str | None = None
    force: bool = False
    retry_of: int | None = None


@dataclass(frozen=True)
class AggregateSyncResult:
    """``counts``: work_orders, circuits, stored, unchanged, failed, units; ``reasons``: circuits per reason for
    being chosen;
    ``failures``: lines of work_order, reason; ``changes``: lines of work_order, extension, units, previous_units."""

    sync_id: int
    sync_status: str
    message: str | None
    counts: Mapping[str, int]
    per_status: Mapping[str, Mapping[str, int]]
    reasons: Mapping[str, int]
    failures: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]
    calls: Mapping[str, float]
    durations: Mapping[str, float]


@dataclass
class _Tally:
    """What a run has done so far."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("work_orders", "circuits", "stored", "unchanged", "failed", "units"), 0)
    )
    failures: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    unknown_types: dict[str, int] = field(default_factory=dict)
    emptied: list[str] = field(default_factory=list)
    strangers: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"compute": 0.0, "store": 0.0})

    def add(self, faults: UnitFaults) -> None:
        self.rejected.extend(dict(line) for line in faults.rejected)
        self.strangers += faults.strangers
        for code, number in faults.unknown_types.items():
            self.unknown_types[code] = self.unknown_types.get(code, 0) + number


def open_aggregate_sync(session: Session, request: AggregateSyncRequest) -> int:
    """Opens the sync log, looks whether WorkStudio is up, and chooses the circuits; returns the log's id."""
    statuses = parse_statuses(request.statuses)
    now = session.now()
    with session.database.transaction() as connection:
        discard_orphans(connection)
        claim_database(connection, session)
        if unknown := aggregate_store.unknown_work_orders(connection, request.work_orders):
            raise UsageError(
                f"no circuit has the work order {', '.join(unknown)}: sync its circuits first, or look at its number"
            )
        log = sync_logs.start(
            connection,
            sync_type="aggregates",
            trigger=request.trigger,
            now=now,
            api_status_filter=",".join(statuses),
            triggered_by=sync_logs.resolve_user(connection, request.triggered_by),
            run_id=request.run_id,
            retry_of=request.retry_of,
            context={"statuses": statuses, "force": request.force, "work_orders": list(request.work_orders)},
        )
        emit(connection, [SyncStarted(log.id, "aggregates", statuses, request.trigger, now)], now)
        reasons = aggregate_store.choose(
            connection,
            log.id,
            statuses,
            midnight=midnight(eastern_date(now)),
            work_orders=request.work_orders,
            force=request.force,
        )
        sync_logs.remember(connection, log.id, {"reasons": reasons}, {})
    session.log(f"sync {log.id}: {sum(reasons.values())} circuits need units: {_listed(reasons) or 'none'}")
    if reasons:
        with closing_on_failure(session, log.id), session.workstudio() as workstudio:
            session.log(f"sync {log.id}: planned units from {identity_of(session)}")
            workstudio.check_health()
    return log.id


def fetch_and_store_aggregates(session: Session, sync_id: int) -> dict[str, int]:
    """Fetches the units of each chosen work order and stores the aggregates batch by batch; returns the counts.

    What a batch stored stays, whatever happens later. Raises the last failure when ``FAILURES_IN_A_ROW`` work orders
    failed one
    after another for a passing reason, or when the server refuses our credentials.
    """
    with closing_on_failure(session, sync_id):
        with session.database.transaction() as connection:
            circuits = pd.DataFrame(aggregate_store.chosen(connection, sync_id), columns=_CIRCUIT_COLUMNS)
            measurements = aggregate_store.measurements(connection)
        run = _AggregateRun(session, sync_id, with_roots(circuits), measurements)
        try:
            run.fetch_and_store()
        finally:
            run.remember()
    return run.tally.counts


def complete_aggregate_sync(session: Session, sync_id: int) -> AggregateSyncResult:
    """Closes the sync log: as ``warning`` if a work order failed or a unit could not be counted."""
    with closing_on_failure(session, sync_id), session.database.transaction() as connection:
        log = sync_logs.read(connection, sync_id)
        counts, now = log.context["counts"], session.now()
        message = _message(counts, log.error_details)
        results = {"circuits_processed": counts["circuits"], "aggregates_created": counts["stored"]}
        if message:
            sync_logs.complete_with_warning(connection, sync_id, now, message, results)
        else:
            sync_logs.complete(connection, sync_id, now, results)
        status = "warning" if message else "completed"
        tallied = {"processed": counts["circuits"], "updated": counts["stored"], "unchanged": counts["unchanged"]}
        emit(connection, [SyncCompleted(sync_id, status, now, tallied)], now)
        aggregate_store.discard_choices(connection, sync_id)
    session.log(f"sync {sync_id}: {status}; {_listed(counts)}")
    if message:
        session.log(f"sync {sync_id}: {message}")
    return AggregateSyncResult(
        sync_id=sync_id,
        sync_status=status,
        message=message,
        counts=counts,
        per_status={},
        reasons=log.context["reasons"],
        failures=log.error_details["failures"],
        changes=log.context["changes"],
        calls=log.context["calls"],
        durations=log.context["seconds"],
    )


_CIRCUIT_COLUMNS = ["work_order", "circuit_id", "extension", "is_target", "last_units"]


class _AggregateRun:
    """One pass over the chosen work orders: a batch of fetched tables at a time is held in memory."""

    def __init__(self, session: Session, sync_id: int, circuits: pd.DataFrame, measurements: Mapping[str, str]) -> None:
        self.tally = _Tally()
        self._session = session
        self._sync_id = sync_id
        self._circuits = circuits
        self._measurements = measurements
        self._asked: dict[str, datetime] = {}
        self._calls: dict[str, float] = {}
        self._begun = time.monotonic()

    def fetch_and_store(self) -> None:
        work_orders = self._circuits["work_order"].drop_duplicates().tolist()
        if not work_orders:
            return
        batch: dict[str, Table] = {}
        with self._session.workstudio() as workstudio:
            try:
                for done, (work_order, table) in enumerate(self._fetched(workstudio, work_orders), start=1):
                    batch[work_order] = table
                    if len(batch) >= BATCH_WORK_ORDERS or sum(t.received for t in batch.values()) >= BATCH_UNITS:
                        self._store(batch)
                        batch = {}
                        self._session.log(f"sync {self._sync_id}: {done} of {len(work_orders)} work orders done")
            finally:
                self._calls = call_counts(workstudio.statistics)
                # Also after a failure or a cancellation: what was fetched whole is finished work.
                self._store(batch)

    def remember(self) -> None:
        """Leaves the tally in the sync log, for its completion or its failure."""
        tally = self.tally
        seconds = {"whole": time.monotonic() - self._begun, **tally.seconds}
        with self._session.database.transaction() as connection:
            sync_logs.remember(
                connection,
                self._sync_id,
                {
                    "counts": tally.counts,
                    "changes": tally.changes[:LINES_LISTED],
                    "calls": self._calls,
                    "seconds": {name: round(value, 3) for name, value in seconds.items()},
                },
                {
                    "failures": tally.failures,
                    "rejected_units": tally.rejected,
                    "unknown_unit_types": tally.unknown_types,
                    "emptied": tally.emptied,
                    "units_of_unknown_circuits": tally.strangers,
                },
            )

    def _fetched(self, workstudio: WorkStudio, work_orders: Sequence[str]) -> Iterator[tuple[str, Table]]:
        """The work orders whose units came, in the order their calls ended; the others go to the tally."""

        def ask(work_order: str) -> Table:
            self._asked[work_order] = self._session.now()
            return workstudio.fetch_planned_units(work_order)

        failed_in_a_row = 0
        with closing(workstudio.fetch_many(work_orders, ask)) as answers:
            for done, (work_order, answer) in enumerate(answers, start=1):
                self._session.progress(done, len(work_orders))
                try:
                    if isinstance(answer, CircuitSyncError):
                        raise answer
                    yield work_order, self._confirmed(workstudio, work_order, answer)
                    failed_in_a_row = 0
                except Unauthorized:
                    raise
                except CircuitSyncError as error:
                    self._note_failure(work_order, error)
                    failed_in_a_row = failed_in_a_row + 1 if error.passing else 0
                    if failed_in_a_row == FAILURES_IN_A_ROW:
                        raise PassingError(
                            f"{FAILURES_IN_A_ROW} work orders failed one after another, the last: {error}; what was "
                            "stored stays, the rest is still due"
                        ) from None
        if self.tally.failures and len(self.tally.failures) == len(work_orders):
            raise PermanentError(f"every work order failed, the first: {self.tally.failures[0]['reason']}")

    def _note_failure(self, work_order: str, error: CircuitSyncError) -> None:
        self.tally.counts["failed"] += 1
        self.tally.failures.append({"work_order": work_order, "reason": str(error)})
        self._session.log(f"work order {work_order} failed and stays due: {error}")

    def _confirmed(self, workstudio: WorkStudio, work_order: str, table: Table) -> Table:
        """The table, asked for once more if a circuit that had units the last time has none in it."""
        if not self._lost(work_order, table):
            return table
        self._session.log(f"work order {work_order}: no units where there were some; asking once more")
        again = workstudio.fetch_planned_units(work_order)
        if lost := self._lost(work_order, again):
            self.tally.emptied.extend(f"{work_order} {extension}" for extension in lost)
        return again

    def _lost(self, work_order: str, table: Table) -> list[str]:
        """Extensions of the work order that had units and are not in ``table``."""
        there = {_extension(value) for value in table.frame["extension"].unique()}
        known = self._circuits[self._circuits["work_order"] == work_order]
        return [
            extension
            for extension, units in zip(known["extension"], known["last_units"], strict=True)
            if units and extension not in there
        ]

    def _store(self, batch: Mapping[str, Table]) -> None:
        if not batch:
            return
        begun = time.monotonic()
        units = pd.concat([table.frame for table in batch.values()], ignore_index=True)
        circuits = self._circuits[self._circuits["work_order"].isin(batch)]
        rows, faults = compute_aggregates(units, circuits, self._measurements)
        targets = set(circuits.loc[circuits["is_target"], "circuit_id"])
        rows = rows[rows["is_rollup"] | rows["circuit_id"].isin(targets)]
        computed = time.monotonic()
        asked = {
            circuit: self._asked[work_order]
            for circuit, work_order in zip(circuits["circuit_id"], circuits["work_order"], strict=True)
            if circuit in targets
        }
        now = self._session.now()
        with self._session.database.transaction() as connection:
            written = aggregate_store.store_aggregates(
                connection, rows.values.tolist(), asked, day=eastern_date(now), now=now
            )
            emit(connection, [_event(row, self._sync_id) for row in written if not row["is_rollup"]], now)
        self._count(batch, written, len(asked), len(units))
        self.tally.add(faults)
        misshapen = {work_order: len(table.misshapen) for work_order, table in batch.items() if table.misshapen}
        for work_order, number in misshapen.items():
            self.tally.rejected.append(
                {
                    "work_order": work_order,
                    "column": "",
                    "reason": "shorter or longer than the heading",
                    "units": number,
                }
            )
        self.tally.seconds["compute"] += computed - begun
        self.tally.seconds["store"] += time.monotonic() - computed

    def _count(
        self, batch: Mapping[str, Table], written: Sequence[Mapping[str, Any]], circuits: int, units: int
    ) -> None:
        own = [row for row in written if not row["is_rollup"]]
        counts = self.tally.counts
        counts["work_orders"] += len(batch)
        counts["circuits"] += circuits
        counts["stored"] += len(written)
        counts["unchanged"] += circuits - len(own)
        counts["units"] += units
        self.tally.changes.extend(
            {
                "work_order": row["work_order"],
                "extension": row["extension"],
                "units": row["total_units"],
                "previous_units": row["previous_total_units"],
            }
            for row in own
        )


def _extension(value: Any) -> str:
    try:
        return clean_text(value) or MAIN_EXTENSION
    except BadValue:
        return ""


def _event(row: Mapping[str, Any], sync_id: int) -> PlannedUnitsSynced:
    return PlannedUnitsSynced(
        circuit_id=row["circuit_id"],
        sync_id=sync_id,
        work_order=row["work_order"],
        totals=aggregate_store.totals_of(row),
        permission_counts=row["permission_counts"],
        previous=aggregate_store.totals_of(row, "previous_") if row["has_previous"] else None,
    )


def _message(counts: Mapping[str, int], details: Mapping[str, Any]) -> str | None:
    lines = []
    if counts["failed"]:
        lines.append(f"{counts['failed']} work orders failed and stay due (listed in error_details)")
    if rejected := sum(line["units"] for line in details["rejected_units"]):
        lines.append(f"{rejected} units could not be read and are not counted")
    if unknown := details["unknown_unit_types"]:
        lines.append(f"unknown unit types, counted as units without a measure: {', '.join(sorted(unknown))}")
    if emptied := details["emptied"]:
        lines.append(f"no units any more, asked twice: {', '.join(emptied)}")
    return "; ".join(lines) or None


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
