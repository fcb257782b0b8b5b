"""No bytes as an answer lead to a traceback: they are a table, or one line of an error of ours."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuit_sync.domain.circuits import transform_collection
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.ddotable import Table

from .scripted_client import client
from .scripted_server import Reply, Request, serving, table

TABLE = json.dumps(table(["SS_JOBGUID", "SS_WO", "WSREQ_STATUS", "SS_TITLE"], ["{A}", "1", "ACTIV", "São"])).encode()
PARTS = [b"\0", b"\xff", b"\t", b'"', b"\\", b"{", b"]", b",", b"1e999", b"NaN", b"9" * 5000, b"\\ud800", b"[" * 2000]

quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good answer with some bytes of it replaced by others."""
    body = TABLE
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        body = (
            body[:at]
            + draw(st.one_of(st.sampled_from(PARTS), st.binary(max_size=4)))
            + body[at + draw(st.integers(0, 3)) :]
        )
    return body


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Protocol", "DataSet", "Heading", "Data", "errorMessage", "x"]), inner)
    ),
    max_leaves=8,
)
bodies = st.one_of(st.binary(max_size=60), spoilt(), json_values.map(lambda value: json.dumps(value).encode()))
names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.one_of(names, names.map(lambda name: f"application/json; charset={name}")),
        "Content-Encoding": st.one_of(names, st.sampled_from(["gzip", "deflate", "br"])),
        "Content-Length": st.sampled_from(["0", "7", "99999999999999999999", "-1", "x"]),
        "Transfer-Encoding": st.sampled_from(["chunked", "x"]),
        "Retry-After": names,
        "Location": names,
    },
)


class Standing:
    """A server that answers whatever a test puts on it, and a client of it that tries once."""

    reply = Reply()

    def __call__(self, _: Request) -> Reply:
        return self.reply


@pytest.fixture(scope="module")
def standing() -> Iterator[tuple[Standing, WorkStudio]]:
    replies = Standing()
    with serving(replies) as server, client(server.url, max_attempts=1, timeout=0.3, max_answer_mb=1) as workstudio:
        yield replies, workstudio


def ask(standing: tuple[Standing, WorkStudio], reply: Reply) -> None:
    """Circuits and units: each a table, or one line."""
    replies, workstudio = standing
    replies.reply = reply
    for fetch, value in ((workstudio.fetch_circuits, "ACTIV"), (workstudio.fetch_planned_units, "1")):
        outcome: Table | CircuitSyncError
        try:
            outcome = fetch(value)
        except CircuitSyncError as error:
            outcome = error
        assert isinstance(outcome, Table) or str(outcome).isprintable()
        if isinstance(outcome, Table) and fetch == workstudio.fetch_circuits:
            transform_collection(outcome.frame, status="ACTIV", columns={}, misshapen=outcome.misshapen)


@quick
@given(bodies)
def test_any_body(standing: tuple[Standing, WorkStudio], body: bytes) -> None:
    ask(standing, Reply(body))


@quick
@given(st.one_of(bodies, st.just(TABLE)), st.sampled_from([200, 204, 206, 299, 302, 401, 404, 429, 503, 599]), headers)
def test_any_status_and_headers(
    standing: tuple[Standing, WorkStudio], body: bytes, status: int, headers: dict[str, str]
) -> None:
    ask(standing, Reply(body, status, headers, sent=len(body)))


@quick
@given(
    st.one_of(
        st.binary(max_size=80), st.binary(max_size=20).map(lambda rest: b"HTTP/1.1 200 " + rest + b"\r\n\r\n" + TABLE)
    )
)
def test_any_bytes_instead_of_http(standing: tuple[Standing, WorkStudio], sent: bytes) -> None:
    ask(standing, Reply(raw=lambda: [sent]))
