"""Webhooks: which events each gets, in which form, and how one is sent.

A URL may hold a secret (Slack's do), so messages name a webhook by its place in the setting and its host only.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import orjson

from circuit_sync.domain.eastern import EASTERN
from circuit_sync.events.catalogue import SyncCompleted, SyncFailed, SyncStarted

SENT = (SyncStarted.name, SyncCompleted.name, SyncFailed.name)
"""What webhooks hear of at most; single circuits are for the gateway."""

TIMEOUT_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
REFUSED_THE_EVENT = frozenset({400, 413, 415, 422})
"""Answers that mean this event, not the webhook: they come again however often it is sent."""

_SLACK = "slack+"
_NOUNS = {"circuit_list": "Circuits", "aggregates": "Aggregates", "snapshots": "Snapshots"}


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
    """Posts events; a context manager. Follows no redirect, no proxy of the environment; TLS is verified always."""

    def __init__(self) -> None:
        # httpx logs each URL at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, headers={"User-Agent": "circuit_sync"}, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def send(self, webhook: Webhook, event: SyncEvent) -> Answer:
        """One attempt. ``Idempotency-Key`` is the event's id: an event whose answer was lost comes twice.

        Nothing that a URL may hold raises: a host that cannot be looked up is a ``ValueError`` of Python's own.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(event.id)}
        try:
            response = self._http.post(webhook.url, content=webhook.body(event), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Answer(f"no answer ({type(error).__name__})")
        if response.is_success:
            return Answer()
        asked = response.headers.get("Retry-After", "")
        wait = timedelta(seconds=int(asked)) if asked.isdecimal() and len(asked) < 6 else timedelta()
        return Answer(f"HTTP {response.status_code}", response.status_code in REFUSED_THE_EVENT, wait)


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
