"""The gateway's routes: who asks, what for, and one clear line for a refusal."""

import asyncio
import logging
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from circuit_sync.domain.errors import CircuitSyncError, TransientError
from circuit_sync.domain.printable import Lines
from circuit_sync.events.access import refused, unknown_channel
from circuit_sync.events.gateway import Gateway
from circuit_sync.events.hub import Subscriber
from circuit_sync.events.page import common_state, read_page, state_for
from circuit_sync.events.protocol import BODY_BYTES, TOO_LARGE
from circuit_sync.events.stream import EventStream
from circuit_sync.events.tokens import TICKET_SECONDS, Holder, Tickets, find_holder

MOST_CHANNELS = 100
_EVENT_ID = re.compile(r"[0-9]{1,18}")
_log = logging.getLogger("circuit_sync.events")


class Refusal(HTTPException):
    """A request that is refused, with one line that says why."""


def application(gateway: Gateway, origins: Sequence[str] = ()) -> Starlette:
    """The ASGI application. ``origins``: whose pages may call it from a browser, besides its own."""
    site = _Site(gateway)
    # Of headers any are allowed: polyfills of EventSource add their own to the two we read.
    cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    return Starlette(
        routes=[
            Route("/", site.page),
            Route("/events", site.events),
            Route("/ticket", site.ticket, methods=["POST"]),
            Route("/state", site.state),
            Route("/health", site.health),
        ],
        middleware=[*([cors] if origins else []), Middleware(_SmallBodies)],
        exception_handlers={Refusal: _refuse, TransientError: _unavailable, CircuitSyncError: _failed},
    )


class _SmallBodies:
    """Refuses a request whose body is announced as too large; one that says nothing the protocol cuts off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_small = int(Request(scope).headers.get("Content-Length", 0)) <= BODY_BYTES
        await (self._app if is_small else _json({"error": TOO_LARGE}, 413))(scope, receive, send)


class _Site:
    """A method for each route."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ask = gateway.database.ask
        self._tickets = Tickets()
        self._page, self._page_headers = read_page()
        self._common: Mapping[str, Lines] = {}
        self._common_read_at = 0.0
        self._reading = asyncio.Lock()

    async def page(self, _request: Request) -> Response:
        return Response(self._page, media_type="text/html", headers=self._page_headers)

    async def health(self, _request: Request) -> Response:
        hub = self._gateway.hub
        return _json({"is_ready": hub.is_ready, "streams": len(hub.subscribers)}, 200 if hub.is_ready else 503)

    async def state(self, request: Request) -> Response:
        """Many pages ask at once, after the same event: a request may share what was read since it came."""
        holder, came_at = await self._holder(request), time.monotonic()
        async with self._reading:
            if self._common_read_at < came_at:
                begun = time.monotonic()
                self._common = await self._ask(common_state)
                self._common_read_at = begun
        return _json(await self._ask(partial(state_for, holder=holder, common=self._common)))

    async def ticket(self, request: Request) -> Response:
        holder = await self._holder(request)
        return _json({"ticket": self._tickets.issue(holder.token_id), "expires_in": TICKET_SECONDS})

    async def events(self, request: Request) -> Response:
        holder = await self._holder(request, with_ticket=True)
        channels = _channels(request)
        after = _last_event_id(request)
        hub = self._gateway.hub
        if not hub.is_ready:
            raise TransientError("the gateway has not read the table yet")
        if await self._ask(partial(refused, asked=[(0, holder.token_id, channels)])):
            raise Refusal(403, "this user may not listen to one of these channels")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        subscriber = Subscriber(channels, holder.token_id)
        return EventStream(self._gateway.database, hub, subscriber, after, self._gateway.heartbeat_seconds)

    async def _holder(self, request: Request, *, with_ticket: bool = False) -> Holder:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder, find = None, partial(find_holder, now=datetime.now(UTC))
        if scheme.lower() == "bearer" and token.strip():
            holder = await self._ask(partial(find, token=token.strip()))
        elif with_ticket and (ticket := request.query_params.get("ticket")):
            token_id = self._tickets.redeem(ticket)
            holder = None if token_id is None else await self._ask(partial(find, token_id=token_id))
        if holder is None:
            raise Refusal(401, "a valid token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        return holder


def _channels(request: Request) -> list[str]:
    channels = sorted(set(request.query_params.getlist("channel")))
    if not 0 < len(channels) <= MOST_CHANNELS:
        raise Refusal(400, f"name 1 to {MOST_CHANNELS} channels: /events?channel=dashboard&channel=circuit.42")
    if unknown := unknown_channel(channels):
        raise Refusal(400, unknown)
    return channels


def _last_event_id(request: Request) -> int | None:
    """The last id that the client has: the header, or the parameter for a page whose new EventSource cannot set it."""
    given = request.headers.get("Last-Event-ID") or request.query_params.get("last_event_id")
    if not given:
        return None
    if not _EVENT_ID.fullmatch(given):
        raise Refusal(400, "Last-Event-ID is not the id of an event: it is the number of the last event received")
    return int(given)


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(content, default=float)
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, headers, "application/json")


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _json({"error": error.detail}, error.status_code, error.headers)


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return _json({"error": "the database is not available at the moment: try again"}, 503, {"Retry-After": "2"})


async def _failed(request: Request, error: Exception) -> Response:
    # Of the URL its path only: the query may hold a ticket.
    _log.error("%s %s: %s", request.method, request.url.path, error)
    return _json({"error": "the database refused this: the gateway's log says why"}, 500)
