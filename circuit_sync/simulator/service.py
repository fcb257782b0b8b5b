"""What the simulator answers to a call, faults included; the handler brings it over the wire."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator.faults import HEALTH, SPOILING, Fault, fault_from, match_key, spoil
from circuit_sync.simulator.view_requests import CIRCUITS, NotUnderstoodError, read_request, sign_in
from circuit_sync.simulator.world import World


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
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    sent: float | None = 1.0


class Service:
    """The world, its accounts, exact answers and faults asked for, calls received. Safe between threads.

    ``accounts`` may be changed at any time.
    """

    def __init__(self, world: World, accounts: dict[str, str], clock: Callable[[], datetime], *, advance: bool) -> None:
        self.world = world
        self.accounts = dict(accounts)
        self._clock = clock
        self._advance = advance
        self._mutex = threading.Lock()
        self._calls: list[Call] = []
        self._faults: list[Fault] = []
        self._exact: dict[str, bytes] = {}

    @property
    def calls(self) -> list[Call]:
        """The calls received so far, health checks included, in the order of their arrival."""
        with self._mutex:
            return list(self._calls)

    def answer(self, key: str, answer: Any) -> None:
        """Answer a status or work order with exactly this (any JSON value or raw bytes) until set to None."""
        with self._mutex:
            if answer is None:
                self._exact.pop(match_key(key), None)
            else:
                self._exact[match_key(key)] = answer if isinstance(answer, bytes) else orjson.dumps(answer)

    def fault(self, kind: str, **parameters: Any) -> Fault:
        """Ask for a fault, with the parameters of ``Fault``. Raises ``UsageError`` on an unknown one."""
        fault = fault_from({"kind": kind, **parameters})
        self.add_fault(fault)
        return fault

    def add_fault(self, fault: Fault) -> None:
        """Ask for a fault that was read before, from the command line say."""
        with self._mutex:
            self._faults.append(fault)

    def clear_faults(self) -> int:
        """Forget the faults asked for; how many there were."""
        with self._mutex:
            count = len(self._faults)
            self._faults.clear()
        return count

    def clear(self) -> None:
        """Forget faults, exact answers and recorded calls; the world stays as it is."""
        with self._mutex:
            self._faults.clear()
            self._exact.clear()
            self._calls.clear()

    def health(self) -> Reply:
        """The answer to the health check."""
        fault = self._fault_for(HEALTH, None, signed_in=False)
        reply = _with_fault(fault, lambda: _page(200, "WorkStudio simulator is up."))
        return self._recorded(HEALTH, None, None, reply, fault)

    def view_data(self, authorization: str | None, body: bytes) -> Reply:
        """The answer to a GETVIEWDATA call."""
        user, signed_in = sign_in(self.accounts, authorization)
        view: str | None = None
        value: str | None = None
        refusal = ""
        try:
            view, value = read_request(body)
        except NotUnderstoodError as error:
            refusal = str(error)
        fault = self._fault_for(view, value, signed_in=signed_in)

        def reply() -> Reply:
            if not signed_in:
                return _unauthorized()
            return _error(refusal) if view is None or value is None else self._data(view, value, fault)

        return self._recorded(view, value, user, _with_fault(fault, reply), fault)

    def control(self, method: str, path: str, body: bytes) -> Reply:
        """The simulator's own paths: ``POST``/``DELETE /simulator/faults`` and ``GET /simulator/calls``."""
        match method, path:
            case "GET", "/simulator/calls":
                return Reply(200, orjson.dumps([asdict(call) for call in self.calls]))
            case "DELETE", "/simulator/faults":
                return Reply(200, orjson.dumps({"cleared": self.clear_faults()}))
            case "POST", "/simulator/faults":
                return self._add_faults(body)
        return _page(404, "Not found.")

    def _add_faults(self, body: bytes) -> Reply:
        try:
            wanted = orjson.loads(body)
            faults = [fault_from(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
        except (orjson.JSONDecodeError, UsageError) as error:
            return Reply(400, orjson.dumps({"error": str(error)}))
        for fault in faults:
            self.add_fault(fault)
        return Reply(200, orjson.dumps({"added": [asdict(fault) for fault in faults]}))

    def _fault_for(self, view: str | None, value: str | None, *, signed_in: bool) -> Fault | None:
        """The first fault that applies to this call; the call counts against its ``skip`` or ``times``."""
        with self._mutex:
            for place, fault in enumerate(self._faults):
                if not fault.applies_to(view, value, signed_in=signed_in):
                    continue
                if fault.skip:
                    self._faults[place] = replace(fault, skip=fault.skip - 1)
                    continue
                if fault.times == 1:
                    del self._faults[place]
                elif fault.times is not None:
                    self._faults[place] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def _data(self, view: str, value: str, fault: Fault | None) -> Reply:
        with self._mutex:
            body = self._exact.get(match_key(value))
        if body is None:
            body = orjson.dumps(self._table(view, value))
        return Reply(200, spoil(fault, body) if fault is not None and fault.kind in SPOILING else body)

    def _table(self, view: str, value: str) -> dict[str, Any]:
        if view == CIRCUITS:
            return self.world.circuits_answer(value, self._clock() if self._advance else None)
        return self.world.units_answer(value)

    def _recorded(
        self, view: str | None, value: str | None, user: str | None, reply: Reply, fault: Fault | None
    ) -> Reply:
        status = reply.status if reply.sent is not None else None
        call = Call(view, value, user, self._clock(), status, fault.kind if fault else None)
        with self._mutex:
            self._calls.append(call)
        return reply


def _with_fault(fault: Fault | None, reply: Callable[[], Reply]) -> Reply:
    """The reply as the fault leaves it. One that is lost to it is not made: the world does not move on for it."""
    if fault is not None and fault.kind in _INSTEAD:
        return _INSTEAD[fault.kind](fault)
    made = reply()
    if fault is None or fault.kind not in ("delay", "half"):
        return made
    return replace(made, delay=fault.seconds) if fault.kind == "delay" else replace(made, sent=0.5)


def _page(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    body = f"<!DOCTYPE html><html><body><p>{text}</p></body></html>".encode()
    return Reply(status, body, "text/html; charset=utf-8", headers)


def _unauthorized() -> Reply:
    return _page(401, "You are not authorized.", ("WWW-Authenticate", 'Basic realm="WorkStudio"'))


def _server_error(fault: Fault) -> Reply:
    again = () if fault.retry_after is None else (("Retry-After", fault.retry_after),)
    return _page(fault.code, "Server error.", *again)


def _error(message: str, key: str = "Protocol") -> Reply:
    return Reply(200, orjson.dumps({key: "ERROR", "errorMessage": message}))


_INSTEAD: dict[str, Callable[[Fault], Reply]] = {
    "status": _server_error,
    "cut": lambda _: Reply(200, b"", sent=None),
    "unauthorized": lambda _: _unauthorized(),
    "html": lambda _: _page(200, "WorkStudio is starting."),
    "not_json": lambda _: Reply(200, b'{"Protocol": "DATASET", "DataSet": WorkStudio is busy'),
    "error": lambda fault: _error(fault.message),
    "error_lower": lambda fault: _error(fault.message, key="protocol"),
}
