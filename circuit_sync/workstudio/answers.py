"""Judges what came back over HTTP: an answer, or a ``Fault`` that says whether trying again can help."""

import json
import math
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from circuit_sync.workstudio.ddotable import member
from circuit_sync.workstudio.errors import (
    Fault,
    Forbidden,
    MalformedAnswer,
    RequestRefused,
    ServerUnreachable,
    Unauthorized,
    UntrustedServer,
    one_line,
)

LATER = "WorkStudio is down, restarting or overloaded: run it again later"
NO_CONNECTION = "no connection could be made to"
CUT = "the connection was cut before the whole answer came from"


def transport_fault(error: httpx.HTTPError, site: str) -> Fault:
    """The fault of a call without a whole answer. The words are ours: an exception's may quote the body."""
    if _caused_by(error, ssl.SSLCertVerificationError):
        return Fault(
            UntrustedServer,
            f"the TLS certificate of {site} does not verify",
            "point WORKSTUDIO_CA_BUNDLE at the authority that issued it, or have it renewed",
        )
    match error:
        case httpx.ConnectTimeout():
            reason = "timed out connecting to"
        case httpx.TimeoutException():
            reason = "timed out waiting for"
        case httpx.ConnectError():
            reason = NO_CONNECTION
        case _:
            reason = CUT
    return Fault(ServerUnreachable, f"{reason} {site}", LATER)


def check_status(response: httpx.Response, site: str, now: Callable[[], datetime]) -> None:
    """Raise a ``Fault`` unless the answer is a 2xx."""
    status = response.status_code
    reason = f"HTTP {status} from {site}"
    if response.is_success:
        return
    if status == 429 or status >= 500:
        raise Fault(ServerUnreachable, reason, LATER, retry_after=retry_after(response, now))
    if status == 401:
        raise Fault(Unauthorized, reason, "check the username and password of the credential used")
    if status == 403:
        raise Fault(Forbidden, reason, "check in WorkStudio what the account used may see")
    if response.has_redirect_location:
        reason = f"{reason}, a redirect, which is not followed"
    raise Fault(RequestRefused, reason, "check WORKSTUDIO_BASE_URL and the view GUIDs")


def read_answer(response: httpx.Response, site: str, redact: Callable[[str], str]) -> Any:
    """The decoded body of a 2xx. A body that is no JSON counts as cut; ``Protocol: ERROR`` is a refusal.

    WorkStudio's own error message is quoted, redacted and shortened: the operator needs it.
    """
    try:
        answer = decode(response.content)
    except (ValueError, RecursionError):
        raise Fault(ServerUnreachable, f"the body from {site} is cut or no JSON", LATER) from None
    if not isinstance(answer, dict):
        raise Fault(
            MalformedAnswer,
            f"the answer from {site} is JSON but no object",
            "check that the URL is a WorkStudio's",
        )
    if str(member(answer, "Protocol")).upper() == "ERROR":
        said = one_line(redact(str(member(answer, "errorMessage") or "no message")))
        raise Fault(RequestRefused, f"{site} refused the request: {said}", "check the view GUIDs and the filter")
    return answer


def decode(body: bytes) -> Any:
    """JSON as WorkStudio writes it: the fast decoder first, then the lenient one (NaN, Infinity, lone
    surrogates).

    Raises ``ValueError`` (or ``RecursionError``) if it is no JSON or no UTF-8.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body.decode("utf-8-sig"))


def retry_after(response: httpx.Response, now: Callable[[], datetime]) -> float | None:
    """The seconds the server asks to be left alone (``Retry-After``, seconds or an HTTP date), if it does."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(text: str, now: Callable[[], datetime]) -> float:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return math.nan
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now()).total_seconds()


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None
