import pickle
from base64 import b64encode

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.workstudio.errors import (
    RequestRefused,
    ServerUnreachable,
)
from circuit_sync.workstudio.server import Credential
from circuit_sync.workstudio.views import UNIT_FIELDS

from .scripted_client import BUSY, CIRCUITS, PASSWORD, SERVICE, UNITS, client
from .scripted_server import Reply, serving

BASIC_PLANNER = "Basic " + b64encode(b"C\\planner:pw").decode()


def test_circuits_are_asked_for_by_status_and_caption() -> None:
    with serving(Reply(CIRCUITS)) as server, client(server.url) as workstudio:
        read = workstudio.fetch_circuits("rework")
    (request,) = server.requests
    assert request.path == "/DDOProtocol/GETVIEWDATA"
    assert request.json == {
        "Protocol": "GETVIEWDATA",
        "ViewDefinitionGuid": "{circuits-guid}",
        "ViewFilter": {
            "ClassName": "TViewFilter",
            "PersistFilter": True,
            "FilterName": "By Job Status",
            "FilterValue": "REWRK",
            "FilterCaption": "Rework",
        },
        "ResultFormat": "DDOTable",
    }
    assert request.headers["User-Agent"].startswith("circuit-sync/")
    assert read.frame["job_guid"].tolist() == ["{A}"]


def test_planned_units_are_asked_for_by_work_order_with_the_credential_given() -> None:
    with serving(Reply(UNITS)) as server, client(server.url) as workstudio:
        read = workstudio.fetch_planned_units("2025-1930", Credential("C\\planner", "pw"))
    (request,) = server.requests
    assert request.json["ViewDefinitionGuid"] == "{units-guid}"
    filtered = request.json["ViewFilter"]
    assert (filtered["FilterName"], filtered["FilterValue"], filtered["FilterCaption"]) == (
        "WO#",
        "2025-1930",
        "WO Number",
    )
    assert request.headers["Authorization"] == BASIC_PLANNER
    assert list(read.frame.columns) == list(UNIT_FIELDS.values())


def test_unknown_status_is_refused_before_any_call() -> None:
    with (
        serving(Reply(CIRCUITS)) as server,
        client(server.url) as workstudio,
        pytest.raises(UsageError, match="unknown status 'SA'"),
    ):
        workstudio.fetch_circuits("SA")
    assert server.requests == []


def test_no_cookie_of_one_call_rides_on_the_next() -> None:
    with (
        serving(Reply(UNITS, headers={"Set-Cookie": "session=someone; Path=/"})) as server,
        client(server.url) as workstudio,
    ):
        workstudio.fetch_planned_units("1")
        workstudio.fetch_planned_units("2")
    assert "Cookie" not in server.requests[1].headers


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(Reply(UNITS)) as server, client(server.url) as workstudio:
        workstudio.fetch_planned_units("1")


@pytest.mark.parametrize("status", [200, 302, 401, 404])
def test_any_answer_below_500_means_up(status: int) -> None:
    with serving(Reply("<html>", status)) as server, client(server.url) as workstudio:
        workstudio.check_health()
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/")
    assert "Authorization" not in request.headers


def test_server_that_is_down_fails_the_health_check_after_retries() -> None:
    with (
        serving(BUSY) as server,
        client(server.url) as workstudio,
        pytest.raises(ServerUnreachable, match=r"^health check: HTTP 503 .*5 attempts"),
    ):
        workstudio.check_health()


def test_password_is_in_no_repr_and_no_pickle() -> None:
    assert PASSWORD not in repr(SERVICE)
    assert PASSWORD not in f"{SERVICE}"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(SERVICE)
    with serving(BUSY) as server, client(server.url) as workstudio, pytest.raises(TypeError):
        pickle.dumps(workstudio)


def test_userinfo_of_the_url_is_neither_used_nor_shown() -> None:
    with serving(Reply(status=404)) as server, client(server.url.replace("//", "//me:hunter2@")) as workstudio:
        with pytest.raises(RequestRefused) as caught:
            workstudio.fetch_circuits("ACTIV")
        assert "hunter2" not in repr(workstudio._server)
    assert "hunter2" not in str(caught.value)


def test_error_carries_no_exception_of_the_http_library() -> None:
    with (
        serving(Reply(cut=True)) as server,
        client(server.url) as workstudio,
        pytest.raises(ServerUnreachable) as caught,
    ):
        workstudio.fetch_circuits("ACTIV")
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
