"""A database that has gone silent, told from one that works long.

A connection whose other end no longer answers, say because a proxy stopped forwarding, waits for ever: whatever stands
between goes on acknowledging, so that TCP's keepalives see nothing. Nor may a statement be bounded: building years of
roll-ups takes its time, and so does waiting for a lock. So whoever waits long asks the server from a second connection.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from circuit_sync.database.sessions.pinned import SERVER, Session
from circuit_sync.database.urls import CONNECT_TIMEOUT_SECONDS

PATIENCE_SECONDS = 20.0
"""How long a statement waits without a sign of its server before that is asked from a second connection."""
ANSWER_SECONDS = 10.0
"""How long the server may take to answer there."""
HURRIED_SECONDS = 1.0
"""The patience of somebody who wants to end, or who knows that the server was silent a moment ago."""

_JUST_NOW_SECONDS = 5.0
_HURRY_SECONDS = 60.0
_STATE = f"SELECT {SERVER}, (SELECT coalesce(state, 'unknown') FROM pg_stat_activity WHERE pid = %(pid)s)"

_TOO_LATE = (psycopg.errors.ConnectionTimeout, psycopg.errors._WaitTimeout)

_hurried_at = float("-inf")


def hurry() -> None:
    """Somebody wants this process to end: whoever waits asks at once whether the server still answers."""
    global _hurried_at  # noqa: PLW0603  a signal is the whole process'
    _hurried_at = time.monotonic()


class Silent(Exception):
    """The server does not answer; the text says since when, and names nobody."""


@dataclass
class Server:
    """The server that a URL leads to, as libpq's parameters, which may be asked whether it still answers."""

    parameters: Mapping[str, Any] = field(repr=False)
    _silent_at: float = float("-inf")

    def was_silent_just_now(self) -> bool:
        return time.monotonic() - self._silent_at < _JUST_NOW_SECONDS

    def expect_answers(self) -> None:
        """Raises ``Silent`` if nobody need try again yet."""
        if self.was_silent_just_now():
            raise Silent("it does not answer, it was asked a moment ago")

    def found_silent(self, why: str) -> Silent:
        """Remembers it, so that whoever connects next need not wait as long; gives the error to raise."""
        self._silent_at = time.monotonic()
        return Silent(why)

    def state_of(self, session: Session) -> str | None:
        """What the server says of a session of its own: its state, or ``None`` if it has none such.

        "unknown" where it answers without saying, say because it lets nobody in. Raises ``Silent``.
        """
        answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._ask, args=[session, answers.put], daemon=True).start()
        try:
            return answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise self.found_silent("it does not answer") from None

    def _ask(self, session: Session, answer: Callable[[str | None], None]) -> None:
        within = {"connect_timeout": int(ANSWER_SECONDS)}
        try:
            with _Bounded.connect(**{**self.parameters, **within}, autocommit=True) as connection:
                server, state = connection.execute(_STATE, {"pid": session.pid}).fetchone() or ("", "")
        except _TOO_LATE:
            return
        except psycopg.Error:
            answer("unknown")
        else:
            answer(state if server == session.server else "unknown")


class _Bounded(psycopg.Connection[Any]):
    """Gives up what takes longer than anybody waits for it."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)


class Wait:
    """One wait for the server: whoever waits tells each second or so whether anything came or went meanwhile."""

    def __init__(self, server: Server, session: Session | None) -> None:
        self._server = server
        self._session = session
        self._since = time.monotonic()
        self._doubts = 0

    def tick(self, progressed: bool) -> None:
        """Raises ``Silent`` once the server is known not to answer, or not to know of what is waited for."""
        waited = time.monotonic() - self._since
        if progressed:
            self._since = time.monotonic()
        elif self._session is None:
            if waited > CONNECT_TIMEOUT_SECONDS:
                raise self._server.found_silent(f"no connection within {CONNECT_TIMEOUT_SECONDS} s")
        elif waited > self._patience():
            self._ask(self._session)
            self._since = time.monotonic()

    def _patience(self) -> float:
        is_hurried = time.monotonic() - _hurried_at < _HURRY_SECONDS
        return HURRIED_SECONDS if is_hurried or self._server.was_silent_just_now() else PATIENCE_SECONDS

    def _ask(self, session: Session) -> None:
        state = self._server.state_of(session)
        if state is None:
            raise Silent("it no longer knows of this connection")
        # The server waits for us as we do for it: what one of us said was lost. Once may be chance, just done.
        self._doubts = self._doubts + 1 if state.startswith("idle") else 0
        if self._doubts > 1:
            raise Silent("its answer was lost")
