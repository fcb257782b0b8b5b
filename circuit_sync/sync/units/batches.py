"""One pass over the chosen work orders: fetched, computed and stored batch by batch, so that memory stays bounded."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from circuit_sync.database.log import sync_logs
from circuit_sync.database.people.credentials import planners_by_work_order
from circuit_sync.database.units import store as aggregate_store
from circuit_sync.database.units.store import WrittenAggregate
from circuit_sync.domain.aggregates import compute_aggregates
from circuit_sync.domain.eastern import eastern_date
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError
from circuit_sync.domain.planned_units import UnitFaults
from circuit_sync.domain.sync_log import (
    CredentialUse,
    ErrorDetails,
    FailedWorkOrder,
    RejectedUnits,
    SyncContext,
    UnitsChanged,
)
from circuit_sync.events.catalogue import PlannedUnitsSynced
from circuit_sync.events.outbox import emit
from circuit_sync.sync.installation.ownership import claim_database
from circuit_sync.sync.people.credentials import open_rotation
from circuit_sync.sync.session import Session
from circuit_sync.sync.units.answers import UnitAnswers
from circuit_sync.workstudio.ddotable import Table

BATCH_WORK_ORDERS = 25
BATCH_UNITS = 20_000
LINES_LISTED = 50
_MISSHAPEN = "shorter or longer than the heading"


@dataclass
class Tally:
    """What a run has done so far."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("work_orders", "circuits", "stored", "unchanged", "failed", "units"), 0)
    )
    failures: list[FailedWorkOrder] = field(default_factory=list)
    may_pass: bool = False
    rejected: list[RejectedUnits] = field(default_factory=list)
    unknown_types: Counter[str] = field(default_factory=Counter)
    extensions_now_empty: list[str] = field(default_factory=list)
    units_without_circuit: int = 0
    undated: int = 0
    of_others: int = 0
    changes: list[UnitsChanged] = field(default_factory=list)
    calls: Mapping[str, float] = field(default_factory=dict)
    credentials: Sequence[CredentialUse] = ()
    seconds: dict[str, float] = field(default_factory=lambda: {"compute": 0.0, "store": 0.0, "whole": 0.0})

    def add_failure(self, work_order: str, error: CircuitSyncError) -> None:
        self.counts["failed"] += 1
        self.failures.append({"work_order": work_order, "reason": str(error)})
        self.may_pass |= error.transient

    def add_faults(self, faults: UnitFaults, batch: Mapping[str, Table]) -> None:
        self.rejected.extend(faults.rejected)
        self.unknown_types.update(faults.unknown_types)
        self.units_without_circuit += faults.units_without_circuit
        self.undated += faults.undated
        for work_order, table in batch.items():
            if number := len(table.misshapen):
                rejected = RejectedUnits(work_order=work_order, column="", reason=_MISSHAPEN, units=number)
                self.rejected.append(rejected)

    def counts_with(
        self, written: Sequence[WrittenAggregate], *, work_orders: int, circuits: int, units: int
    ) -> dict[str, int]:
        """The counts as they are once a batch is stored."""
        batch = {
            "work_orders": work_orders,
            "circuits": circuits,
            "stored": len(written),
            "unchanged": circuits - len(_own(written)),
            "units": units,
        }
        return {name: number + batch.get(name, 0) for name, number in self.counts.items()}

    def add_stored(self, written: Sequence[WrittenAggregate], counts: dict[str, int]) -> None:
        self.counts = counts
        for row in _own(written)[: LINES_LISTED - len(self.changes)]:
            previous = None if row.previous is None else int(row.previous["total_units"])
            self.changes.append(
                UnitsChanged(
                    work_order=row.work_order,
                    extension=row.extension,
                    units=int(row.totals["total_units"]),
                    previous_units=previous,
                )
            )

    @property
    def context(self) -> SyncContext:
        seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        return {
            "counts": self.counts,
            "changes": self.changes,
            "calls": self.calls,
            "credentials": list(self.credentials),
            "seconds": seconds,
        }

    @property
    def details(self) -> ErrorDetails:
        return {
            "failures": self.failures,
            "rejected_units": self.rejected,
            "unknown_unit_types": self.unknown_types,
            "extensions_now_empty": self.extensions_now_empty,
            "units_of_unknown_circuits": self.units_without_circuit,
            "pending_units_undated": self.undated,
            "units_of_other_work_orders": self.of_others,
        }


