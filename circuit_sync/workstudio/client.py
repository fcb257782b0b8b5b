"""The client of one WorkStudio: health, circuits by status, planned units by work order; paced, retried."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, TypeVar

import httpx

from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.domain.statuses import parse_status
from circuit_sync.workstudio.answers import ACCEPTED_CODING, check_status, read_answer, read_body
from circuit_sync.workstudio.ddotable import Table, read_table
from circuit_sync.workstudio.errors import CallAbandoned, MalformedAnswer
from circuit_sync.workstudio.overlap import current_stop, overlap
from circuit_sync.workstudio.pace import Pace
from circuit_sync.workstudio.retries import try_call
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync.workstudio.transport import transport_fault
from circuit_sync.workstudio.views import View
from circuit_sync.workstudio.watch import Watch, WatchedTransport

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass
class CallStatistics:
    """What the calls cost. Seconds are summed over threads; ``paced`` is waiting for a place in a burst."""

    calls: int = 0
    retries: int = 0
    seconds_paced: float = 0.0
    seconds_server: float = 0.0

    def rounded(self) -> dict[str, float]:
        """By name, as the sync log and the UI show them: seconds to the millisecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


class WorkStudio(AbstractContextManager["WorkStudio"]):
    """One server, seen through its two views. Safe for many threads; use as a context manager.

    ``pace`` is shared by whoever calls the same server and closed by its maker; without one the client makes
    its own, which no other run sees. ``sleep`` is for the waits between attempts; left out, they end when the
    call is no longer wanted. ``clock`` tells how long a call takes. The process' environment is not consulted (no
    proxies, no ``SSL_CERT_FILE``): settings are the only reader. Cookies are not kept: an answer never depends on whose
    call came before.
    """

    def __init__(
        self,
        server: Server,
        credential: Credential,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], object] | None = None,
        log: Callable[[str], object] = _logger.warning,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = CallStatistics()
        self._server = server
        self._credential = credential
        self._own_pace = pace is None
        self._pace = Pace(server.calls_before_delay, server.rate_limit_delay) if pace is None else pace
        self._sleep = sleep
        self._log = log
        self._now = now
        self._clock = clock
        self._mutex = threading.Lock()
        self._running = 0
        self._closed = threading.Event()
        self._stops: list[threading.Event] = []
        self._http = httpx.Client(
            transport=WatchedTransport(server.trusted_certificates(), server.concurrency),
            timeout=httpx.Timeout(server.timeout, connect=server.connect_timeout),
            headers={"User-Agent": f"circuit-sync/{version('circuit-sync')}", "Accept-Encoding": ACCEPTED_CODING},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    def check_health(self) -> None:
        """Return if the server answers at all; ``ServerUnreachable`` after the usual attempts if it is down.

        Any answer but 429 and 5xx means up: the server is asked without a credential. It counts as a call.
        """
        request = self._http.build_request("GET", self._server.health_url)

        def attempt() -> None:
            response, _ = self._exchange(request, None)
            if response.status_code == 429 or response.is_server_error:
                check_status(response, self._server.base_url, self._now)

        self._try(attempt, "health check")

    @property
    def circuit_headings(self) -> dict[str, str]:
        """The heading that each field of a circuit comes under."""
        return {field: heading for heading, field in self._server.circuits.fields.items()}

    def fetch_circuits(self, status: str, credential: Credential | None = None) -> Table:
        """All circuits of one status. Columns: ``CIRCUIT_FIELDS``' values, then ``API_DATA_COLUMNS``."""
        code = parse_status(status)
        return self._fetch(self._server.circuits, self._server.circuits_view, code, credential)

    def fetch_planned_units(self, work_order: str, credential: Credential | None = None) -> Table:
        """Every unit of a work order, all its extensions together. Columns: the fields of ``UNIT_FIELDS``."""
        return self._fetch(self._server.planned_units, self._server.planned_units_view, work_order, credential)

    def fetch_many(
        self, work_orders: Iterable[str], fetch: Callable[[str], Table] | None = None
    ) -> Generator[tuple[str, Table | CircuitSyncError], None, None]:
        """The planned units of each work order, or why there are none, in the order the calls end.

        Up to ``concurrency`` calls overlap, and as many answers at most wait while one is consumed. ``fetch``
        replaces ``fetch_planned_units``, say to try one credential after another; it runs in worker threads.
        Closing the iterator (leaving the loop, a cancelled run) returns at once, without waiting for the
        calls under way.
        """
        stop = threading.Event()
        self._stops.append(stop)
        try:
            work = fetch or self.fetch_planned_units
            yield from overlap(work_orders, work, concurrency=self._server.concurrency, stop=stop)
        finally:
            self._stops.remove(stop)

    def close(self, *, hurry: bool = False) -> None:
        """Abandon what is under way and close the connections; if calls still run, the last of them does."""
        with self._mutex:
            self._closed.set()
            idle = self._running == 0
        for stop in list(self._stops):
            stop.set()
        if idle:
            self._http.close()
        if self._own_pace:
            self._pace.close(hurry=hurry)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(hurry=kind is not None and not issubclass(kind, Exception))

    def _fetch(self, view: View, guid: str, value: str, credential: Credential | None) -> Table:
        credential = credential or self._credential
        call = view.describe(value)
        request = self._http.build_request("POST", self._server.view_url, json=view.request(guid, value))

        def attempt() -> Any:
            response, body = self._exchange(request, httpx.BasicAuth(credential.username, credential.password))
            check_status(response, self._server.base_url, self._now)
            return read_answer(body, response.charset_encoding, self._server.base_url, credential.redact)

        answer = self._try(attempt, call)
        try:
            return read_table(answer, fields=view.fields, required=view.required)
        except MalformedAnswer as error:
            raise MalformedAnswer(f"{call}: {error}; check the view's GUID and its columns in WorkStudio") from None

    def _try(self, attempt: Callable[[], T], call: str) -> T:
        """``attempt`` with retries; a call nobody wants any more ends its waits and is not tried again."""
        stop = current_stop() or self._closed
        return try_call(
            attempt,
            call=call,
            max_attempts=self._server.max_attempts,
            backoff_base=self._server.backoff_base,
            sleep=stop.wait if self._sleep is None else self._sleep,
            log=self._retry,
            abandoned=stop.is_set,
        )

    def _retry(self, progress: str) -> None:
        with self._mutex:
            self.statistics.retries += 1
        self._log(progress)

    def _exchange(self, request: httpx.Request, auth: httpx.Auth | None) -> tuple[httpx.Response, bytearray]:
        """One paced call: the head of its answer and, of a 2xx, the decoded body."""
        site = self._server.base_url
        with self._call():
            watch = Watch(site, self._server.call_deadline, self._clock)
            try:
                with watch.watching(), closing(self._http.send(request, auth=auth, stream=True)) as response:
                    if not response.is_success:
                        return response, bytearray()
                    return response, read_body(response, self._server.largest_answer, site, watch.begin_body)
            except httpx.HTTPError as error:
                raise transport_fault(error, site, watch.opening, self._server.connect_timeout) from None

    @contextmanager
    def _call(self) -> Iterator[None]:
        """A place in the pace, and the statistics; the last call of a closed client closes the connections."""
        stop = current_stop() or self._closed
        asked = time.monotonic()
        with self._pace.call(stop.is_set):
            begun = time.monotonic()
            with self._mutex:
                if self._closed.is_set():
                    raise CallAbandoned("the client is closed: no further call to WorkStudio is made")
                self._running += 1
                self.statistics.calls += 1
                self.statistics.seconds_paced += begun - asked
            try:
                yield
            finally:
                with self._mutex:
                    self._running -= 1
                    self.statistics.seconds_server += time.monotonic() - begun
                    last = self._closed.is_set() and self._running == 0
                if last:
                    self._http.close()
