"""Why no whole answer came: a transient failure, or a mistake in how the connection is set up.

The words are ours: an exception's own may quote the body.
"""

import socket
import ssl
from typing import TypeVar

import httpx

from circuit_sync.workstudio.errors import LATER, Fault, ServerUnreachable, UntrustedServer, UnusableTransport

E = TypeVar("E", bound=BaseException)

_CHECK_URL = "check scheme and port in WORKSTUDIO_BASE_URL"
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_TRANSIENT_TLS = ("INTERNAL_ERROR", "USER_CANCELED", "BAD_RECORD_MAC", "UNEXPECTED_EOF")
_TLS_MISTAKES = (
    (
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"),
        "what answers at {site} does not speak TLS",
        _CHECK_URL,
    ),
    (
        ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS", "VERSION_TOO_LOW", "LEGACY", "TOO_SMALL"),
        "{site} offers only an outdated TLS, which is not secure",
        "have TLS 1.2 or later switched on there",
    ),
    (
        ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_NO_CERTIFICATE"),
        "{site} asks for a client certificate, which circuit_sync has none of",
        "have WorkStudio, or the proxy before it, accept calls without one",
    ),
    (
        ("HANDSHAKE_FAILURE",),
        "{site} refused the TLS handshake: it asks for a client certificate or for ciphers that are not secure",
        "have calls without a certificate accepted there, and TLS 1.2 or later switched on",
    ),
)
_OPENING = b"HTTP/"
_TLS_ALERT = b"\x15\x03"


def transport_fault(error: httpx.HTTPError, site: str, opening: bytes, connect_timeout: float) -> Fault:
    """The fault of a call without a whole answer. ``opening``: the first bytes of the answer, as far as any came."""
    if not opening and (tls := _caused_by(error, ssl.SSLError)) and (fault := _tls_fault(tls, site)):
        return fault
    if (name := _caused_by(error, socket.gaierror)) and name.errno in _UNKNOWN_NAME:
        return Fault(UnusableTransport, f"the host name in {site} is not known", "check WORKSTUDIO_BASE_URL")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and not opening.startswith(_OPENING):
        url = httpx.URL(site)
        if opening.startswith(_TLS_ALERT) or (url.scheme == "http" and _speaks_tls(url, connect_timeout)):
            return Fault(UnusableTransport, f"what answers at {site} speaks TLS", f"{_CHECK_URL}: https://, it seems")
        if not _OPENING.startswith(opening):
            return Fault(UnusableTransport, f"what answers at {site} does not speak HTTP", _CHECK_URL)
    match error:
        case httpx.ConnectTimeout():
            reason = "timed out connecting to"
        case httpx.TimeoutException():
            reason = "timed out waiting for"
        case httpx.ConnectError():
            reason = "no connection could be made to"
        case _:
            reason = "the connection was cut before the whole answer came from"
    return Fault(ServerUnreachable, f"{reason} {site}", LATER)


def _tls_fault(error: ssl.SSLError, site: str) -> Fault | None:
    """None where TLS was cut, not refused."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(
            UntrustedServer,
            f"the TLS certificate of {site} does not verify: {error.verify_message}",
            "point WORKSTUDIO_CA_BUNDLE at the authority that issued it, or have it renewed",
        )
    reason = error.reason or ""
    if not reason or any(part in reason for part in _TRANSIENT_TLS):
        return None
    for parts, said, advice in _TLS_MISTAKES:
        if any(part in reason for part in parts):
            return Fault(UnusableTransport, said.format(site=site), advice)
    return Fault(
        UnusableTransport, f"TLS with {site} fails ({reason.lower().replace('_', ' ')})", "have its TLS checked"
    )


def _speaks_tls(url: httpx.URL, timeout: float) -> bool:
    """Whether a port that cut a plain request without a word takes a TLS handshake: by its certificate or its alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with socket.create_connection((url.host, url.port or 80), timeout) as plain:
            context.wrap_socket(plain, server_hostname=url.host).close()
    except ssl.SSLError as error:
        return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
    return True


def _caused_by(error: BaseException | None, kind: type[E]) -> E | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
