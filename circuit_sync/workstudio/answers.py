"""Judges what came back over HTTP: an answer, or a ``Fault`` that says whether trying again can help."""

import codecs
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import orjson

from circuit_sync.domain.retry_after import seconds_asked
from circuit_sync.workstudio.ddotable import member
from circuit_sync.workstudio.errors import (
    LATER,
    Fault,
    Forbidden,
    MalformedAnswer,
    RequestRefused,
    ServerUnreachable,
    Unauthorized,
    UnusableTransport,
    one_line,
)

LONGEST_WAIT_ASKED = 86_400.0
"""Seconds: what asks for more, up to infinity, asks for this."""
_CHARSETS = ("utf-", "iso8859", "cp125", "ascii")


def check_status(response: httpx.Response, site: str, now: Callable[[], datetime]) -> None:
    """Raise a ``Fault`` unless the answer is a 2xx."""
    status = response.status_code
    reason = f"HTTP {status} from {site}"
    if response.is_success:
        return
    if status == 429 or status >= 500:
        raise Fault(
            ServerUnreachable,
            reason,
            LATER,
            retry_after=seconds_asked(response.headers.get("Retry-After"), now(), longest=LONGEST_WAIT_ASKED),
        )
    if status == 401:
        raise Fault(Unauthorized, reason, "check the username and password of the credential used")
    if status == 403:
        raise Fault(Forbidden, reason, "check in WorkStudio what the account used may see")
    if response.has_redirect_location:
        reason = f"{reason}, a redirect, which is not followed"
    raise Fault(RequestRefused, reason, "check WORKSTUDIO_BASE_URL and the view GUIDs")


def read_answer(body: bytes | bytearray, charset: str | None, site: str, redact: Callable[[str], str]) -> Any:
    """The decoded body of a 2xx. A body that is no JSON counts as cut; ``Protocol: ERROR`` is a refusal.

    ``charset``: what the answer says of itself, believed only where the body is no UTF-8. WorkStudio's own error
    message is quoted, redacted and shortened: the operator needs it.
    """
    try:
        answer = decode(body)
    except UnicodeDecodeError:
        answer = _decode_as(body, charset, site)
    except (ValueError, RecursionError):
        if _is_utf8(body):
            raise _cut(site) from None
        answer = _decode_as(body, charset, site)
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


def decode(body: bytes | bytearray) -> Any:
    """JSON as WorkStudio writes it: the fast decoder first, then the lenient one (NaN, Infinity, lone surrogates, raw
    control characters within strings, numbers of any length).

    Raises ``UnicodeDecodeError`` if it is no UTF-8, ``ValueError`` or ``RecursionError`` if it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_leniently(body.decode("utf-8-sig"))


def _decode_leniently(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_integer)


def _integer(digits: str) -> int | float:
    """Python refuses to read thousands of digits: as a float they are infinite, and so one bad value."""
    return int(digits) if len(digits) < 400 else float(digits)


def _is_utf8(body: bytes | bytearray) -> bool:
    """By its first bytes, which tell it from UTF-16 and UTF-32 with or without a mark."""
    return json.detect_encoding(body).startswith("utf-8")


def _decode_as(body: bytes | bytearray, charset: str | None, site: str) -> Any:
    """A body that is no UTF-8, by its first bytes or by the charset that it claims.

    One that is whole but in another charset than that comes so again; any other one is cut.
    """
    named = f", and the charset it names, {one_line(charset, 40)}, does not fit" if charset else ""
    wrong = Fault(
        UnusableTransport,
        f"the body from {site} is no UTF-8{named}",
        "have WorkStudio, or the proxy before it, answer in UTF-8",
    )
    try:
        codec = codecs.lookup((charset or "ascii") if _is_utf8(body) else json.detect_encoding(body)).name
        if not codec.startswith(_CHARSETS):
            raise wrong
        return _decode_leniently(body.decode(codec))
    except LookupError:
        raise wrong from None
    except (ValueError, RecursionError):
        raise (wrong if _is_whole(body) else _cut(site)) from None


def _is_whole(body: bytes | bytearray) -> bool:
    """Whether it is JSON in some charset of single bytes."""
    try:
        _decode_leniently(body.decode("latin-1"))
    except (ValueError, RecursionError):
        return False
    return True


def _cut(site: str) -> Fault:
    return Fault(ServerUnreachable, f"the body from {site} is cut or no JSON", LATER)
