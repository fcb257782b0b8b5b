"""Webhooks: which events each gets, in which form, and how one is sent.

A URL may hold a secret (Slack's do), so messages name a webhook by its place in the setting and its host only.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from html import escape
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
"""What webhooks get at most; single circuits are for the gateway."""

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


@dataclass(frozen=True)
class SyncEvent:
    """An event of a sync with columns of its log; ``is_recovery``: it completed what had failed the last time."""

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
        return orjson.dumps({name: value for name, value in vars(event).items() if name != "statuses"})


@dataclass(frozen=True)
class Answer:
    """The outcome of one attempt. ``error`` is one line for people; ``wait``: what the receiver asks for."""

    error: str | None = None
    refused_the_event: bool = False
    wait: timedelta = timedelta()


class Sender:
    """Posts events, from any thread; a context manager. Follows no redirect, no proxy of the environment.

    TLS is verified always. An event loop of its own does the work: there a whole delivery can have a deadline, which
    no timeout of a single read is.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs each URL
        self._now = now
        agent = {"User-Agent": "circuit_sync"}
        self._http = httpx.AsyncClient(timeout=DELIVERY_SECONDS, headers=agent, trust_env=False)
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
                    answer = self._answer(response)
                    with suppress(httpx.HTTPError):
                        await _read_out(response)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                return _no_answer(error)
        return answer

    def _answer(self, response: httpx.Response) -> Answer:
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
            answer = Answer(_wrong_name_or_tls(error) or f"no connection ({type(error).__name__})")
    return answer


async def _read_out(response: httpx.Response) -> None:
    """Takes the body in as it is, decompressing nothing."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > ANSWER_BYTES:
            return


def _no_answer(error: Exception) -> Answer:
    """A permanent error is named, and the webhook left alone for the longest time at once."""
    if (found := _wrong_name_or_tls(error) or _wrong_url(error)) is None:
        return Answer(f"no answer ({type(error).__name__})")
    return Answer(f"{found}: nothing is delivered until somebody corrects it", wait=LONGEST_WAIT)


def _wrong_url(error: Exception) -> str | None:
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return "its answer is not HTTP, which an http:// URL of an https port gets"
    is_of_url = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return "its URL cannot be requested" if is_of_url or not isinstance(error, httpx.TransportError) else None


def _wrong_name_or_tls(error: BaseException | None) -> str | None:
    """The permanent error of host name or TLS among the causes of ``error``; ``None`` if time may help."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return "its TLS certificate does not verify"
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return f"no TLS can be agreed on ({error.reason or 'no reason given'})"
        if isinstance(error, socket.gaierror) and error.errno in _UNKNOWN_NAME:
            return "its host name is unknown"
        error = error.__cause__ or error.__context__
    return None


def wait_after(attempts: int, asked: timedelta) -> timedelta:
    """How long a webhook is left alone after so many failed attempts: doubling, at most an hour."""
    return min(max(FIRST_WAIT * (1 << min(attempts - 1, 10)), asked), LONGEST_WAIT)


def slack_text(event: SyncEvent) -> str:
    """One line for people."""
    sync_id = event.payload["sync_id"]
    what = " ".join(filter(None, (_NOUNS.get(event.sync_type or "", "Sync"), event.statuses)))
    if event.name == SyncFailed.name:
        again = event.payload["retry_at"]
        when = f"runs again at {datetime.fromisoformat(again).astimezone(EASTERN):%H:%M %Z}" if again else "no retry"
        line = f":x: {what} failed (sync {sync_id}): {event.payload['error']} — {when}"
    else:
        line = f":white_check_mark: {what} succeeded again (sync {sync_id}, {event.payload['sync_status']})"
    return escape(line, quote=False)
