"""Main assessments that are split in the middle of their life, and how main ones follow their splits."""

import random
from collections.abc import Iterable
from datetime import datetime

from circuit_sync.simulator.circuits import Circuit, Measures, Shape, Splits, Unit, added_up
from circuit_sync.simulator.founding import MAIN, SPLIT_EXTENSIONS, WorkOrder, parted
from circuit_sync.simulator.planned_units import units_of

MOST_SPLITS = 3
"""Into so many at once."""
_LEAST_MILES = 3.0


def can_be_split(circuit: Circuit) -> bool:
    """Whether the circuit is a main assessment in work, long enough, with extensions left for its splits."""
    splits = circuit.splits or Splits([], Shape())
    free = len(SPLIT_EXTENSIONS) - len(splits.circuits)
    is_main = circuit.extension == MAIN and circuit.status == "ACTIV" and splits.shape.contained
    return is_main and circuit.total_miles >= _LEAST_MILES and free >= MOST_SPLITS


def split_up(main: Circuit, rng: random.Random, now: datetime) -> list[Circuit]:
    """New splits that take over the main assessment's miles from its beginning, and the units on them.

    The main one keeps the end of the line, or nothing; what it shows stays the same.
    """
    count = rng.randint(1, MOST_SPLITS)
    kept = rng.uniform(0.2, 1) if count == 1 or rng.random() < 0.5 else 0.0
    weights = [*(rng.uniform(0.3, 1) for _ in range(count)), kept]
    parts = _stretches(main.own, weights)
    units = _units_on(main, parts)
    main.splits = main.splits or Splits([], Shape(late=rng.random() < 0.3, repeats=rng.random() < 0.2))
    extensions = SPLIT_EXTENSIONS[len(main.splits.circuits) :][:count]
    order = WorkOrder(rng, main.seed, main.work_order, main.region, main.line, now)
    made = [order.circuit(extension, main.status, part) for extension, part in zip(extensions, parts[:-1], strict=True)]
    for split, on_it in zip(made, units[:-1], strict=True):
        split.units = on_it
    main.total_miles, main.miles_planned, main.acres, *_ = parts[-1]
    main.units = units[-1]
    main.splits.circuits += made
    main.splits.shown = added_up((main.splits.shown, *(split.own for split in made)))
    main.edit(now)
    return made


def follow(circuits: Iterable[Circuit], now: datetime, *, late: bool) -> None:
    """Let the main assessments that are ``late`` in this, or those that are not, show what their splits show now."""
    for circuit in circuits:
        splits = circuit.splits
        if splits is None or splits.shape.late is not late or not splits.shape.contained:
            continue
        shown = added_up(split.own for split in splits.circuits)
        if shown != splits.shown:
            splits.shown = shown
            circuit.edit(now)


def _stretches(own: Measures, weights: list[float]) -> list[Measures]:
    """Miles and acres of stretches that lie one behind the other: a line is planned from its beginning."""
    left = own.miles_planned
    stretches = []
    for miles, acres in zip(parted(own.total_miles, weights), parted(own.acres, weights), strict=True):
        planned = min(miles, left)
        left = round(left - planned, 2)
        stretches.append(Measures(miles, planned, acres))
    return stretches


def _units_on(main: Circuit, stretches: list[Measures]) -> list[list[Unit]]:
    """The main assessment's units, spread evenly over its planned miles, by the stretch on which they stand."""
    units = units_of(main)
    on = []
    end, taken = 0.0, 0
    for stretch in stretches:
        end += stretch.miles_planned
        upto = round(len(units) * end / main.miles_planned) if main.miles_planned else 0
        on.append(units[taken:upto])
        taken = upto
    return on
