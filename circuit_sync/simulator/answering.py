"""What the simulator answers to a call, faults included; the handler brings it over the wire."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator.faults import (
    HEALTH,
    SPOILING,
    Fault,
    FaultBoard,
    fault_from,
    match_key,
    spoil,
)
from circuit_sync.simulator.view_requests import (
    CIRCUITS,
    NotUnderstoodError,
    ViewRequest,
    basic_credentials,
    read_request,
    signs_in,
)
from circuit_sync.simulator.world import World

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Call:
    """A call as it came. ``view`` is circuits, planned_units or health; None for a request not understood."""

    view: str | None
    value: str | None
    user: str | None
    instant: datetime
    status: int | None
    fault: str | None


@dataclass(frozen=True)
class Reply:
    """An answer. ``sent``: the share of its body that reaches the client; None if no status line does."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    sent: float | None = 1.0


class Answering:
    """The world, its accounts, exact answers and faults asked for, calls received. Safe between threads."""

    def __init__(self, world: World, accounts: dict[str, str], clock: Callable[[], datetime], *, advance: bool) -> None:
        self.accounts = dict(accounts)
        self.faults = FaultBoard()
        self._world = world
        self._clock = clock
        self._advance = advance
        self._turn = threading.Lock()
        self._calls: list[Call] = []
        self._exact: dict[str, tuple[Any, bytes]] = {}

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order of their arrival."""
        with self._turn:
            return list(self._calls)

    def set_exact(self, key: str, answer: Any) -> None:
        """Answer a status or work order with this JSON value or these raw bytes until it is set to None."""
        with self._turn:
            if answer is None:
                self._exact.pop(match_key(key), None)
            else:
                body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
                self._exact[match_key(key)] = (answer, body)

    def clear(self) -> None:
        """Forget faults, exact answers and calls."""
        self.faults.clear()
        with self._turn:
            self._exact.clear()
            self._calls.clear()

    def health(self) -> Reply:
        """The answer to the health check."""
        fault = self.faults.take(HEALTH, None, signed_in=False)
        reply = _page(200, "WorkStudio simulator is up.")
        if fault is not None:
            reply = _befallen(fault, reply)
        self._record(HEALTH, None, None, reply, fault)
        return reply

    def view_data(self, authorization: str | None, body: bytes) -> Reply:
        """The answer to a GETVIEWDATA call."""
        user, password = basic_credentials(authorization) or (None, "")
        signed_in = user is not None and signs_in(self.accounts, user, password)
        request: ViewRequest | None = None
        refusal = ""
        try:
            request = read_request(body)
        except NotUnderstoodError as error:
            refusal = str(error)
        view, value = (request.view, request.value) if request else (None, None)
        fault = self.faults.take(view, value, signed_in=signed_in)
        if not signed_in:
            reply = _unauthorized()
        elif request is None:
            reply = _error(refusal)
        else:
            reply = self._data(request, fault)
        if fault is not None:
            reply = _befallen(fault, reply)
        self._record(view, value, user, reply, fault)
        return reply

    def control(self, method: str, path: str, body: bytes) -> Reply:
        """The simulator's own desk: ``POST``/``DELETE /simulator/faults`` and ``GET /simulator/calls``."""
        match method, path:
            case "GET", "/simulator/calls":
                return Reply(200, orjson.dumps([asdict(call) for call in self.calls]))
            case "DELETE", "/simulator/faults":
                return Reply(200, orjson.dumps({"cleared": self.faults.clear()}))
            case "POST", "/simulator/faults":
                return self._add_faults(body)
        return _page(404, "Not found.")

    def _add_faults(self, body: bytes) -> Reply:
        try:
            wishes = orjson.loads(body)
            wishes = wishes if isinstance(wishes, list) else [wishes]
            faults = [fault_from(wish) for wish in wishes]
        except (orjson.JSONDecodeError, UsageError) as error:
            return Reply(400, orjson.dumps({"error": str(error)}))
        for fault in faults:
            self.faults.add(fault)
        return Reply(200, orjson.dumps({"added": [asdict(fault) for fault in faults]}))

    def _data(self, request: ViewRequest, fault: Fault | None) -> Reply:
        """The table asked for. A call whose answer is lost to a fault anyway does not move the world on."""
        if fault is not None and fault.kind in _REPLACED:
            return _REPLACED[fault.kind](fault)
        with self._turn:
            exact = self._exact.get(match_key(request.value))
        if exact is None:
            answer: Any = self._table(request)
        else:
            answer, body = exact
            if fault is None or fault.kind not in SPOILING:
                return Reply(200, body)
        if fault is not None:
            answer = spoil(fault, answer)
        return Reply(200, answer if isinstance(answer, bytes) else orjson.dumps(answer))

    def _table(self, request: ViewRequest) -> dict[str, Any]:
        if request.view == CIRCUITS:
            return self._world.circuits_answer(request.value, self._clock() if self._advance else None)
        return self._world.units_answer(request.value)

    def _record(self, view: str | None, value: str | None, user: str | None, reply: Reply, fault: Fault | None) -> None:
        status = reply.status if reply.sent is not None else None
        call = Call(view, value, user, self._clock(), status, fault.kind if fault else None)
        with self._turn:
            self._calls.append(call)


def _befallen(fault: Fault, reply: Reply) -> Reply:
    """The reply as a fault of the transport leaves it; other kinds have spoilt its body already."""
    match fault.kind:
        case "status":
            again = (("Retry-After", fault.retry_after),) if fault.retry_after is not None else ()
            page = _page(fault.code, "Server error.")
            return Reply(page.status, page.body, page.content_type, again)
        case "delay":
            return Reply(reply.status, reply.body, reply.content_type, reply.headers, delay=fault.seconds)
        case "cut":
            return Reply(reply.status, b"", sent=None)
        case "half":
            return Reply(reply.status, reply.body, reply.content_type, sent=0.5)
    return reply


def _page(status: int, text: str) -> Reply:
    return Reply(status, f"<!DOCTYPE html><html><body><p>{text}</p></body></html>".encode(), _HTML)


def _unauthorized(_: Fault | None = None) -> Reply:
    page = _page(401, "You are not authorized.")
    return Reply(401, page.body, _HTML, (("WWW-Authenticate", 'Basic realm="WorkStudio"'),))


def _error(message: str, key: str = "Protocol") -> Reply:
    return Reply(200, orjson.dumps({key: "ERROR", "errorMessage": message}))


_REPLACED: dict[str, Callable[[Fault], Reply]] = {
    "status": lambda _: Reply(200, b""),
    "cut": lambda _: Reply(200, b""),
    "unauthorized": _unauthorized,
    "html": lambda _: _page(200, "WorkStudio is starting."),
    "not_json": lambda _: Reply(200, b'{"Protocol": "DATASET", "DataSet": WorkStudio is busy'),
    "error": lambda fault: _error(fault.message),
    "error_lower": lambda fault: _error(fault.message, key="protocol"),
}
