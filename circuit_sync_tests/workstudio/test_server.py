import ssl
from pathlib import Path

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import Settings
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.errors import UntrustedServer
from circuit_sync.workstudio.server import Credential, Server

from .scripted_client import CIRCUITS, SERVICE, Waits, client
from .scripted_server import Reply, serving


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://host:8443/DDOProtocol/", "https://host:8443/DDOProtocol/"),
        ("https://host/ddoprotocol", "https://host/ddoprotocol/"),
        ("https://HOST", "https://host/DDOProtocol/"),
        ("https://host/a/DDOPROTOCOL/?x=1#y", "https://host/a/DDOPROTOCOL/"),
    ],
)
def test_base_url_is_kept_with_one_slash_and_the_usual_path(given: str, kept: str) -> None:
    assert Server(given, "a", "b").base_url == kept


def test_view_guids_get_their_braces() -> None:
    server = Server("https://host", " A1 ", "{B2}")
    assert (server.circuits_view, server.planned_units_view) == ("{A1}", "{B2}")


@pytest.mark.parametrize("url", ["host:80", "https://", "https://host:port/", "ftp://host/"])
def test_wrong_base_url_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="WORKSTUDIO_BASE_URL"):
        Server(url, "a", "b")


def test_missing_settings_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = Settings(_env_file=None, workstudio_circuits_view="{A}")
    with pytest.raises(UsageError, match="set WORKSTUDIO_BASE_URL, WORKSTUDIO_PLANNED_UNITS_VIEW in the environment"):
        Server.from_settings(settings)
    with pytest.raises(UsageError, match="set WORKSTUDIO_SERVICE_USERNAME, WORKSTUDIO_SERVICE_PASSWORD in the"):
        Credential.from_settings(settings)


def test_unreadable_ca_bundle_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate")
        server = Server("https://host", "a", "b", ca_bundle=path)
        with pytest.raises(UsageError, match="WORKSTUDIO_CA_BUNDLE"):
            WorkStudio(server, SERVICE)


def test_server_whose_certificate_does_not_verify_is_refused_at_once(tls: ssl.SSLContext) -> None:
    waits = Waits()
    with (
        serving(Reply(CIRCUITS), tls=tls) as server,
        client(server.url, sleep=waits) as workstudio,
        pytest.raises(UntrustedServer, match="WORKSTUDIO_CA_BUNDLE"),
    ):
        workstudio.fetch_circuits("ACTIV")
    assert (server.requests, waits) == ([], [])


def test_certificate_of_the_configured_bundle_is_trusted(tls: ssl.SSLContext, certificate: Path) -> None:
    with serving(Reply(CIRCUITS), tls=tls) as server, client(server.url, ca_bundle=certificate) as workstudio:
        assert workstudio.fetch_circuits("ACTIV").received == 1
