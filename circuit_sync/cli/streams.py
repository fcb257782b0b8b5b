"""Standard input, output and error that never stand in a command's way, whoever reads them, or nobody."""

import errno
import io
import os
import select
import sys
from typing import IO, Any

_NOBODY_READS = {errno.EPIPE, errno.EBADF, errno.EIO}


class Unfailing(io.RawIOBase):
    """A descriptor that takes everything: after the first failure nothing more is written, and ``failure`` says why."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """What is written of ``data``, all of it if nothing can be."""
        while self.failure is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select((), (self._descriptor,), ())
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def make_unfailing() -> None:
    """Replaces the three streams of this process, unless somebody has replaced them before.

    Closed ones become ``/dev/null``, or the next file to be opened would take their place; what an encoding lacks
    becomes a question mark.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(2, sys.stderr)


def unwritten() -> str | None:
    """Why standard output did not reach its reader, such as a full disk; ``None`` if it did, or nobody reads it."""
    failure = _failure()
    return failure.strerror if failure is not None and failure.errno not in _NOBODY_READS else None


def is_lost() -> bool:
    """Whether standard output reaches nobody any more: a command that follows would never end otherwise."""
    return _failure() is not None


def _failure() -> OSError | None:
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Unfailing) else None


def _text(descriptor: int, before: IO[str] | None) -> io.TextIOWrapper:
    raw = Unfailing(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", "utf-8"),
        errors="replace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )
