"""What an unknown client may send to the gateway, and how long it may take: bounded before our code sees a request."""

import asyncio
import sys
from http import HTTPStatus
from typing import Any

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES = 16 * 1024
"""A request's line and headers: 100 channels with a token and a proxy's additions take a third of it."""
BODY_BYTES = 16 * 1024
"""No request of ours has a body; what libraries send all the same is ignored up to here."""
REQUEST_SECONDS = 10.0
"""Within which a request arrives as a whole, with its body, from its first byte or the opening of its connection."""
LINGER_SECONDS = 2.0
"""How long a refused client's data is discarded: so that it can read the answer before it is cut off."""
TOO_LARGE = f"a request's body may have {BODY_BYTES} bytes, and needs none"
_PART_BYTES = 4 * 1024


class BoundedProtocol(H11Protocol):
    """uvicorn's connection with the deadline, and the bounds on body and connections, that it lacks (ADR 14)."""

    _clock: asyncio.TimerHandle | None = None
    _body_bytes = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Drops the connection at once if there are too many."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """In parts: h11 compares with its limit only what is left incomplete of all that it was given."""
        for begin in range(0, len(data), _PART_BYTES):
            if self._is_refused or self.transport.is_closing():
                return
            part = data[begin : begin + _PART_BYTES]
            self._body_bytes = self._body_bytes + len(part) if self.conn.their_state is h11.SEND_BODY else 0
            if self._body_bytes > BODY_BYTES:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
                return
            super().data_received(part)

    def handle_events(self) -> None:
        """Starts or stops the clock whenever the request or its answer progressed."""
        super().handle_events()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answers what h11 refuses with the status that it names, as our JSON."""
        error = sys.exception()
        status = HTTPStatus(getattr(error, "error_status_hint", 400))
        is_too_large = status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, f"line and headers of a request may have {HEAD_BYTES} bytes" if is_too_large else msg)

    def _watch(self) -> None:
        """The clock runs while the client owes a request or a part of it, unless uvicorn's between requests does."""
        if self._is_refused:
            return
        is_owed = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and self.timeout_keep_alive_task is None
        if not is_owed:
            self._stop_clock()
        elif self._clock is None:
            self._clock = self.loop.call_later(REQUEST_SECONDS, self._too_late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _too_late(self) -> None:
        if self._is_answering or not self.conn.trailing_data[0]:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"a request has to arrive within {REQUEST_SECONDS:g} s")

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        """Answers, unless an answer has begun; reads nothing any more; ends the connection soon."""
        self._is_refused = True
        self._stop_clock()
        self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        if self._is_answering or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = orjson.dumps({"error": line})
        headers: list[Any] = [
            *self.server_state.default_headers,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        head = h11.Response(status_code=status, headers=headers, reason=status.phrase)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
