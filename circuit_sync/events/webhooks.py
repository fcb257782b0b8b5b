"""Webhooks: which events each gets, in which form, and how one is sent.

A URL may hold a secret (Slack's do), so messages name a webhook by its place in the setting and its host only.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Self
from urllib.parse import urlsplit

import anyio
import httpx
import orjson
from anyio.from_thread import start_blocking_portal

from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.retry_after import seconds_asked
from circuit_sync.events.catalogue import SyncCompleted, SyncFailed, SyncStarted

SENT = (SyncStarted.name, SyncCompleted.name, SyncFailed.name)
"""What webhooks hear of at most; single circuits are for the gateway."""

DELIVERY_SECONDS = 10.0
"""From the look-up of the host to the last byte of the answer, however the receiver spreads it out."""
ANSWER_BYTES = 64 * 1024
"""What is read of an answer's body, to use the connection again; a longer one ends it."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
REFUSED_THE_EVENT = frozenset({400, 413, 415, 422})
"""Answers that mean this event, not the webhook: they come again however often it is sent."""

_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_SLACK = "slack+"
_NOUNS = {"circuit_list": "Circuits", "aggregates": "Aggregates", "snapshots": "Snapshots"}


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class SyncEvent:
    """An event of a sync with what its log tells; ``is_recovery``: it completed what had failed the last time."""

    id: int
    name: str
    payload: dict[str, Any]
    occurred_at: datetime
    sync_type: str | None
    statuses: str | None
    is_recovery: bool


@dataclass(frozen=True)
class Webhook:
    """Where events are sent. ``place``: its number in the setting, from 1."""

    place: int
    url: str = field(repr=False)
    is_slack: bool = False

    @classmethod
    def parse_all(cls, urls: Sequence[str]) -> list[Self]:
        """The webhooks of the setting, in their order: ``https://…``, or ``slack+https://…`` for Slack's form.

        One that is named twice is one, at its first place.
        """
        return [
            cls(place, url.removeprefix(_SLACK), url.startswith(_SLACK))
            for place, url in enumerate(urls, start=1)
            if url not in urls[: place - 1]
        ]

    @property
    def name(self) -> str:
        return f"webhook {self.place} ({urlsplit(self.url).hostname})"

    @property
    def url_hash(self) -> str:
        """What the database knows it by."""
        return sha256(f"{self.is_slack} {self.url}".encode()).hexdigest()

    def wants(self, event: SyncEvent) -> bool:
        """All events of syncs as JSON; in Slack, failures and the recovery from them."""
        return not self.is_slack or event.name == SyncFailed.name or event.is_recovery

    def body(self, event: SyncEvent) -> bytes:
        """What is posted."""
        if self.is_slack:
            return orjson.dumps({"text": slack_text(event)})
        told = {"id": event.id, "name": event.name, "occurred_at": event.occurred_at, "is_recovery": event.is_recovery}
        return orjson.dumps(told | {"sync_type": event.sync_type, "payload": event.payload})


@dataclass(frozen=True)
class Answer:
    """What became of one attempt. ``error`` is fit for people; ``wait``: what the receiver asks for."""

    error: str | None = None
    refused_the_event: bool = False
    wait: timedelta = timedelta()


