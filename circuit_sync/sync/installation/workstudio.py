"""What a look at WorkStudio finds: name, TLS, sign-in, and how the two views' columns and rows suit us.

Nothing is retried, nothing stored, and no value of a row is shown: neither a name nor a free text.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from circuit_sync.database.migrate import read_unit_types
from circuit_sync.domain.circuits import transform_collection
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.domain.installation import Column, Look, Result, kinds_of, listed, worse
from circuit_sync.domain.planned_units import count_units
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.sync.people.accounts import NO_WORK_ORDER
from circuit_sync.sync.units.answers import own_rows
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.ddotable import Table
from circuit_sync.workstudio.errors import Forbidden, MalformedAnswer, Unauthorized
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync.workstudio.views import View

PART = "WorkStudio"
NAME, CONNECTION, SIGN_IN = "name", "connection and TLS", "sign-in"
CIRCUITS, UNITS = "circuits view", "planned-units view"
CHECKS = (NAME, CONNECTION, SIGN_IN, CIRCUITS, UNITS)
MOST_WORK_ORDERS = 3  # whose units are asked for until one has some
MOST_REASONS = 5


def undemanding(server: Server) -> Server:
    """The server as a look treats it: one attempt, and a view that lacks a required column is read all the same."""
    circuits, units = (replace(view, required=()) for view in (server.circuits, server.planned_units))
    return replace(server, max_attempts=1, circuits=circuits, planned_units=units)


class WorkStudioLook:
    """One look; ``found`` fills as it goes on."""

    def __init__(self, server: Server, credential: Credential, statuses: Sequence[str]) -> None:
        self.found = Look()
        self._server = server
        self._credential = credential
        self._statuses = statuses
        self._signed_in = False
        self._work_orders: list[str] = []

    def run(self, client: AbstractContextManager[WorkStudio]) -> None:
        """Each step that fails ends what rests on it, and only that."""
        if not self._resolves():
            return
        with client as workstudio:
            try:
                workstudio.check_health()
            except CircuitSyncError as error:
                self._say(CONNECTION, "wrong", str(error))
                return
            self._say(CONNECTION, *_protection(self._server))
            with self._view(CIRCUITS):
                self._look_at_circuits(workstudio)
            if not self._has(SIGN_IN):
                with self._view(UNITS):
                    self._look_at_units(workstudio)
        if self._signed_in and not self._has(SIGN_IN):
            self._say(SIGN_IN, "ok", f"accepted: {self._credential.username}")

    def _resolves(self) -> bool:
        url = urlsplit(self._server.base_url)
        try:
            found = socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or "it is not a host name"
            self._say(NAME, "wrong", f"{url.hostname} cannot be looked up ({said}): check WORKSTUDIO_BASE_URL, or DNS")
            return False
        addresses = sorted({str(address[0]) for *_, address in found})
        self._say(NAME, "ok", f"{url.hostname} is {listed(addresses)}")
        return True

    @contextmanager
    def _view(self, check: str) -> Iterator[None]:
        """A call that fails is the line of what it proves to be wrong."""
        try:
            yield
        except Unauthorized as error:
            self._say(SIGN_IN, "wrong", str(error))
        except CircuitSyncError as error:
            self._signed_in = self._signed_in or isinstance(error, Forbidden | MalformedAnswer)
            self._say(check, "wrong", str(error))

    def _first_with_rows(self, keys: Sequence[str], fetch: Callable[[str], Table]) -> tuple[str, Table]:
        """The first of the keys that has rows, else the last one."""
        for key in keys:
            table = fetch(key)
            self._signed_in = True
            if table.received:
                break
        return key, table

    def _look_at_circuits(self, workstudio: WorkStudio) -> None:
        status, table = self._first_with_rows(self._statuses or STATUS_CODES, workstudio.fetch_circuits)
        fit, said = self._columns(CIRCUITS, self._server.circuits, table)
        result, refused = (fit, "") if fit == "wrong" else self._judge_circuits(table, status)
        self._say(CIRCUITS, worse(fit, result), f"{table.received} rows of {status}; {said}{refused}")

    def _judge_circuits(self, table: Table, status: str) -> tuple[Result, str]:
        headings = {field: heading for heading, field in self._server.circuits.fields.items()}
        answer = transform_collection(
            table.frame, status=status, columns=headings, misshapen=table.misshapen, absent=table.absent
        )
        self._work_orders = list(dict.fromkeys(answer.circuits["work_order"]))[:MOST_WORK_ORDERS]
        others = int((answer.circuits["api_status"] != status).sum())
        reasons = Counter(f"{row.column}: {row.reason}".removeprefix(": ") for row in answer.rejected)
        if others and others == len(answer.circuits):
            return "wrong", f"; none is of {status}: check WORKSTUDIO_CIRCUITS_FILTER and the view's GUID"
        return _judged(reasons, table.received, f"; {others} are of another status" if others else "")

    def _look_at_units(self, workstudio: WorkStudio) -> None:
        work_order, table = self._first_with_rows(self._work_orders or [NO_WORK_ORDER], workstudio.fetch_planned_units)
        fit, said = self._columns(UNITS, self._server.planned_units, table)
        result, refused = (fit, "") if fit == "wrong" else self._judge_units(table, work_order)
        if self._work_orders:
            self._say(UNITS, worse(fit, result), f"{table.received} rows of one work order; {said}{refused}")
        else:
            found = f"no work order is known to ask for; {said}{refused}"
            self._say(UNITS, worse(worse(fit, result), "note"), found)

    def _judge_units(self, table: Table, work_order: str) -> tuple[Result, str]:
        table, others = own_rows(table, work_order)
        headings = {field: heading for heading, field in self._server.planned_units.fields.items()}
        measurements = {line["code"]: line["measurement"] for line in read_unit_types()}
        _, faults = count_units(table.frame.reset_index(drop=True), {}, measurements)
        reasons: Counter[str] = Counter()
        for line in faults.rejected:
            reasons[f"{headings.get(line['column'], line['column'])}: {line['reason']}"] += line["units"]
        reasons["the row is shorter or longer than the heading"] += len(table.misshapen)
        return _judged(+reasons, table.received, f"; {others} are another work order's" if others else "")

    def _columns(self, name: str, view: View, table: Table) -> tuple[Result, str]:
        """Whether the view's columns are those that we read, and what is to be said of them."""
        if not table.received and not table.unwanted and len(table.absent) == len(view.fields):
            return "note", "without rows its columns are unknown"
        missing = [heading for heading, field in view.fields.items() if field in table.absent]
        required = [heading for heading in missing if heading in view.required]
        optional = [heading for heading in missing if heading not in view.required]
        self.found.columns += [_column(name, view, heading, table) for heading in view.fields]
        parts = [f"{len(view.fields) - len(missing)} of {len(view.fields)} columns found"]
        if required:
            parts.append(
                f"missing and required: {listed(required)}: add them to the view in WorkStudio, or say in "
                f"WORKSTUDIO_{'CIRCUITS' if name == CIRCUITS else 'PLANNED_UNITS'}_COLUMNS what they are called there"
            )
        if optional:
            parts.append(f"missing: {listed(optional)}")
        if table.unwanted:
            parts.append(f"unknown, not read: {listed(table.unwanted)}")
        return "wrong" if required else "note" if optional else "ok", "; ".join(parts)

    def _has(self, check: str) -> bool:
        return any(line.check == check for line in self.found.lines)

    def _say(self, check: str, result: Result, found: str) -> None:
        self.found.say(PART, check, result, found)


def _column(name: str, view: View, heading: str, table: Table) -> Column:
    field = view.fields[heading]
    if field in table.absent:
        return Column(name, heading, field, "missing, required" if heading in view.required else "missing", {})
    return Column(name, heading, field, "found", kinds_of(table.frame[field]))


def _protection(server: Server) -> tuple[Result, str]:
    if server.base_url.startswith("https:"):
        return "ok", f"{server.base_url} answers over TLS, and its certificate verifies"
    return "note", f"{server.base_url} answers without TLS: the password can be read on its way. Use https:// if it can"


def _judged(reasons: Mapping[str, int], received: int, said: str) -> tuple[Result, str]:
    rejected = sum(reasons.values())
    if rejected:
        named = "; ".join(f"{number} of {reason}" for reason, number in Counter(reasons).most_common(MOST_REASONS))
        said += f"; {rejected} would be rejected: {named}"
    if rejected and rejected >= received:
        return "wrong", said
    return ("note" if said else "ok"), said
