"""One tick of an invented world: the field has worked a little since the last call.

A tick follows from the seed, its number and its instant alone, so that a world can be played again from a
list of instants.
"""

import random
from datetime import datetime

from circuit_sync.simulator.circuits import Circuit
from circuit_sync.simulator.founding import WorkOrder
from circuit_sync.simulator.invention import circuit_comment, stream
from circuit_sync.simulator.planned_units import plan_miles, settle_permissions
from circuit_sync.simulator.splitting import MOST_SPLITS, can_be_split, follow, split_up

MOST_TICKS = 5000
"""After so many a world stands still: about two years of a schedule, and its state file stays small."""
_GROWTH = 2
_SPLITS_FIRST, _SPLITS_EVERY = 2, 12
_MOVES = (
    ("ACTIV", "QC"),
    ("ACTIV", "QC"),
    ("QC", "CLOSE"),
    ("QC", "CLOSE"),
    ("QC", "REWRK"),
    ("REWRK", "QC"),
)


def tick(circuits: list[Circuit], seed: int, number: int, now: datetime, *, most_open: int, founded: int) -> None:
    """Move the world on, in place.

    ``most_open`` is how many work orders may be open at once, ``founded`` how many circuits the world began with:
    it never grows beyond twice that.
    """
    rng = stream(seed, "tick", number)
    follow(circuits, now, late=True)
    _plan(circuits, rng, now)
    _settle_some_permissions(circuits, rng, now)
    if rng.random() < 0.4:
        _move_one(circuits, rng, now)
    if rng.random() < 0.25:
        _open_one(circuits, seed, rng, now, most_open=most_open, founded=founded)
    follow(circuits, now, late=False)
    if number % _SPLITS_EVERY == _SPLITS_FIRST:
        _split_one(circuits, rng, now, founded=founded)


def _plan(circuits: list[Circuit], rng: random.Random, now: datetime) -> None:
    in_work = [c for c in circuits if c.status in ("ACTIV", "REWRK") and c.miles_planned < c.total_miles]
    for circuit in rng.sample(in_work, min(len(in_work), rng.randint(2, 6))):
        plan_miles(circuit, max(0.1, circuit.total_miles * rng.uniform(0.02, 0.12)), rng, now)
        settle_permissions(circuit, rng.randint(0, 2), rng)
        if rng.random() < 0.15:
            circuit.comment = circuit_comment(rng)
        circuit.edit(now)


def _settle_some_permissions(circuits: list[Circuit], rng: random.Random, now: datetime) -> None:
    """Permissions change on a few circuits; on half of them without a new edit date, as in the field."""
    still_open = [c for c in circuits if c.status != "CLOSE"]
    for circuit in rng.sample(still_open, min(len(still_open), 3)):
        if settle_permissions(circuit, rng.randint(1, 4), rng) and rng.random() < 0.5:
            circuit.edit(now)


def _move_one(circuits: list[Circuit], rng: random.Random, now: datetime) -> None:
    """One circuit changes status; ACTIV never falls below a quarter of the world, and QC never runs dry."""
    source, target = rng.choice(_MOVES)
    of_source = [c for c in circuits if c.status == source]
    if (source == "ACTIV" and len(of_source) * 4 < len(circuits)) or (source == "QC" and len(of_source) < 3):
        return
    ready = [c for c in of_source if c.fully_planned]
    if ready:
        circuit = rng.choice(ready)
        circuit.status = target
        circuit.edit(now)


def _open_one(
    circuits: list[Circuit], seed: int, rng: random.Random, now: datetime, *, most_open: int, founded: int
) -> None:
    """A new work order, as soon as one has been closed."""
    if len(circuits) >= founded * _GROWTH or open_work_orders(circuits) >= most_open:
        return
    number = len({c.work_order for c in circuits})
    circuit = WorkOrder.invented(rng, seed, number, now).whole("ACTIV")
    circuit.miles_planned = 0.0
    circuits.append(circuit)


def _split_one(circuits: list[Circuit], rng: random.Random, now: datetime, *, founded: int) -> None:
    """A main assessment in work is split, if the world may grow by as many circuits as that may take."""
    candidates = [c for c in circuits if can_be_split(c)]
    if candidates and len(circuits) + MOST_SPLITS <= founded * _GROWTH:
        circuits += split_up(rng.choice(candidates), rng, now)


def open_work_orders(circuits: list[Circuit]) -> int:
    """How many work orders have a circuit that is not closed."""
    return len({c.work_order for c in circuits if c.status != "CLOSE"})
