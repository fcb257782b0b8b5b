"""The circuits of an invented world: how it is founded, how a circuit is written as a row of its view."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from circuit_sync.workstudio.simulator.invention import (
    PLANNERS,
    REGIONS,
    choose,
    circuit_comment,
    line_name,
    stream,
)
from circuit_sync.workstudio.simulator.tables import guid_of

_FOUNDED = datetime(2025, 9, 1, tzinfo=UTC)
_SHARES = {"ACTIV": 0.55, "CLOSE": 0.30, "QC": 0.10, "REWRK": 0.05}
_CIRCUITS_OF_A_WORK_ORDER = {"1": 60, "2": 20, "3": 12, "4": 8}
_SPLIT_GOES_AHEAD = {"ACTIV": "QC", "QC": "REWRK", "REWRK": "QC"}


@dataclass(slots=True)
class Unit:
    """What may change about a planned unit; all else follows from the circuit and the unit's place in it."""

    permission: str | None
    assessed_at: datetime


@dataclass(slots=True)
class Circuit:
    """One assessment. ``quirk`` (0 to 999) decides how untidily its row is written, always the same way."""

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
    status: str
    edited_at: datetime
    quirk: int
    version: int = 40
    comment: str = ""
    units: list[Unit] | None = field(default=None)

    @property
    def percent(self) -> int:
        """100 only when the last mile is planned."""
        if self.miles_planned >= self.total_miles:
            return 100
        return min(99, int(100 * self.miles_planned / self.total_miles))

    @property
    def units_due(self) -> int:
        """How many units its planned miles hold: 5 to 80 once it is fully planned."""
        whole = max(5, min(80, round(4 + 1.5 * self.total_miles)))
        return ceil(whole * self.percent / 100)

    def edit(self, now: datetime) -> None:
        """Mark the circuit as edited."""
        self.edited_at = now
        self.version += 1


def found_circuits(seed: int, count: int) -> list[Circuit]:
    """``count`` circuits, splits included; work orders follow the shares of the statuses closely."""
    rng = stream(seed, "founding")
    circuits: list[Circuit] = []
    held = dict.fromkeys(_SHARES, 0)
    number = 0
    while len(circuits) < count:
        size = min(int(choose(rng, _CIRCUITS_OF_A_WORK_ORDER)), count - len(circuits))
        grown = len(circuits) + size
        status = max(_SHARES, key=lambda code: _SHARES[code] * grown - held[code])
        held[status] += size
        edited_at = _FOUNDED + timedelta(milliseconds=rng.randrange(110 * 86_400_000))
        circuits += new_work_order(rng, seed, number, size=size, status=status, edited_at=edited_at)
        number += 1
    return circuits


def new_work_order(
    rng: random.Random, seed: int, number: int, *, size: int, status: str, edited_at: datetime
) -> list[Circuit]:
    """A main assessment and ``size - 1`` splits of it; now and then a split is ahead of its main."""
    work_order = f"2025-{1001 + number:04d}"
    region, line, planner = rng.choice(REGIONS), line_name(rng), rng.choice(tuple(PLANNERS))
    miles = round(max(1.5, min(60.0, rng.lognormvariate(2.4, 0.7))), 2)
    circuits = []
    for extension in ("@", "A", "B", "C")[:size]:
        own = status
        if extension != "@":
            miles = round(max(0.8, miles * rng.uniform(0.25, 0.7)), 2)
            planner = rng.choice((planner, *PLANNERS))
            own = _SPLIT_GOES_AHEAD.get(status, status) if rng.random() < 0.05 else status
        circuits.append(
            Circuit(
                seed=seed,
                guid=guid_of(seed, work_order, extension),
                work_order=work_order,
                extension=extension,
                region=region,
                line=line,
                taken_by=_taken_by(rng, planner),
                forester=PLANNERS[planner] if rng.random() < 0.7 else rng.choice(tuple(PLANNERS.values())),
                total_miles=miles,
                miles_planned=round(miles * _share_planned(rng, own), 2),
                status=own,
                edited_at=edited_at,
                quirk=rng.randrange(1000),
                comment=circuit_comment(rng) if rng.random() < 0.3 else "",
            )
        )
    return circuits


def circuit_row(circuit: Circuit) -> dict[str, Any]:
    """The columns that differ from circuit to circuit, written as untidily as a real server writes them."""
    quirk = circuit.quirk
    units = circuit.units_due
    return {
        "SS_JOBGUID": circuit.guid.lower() if quirk % 25 == 1 else circuit.guid,
        "SS_WO": circuit.work_order,
        "SS_EXT": "" if circuit.extension == "@" and quirk % 15 == 2 else circuit.extension,
        "SS_JOBTYPE": "Assessment Dx" if circuit.extension == "@" else "Split_Assessment",
        "WSREQ_STATUS": circuit.status,
        "REGION": circuit.region,
        "SS_TITLE": f" {circuit.line}  " if quirk % 20 == 3 else circuit.line,
        "VEGJOB_LINENAME": circuit.line,
        "VEGJOB_LENGTH": str(circuit.total_miles) if quirk % 6 == 0 else circuit.total_miles,
        "VEGJOB_LENGTHCOMP": _planned_miles(circuit),
        "VEGJOB_PRCENT": str(circuit.percent) if quirk % 9 == 4 else circuit.percent,
        "VEGJOB_PROJACRES": None if quirk % 11 == 5 else round(circuit.total_miles * 0.31, 2),
        "UNITCOUNTS_LENGTHWRK": units * 61.9306779208413,
        "UNITCOUNTS_NUMTREES": units // 3,
        "WPStartDate_Assessment_Xrefs_WP_STARTDATE": _start_date(quirk),
        "SS_EDITDATE": _instant(circuit.edited_at, plain=quirk % 10 == 7),
        "SS_TAKENBY": circuit.taken_by,
        "VEGJOB_FORESTER": circuit.forester,
        "VEGJOB_GF": None if quirk % 7 == 6 else "",
        "VEGJOB_CIRCCOMNTS": circuit.comment,
        "WSREQ_VERSION": circuit.version,
        "WSREQ_SYNCHVERSN": circuit.version - 9,
    }


def _taken_by(rng: random.Random, planner: str) -> str:
    """Mostly ``CONTRACTOR\\name``; else nobody, a name without the backslash, or untidy case and blanks."""
    forms = {
        f"CONTRACTOR\\{planner}": 80,
        "": 12,
        planner: 5,
        f" Contractor\\{planner.upper()} ": 3,
    }
    return choose(rng, forms)


def _share_planned(rng: random.Random, status: str) -> float:
    if status in ("QC", "CLOSE") or (status == "REWRK" and rng.random() < 0.5):
        return 1.0
    if status == "REWRK":
        return rng.uniform(0.9, 0.98)
    roll = rng.random()
    if roll < 0.12:
        return 1.0
    return 0.0 if roll > 0.93 else rng.uniform(0.05, 0.97)


def _planned_miles(circuit: Circuit) -> float | str | None:
    if circuit.miles_planned == 0:
        return None if circuit.quirk % 2 else ""
    return str(circuit.miles_planned) if circuit.quirk % 8 == 3 else circuit.miles_planned


def _start_date(quirk: int) -> str | None:
    match quirk % 12:
        case 0:
            return "/Date(1899-12-30)/"
        case 1:
            return None
        case 2:
            return ""
        case 3:
            return f"2025-0{1 + quirk % 9}-15"
        case _:
            return f"/Date(2025-0{1 + quirk % 9}-01)/"


def _instant(at: datetime, *, plain: bool) -> str:
    text = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text if plain else f"/Date({text})/"
