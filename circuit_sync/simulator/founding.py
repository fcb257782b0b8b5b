"""How an invented world is founded, and how a new circuit is made up."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Self

from circuit_sync.simulator.circuits import NOTHING, Circuit, Measures, Shape, Splits, added_up
from circuit_sync.simulator.invention import PLANNERS, REGIONS, choose, circuit_comment, line_name, stream
from circuit_sync.simulator.tables import guid_of

MAIN = "@"
SPLIT_EXTENSIONS = ("C_a", "C_b", "C_ba", "C_c", "C_ca", "C_d")
"""In the order in which a work order's splits are given them; ``C_ba`` is no part of ``C_b``."""
_FOUNDED = datetime(2025, 9, 1, tzinfo=UTC)
_SHARES = {"ACTIV": 0.55, "CLOSE": 0.30, "QC": 0.10, "REWRK": 0.05}
_CIRCUITS_OF_A_WORK_ORDER = {1: 60, 2: 20, 3: 12, 4: 8}
_SPLIT_GOES_AHEAD = {"ACTIV": "QC", "QC": "REWRK", "REWRK": "QC"}

_ACTIVE_SHAPES = (
    Shape(own=True, repeats=True),
    Shape(late=True),
    Shape(first="QC"),
    Shape(first="CLOSE", own=True),
    Shape(listed=False),
    Shape(contained=False),
    Shape(rounding=-0.1),
    Shape(late=True, own=True),
    Shape(),
    Shape(first="QC", done=True, own=True),
    Shape(rounding=0.1, own=True),
    Shape(first="CLOSE"),
    Shape(own=True),
    Shape(first="QC", own=True, repeats=True),
    Shape(late=True),
)
"""What split work orders in ACTIV take in turn, so that a world of some dozens has each kind."""
_OTHER_SHAPES = (Shape(own=True), Shape(), Shape(repeats=True), Shape(rounding=-0.1))


def found_circuits(seed: int, count: int) -> list[Circuit]:
    """``count`` circuits, splits included; work orders follow the shares of the statuses closely."""
    rng = stream(seed, "founding")
    circuits: list[Circuit] = []
    held, turns = Counter[str](), Counter[str]()
    number = 0
    while len(circuits) < count:
        left = count - len(circuits)
        size = min(choose(rng, _CIRCUITS_OF_A_WORK_ORDER), left)
        status = max(_SHARES, key=lambda code: _SHARES[code] * (len(circuits) + size) - held[code])
        edited_at = _FOUNDED + timedelta(milliseconds=rng.randrange(110 * 86_400_000))
        work_order = WorkOrder.invented(rng, seed, number, edited_at)
        if size == 1:
            made = [work_order.whole(status)]
        else:
            shapes = _ACTIVE_SHAPES if status == "ACTIV" else _OTHER_SHAPES
            shape = shapes[turns[status] % len(shapes)]
            made = work_order.split(status, min(left, max(size, shape.fewest)), shape)
            turns[status] += 1
        held.update(circuit.status for circuit in made)
        circuits += made
        number += 1
    return circuits


@dataclass(frozen=True)
class WorkOrder:
    """Makes up the circuits of one work order."""

    rng: random.Random
    seed: int
    name: str
    region: str
    line: str
    opened_at: datetime

    @classmethod
    def invented(cls, rng: random.Random, seed: int, number: int, opened_at: datetime) -> Self:
        """The work order of this number, on a line made up for it."""
        return cls(rng, seed, f"2025-{1001 + number:04d}", rng.choice(REGIONS), line_name(rng), opened_at)

    def whole(self, status: str) -> Circuit:
        """A main assessment that is not split."""
        return self._begun(MAIN, status, self._miles())

    def split(self, status: str, size: int, shape: Shape) -> list[Circuit]:
        """A main assessment and its splits, ``size`` circuits together; splits alone if none is listed."""
        rng = self.rng
        miles = round(2 * self._miles(), 2)
        extensions = SPLIT_EXTENSIONS[: size - shape.listed]
        if not shape.contained:
            own, shared = miles, round(1.3 * miles + 1.5, 2)
        elif shape.own or (shape.listed and len(extensions) == 1):
            own, shared = parted(miles, [rng.uniform(0.2, 0.6), 0.4])
        else:
            own, shared = 0.0, miles
        statuses = [status if rng.random() >= 0.05 else _SPLIT_GOES_AHEAD.get(status, status) for _ in extensions]
        statuses[0] = shape.first or statuses[0]
        stretches = parted(shared, [rng.uniform(0.3, 1) for _ in extensions])
        splits = [self._begun(*split, done=shape.done) for split in zip(extensions, statuses, stretches, strict=True)]
        if not shape.listed:
            return splits
        main = self._begun(MAIN, status, own, done=shape.done)
        shown = added_up(split.own for split in splits) if shape.contained else NOTHING
        main.splits = Splits(splits, shape, shown)
        return [main, *splits]

    def circuit(self, extension: str, status: str, own: Measures) -> Circuit:
        """A circuit that a planner holds."""
        rng = self.rng
        planner = rng.choice(tuple(PLANNERS))
        return Circuit(
            seed=self.seed,
            guid=guid_of(self.seed, self.name, extension),
            work_order=self.name,
            extension=extension,
            region=self.region,
            line=self.line,
            taken_by=_taken_by(rng, planner),
            forester=PLANNERS[planner] if rng.random() < 0.7 else rng.choice(tuple(PLANNERS.values())),
            total_miles=own.total_miles,
            miles_planned=own.miles_planned,
            acres=own.acres,
            status=status,
            opened_at=self.opened_at,
            edited_at=self.opened_at,
            quirk=rng.randrange(1000),
            comment=circuit_comment(rng) if rng.random() < 0.3 else "",
        )

    def _miles(self) -> float:
        return round(max(1.5, min(60.0, self.rng.lognormvariate(2.4, 0.7))), 2)

    def _begun(self, extension: str, status: str, miles: float, *, done: bool = False) -> Circuit:
        planned = miles if done else round(miles * _share_planned(self.rng, status), 2)
        circuit = self.circuit(extension, status, Measures(miles, planned, round(miles * 0.31, 2)))
        if circuit.quirk % 11 == 5:
            circuit.acres = 0.0
        return circuit


def parted(amount: float, weights: Sequence[float]) -> list[float]:
    """The amount in parts of these weights, to hundredths, that add up to it exactly."""
    cuts = [0.0]
    for weight in weights:
        cuts.append(cuts[-1] + weight)
    return [round(round(amount * b / cuts[-1], 2) - round(amount * a / cuts[-1], 2), 2) for a, b in pairwise(cuts)]


def _taken_by(rng: random.Random, planner: str) -> str:
    """Mostly ``CONTRACTOR\\name``; else nobody, a name without the backslash, or untidy case and blanks."""
    untidy = f" Contractor\\{planner.upper()} "
    return choose(rng, {f"CONTRACTOR\\{planner}": 80, "": 12, planner: 5, untidy: 3})


def _share_planned(rng: random.Random, status: str) -> float:
    if status in ("QC", "CLOSE") or (status == "REWRK" and rng.random() < 0.5):
        return 1.0
    if status == "REWRK":
        return rng.uniform(0.9, 0.98)
    roll = rng.random()
    if roll < 0.12:
        return 1.0
    return 0.0 if roll > 0.93 else rng.uniform(0.05, 0.97)
