"""The simulator: a world behind a real HTTP server on the loopback interface, as a context manager."""

import errno
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator.handler import Listener
from circuit_sync.simulator.invention import default_accounts
from circuit_sync.simulator.service import Service
from circuit_sync.simulator.world import World


class Simulator(Service):
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
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        accounts = default_accounts() if accounts is None else accounts
        super().__init__(World() if world is None else world, accounts, clock, advance=advance)
        self._port = port
        self._delay = delay
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The base URL for a client; there is none before the first ``start``."""
        if self._listener is None:
            raise RuntimeError("the simulator has no address before it is started")
        return f"http://127.0.0.1:{self._port}/DDOProtocol/"

    @property
    def most_at_once(self) -> int:
        """The most calls that were under way at one time since the last ``start``."""
        return self._listener.most_at_once if self._listener else 0

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
            listener = Listener(self._port, self, self._delay)
        except OverflowError:
            raise UsageError(f"port {self._port} is not a port: allowed are 0 (any free one) to 65535") from None
        except OSError as error:
            where = f"port {self._port} of 127.0.0.1"
            if error.errno == errno.EADDRINUSE:
                raise UsageError(f"{where} is in use: name another one, or 0 for any free one") from None
            raise UsageError(f"cannot listen on {where}: {error.strerror}") from None
        self._port = listener.server_port
        return listener
