"""The simulator: a world behind a real HTTP server on the loopback interface, as a context manager."""

import errno
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator.answering import Answering, Call
from circuit_sync.simulator.faults import Fault, fault_from
from circuit_sync.simulator.handler import Listener
from circuit_sync.simulator.invention import default_accounts
from circuit_sync.simulator.world import World


def _now() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """A WorkStudio on 127.0.0.1.

    ``accounts`` maps ``CONTRACTOR\\user`` to a password (default: the bundled service account and planners).
    ``advance`` false freezes the world. ``delay`` is the server's time per call in seconds. ``port`` 0 takes
    any free one, and the port stays this simulator's from the first ``start`` until ``close``: stopped in
    between, it refuses connections.
    """

    def __init__(
        self,
        world: World | None = None,
        accounts: dict[str, str] | None = None,
        *,
        advance: bool = True,
        port: int = 0,
        delay: float = 0.0,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.world = world if world is not None else World()
        self._answering = Answering(
            self.world, default_accounts() if accounts is None else accounts, clock, advance=advance
        )
        self._port = port
        self._delay = delay
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """Where its protocol is, as a client is told; there is none before the first ``start``."""
        if self._listener is None:
            raise RuntimeError("the simulator has no address before it is started")
        return f"http://127.0.0.1:{self._port}/DDOProtocol/"

    @property
    def calls(self) -> list[Call]:
        """The calls received so far, health checks included, in the order of their arrival."""
        return self._answering.calls

    @property
    def most_at_once(self) -> int:
        """The most calls that were in hand at one time since the last ``start``."""
        return self._listener.most_at_once if self._listener else 0

    @property
    def accounts(self) -> dict[str, str]:
        """Who may sign in; may be changed at any time."""
        return self._answering.accounts

    def answer(self, key: str, answer: Any) -> None:
        """Answer a status or work order with exactly this (any JSON value or raw bytes) until set to None."""
        self._answering.set_exact(key, answer)

    def fault(self, kind: str, **parameters: Any) -> Fault:
        """Ask for a fault, with the parameters of ``Fault``. Raises ``UsageError`` on an unknown one."""
        fault = fault_from({"kind": kind, **parameters})
        self.add_fault(fault)
        return fault

    def add_fault(self, fault: Fault) -> None:
        """Ask for a fault that was read before, from the command line say."""
        self._answering.faults.add(fault)

    def clear_faults(self) -> None:
        """Forget the faults asked for."""
        self._answering.faults.clear()

    def clear(self) -> None:
        """Forget faults, exact answers and recorded calls; the world stays as it is."""
        self._answering.clear()

    def start(self) -> None:
        """Listen. Raises ``UsageError`` if the port is taken, or none may listen there."""
        if self._thread is not None:
            return
        if self._listener is None:
            self._listener = self._bound()
        self._listener.server_activate()
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="simulator", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """The server goes down: open connections end, new ones are refused, the port stays reserved."""
        if self._thread is None or self._listener is None:
            return
        self.close()
        self._listener = self._bound()

    def close(self) -> None:
        """Stop for good and give the port back."""
        if self._listener is None:
            return
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.server_close()
        self._listener.hang_up()
        self._listener = None

    def _bound(self) -> Listener:
        try:
            listener = Listener(self._port, self._answering, self._delay)
        except OverflowError:
            raise UsageError(f"port {self._port} is none: allowed are 0 (any free one) to 65535") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"port {self._port} of 127.0.0.1 is in use: name another one, or 0 for any free one"
                ) from None
            raise UsageError(f"cannot listen on port {self._port} of 127.0.0.1: {error.strerror}") from None
        self._port = listener.server_port
        return listener
