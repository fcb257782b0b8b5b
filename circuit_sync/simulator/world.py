"""The world behind the simulator: circuits and planned units that follow from a seed and move on by ticks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.simulator.circuits import Circuit, circuit_row
from circuit_sync.simulator.founding import found_circuits
from circuit_sync.simulator.planned_units import unit_rows
from circuit_sync.simulator.state import State, StateFile
from circuit_sync.simulator.tables import circuits_table, units_table
from circuit_sync.simulator.ticks import MOST_TICKS, open_work_orders, tick

DEFAULT_CIRCUITS, DEFAULT_SEED = 180, 7
_REJECTED_ROWS: tuple[dict[str, Any], ...] = (
    {"SS_JOBGUID": "", "SS_WO": "2025-0998", "SS_TITLE": "DRAFT WITHOUT GUID 69/12 KV 99-01 LINE"},
    {"SS_WO": "2025-0999", "VEGJOB_LENGTH": "see map", "SS_TITLE": "JUNK LENGTH 69/12 KV 99-02 LINE"},
)
"""The rows of ``ACTIV`` in a dirty world that no reader can store; the world does not count them."""


class World:
    """Safe to share between threads, and between processes when it has a state file.

    ``dirty`` adds two rows that must be rejected and a NUL byte in two titles. ``state`` names a file whose
    seed, size and ticks win over the arguments: ``notice`` says so then. Raises ``UsageError`` on a size
    outside 1 to 20,000, or a state file that holds something else.
    """

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        circuits: int = DEFAULT_CIRCUITS,
        *,
        dirty: bool = False,
        state: Path | None = None,
    ) -> None:
        self.notice: str | None = None
        self._dirty = dirty
        self._turn = threading.Lock()
        self._file = StateFile(state) if state is not None else None
        self._found(State(seed, circuits))
        with self._held():
            if (self.seed, self.circuits) != (seed, circuits):
                goes_on = f"{state} goes on with seed {self.seed} and {self.circuits} circuits"
                self.notice = f"{goes_on}: its world wins; delete it for a new one"

    @property
    def seed(self) -> int:
        """The seed in force: the state file's, if there is one."""
        return self._state.seed

    @property
    def circuits(self) -> int:
        """How many circuits the world was founded with."""
        return self._state.circuits

    @property
    def ticks(self) -> tuple[str, ...]:
        """The instants at which the world moved on, ISO 8601 in UTC."""
        return self._state.ticks

    @property
    def work_orders(self) -> tuple[str, ...]:
        """Every work order, oldest first."""
        with self._held():
            return tuple(dict.fromkeys(circuit.work_order for circuit in self._circuits))

    def circuits_answer(self, status: str, at: datetime | None = None) -> dict[str, Any]:
        """All circuits of a status, none of an unknown one, as a DDOTable. With ``at`` the world moves on."""
        with self._held():
            if at is not None and status in STATUS_CODES:
                self._move_on(at)
            rows = [self._row(place, c) for place, c in enumerate(self._circuits) if c.status == status]
        if self._dirty and status == STATUS_CODES[0]:
            rows += _REJECTED_ROWS
        return circuits_table(rows)

    def units_answer(self, work_order: str) -> dict[str, Any]:
        """All units of a work order, every extension together; none of an unknown work order."""
        with self._held():
            return units_table(row for c in self._circuits if c.work_order == work_order for row in unit_rows(c))

    @contextmanager
    def _held(self) -> Iterator[None]:
        """This thread's turn, with the world caught up with what other processes did."""
        with self._turn, self._file.held() if self._file else nullcontext():
            if self._file:
                self._catch_up(self._file.read(replace(self._state, ticks=())))
            yield

    def _found(self, state: State) -> None:
        self._state = replace(state, ticks=())
        self._circuits: list[Circuit] = found_circuits(state.seed, state.circuits)
        self._most_open = open_work_orders(self._circuits)

    def _catch_up(self, state: State) -> None:
        done = len(self._state.ticks)
        if replace(state, ticks=state.ticks[:done]) != self._state:
            self._found(state)
            done = 0
        for instant in state.ticks[done:]:
            self._tick(instant)

    def _move_on(self, at: datetime) -> None:
        if len(self._state.ticks) >= MOST_TICKS:
            return
        self._tick(at.astimezone(UTC).isoformat(timespec="milliseconds"))
        if self._file is not None:
            self._file.write(self._state)

    def _tick(self, instant: str) -> None:
        number = len(self._state.ticks)
        now = datetime.fromisoformat(instant)
        tick(self._circuits, self._state.seed, number, now, most_open=self._most_open, founded=self._state.circuits)
        self._state = replace(self._state, ticks=(*self._state.ticks, instant))

    def _row(self, place: int, circuit: Circuit) -> dict[str, Any]:
        row = circuit_row(circuit)
        if self._dirty and place in (0, 5):
            row["SS_TITLE"] = circuit.line.replace(" ", " \x00", 1)
        return row
