"""The gateway's routes: who asks, what for, and one clear line for a refusal."""

import logging
import re
from collections.abc import Mapping, Sequence

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from circuit_sync.domain.errors import CircuitSyncError, TransientError
from circuit_sync.events.access import is_channel
from circuit_sync.events.gateway import Gateway
from circuit_sync.events.page import read_page
from circuit_sync.events.protocol import BODY_BYTES, TOO_LARGE
from circuit_sync.events.tokens import TICKET_SECONDS, Holder

MOST_CHANNELS = 100
_EVENT_ID = re.compile(r"[0-9]{1,18}")
_log = logging.getLogger("circuit_sync.events")


class Refusal(Exception):
    """A request that is refused: the status and one line that says why."""

    def __init__(self, status: int, line: str, **headers: str) -> None:
        super().__init__(line)
        self.status = status
        self.line = line
        self.headers = headers


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
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._page, self._page_headers = read_page()

    async def page(self, _request: Request) -> Response:
        return Response(self._page, media_type="text/html", headers=self._page_headers)

    async def health(self, _request: Request) -> Response:
        hub = self._gateway.hub
        return _json({"is_ready": hub.is_ready, "streams": len(hub.subscribers)}, 200 if hub.is_ready else 503)

    async def state(self, request: Request) -> Response:
        return _json(await self._gateway.state(await self._holder(request)))

    async def ticket(self, request: Request) -> Response:
        holder = await self._holder(request)
        return _json({"ticket": self._gateway.tickets.issue(holder.token_id), "expires_in": TICKET_SECONDS})

    async def events(self, request: Request) -> Response:
        holder = await self._holder(request, with_ticket=True)
        channels = _channels(request)
        after = _last_event_id(request)
        if not self._gateway.hub.is_ready:
            raise TransientError("the gateway has not read the table yet")
        if not await self._gateway.may_listen(holder, channels):
            raise Refusal(403, "this user may not listen to one of these channels")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        return self._gateway.stream(holder, channels, after)

    async def _holder(self, request: Request, *, with_ticket: bool = False) -> Holder:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = None
        if scheme.lower() == "bearer" and token.strip():
            holder = await self._gateway.holder_of(token=token.strip())
        elif with_ticket and (ticket := request.query_params.get("ticket")):
            token_id = self._gateway.tickets.redeem(ticket)
            holder = None if token_id is None else await self._gateway.holder_of(token_id=token_id)
        if holder is None:
            raise Refusal(401, "a valid token is needed: Authorization: Bearer TOKEN", **{"WWW-Authenticate": "Bearer"})
        return holder


def _channels(request: Request) -> list[str]:
    channels = sorted(set(request.query_params.getlist("channel")))
    if not 0 < len(channels) <= MOST_CHANNELS:
        raise Refusal(400, f"name 1 to {MOST_CHANNELS} channels: /events?channel=dashboard&channel=circuit.42")
    for name in channels:
        if not is_channel(name):
            raise Refusal(400, f"unknown channel {name!r}: allowed are dashboard, sync-status and circuit.ID")
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
    return _json({"error": error.line}, error.status, error.headers)


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return _json({"error": "the database is not available at the moment: try again"}, 503, {"Retry-After": "2"})


async def _failed(request: Request, error: Exception) -> Response:
    # Of the URL its path only: the query may hold a ticket.
    _log.error("%s %s: %s", request.method, request.url.path, error)
    return _json({"error": "the database refused this: the gateway's log says why"}, 500)
