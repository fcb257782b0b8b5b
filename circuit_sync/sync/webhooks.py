"""Events go to webhooks: each at least once, in order; a dead one does not delay the others."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from circuit_sync.database.log.webhooks import State, delivering, next_events, save_state, state_of
from circuit_sync.domain.eastern import EASTERN
from circuit_sync.events.outbox import newest_id
from circuit_sync.events.webhooks import SENT, Sender, SyncEvent, Webhook, wait_after
from circuit_sync.sync.session import Session

BATCH = 100
MOST_REFUSALS = 5
"""After so many an event that the receiver refuses as such is left out, or nothing would ever follow it."""
LOOK_BACK = timedelta(hours=1)
"""From how long before its first turn a new webhook gets events."""


def deliver_events(session: Session, webhooks: Sequence[Webhook], seconds: float) -> list[str]:
    """Sends what is due for at most about ``seconds``; a line for each webhook on what was done, or why nothing was."""
    deadline = time.monotonic() + seconds
    with delivering(session.database) as is_ours:
        if not is_ours:
            return ["another process delivers"]
        # A thread for each: a slow one keeps no other from its turn.
        with Sender(session.now) as sender, ThreadPoolExecutor(max(1, len(webhooks))) as threads:
            lines = threads.map(lambda webhook: _Delivery(session, sender, webhook, deadline).run(), webhooks)
            return [f"{webhook.name}: {line}" for webhook, line in zip(webhooks, lines, strict=True)]


class _Delivery:
    """One webhook's turn."""

    def __init__(self, session: Session, sender: Sender, webhook: Webhook, deadline: float) -> None:
        self._session = session
        self._sender = sender
        self._webhook = webhook
        self._deadline = deadline
        self._sent = 0
        with session.database.transaction() as connection:
            self._state = state_of(connection, webhook.url_hash, session.now() - LOOK_BACK)

    def run(self) -> str:
        """Sends what is due; one line on it."""
        if self._state.next_attempt_at is not None and self._state.next_attempt_at > self._session.now():
            return _waiting(self._state)
        if self._is_over:
            return "no time was left for it: its turn comes with the next look"
        while not self._is_over and self._send_batch():
            pass
        sent = [f"{self._sent} events sent"] if self._sent else []
        waiting = [_waiting(self._state)] if self._state.next_attempt_at is not None else []
        return "; ".join(sent + waiting) or "no event waits"

    @property
    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline

    def _send_batch(self) -> bool:
        """Sends the next events in their order; whether there are more that can be sent now."""
        with self._session.database.transaction() as connection:
            # Lower than the position if an older state of the database was restored.
            upto = newest_id(connection)
            found = next_events(connection, after=self._state.position, upto=upto, names=SENT, most=BATCH)
        for event in (SyncEvent(**line) for line in found):
            if self._is_over or (self._webhook.wants(event) and not self._send(event)):
                return False
        more = len(found) == BATCH
        position = found[-1]["id"] if more else upto
        if position != self._state.position:
            self._save(State(position))
        return more

    def _send(self, event: SyncEvent) -> bool:
        """One attempt; whether the next event may follow."""
        answer = self._sender.send(self._webhook, event)
        attempts = self._state.attempts + 1
        refusals = self._state.refusals + answer.refused_the_event
        if answer.error is None:
            self._sent += 1
            self._save(State(event.id), delivered=True)
        elif refusals >= MOST_REFUSALS:
            self._session.log(f"{self._webhook.name}: event {event.id} is left out, it was refused: {answer.error}")
            self._save(State(event.id))
        else:
            next_attempt = self._session.now() + wait_after(attempts, answer.wait)
            error = f"event {event.id}: {answer.error}"
            self._save(State(self._state.position, attempts, next_attempt, error, refusals))
            return False
        return True

    def _save(self, state: State, *, delivered: bool = False) -> None:
        delivered_at = self._session.now() if delivered else None
        with self._session.database.transaction() as connection:
            save_state(connection, self._webhook.url_hash, state, delivered_at)
        self._state = state


def _waiting(state: State) -> str:
    assert state.next_attempt_at is not None
    until = f"{state.next_attempt_at.astimezone(EASTERN):%H:%M:%S %Z}"
    return f"{state.last_error} (attempt {state.attempts}); waits until {until}"
