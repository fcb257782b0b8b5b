"""How long one call may take: a deadline, and a lowest rate once its answer has begun.

The bounds hold for each byte that comes over the network, head and body alike: a server that sends its head, or the
frames of a chunked body, one byte at a time is cut as well. So they are kept in the network streams that httpx reads
from, not around them.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Any

import httpcore
import httpx

from circuit_sync.workstudio.errors import Fault, ServerUnreachable

LOWEST_RATE = 1000
"""Bytes a second, over each ``RATE_SECONDS`` from the first byte of the body on."""
RATE_SECONDS = 30.0

_watch: ContextVar["Watch"] = ContextVar("watch")


class Watch:
    """Over one call from its start. ``deadline`` in seconds; ``opening``: the first bytes of what was answered."""

    def __init__(self, site: str, deadline: float, clock: Callable[[], float]) -> None:
        self.opening = b""
        self._site = site
        self._deadline = deadline
        self._clock = clock
        self._begun = clock()
        self._received = 0
        self._rated_from: float | None = None
        self._since_rated = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Whatever this thread waits for on the network in the block is bounded."""
        token = _watch.set(self)
        try:
            yield
        finally:
            _watch.reset(token)

    @contextmanager
    def bounded(self, timeout: float | None) -> Iterator[float]:
        """``timeout``, or what is left of the bounds if that is less. Raises a ``Fault`` once nothing is left."""
        left, of_rate = self._left()
        wanted = inf if timeout is None else timeout
        if left <= 0:
            raise self._fault(of_rate=of_rate)
        try:
            yield min(wanted, left)
        except httpcore.TimeoutException:
            if left < wanted:
                raise self._fault(of_rate=of_rate) from None
            raise

    def received(self, data: bytes) -> None:
        """Count bytes that came."""
        self.opening = self.opening or data[:8]
        self._received += len(data)
        self._since_rated += len(data)

    def begin_body(self) -> None:
        """The body begins to come: from here on the lowest rate holds."""
        self._rated_from = self._clock()

    def _left(self) -> tuple[float, bool]:
        """The seconds until the next bound, and whether that is the one of the rate."""
        now = self._clock()
        until_deadline = self._begun + self._deadline - now
        if self._rated_from is not None:
            until_rated = self._rated_from + RATE_SECONDS - now
            if self._since_rated < LOWEST_RATE * RATE_SECONDS:
                return min((until_deadline, False), (until_rated, True))
            if until_rated <= 0:
                self._rated_from, self._since_rated = now, 0
        return until_deadline, False

    def _fault(self, *, of_rate: bool) -> Fault:
        why = f"was cut at its deadline of {self._deadline:g} s"
        advice = "if WorkStudio needs longer than that, raise WORKSTUDIO_CALL_DEADLINE"
        if of_rate:
            why = f"was cut because it came at less than {LOWEST_RATE / 1000:g} kB/s over {RATE_SECONDS:g} s"
            advice = (
                "WorkStudio or the network to it is overloaded: look at both. WORKSTUDIO_CALL_DEADLINE gives an answer "
                "more time only above that rate"
            )
        seconds = self._clock() - self._begun
        rate = self._received / 1000 / seconds if seconds > 0 else 0.0
        came = f"{self._received:,} bytes came in {seconds:.0f} s, {rate:.3g} kB/s"
        return Fault(ServerUnreachable, f"the answer from {self._site} {why}: {came}", advice, is_slow=True)


class WatchedTransport(httpx.HTTPTransport):
    """httpx' transport over network streams that are bounded by the ``Watch`` of the thread that uses them.

    ``most_kept``: how many idle connections are kept.
    """

    def __init__(self, verify: ssl.SSLContext | bool, most_kept: int) -> None:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # httpcore takes a network backend, but httpx does not hand one on.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=most_kept,
            keepalive_expiry=5.0,
            network_backend=_WatchedBackend(),
        )


class _WatchedBackend(httpcore.SyncBackend):
    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        with _watch.get().bounded(timeout) as seconds:
            return _WatchedStream(super().connect_tcp(host, port, seconds, *args, **options))


class _WatchedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        watch = _watch.get()
        with watch.bounded(timeout) as seconds:
            data = self._stream.read(max_bytes, seconds)
        watch.received(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _watch.get().bounded(timeout) as seconds:
            self._stream.write(buffer, seconds)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _watch.get().bounded(timeout) as seconds:
            return _WatchedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
