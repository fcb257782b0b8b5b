"""A client for a scripted server: it waits for nothing and takes note of what it would have waited."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync.workstudio.views import UNIT_FIELDS

from .scripted_server import Reply, table

PASSWORD = "open-sesame"
SERVICE = Credential("CONTRACTOR\\service", PASSWORD)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CIRCUITS = table(["SS_JOBGUID", "SS_WO", "WSREQ_STATUS"], ["{A}", "2026-1", "ACTIV"])
UNITS = table(list(UNIT_FIELDS), [None] * len(UNIT_FIELDS))
BUSY = Reply(status=503, body="<html>secret</html>")


class Waits(list[float]):
    """A sleep that only takes note."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@contextmanager
def client(url: str, **options: Any) -> Iterator[WorkStudio]:
    """A client without pace whose waits are noted, not slept; ``options`` of the client or of the server."""
    given = {name: options.pop(name) for name in ("sleep", "log", "pace", "clock") if name in options}
    server = replace(Server(url, "circuits-guid", "units-guid", rate_limit_delay=0), **options)
    usual: dict[str, Any] = {"sleep": Waits(), "log": lambda _: None, "now": lambda: NOW}
    with WorkStudio(server, SERVICE, **usual | given) as workstudio:
        yield workstudio
