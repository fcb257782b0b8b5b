"""Faults on request: what may go wrong, with which calls, how often."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

import orjson

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import STATUS_ALIASES

HEALTH = "health"
KINDS: dict[str, dict[str, type]] = {
    "status": {"code": int, "retry_after": str},
    "delay": {"seconds": float},
    "cut": {},
    "half": {},
    "html": {},
    "error": {"message": str},
    "error_lower": {"message": str},
    "not_json": {},
    "no_heading": {},
    "missing_column": {"column": str},
    "empty": {},
    "short_row": {},
    "shrink": {"fraction": float},
    "unauthorized": {},
}
"""Every kind of fault, with the parameters of its own."""
_OF_ANY_KIND = {"times": int, "skip": int, "match": str}
_MAY_BE_NULL = ("times", "match")
_BEFORE_SIGN_IN = frozenset({"status", "delay", "cut"})
"""These apply to a call whoever makes it, also to the health check; the other kinds spoil the answer to a view."""

SPOILING = frozenset({"no_heading", "missing_column", "empty", "short_row", "shrink"})
"""The kinds that change a table and leave it one."""


@dataclass(frozen=True)
class Fault:
    """One fault. It lets ``skip`` matching calls pass, then applies to ``times`` of them (None: until cleared).

    ``match`` is a status code, a work order, ``circuits`` or ``planned_units`` for a whole view, ``health``
    for the health check, or None for every call that the kind can apply to: ``status``, ``delay`` and ``cut``
    apply to the health check too.
    """

    kind: str
    times: int | None = None
    match: str | None = None
    skip: int = 0
    code: int = 503
    retry_after: str | None = None
    seconds: float = 1.0
    message: str = "The request could not be processed."
    column: str = "SS_JOBGUID"
    fraction: float = 0.25

    def applies_to(self, view: str | None, value: str | None, *, signed_in: bool) -> bool:
        """Whether the fault is meant for a call."""
        before_sign_in = self.kind in _BEFORE_SIGN_IN
        if not before_sign_in and (view in (None, HEALTH) or not signed_in):
            return False
        return not self.match or match_key(self.match) in (match_key(view or ""), match_key(value or ""))


def fault_from(request: object) -> Fault:
    """The fault that a JSON object or keyword arguments ask for. Raises ``UsageError`` on an unknown one."""
    if not isinstance(request, Mapping):
        raise UsageError('a fault is an object such as {"kind": "status", "code": 503}')
    kind = request.get("kind")
    if kind not in KINDS:
        raise UsageError(f"unknown fault {kind!r}: allowed are {', '.join(KINDS)}")
    allowed = {**KINDS[kind], **_OF_ANY_KIND}
    values: dict[str, Any] = {"kind": kind}
    for name, value in request.items():
        if name == "kind":
            continue
        if name not in allowed:
            raise UsageError(f"fault {kind} has no {name!r}: allowed are {', '.join(allowed)}")
        values[name] = _value(kind, name, allowed[name], value)
    fault = Fault(**values)
    _check(fault)
    return fault


def parse_fault(text: str) -> Fault:
    """The fault in the command line's notation: ``status:code=503,times=2``."""
    kind, _, rest = text.partition(":")
    request: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"fault {text!r}: expected name=value, not {part!r}")
        request[name.strip()] = value.strip()
    return fault_from({**request, "kind": kind.strip()})


def match_key(text: str) -> str:
    """A status, work order or view for comparison: ``REWORK`` is ``REWRK``; case and blanks do not count."""
    key = text.strip().upper()
    return STATUS_ALIASES.get(key, key)


def spoil(fault: Fault, body: bytes) -> bytes:
    """A body as the fault leaves it. Only a DDOTable can be spoilt so: any other body stays as it is."""
    try:
        answer = orjson.loads(body)
        heading, data = list(answer["DataSet"]["Heading"]), [list(row) for row in answer["DataSet"]["Data"]]
    except (orjson.JSONDecodeError, TypeError, KeyError, IndexError):
        return body
    match fault.kind:
        case "no_heading":
            heading = []
        case "empty":
            data = []
        case "shrink":
            data = data[: ceil(len(data) * fault.fraction)]
        case "short_row":
            data[:1] = [row[: len(row) // 2] for row in data[:1]]
        case "missing_column" if fault.column in heading:
            column = heading.index(fault.column)
            for row in (heading, *data):
                del row[column : column + 1]
    return orjson.dumps({**answer, "DataSet": {"Heading": heading, "Data": data}})


def _value(kind: str, name: str, wanted: type, value: Any) -> Any:
    if value is None and name in _MAY_BE_NULL:
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            return wanted(value)
    shown = orjson.dumps(value, default=str).decode()
    raise UsageError(f"fault {kind}: {name} must be {wanted.__name__}, not {shown}")


def _check(fault: Fault) -> None:
    if not 200 <= fault.code <= 599:
        raise UsageError(f"fault {fault.kind}: code must be 200 to 599, not {fault.code}")
    if (fault.times is not None and fault.times < 1) or fault.skip < 0:
        raise UsageError(f"fault {fault.kind}: times must be 1 or more (or null), skip 0 or more")
    if not (0 <= fault.fraction <= 1 and 0 <= fault.seconds <= 3600):
        raise UsageError(f"fault {fault.kind}: fraction must be 0 to 1, seconds 0 to 3600")
    if match_key(fault.match or "") == match_key(HEALTH) and fault.kind not in _BEFORE_SIGN_IN:
        raise UsageError(f"fault {fault.kind} cannot apply to the health check: status, delay and cut can")
