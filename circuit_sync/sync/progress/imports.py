"""Snapshots that are not computed from history: imported from another system's file, or taken by command."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

from circuit_sync.database.circuits.stages import add_ui_states
from circuit_sync.database.connection import Connection
from circuit_sync.database.progress import imports as store
from circuit_sync.database.progress.history import record_history
from circuit_sync.database.progress.snapshots import history_begins, take_now
from circuit_sync.database.units.due import unknown_work_orders
from circuit_sync.domain.eastern import TIME_ZONE, eastern_date
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.snapshot_file import ImportContext, UnknownCircuit, check_heading, read_line
from circuit_sync.domain.values import BadValue
from circuit_sync.sync.progress.rollups import OF_SNAPSHOTS, RollUp, roll_up_days
from circuit_sync.sync.session import Session

MOST_FAULTS = 100


class FileRefused(UsageError):
    """The file holds lines that cannot be imported; ``faults`` has one line for each, nothing was stored."""

    def __init__(self, path: Path, faults: Sequence[str], *, are_all: bool) -> None:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        rest = "" if are_all else f" and more: it was read up to {faults[-1].split(':')[0]}"
        super().__init__(f"nothing was imported: {path.name} has {number}{rest}")
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Imported:
    """``per_date``: the snapshots of each date; ``skipped``: lines left out, as their circuits are unknown;
    ``rolled_up``: what the roll-ups say now, by table or view (``roll_up_days``).
    """

    per_date: Mapping[date, int]
    skipped: int
    rolled_up: Mapping[str, RollUp]


def import_snapshots(session: Session, path: Path, *, skip_unknown: bool = False) -> Imported:
    """Stores a file of snapshots of dates before history begins, all or nothing, and rolls its dates up.

    A date in the file replaces what was imported of it before. Raises ``FileRefused`` or another ``UsageError``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, session.database.transaction() as connection:
            return _import(connection, session, _Lines(file, path, _context(connection, session), skip_unknown))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path} is not a CSV file: {error}") from None


def take_manual_snapshots(session: Session, work_orders: Sequence[str] = ()) -> int:
    """A ``manual`` snapshot of the state now of every open circuit, or of those of ``work_orders``; how many."""
    now = session.now()
    with session.database.transaction() as connection:
        if unknown := unknown_work_orders(connection, work_orders):
            raise UsageError(f"unknown work order {', '.join(unknown)}: no circuit has it")
        add_ui_states(connection, now)
        record_history(connection, now)
        return take_now(connection, "manual", eastern_date(now), now, work_orders or None)


def _import(connection: Connection, session: Session, lines: "_Lines") -> Imported:
    repeated = store.stage_snapshots(connection, lines.good())
    for number, first in repeated:
        lines.fault(number, f"the same circuit and date as line {first}")
    lines.refuse_faults()
    per_date = store.store_staged(connection, TIME_ZONE, session.now())
    rolled_up = roll_up_days(connection, list(per_date), session.now(), OF_SNAPSHOTS) if per_date else {}
    return Imported(per_date, lines.skipped, rolled_up)


def _context(connection: Connection, session: Session) -> ImportContext:
    guids: dict[str, int] = {}
    work_orders: dict[tuple[str, str], list[int]] = {}
    for circuit_id, guid, work_order, extension in store.known_circuits(connection):
        guids[guid] = circuit_id
        work_orders.setdefault((work_order, extension), []).append(circuit_id)
    since = history_begins(connection)
    before = eastern_date(since or session.now())
    return ImportContext(before, guids, work_orders, store.known_regions(connection))


@dataclass
class _Lines:
    """Reads the file once, line by line; what is wrong is noted on the way."""

    file: IO[str]
    path: Path
    context: ImportContext
    skip_unknown: bool
    skipped: int = 0
    faults: list[str] = field(default_factory=list)

    def good(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines that can be stored, with their numbers."""
        reader = csv.DictReader(self.file, strict=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        self.faults += check_heading(reader.fieldnames)
        self.refuse_faults()
        for cells in reader:
            number = reader.line_num
            try:
                yield number, read_line(cells, self.context)
            except UnknownCircuit as unknown:
                if self.skip_unknown:
                    self.skipped += 1
                else:
                    self.fault(number, str(unknown))
            except BadValue as bad:
                self.fault(number, str(bad))

    def fault(self, number: int, reason: str) -> None:
        """Raises ``FileRefused`` at one too many: the rest of the file is not read."""
        if len(self.faults) == MOST_FAULTS:
            raise FileRefused(self.path, self.faults, are_all=False)
        self.faults.append(f"line {number}: {reason}")

    def refuse_faults(self) -> None:
        if self.faults:
            raise FileRefused(self.path, self.faults, are_all=True)
