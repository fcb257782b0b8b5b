"""The planned units of an invented circuit, and how they are written as rows of the planned-units view.

Only permission and assessment date are kept per unit. Type, measure and notes come from a stream of random
numbers of its own, so that a unit stays what it was when more are added behind it or a split takes it over.
"""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from circuit_sync.simulator.circuits import NO_DATES, Circuit, Unit
from circuit_sync.simulator.invention import (
    PLANNERS,
    UNKNOWN_UNIT_TYPE,
    UnitType,
    choose,
    landowner_note,
    stream,
    unit_types,
)
from circuit_sync.simulator.tables import POLYGON, guid_of

UTILITY_APPROVAL = "EXAMPLE Approved"
"""An approval by the utility itself, under its own name."""
_FRESH: dict[str | None, int] = {"": 40, None: 20, "Pending": 40}
_FOUNDED: dict[str | None, int] = {
    "Approved": 50,
    "Refused": 8,
    "Pending": 12,
    "": 10,
    None: 6,
    "No Contact": 6,
    "Deferred": 3,
    UTILITY_APPROVAL: 3,
    "approved": 1,
    "REFUSED ": 1,
}
_SETTLED = {"Approved": 70, "Refused": 15, "No Contact": 7, "Deferred": 5, UTILITY_APPROVAL: 3}
_UNSETTLED = ("", None, "Pending", "No Contact")
_TYPES_IN_TURN = 5
_COLUMNS = {
    "linear_ft": "JOBVEGETATIONUNITS_LENGTHWRK",
    "acres": "JOBVEGETATIONUNITS_ACRES",
    "tree_count": "JOBVEGETATIONUNITS_NUMTREES",
}
_OFTEN = ("SPM", "SPB", "MPM", "MPB", "HCB", "HERBNA", "REM612", "REM1218", "NW")


def units_of(circuit: Circuit) -> list[Unit]:
    """The circuit's units, made up when first asked for: before its miles move on, or they were others."""
    if circuit.units is None:
        rng = stream(circuit.seed, "units", circuit.guid)
        due, circuit.units = circuit.units_due, []
        for _ in range(due):
            assessed_at = circuit.opened_at - timedelta(days=rng.randrange(60))
            circuit.units.append(_next_unit(circuit, _FOUNDED, assessed_at, rng))
    return circuit.units


def plan_miles(circuit: Circuit, miles: float, rng: random.Random, now: datetime) -> None:
    """Plan so many miles more; the units on them have no permission yet."""
    units = units_of(circuit)
    circuit.miles_planned = round(min(circuit.total_miles, circuit.miles_planned + miles), 2)
    while len(units) < circuit.units_due:
        units.append(_next_unit(circuit, _FRESH, now, rng))


def settle_permissions(circuit: Circuit, at_most: int, rng: random.Random) -> bool:
    """Let landowners answer; whether any did."""
    open_units = [unit for unit in units_of(circuit) if unit.permission in _UNSETTLED]
    for unit in rng.sample(open_units, min(at_most, len(open_units))):
        unit.permission = choose(rng, _SETTLED)
    return bool(open_units)


def unit_rows(circuit: Circuit) -> list[dict[str, Any]]:
    """The rows of the circuit's units; about one in fifty comes twice. A few main ones repeat their splits' units."""
    holders = [circuit]
    if circuit.splits is not None and circuit.splits.shape.repeats:
        holders += circuit.splits.circuits
    return [row for holder in holders for unit in units_of(holder) for row in _rows_of_unit(unit, circuit.extension)]


def _next_unit(
    circuit: Circuit, permissions: Mapping[str | None, int], assessed_at: datetime, rng: random.Random
) -> Unit:
    """One unit more; one in thirty has no date."""
    permission = choose(rng, permissions)
    unit = Unit(circuit, circuit.units_numbered, permission, None if rng.random() < 1 / 30 else assessed_at)
    circuit.units_numbered += 1
    return unit


def _rows_of_unit(unit: Unit, extension: str) -> list[dict[str, Any]]:
    circuit, number = unit.origin, unit.number
    rng = stream(circuit.seed, "unit row", circuit.guid, number)
    kind = _type(rng, circuit, number)
    row: dict[str, Any] = {
        "VEGJOB_REGION": circuit.region,
        "SS_WO": circuit.work_order,
        "SS_EXT": extension,
        "VEGSTAT_LINENAME": circuit.line,
        "STATIONS_STATNAME": str(10 * (number + 1)),
        "UNITS_DESCRIPTIO": kind.name,
        "VEGUNIT_UNIT": kind.code,
        "VEGUNIT_FORESTER": _forester(rng, circuit),
        "VEGUNIT_ASSDDATE": f"/Date({unit.assessed_at:%Y-%m-%d})/" if unit.assessed_at else NO_DATES[(number + 1) % 3],
        "VEGUNIT_PERMSTAT": unit.permission,
        "SSUNITS_OBJECTID": guid_of("unit", circuit.guid, number),
        "VEGUNIT_ASSNOTE": landowner_note(rng) if rng.random() < 0.4 else "",
        "VEGUNIT_PARCELCOMMENTS": landowner_note(rng),
    }
    measures = {"linear_ft": rng.uniform(15, 900), "acres": rng.uniform(0.005, 0.6), "tree_count": rng.randint(1, 6)}
    as_text, nothing = rng.random() < 0.07, rng.choice((0, 0, 0, None, ""))
    for measurement, column in _COLUMNS.items():
        value = measures[measurement]
        row[column] = nothing if measurement != kind.measurement else str(value) if as_text else value
    if kind.measurement == "acres":
        row["SSUNITS_GEOMETRY"] = POLYGON
    return [row, row] if rng.random() < 0.02 else [row]


def _type(rng: random.Random, circuit: Circuit, number: int) -> UnitType:
    """The first units of a circuit take the types in turn, so that a world has them all."""
    kinds = unit_types()
    often = rng.choice(_OFTEN)
    if number == 2 and circuit.quirk % 12 == 0:
        return UnitType(UNKNOWN_UNIT_TYPE, "Pole Wrap", "none")
    if number < _TYPES_IN_TURN:
        return kinds[(circuit.quirk * _TYPES_IN_TURN + number) % len(kinds)]
    return next(kind for kind in kinds if kind.code == often)


def _forester(rng: random.Random, circuit: Circuit) -> str | None:
    roll, other = rng.random(), rng.choice(tuple(PLANNERS.values()))
    if roll < 0.08:
        return None if roll < 0.03 else ""
    return other if roll > 0.9 else circuit.forester