class AggregateRun:
    """``circuits``: those of the chosen work orders, as ``aggregate_store.chosen`` lists them, with their roots."""

    def __init__(self, session: Session, sync_id: int, circuits: pd.DataFrame, measurements: Mapping[str, str]) -> None:
        self.tally = Tally()
        self._session = session
        self._sync_id = sync_id
        self._circuits = circuits
        self._measurements = measurements

    def fetch_and_store(self) -> None:
        """All work orders. What was fetched whole is stored, also if the run fails or is cancelled meanwhile.

        Raises what ends a run early (``UnitAnswers.of``), and the fate of the failures if every work order failed.
        """
        work_orders = self._circuits["work_order"].drop_duplicates().tolist()
        if not work_orders:
            return
        begun = time.monotonic()
        batch: dict[str, Table] = {}
        rotation = open_rotation(self._session, self._session.secret_keys)
        with self._session.database.transaction() as connection:
            planners = planners_by_work_order(connection, work_orders)
        with self._session.workstudio() as workstudio:
            answers = UnitAnswers(
                self._session,
                workstudio,
                lambda work_order: rotation.fetch_planned_units(workstudio, work_order, planners.get(work_order, ())),
                self._had_units(),
                failed=self._note_failure,
                extensions_now_empty=self._note_now_empty,
            )
            try:
                for work_order, table in answers.of(work_orders):
                    batch[work_order] = table
                    if len(batch) >= BATCH_WORK_ORDERS or sum(t.received for t in batch.values()) >= BATCH_UNITS:
                        self._store(batch, answers, len(work_orders))
            finally:
                self._store(batch, answers, len(work_orders))
                rotation.record_uses()
                self.tally.of_others = sum(answers.of_others.values())
                self.tally.credentials = rotation.used()
                self.tally.calls = workstudio.statistics.rounded()
                self.tally.seconds["whole"] = time.monotonic() - begun
        if len(self.tally.failures) == len(work_orders):
            kind = TransientError if self.tally.may_pass else PermanentError
            raise kind(f"every work order failed, the first: {self.tally.failures[0]['reason']}")

    def remember(self) -> None:
        """Leaves the tally in the sync log, for its completion or its failure."""
        with self._session.database.transaction() as connection:
            sync_logs.remember(connection, self._sync_id, self.tally.context, self.tally.details)

    def _had_units(self) -> dict[str, list[str]]:
        with_units = self._circuits[self._circuits["last_units"] > 0]
        return {str(name): list(group) for name, group in with_units.groupby("work_order")["extension"]}

    def _note_failure(self, work_order: str, error: CircuitSyncError) -> None:
        self.tally.add_failure(work_order, error)
        self._session.log(f"work order {work_order} failed: {error}")

    def _note_now_empty(self, work_order: str, extensions: Collection[str]) -> None:
        self.tally.extensions_now_empty.extend(f"{work_order} {extension}" for extension in extensions)

    def _store(self, batch: dict[str, Table], answers: UnitAnswers, total: int) -> None:
        """Computes and stores the batch in one transaction, empties it, and tells how many of ``total`` are done.

        Raises ``SyncAlreadyClosed`` if the run was taken for dead meanwhile: nothing follows upon ``sync.failed``.
        """
        if not batch:
            return
        begun = time.monotonic()
        units = pd.concat([table.frame for table in batch.values()], ignore_index=True)
        circuits = self._circuits[self._circuits["work_order"].isin(batch)]
        rows, faults = compute_aggregates(units, circuits, self._measurements)
        targets = circuits[circuits["is_target"] & ~circuits["work_order"].isin(faults.oversized)]
        rows = rows[rows["is_rollup"] | rows["circuit_id"].isin(targets["circuit_id"])]
        asked = {
            int(circuit): answers.asked[work_order]
            for circuit, work_order in zip(targets["circuit_id"], targets["work_order"], strict=True)
        }
        computed = time.monotonic()
        now = self._session.now()
        with self._session.database.transaction() as connection:
            sync_logs.keep_open(connection, self._sync_id)
            claim_database(connection, self._session)
            written = aggregate_store.store_aggregates(
                connection, rows.values.tolist(), asked, day=eastern_date(now), now=now
            )
            counts = self.tally.counts_with(
                written, work_orders=len(batch) - len(faults.oversized), circuits=len(asked), units=len(units)
            )
            # Should the process be killed, its log tells what is stored.
            sync_logs.remember(connection, self._sync_id, {"counts": counts})
            emit(connection, [_event(row, self._sync_id) for row in _own(written)], now)
        self.tally.add_stored(written, counts)
        for work_order in faults.oversized:
            self._note_failure(work_order, PermanentError("its units add up to more than the database can hold"))
        self.tally.add_faults(faults, batch)
        self.tally.seconds["compute"] += computed - begun
        self.tally.seconds["store"] += time.monotonic() - computed
        batch.clear()
        done = self.tally.counts["work_orders"] + self.tally.counts["failed"]
        self._session.log(f"sync {self._sync_id}: {done} of {total} work orders done")


def _own(written: Sequence[WrittenAggregate]) -> list[WrittenAggregate]:
    """What was written of circuits themselves, without roll-ups."""
    return [row for row in written if not row.is_rollup]


def _event(row: WrittenAggregate, sync_id: int) -> PlannedUnitsSynced:
    return PlannedUnitsSynced(
        circuit_id=row.circuit_id,
        sync_id=sync_id,
        work_order=row.work_order,
        totals=row.totals,
        permission_counts=row.permission_counts,
        previous=row.previous,
    )
