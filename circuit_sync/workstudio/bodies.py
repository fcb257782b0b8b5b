"""Reads the body of an answer piece by piece: unzipped, and never more of it than is allowed, whatever was sent."""

import zlib
from collections.abc import Callable, Iterable, Iterator

import httpx

from circuit_sync.workstudio.errors import LATER, AnswerTooLarge, Fault, ServerUnreachable, UnusableTransport
from circuit_sync.workstudio.server import MEGABYTE

ACCEPTED_CODING = "gzip"
_PIECE = 256 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def read_body(response: httpx.Response, most: int, site: str, begin: Callable[[], None]) -> bytearray:
    """The decoded body, of at most ``most`` bytes. ``begin`` is called when its first byte has come.

    Raises ``Fault``: larger than that (permanent), in a coding that was not asked for (permanent), or cut.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    length = response.headers.get("Content-Length", "")
    if coding == "identity" and length.isdecimal() and len(length) < 20 and int(length) > most:
        raise _too_large(f"{int(length) / MEGABYTE:,.1f} MB", most, site)
    body = bytearray()
    for piece in _decoded(_begun(response.iter_raw(), begin), coding, site):
        body += piece
        if len(body) > most:
            raise _too_large(f"more than {most / MEGABYTE:g} MB", most, site)
    return body


def _begun(pieces: Iterable[bytes], begin: Callable[[], None]) -> Iterator[bytes]:
    for place, piece in enumerate(pieces):
        if place == 0:
            begin()
        yield piece


def _decoded(pieces: Iterable[bytes], coding: str, site: str) -> Iterator[bytes]:
    if coding == "identity":
        return iter(pieces)
    if coding not in _CODINGS:
        raise Fault(
            UnusableTransport,
            f"the body from {site} came in a content coding that was not asked for",
            f"have WorkStudio, or the proxy before it, answer plainly or with {ACCEPTED_CODING}",
        )
    return _unzipped(pieces, site)


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
        raise _cut(site) from None
    if not unzip.eof:
        raise _cut(site)


def _cut(site: str) -> Fault:
    return Fault(ServerUnreachable, f"the body from {site} is cut, or not zipped as it claims to be", LATER)


def _too_large(held: str, most: int, site: str) -> Fault:
    return Fault(
        AnswerTooLarge,
        f"the answer from {site} holds {held}: WORKSTUDIO_MAX_ANSWER_MB allows {most / MEGABYTE:g} MB",
        "check the view's GUID and its filter, or raise that setting",
    )
