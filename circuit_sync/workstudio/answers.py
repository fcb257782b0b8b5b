"""Reads and judges what came back over HTTP: an answer, or a ``Fault`` that says whether trying again can help."""

import codecs
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any

import httpx
import orjson

from circuit_sync.domain.retry_after import seconds_asked
from circuit_sync.workstudio.ddotable import member
from circuit_sync.workstudio.errors import (
    LATER,
    AnswerTooLarge,
    Fault,
    Forbidden,
    MalformedAnswer,
    RequestRefused,
    ServerUnreachable,
    Unauthorized,
    UnusableTransport,
    one_line,
)
from circuit_sync.workstudio.server import MEGABYTE

ACCEPTED_CODING = "gzip"
_CODINGS = ("identity", "gzip", "x-gzip", "deflate")
_PIECE = 256 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_CHARSETS = ("utf-", "iso8859", "cp125", "ascii")


def check_status(response: httpx.Response, site: str, now: Callable[[], datetime]) -> None:
    """Raise a ``Fault`` unless the answer is a 2xx."""
    status = response.status_code
    reason = f"HTTP {status} from {site}"
    if response.is_success:
        return
    if status == 429 or status >= 500:
        asked = seconds_asked(response.headers.get("Retry-After"), now(), longest=86_400.0)
        raise Fault(ServerUnreachable, reason, LATER, retry_after=asked)
    if status == 401:
        raise Fault(Unauthorized, reason, "check the username and password of the credential used")
    if status == 403:
        raise Fault(Forbidden, reason, "check in WorkStudio what the account used may see")
    if response.has_redirect_location:
        reason = f"{reason}, a redirect, which is not followed"
    raise Fault(RequestRefused, reason, "check WORKSTUDIO_BASE_URL and the view GUIDs")


def read_body(response: httpx.Response, most: int, site: str, begin: Callable[[], None]) -> bytearray:
    """The decoded body, of at most ``most`` bytes. ``begin`` is called when its first byte has come.

    Raises ``Fault``: larger than that (permanent), in a coding that was not asked for (permanent), or cut.
    """
    coding = response.headers.get("Content-Encoding", "").strip().lower() or "identity"
    if coding not in _CODINGS:
        raise Fault(
            UnusableTransport,
            f"the body from {site} came in a content coding that was not asked for",
            f"have WorkStudio, or the proxy before it, answer plainly or with {ACCEPTED_CODING}",
        )
    length = response.headers.get("Content-Length", "")
    if coding == "identity" and length.isdecimal() and len(length) < 20 and int(length) > most:
        raise _too_large(f"{int(length) / MEGABYTE:,.1f} MB", most, site)
    pieces = response.iter_raw()
    first = next(pieces, b"")
    begin()
    pieces = chain((first,), pieces)
    body = bytearray()
    for piece in pieces if coding == "identity" else _unzipped(pieces, site):
        body += piece
        if len(body) > most:
            raise _too_large(f"more than {most / MEGABYTE:g} MB", most, site)
    return body


def read_answer(body: bytes | bytearray, charset: str | None, site: str, redact: Callable[[str], str]) -> Any:
    """The decoded body of a 2xx. A body that is not JSON counts as cut; ``Protocol: ERROR`` is a refusal.

    ``charset``: what the answer says of itself, believed only where the body is not UTF-8. WorkStudio's own error
    message is quoted, redacted and shortened: the operator needs it.
    """
    try:
        answer = decode(body)
    except (ValueError, RecursionError) as error:
        if _is_utf8(body) and not isinstance(error, UnicodeDecodeError):
            raise _cut(site) from None
        answer = _decode_as(body, charset, site)
    if not isinstance(answer, dict):
        raise Fault(
            MalformedAnswer, f"the answer from {site} is JSON but not an object", "check that the URL is a WorkStudio's"
        )
    if str(member(answer, "Protocol")).upper() == "ERROR":
        said = one_line(redact(str(member(answer, "errorMessage") or "no message")))
        raise Fault(RequestRefused, f"{site} refused the request: {said}", "check the view GUIDs and the filter")
    return answer


def decode(body: bytes | bytearray) -> Any:
    """JSON as WorkStudio writes it: the fast decoder first, then the lenient one (NaN, Infinity, lone surrogates, raw
    control characters within strings, numbers of any length).

    Raises ``UnicodeDecodeError`` if it is not UTF-8, ``ValueError`` or ``RecursionError`` if it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_leniently(body.decode("utf-8-sig"))


def _unzipped(pieces: Iterable[bytes], site: str) -> Iterator[bytes]:
    """gzip (any number of members) or zlib, at most ``_PIECE`` bytes at a time: a small body may unzip to any size."""
    unzip = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if unzip.eof:
                    unzip = zlib.decompressobj(_GZIP_OR_ZLIB)
                yield unzip.decompress(rest, _PIECE)
                rest = unzip.unused_data.lstrip(b"\0") if unzip.eof else unzip.unconsumed_tail
        yield unzip.flush()
    except zlib.error:
        raise _cut(site, ", or not zipped as it claims to be") from None
    if not unzip.eof:
        raise _cut(site, ", or not zipped as it claims to be")


def _decode_leniently(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_integer)


def _integer(digits: str) -> int | float:
    """Python refuses to read thousands of digits: as a float they are infinite, and so one bad value."""
    return int(digits) if len(digits) < 400 else float(digits)


def _is_utf8(body: bytes | bytearray) -> bool:
    """By its first bytes, which tell it from UTF-16 and UTF-32 with or without a mark."""
    return json.detect_encoding(body).startswith("utf-8")


def _decode_as(body: bytes | bytearray, charset: str | None, site: str) -> Any:
    """A body that is not UTF-8, by its first bytes or by the charset that it claims.

    A whole body in another charset than that comes the same way again (permanent); any other one is cut.
    """
    named = f", and the charset it names, {one_line(charset, 40)}, does not fit" if charset else ""
    wrong = Fault(
        UnusableTransport,
        f"the body from {site} is not UTF-8{named}",
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


def _cut(site: str, otherwise: str = " or not JSON") -> Fault:
    return Fault(ServerUnreachable, f"the body from {site} is cut{otherwise}", LATER)


def _too_large(held: str, most: int, site: str) -> Fault:
    return Fault(
        AnswerTooLarge,
        f"the answer from {site} holds {held}: WORKSTUDIO_MAX_ANSWER_MB allows {most / MEGABYTE:g} MB",
        "check the view's GUID and its filter, or raise that setting",
    )
