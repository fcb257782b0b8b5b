"""One pass over the chosen work orders: fetched, computed and stored batch by batch, so that memory stays bounded."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from circuit_sync.database.log import sync_logs
from circuit_sync.database.people.credentials import planners_by_work_order
from circuit_sync.database.units import store as aggregate_store
from circuit_sync.database.units.store import WrittenAggregate
from circuit_sync.domain.aggregates import compute_aggregates
from circuit_sync.domain.eastern import eastern_date
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError
from circuit_sync.domain.planned_units import UnitFaults
from circuit_sync.domain.sync_log import ErrorDetails, SyncContext, UnitsChanged
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


class AggregateRun:
    """``circuits``: those of the chosen work orders, as ``database.units.due.chosen`` lists them, with their roots.

    ``context`` and ``details``: what the sync log is to remember of the run so far.
    """

    def __init__(self, session: Session, sync_id: int, circuits: pd.DataFrame, measurements: Mapping[str, str]) -> None:
        self.counts = dict.fromkeys(("work_orders", "circuits", "stored", "unchanged", "failed", "units"), 0)
        self.changes: list[UnitsChanged] = []
        self.seconds = {"compute": 0.0, "store": 0.0, "whole": 0.0}
        self.context: SyncContext = {"calls": {}, "credentials": []}
        self.details: ErrorDetails = {
            "failures": [],
            "rejected_units": [],
            "unknown_unit_types": Counter(),
            "extensions_now_empty": [],
            "units_of_unknown_circuits": 0,
            "pending_units_undated": 0,
            "units_of_other_work_orders": 0,
        }
        self._some_failure_is_transient = False
        self._session = session
        self._sync_id = sync_id
        self._circuits = circuits
        self._measurements = measurements

    def fetch_and_store(self) -> None:
        """All work orders. What was fetched whole is stored, also if the run fails or is cancelled meanwhile.

        Raises what ``UnitAnswers.of`` raises, and if every work order failed, ``TransientError`` or ``PermanentError``.
        """
        work_orders = self._circuits["work_order"].drop_duplicates().tolist()
        if not work_orders:
            return
        begun = time.monotonic()
        batch: dict[str, Table] = {}
        rotation = open_rotation(self._session, self._session.secret_keys)
        with self._session.database.transaction() as connection:
            planners = planners_by_work_order(connection, work_orders)
        with_units = self._circuits[self._circuits["last_units"] > 0]
        had_units = {str(name): list(group) for name, group in with_units.groupby("work_order")["extension"]}
        with self._session.workstudio() as workstudio:
            answers = UnitAnswers(
                self._session,
                workstudio,
                lambda work_order: rotation.fetch_planned_units(workstudio, work_order, planners.get(work_order, ())),
                had_units,
            )
            try:
                for work_order, answer in answers.of(work_orders):
                    if isinstance(answer, CircuitSyncError):
                        self._note_failure(work_order, answer)
                        continue
                    now_empty = answers.now_empty.get(work_order, ())
                    self.details["extensions_now_empty"] += [f"{work_order} {extension}" for extension in now_empty]
                    batch[work_order] = answer
                    if len(batch) >= BATCH_WORK_ORDERS or sum(t.received for t in batch.values()) >= BATCH_UNITS:
                        self._store(batch, answers.asked, len(work_orders))
            finally:
                self._store(batch, answers.asked, len(work_orders))
                rotation.record_uses()
                self.details["units_of_other_work_orders"] = sum(answers.of_others.values())
                self.context["credentials"] = rotation.used()
                self.context["calls"] = workstudio.statistics.rounded()
                self.seconds["whole"] = time.monotonic() - begun
        failures = self.details["failures"]
        if len(failures) == len(work_orders):
            kind = TransientError if self._some_failure_is_transient else PermanentError
            raise kind(f"every work order failed, the first: {failures[0]['reason']}")

    def remember(self) -> None:
        """Leaves what was done so far in the sync log, for its completion or its failure."""
        seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        self.context |= {"counts": self.counts, "changes": self.changes, "seconds": seconds}
        with self._session.database.transaction() as connection:
            sync_logs.remember(connection, self._sync_id, self.context, self.details)

    def _note_failure(self, work_order: str, error: CircuitSyncError) -> None:
        self.counts["failed"] += 1
        self.details["failures"].append({"work_order": work_order, "reason": str(error)})
        self._some_failure_is_transient |= error.transient
        self._session.log(f"work order {work_order} failed: {error}")

    def _store(self, batch: dict[str, Table], asked_at: Mapping[str, datetime], total: int) -> None:
        """Computes and stores the batch in one transaction, empties it, and logs how many of ``total`` are done.

        Raises ``SyncAlreadyClosed`` if the run was taken for dead meanwhile: nothing is stored after ``sync.failed``.
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
            int(circuit): asked_at[work_order]
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
            own = [row for row in written if not row.is_rollup]
            added = {
                "work_orders": len(batch) - len(faults.oversized),
                "circuits": len(asked),
                "stored": len(written),
                "unchanged": len(asked) - len(own),
                "units": len(units),
            }
            counts = {name: number + added.get(name, 0) for name, number in self.counts.items()}
            # Should the process be killed, its log says what is stored.
            sync_logs.remember(connection, self._sync_id, {"counts": counts})
            events = [
                PlannedUnitsSynced(
                    row.circuit_id, self._sync_id, row.work_order, row.totals, row.permission_counts, row.previous
                )
                for row in own
            ]
            emit(connection, events, now)
        self.counts = counts
        self.changes += [_units_changed(row) for row in own[: LINES_LISTED - len(self.changes)]]
        for work_order in faults.oversized:
            self._note_failure(work_order, PermanentError("its units add up to more than the database can hold"))
        self._note_faults(faults, batch)
        self.seconds["compute"] += computed - begun
        self.seconds["store"] += time.monotonic() - computed
        batch.clear()
        done = self.counts["work_orders"] + self.counts["failed"]
        self._session.log(f"sync {self._sync_id}: {done} of {total} work orders done")

    def _note_faults(self, faults: UnitFaults, batch: Mapping[str, Table]) -> None:
        self.details["rejected_units"] += faults.rejected
        self.details["rejected_units"] += [
            {"work_order": work_order, "column": "", "reason": _MISSHAPEN, "units": len(table.misshapen)}
            for work_order, table in batch.items()
            if table.misshapen
        ]
        self.details["unknown_unit_types"].update(faults.unknown_types)
        self.details["units_of_unknown_circuits"] += faults.units_without_circuit
        self.details["pending_units_undated"] += faults.undated


def _units_changed(row: WrittenAggregate) -> UnitsChanged:
    return {
        "work_order": row.work_order,
        "extension": row.extension,
        "units": int(row.totals["total_units"]),
        "previous_units": None if row.previous is None else int(row.previous["total_units"]),
    }
