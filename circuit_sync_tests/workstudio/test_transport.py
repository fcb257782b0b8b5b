"""A mistake in how the way to the server is set up is no outage: said once, never tried again."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from circuit_sync.workstudio.errors import ServerUnreachable, UnusableTransport

from .scripted_client import CIRCUITS, Waits, client
from .scripted_server import Reply, serving, table

Context = Callable[[], ssl.SSLContext]


def refused(url: str, **options: object) -> str:
    """The line of a call that must fail for good at its first attempt."""
    waits = Waits()
    with client(url, sleep=waits, **options) as workstudio, pytest.raises(UnusableTransport) as caught:
        workstudio.fetch_circuits("ACTIV")
    assert waits == []
    line = str(caught.value)
    assert "(1 attempt); " in line
    assert "\n" not in line
    return line


def test_https_to_a_plain_port(certificate: Path) -> None:
    with serving(Reply(CIRCUITS)) as server:
        line = refused(server.url.replace("http://", "https://"), ca_bundle=certificate)
    assert "does not speak TLS" in line
    assert "WORKSTUDIO_BASE_URL" in line


def test_http_to_a_tls_port(tls: ssl.SSLContext) -> None:
    with serving(Reply(CIRCUITS), tls=tls) as server:
        line = refused(server.url.replace("https://", "http://"))
    assert "speaks TLS" in line
    assert "https://" in line


def test_http_to_a_tls_port_that_answers_with_an_alert() -> None:
    with answering(b"\x15\x03\x01\x00\x02\x02\x46") as url:
        assert "speaks TLS" in refused(url)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail ESMTP\r\n", b"\0\0\0\x0bE" + bytes(20)])
def test_a_port_of_another_protocol(greeting: bytes) -> None:
    with answering(greeting) as url:
        assert "does not speak HTTP" in refused(url)


def test_a_server_that_offers_only_an_outdated_tls(tls: ssl.SSLContext, certificate: Path) -> None:
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with serving(Reply(CIRCUITS), tls=tls) as server:
        assert "outdated TLS" in refused(server.url, ca_bundle=certificate)


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_a_client_certificate(
    tls: ssl.SSLContext, certificate: Path, most: ssl.TLSVersion
) -> None:
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate)
    tls.maximum_version = most
    with serving(Reply(CIRCUITS), tls=tls) as server:
        assert "client certificate" in refused(server.url, ca_bundle=certificate)


def test_a_host_that_no_one_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    line = refused("https://workstudio.example.invalid/")
    assert "the host name in https://workstudio.example.invalid/DDOProtocol/ is not known" in line


def test_a_name_server_that_is_away_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    with client("https://workstudio.example.invalid/") as workstudio, pytest.raises(ServerUnreachable):
        workstudio.fetch_circuits("ACTIV")


BODY = json.dumps(
    table(["SS_JOBGUID", "SS_WO", "WSREQ_STATUS", "SS_TITLE"], ["{A}", "1", "ACTIV", "São"]), ensure_ascii=False
)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ("iso-8859-1", "utf-8"),
        ("klingon", "utf-8"),
        ("iso-8859-1", "latin-1"),
        ('"Windows-1252"', "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-8", "utf-16"),
        ("", "utf-16-le"),
        ("", "utf-32"),
        ("utf-16le", "utf-16-le"),
    ],
)
def test_a_body_is_read_by_what_it_is_or_says_that_it_is(charset: str, codec: str) -> None:
    kind = {"Content-Type": f"application/json; charset={charset}" if charset else "application/json"}
    with serving(Reply(BODY.encode(codec), headers=kind)) as server, client(server.url) as workstudio:
        assert workstudio.fetch_circuits("ACTIV").frame["title"].tolist() == ["São"]


@pytest.mark.parametrize("charset", ["", "utf-8", "ascii", "klingon", "base64", "punycode", "utf-16\x7f" * 20])
def test_a_whole_body_in_another_charset_than_it_says(charset: str) -> None:
    kind = {"Content-Type": f"application/json; charset={charset}" if charset else "application/json"}
    with serving(Reply(BODY.encode("latin-1"), headers=kind)) as server:
        line = refused(server.url)
    assert "is not UTF-8" in line
    assert line.isprintable()
    assert "São" not in line


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """A port that answers whatever comes with these words, and hangs up."""

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
