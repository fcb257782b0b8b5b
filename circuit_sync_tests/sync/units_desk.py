"""Where the tests of aggregates sync planned units from."""

from collections.abc import Mapping
from typing import Any

from circuit_sync.domain.requests import AggregateSyncRequest
from circuit_sync.simulator import units_table
from circuit_sync.sync.units.sync import (
    AggregateSyncResult,
    complete_aggregate_sync,
    fetch_and_store_aggregates,
    open_aggregate_sync,
)
from circuit_sync_tests.scenery import Desk

WO = "2026-0101"
TOTALS = ("total_units", "total_linear_ft", "total_acres", "total_trees")


def unit(unit_type: str = "SPM", feet: Any = 0, **columns: Any) -> dict[str, Any]:
    """A unit's columns; unstated, an approved single-phase trim of the main assessment."""
    return {"VEGUNIT_UNIT": unit_type, "JOBVEGETATIONUNITS_LENGTHWRK": feet, **columns}


def split(extension: str, feet: Any = 0, **columns: Any) -> dict[str, Any]:
    return unit(feet=feet, SS_EXT=extension, **columns)


def answer_units(desk: Desk, work_order: str, *units: Mapping[str, Any]) -> None:
    """What the simulator answers for a work order's units from now on."""
    desk.simulator.answer(work_order, units_table({"SS_WO": work_order, **row} for row in units))


def circuits(desk: Desk, *names: str, status: str = "ACTIV", **columns: Any) -> None:
    """Syncs a status whose answer lists these circuits: work orders, a split's with its extension behind a blank."""
    desk.answer(status, [_named(name) | columns for name in names])
    desk.sync(status, accept_departures=True)


def open_units(desk: Desk, **options: Any) -> int:
    """An aggregate sync up to the point where its circuits are chosen, a minute after whatever was before."""
    desk.clock.advance(minutes=1)
    return open_aggregate_sync(desk.session, AggregateSyncRequest(**options))


def sync_units(desk: Desk, **options: Any) -> AggregateSyncResult:
    """A whole aggregate sync."""
    sync_id = open_units(desk, **options)
    fetch_and_store_aggregates(desk.session, sync_id)
    return complete_aggregate_sync(desk.session, sync_id)


def asked(desk: Desk) -> list[str]:
    """The work orders asked for since the last look, in the order of the calls."""
    calls = [call.value for call in desk.simulator.calls if call.view == "planned_units"]
    seen = getattr(desk.simulator, "_units_seen", 0)
    desk.simulator._units_seen = len(calls)  # type: ignore[attr-defined]
    return [str(value) for value in calls[seen if seen <= len(calls) else 0 :]]


def aggregates(desk: Desk, name: str = WO, *, is_rollup: bool = False) -> list[dict[str, Any]]:
    """A circuit's aggregates, oldest first."""
    work_order, _, extension = name.partition(" ")
    return desk.rows(
        "SELECT a.* FROM circuit_aggregates AS a JOIN circuits AS c ON c.id = a.circuit_id"
        " WHERE c.work_order = %s AND c.extension = %s AND a.is_rollup = %s ORDER BY a.aggregate_date",
        work_order,
        extension or "@",
        is_rollup,
    )


def feet(desk: Desk, name: str = WO, *, is_rollup: bool = False) -> list[float]:
    """The feet of a circuit's aggregates, oldest first."""
    return [float(row["total_linear_ft"]) for row in aggregates(desk, name, is_rollup=is_rollup)]


def _named(name: str) -> dict[str, Any]:
    work_order, _, extension = name.partition(" ")
    return {"SS_WO": work_order, "SS_EXT": extension or "@"}
