"""Standard streams that neither fail nor block a command, whoever reads them."""

import errno
import io
import os
import select
import sys
from typing import IO, Any

PATIENCE = 5.0
"""Seconds that progress waits for a terminal that is stopped (Ctrl-S, a full pager), so that the sync goes on."""
_NOBODY_READS = {errno.EPIPE, errno.EBADF, errno.EIO}


class Unfailing(io.RawIOBase):
    """A descriptor that accepts everything: after the first failure nothing more is written, and ``failure`` says why.

    With ``patience``, in seconds, what a stopped reader does not read in that time is dropped, until it reads again.
    """

    def __init__(self, descriptor: int, patience: float | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._patience = self._wait = patience
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """How many bytes of ``data`` are done with, all of them if they are dropped."""
        while self.failure is None:
            try:
                if not self._is_taken():
                    break
                return os.write(self._descriptor, data[: select.PIPE_BUF])
            except BlockingIOError:
                continue
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes

    def _is_taken(self) -> bool:
        _, ready, _ = select.select((), (self._descriptor,), (), self._wait)
        self._wait = self._patience if ready else 0
        return bool(ready)


def make_unfailing() -> None:
    """Replaces the three streams of this process, unless they were replaced before.

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
    """Whether standard output lost its reader: a command that follows would never end otherwise."""
    return _failure() is not None


def _failure() -> OSError | None:
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Unfailing) else None


def _text(descriptor: int, before: IO[str] | None) -> io.TextIOWrapper:
    raw = Unfailing(descriptor, PATIENCE if descriptor == 2 else None)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", "utf-8"),
        errors="replace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )
