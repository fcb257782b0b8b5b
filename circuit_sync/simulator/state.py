"""The state of a world, in a file that several simulators share: seed, size, instants of ticks."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from circuit_sync.domain.errors import UsageError

_MOST_CIRCUITS = 20_000


@dataclass(frozen=True)
class State:
    """What a world follows from: two worlds of the same state are equal. Raises ``UsageError`` on a wrong size."""

    seed: int
    circuits: int
    ticks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.circuits <= _MOST_CIRCUITS:
            raise UsageError(f"circuits must be 1 to {_MOST_CIRCUITS}, not {self.circuits}")


class StateFile:
    """A state on disk. It is read and written under ``held``, so that processes take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out; their calls wait. The lock goes with the process that holds it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._lock_path.open("ab")
        except OSError as error:
            raise UsageError(f"no simulator state can be kept in {self._path}: {error.strerror}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self, first: State) -> State:
        """The state on disk, ``first`` if there is none yet. Raises ``UsageError`` on any other file."""
        try:
            value = orjson.loads(self._path.read_bytes())
            for instant in value["ticks"]:
                datetime.fromisoformat(instant)
            return State(int(value["seed"]), int(value["circuits"]), tuple(value["ticks"]))
        except FileNotFoundError:
            self.write(first)
            return first
        except (KeyError, TypeError, ValueError, UsageError):
            raise UsageError(f"{self._path} is not a simulator state: delete it, or name another file") from None

    def write(self, state: State) -> None:
        """Replace the state on disk as a whole: a process killed here leaves the old one."""
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_bytes(orjson.dumps({"seed": state.seed, "circuits": state.circuits, "ticks": state.ticks}))
        draft.replace(self._path)
