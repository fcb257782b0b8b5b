"""The circuits of an invented world, and how a circuit is written as a row of its view.

A circuit keeps what is its own; what a main assessment shows includes what it knows of its splits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, NamedTuple


class Measures(NamedTuple):
    """What adds up over circuits: miles, acres, counts of units and trees."""

    total_miles: float = 0.0
    miles_planned: float = 0.0
    acres: float = 0.0
    units: int = 0
    trees: int = 0

    @property
    def percent(self) -> int:
        """100 only when the last mile is planned."""
        if self.miles_planned >= self.total_miles:
            return 100
        return min(99, int(100 * self.miles_planned / self.total_miles))

    def off_by(self, miles: float) -> "Measures":
        """The same with so many miles more or, below zero, fewer; no more of them planned than there are."""
        total = round(self.total_miles + miles, 2)
        planned = total if self.percent == 100 else min(self.miles_planned, total)
        return self._replace(total_miles=total, miles_planned=planned)


NOTHING = Measures()
NO_DATES = ("/Date(1899-12-30)/", None, "")
"""How WorkStudio writes a date that was not entered."""


def added_up(parts: Iterable[Measures]) -> Measures:
    """The sum, miles and acres to hundredths."""
    miles, planned, acres, units, trees = (sum(column) for column in zip(NOTHING, *parts, strict=True))
    return Measures(round(miles, 2), round(planned, 2), round(acres, 2), units, trees)


@dataclass(slots=True, eq=False)
class Unit:
    """What may change about a planned unit; all else follows from where it was first planned.

    ``number`` is its place among all units of ``origin``: it stays what it was when a split takes it over.
    ``assessed_at`` is None where the date was not entered.
    """

    origin: "Circuit"
    number: int
    permission: str | None
    assessed_at: datetime | None


@dataclass(frozen=True)
class Shape:
    """In what a split work order differs from one whose main assessment shows the exact sum of its splits.

    As founded: ``own``: the main one has miles of its own. ``first``: the status of the first split, if not the
    main one's. ``listed``: whether there is a main one. ``done``: all miles are planned.
    For its life: unless ``contained``, the main one shows its own miles only. ``late``: it follows its splits one
    call later. ``rounding``: by so many miles its total is off their sum. ``repeats``: it lists their units too.
    """

    own: bool = False
    first: str | None = None
    listed: bool = True
    done: bool = False
    contained: bool = True
    late: bool = False
    rounding: float = 0.0
    repeats: bool = False

    @property
    def fewest(self) -> int:
        """Circuits that it takes at least: a main one without miles of its own has two splits or more."""
        return 3 if self.listed and self.contained and not self.own else 2


@dataclass(slots=True, eq=False)
class Splits:
    """The splits of a main assessment, and what it shows of them."""

    circuits: list["Circuit"]
    shape: Shape
    shown: Measures = NOTHING


@dataclass(slots=True, eq=False)
class Circuit:
    """One assessment and what is its own. ``quirk`` (0 to 999): how untidily its row is written, always the same way.

    ``splits`` is None but for a main assessment that is split.
    """

    seed: int
    guid: str
    work_order: str
    extension: str
    region: str
    line: str
    taken_by: str
    forester: str
    total_miles: float
    miles_planned: float
    acres: float
    status: str
    opened_at: datetime
    edited_at: datetime
    quirk: int
    version: int = 40
    comment: str = ""
    splits: Splits | None = None
    units: list[Unit] | None = None
    units_numbered: int = 0

    @property
    def own(self) -> Measures:
        """Its miles, acres and units without its splits'; every third unit counts as a tree."""
        if self.units is None:
            units, trees = self.units_due, self.units_due // 3
        else:
            units, trees = len(self.units), sum(unit.number % 3 == 2 for unit in self.units)
        return Measures(self.total_miles, self.miles_planned, self.acres, units, trees)

    @property
    def shown(self) -> Measures:
        """What its row shows."""
        if self.splits is None:
            return self.own
        return added_up((self.own, self.splits.shown)).off_by(self.splits.shape.rounding)

    @property
    def fully_planned(self) -> bool:
        """Whether no mile is left to plan, in its splits neither."""
        own = self.miles_planned >= self.total_miles
        return own and (self.splits is None or all(split.fully_planned for split in self.splits.circuits))

    @property
    def units_due(self) -> int:
        """How many units its planned miles hold: 5 to 80 once it is fully planned, none without a mile."""
        if self.total_miles == 0:
            return 0
        whole = max(5, min(80, round(4 + 1.5 * self.total_miles)))
        return ceil(whole * Measures(self.total_miles, self.miles_planned).percent / 100)

    def edit(self, now: datetime) -> None:
        """Mark the circuit as edited."""
        self.edited_at = now
        self.version += 1


def circuit_row(circuit: Circuit) -> dict[str, Any]:
    """The columns that differ from circuit to circuit, written as untidily as a real server writes them."""
    quirk = circuit.quirk
    shown = circuit.shown
    return {
        "SS_JOBGUID": circuit.guid.lower() if quirk % 25 == 1 else circuit.guid,
        "SS_WO": circuit.work_order,
        "SS_EXT": "" if circuit.extension == "@" and quirk % 15 == 2 else circuit.extension,
        "SS_JOBTYPE": "Assessment Dx" if circuit.extension == "@" else "Split_Assessment",
        "WSREQ_STATUS": circuit.status,
        "REGION": circuit.region,
        "SS_TITLE": f" {circuit.line}  " if quirk % 20 == 3 else circuit.line,
        "VEGJOB_LINENAME": circuit.line,
        "VEGJOB_LENGTH": str(shown.total_miles) if quirk % 6 == 0 else shown.total_miles,
        "VEGJOB_LENGTHCOMP": _planned_miles(shown.miles_planned, quirk),
        "VEGJOB_PRCENT": str(shown.percent) if quirk % 9 == 4 else shown.percent,
        "VEGJOB_PROJACRES": shown.acres or None,
        "UNITCOUNTS_LENGTHWRK": shown.units * 61.9306779208413,
        "UNITCOUNTS_NUMTREES": shown.trees,
        "WPStartDate_Assessment_Xrefs_WP_STARTDATE": _start_date(quirk),
        "SS_EDITDATE": _instant(circuit.edited_at, plain=quirk % 10 == 7),
        "SS_TAKENBY": circuit.taken_by,
        "VEGJOB_FORESTER": circuit.forester,
        "VEGJOB_GF": None if quirk % 7 == 6 else "",
        "VEGJOB_CIRCCOMNTS": circuit.comment,
        "WSREQ_VERSION": circuit.version,
        "WSREQ_SYNCHVERSN": circuit.version - 9,
    }


def _planned_miles(miles: float, quirk: int) -> float | str | None:
    if miles == 0:
        return None if quirk % 2 else ""
    return str(miles) if quirk % 8 == 3 else miles


def _start_date(quirk: int) -> str | None:
    untidiness, month = quirk % 12, 1 + quirk % 9
    if untidiness < len(NO_DATES):
        return NO_DATES[untidiness]
    return f"2025-0{month}-15" if untidiness == 3 else f"/Date(2025-0{month}-01)/"


def _instant(at: datetime, *, plain: bool) -> str:
    text = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text if plain else f"/Date({text})/"