class Sender:
    """Posts events, from any thread; a context manager. Follows no redirect, no proxy of the environment.

    TLS is verified always. An event loop of its own does the work: there a whole delivery can have a deadline, which
    no timeout of a single read is.
    """

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        # httpx logs each URL at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._now = now
        self._http = httpx.AsyncClient(
            timeout=DELIVERY_SECONDS, headers={"User-Agent": "circuit_sync"}, trust_env=False
        )
        self._running = start_blocking_portal()

    def __enter__(self) -> Self:
        self._portal = self._running.__enter__()
        return self

    def __exit__(self, *_error: object) -> None:
        self._portal.call(self._http.aclose)
        self._running.__exit__(None, None, None)

    def send(self, webhook: Webhook, event: SyncEvent) -> Answer:
        """One attempt, which takes at most ``DELIVERY_SECONDS``. Nothing that a URL may hold raises.

        ``Idempotency-Key`` is the event's id: an event whose answer was lost comes twice.
        """
        return self._portal.call(self._attempt, webhook.url, webhook.body(event), event.id)

    def reach(self, webhook: Webhook) -> Answer:
        """Looks up the name, connects, agrees on TLS, and hangs up: no event, and no request, is sent."""
        return self._portal.call(_connect, webhook.url)

    async def _attempt(self, url: str, body: bytes, event_id: int) -> Answer:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(event_id)}
        answer = Answer(f"no answer within {DELIVERY_SECONDS:g} s")
        with anyio.move_on_after(DELIVERY_SECONDS):
            try:
                async with self._http.stream("POST", url, content=body, headers=headers) as response:
                    answer = self._meaning_of(response)
                    with suppress(httpx.HTTPError):
                        await _read_out(response)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                return _no_answer(error)
        return answer

    def _meaning_of(self, response: httpx.Response) -> Answer:
        if response.is_success:
            return Answer()
        longest = LONGEST_WAIT.total_seconds()
        asked = seconds_asked(response.headers.get("Retry-After"), self._now(), longest=longest)
        wait = timedelta(seconds=asked or 0)
        return Answer(f"HTTP {response.status_code}", response.status_code in REFUSED_THE_EVENT, wait)


async def _connect(url: str) -> Answer:
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    trust = httpx.create_ssl_context(trust_env=False) if is_tls else None
    answer = Answer(f"no connection within {DELIVERY_SECONDS:g} s")
    with anyio.move_on_after(DELIVERY_SECONDS):
        try:
            host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
            plainly = partial(anyio.connect_tcp, host, port)
            async with await (plainly(ssl_context=trust, tls_standard_compatible=False) if trust else plainly()):
                answer = Answer()
        except (OSError, ValueError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            answer = Answer(_mistaken_cause(error) or f"no connection ({type(error).__name__})")
    return answer


async def _read_out(response: httpx.Response) -> None:
    """Takes the body in as it is, decompressing nothing."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > ANSWER_BYTES:
            return


def _no_answer(error: Exception) -> Answer:
    """A mistake that no waiting mends is named, and the webhook left alone for the longest time at once."""
    mistake = _mistake(error)
    if mistake is None:
        return Answer(f"no answer ({type(error).__name__})")
    return Answer(f"{mistake}: nothing comes through before somebody mends it", wait=LONGEST_WAIT)


def _mistake(error: Exception) -> str | None:
    """What is wrong with the webhook's URL or its receiver; ``None`` for what may pass."""
    if found := _mistaken_cause(error):
        return found
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return "its answer is no HTTP, which an http:// URL of an https port gets"
    is_no_transport = not isinstance(error, httpx.TransportError)
    if is_no_transport or isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return "its URL cannot be asked"
    return None


def _mistaken_cause(error: Exception) -> str | None:
    """What of name and TLS is wrong beneath an error."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate does not verify"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return f"no TLS can be agreed on ({cause.reason or 'no reason given'})"
        if isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN_NAME:
            return "its host name is unknown"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def wait_after(attempts: int, asked: timedelta) -> timedelta:
    """How long a webhook is left alone after so many failed attempts: doubling, at most an hour."""
    doubled = FIRST_WAIT * (1 << min(attempts - 1, 10))
    return min(max(doubled, asked), LONGEST_WAIT)


def slack_text(event: SyncEvent) -> str:
    """One line for people."""
    sync_id = event.payload["sync_id"]
    what = " ".join(filter(None, (_NOUNS.get(event.sync_type or "", "Sync"), event.statuses)))
    if event.name == SyncFailed.name:
        again = event.payload["retry_at"]
        when = f"runs again at {datetime.fromisoformat(again).astimezone(EASTERN):%H:%M %Z}" if again else "no retry"
        return _escaped(f":x: {what} failed (sync {sync_id}): {event.payload['error']} — {when}")
    return _escaped(f":white_check_mark: {what} succeeded again (sync {sync_id}, {event.payload['sync_status']})")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
