"""Tries a call again while that can help: up to five times, ever further apart, or as the server asks."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from circuit_sync.workstudio.errors import Fault

T = TypeVar("T")

LONGEST_BACKOFF = 30.0
LONGEST_RETRY_AFTER = 300.0


def may_pass(error: BaseException) -> bool:
    """A fault that passes, unless the server asks to be left alone for longer than a call may wait."""
    return isinstance(error, Fault) and error.kind.transient and (error.retry_after or 0.0) <= LONGEST_RETRY_AFTER


class BackOff:
    """Doubles from ``base`` seconds, with up to ``base`` of jitter, to 30 s; a longer Retry-After wins."""

    def __init__(self, base: float) -> None:
        self._usual = wait_exponential_jitter(multiplier=base, max=LONGEST_BACKOFF, jitter=base)

    def __call__(self, state: RetryCallState) -> float:
        fault = _fault(state)
        return max(self._usual(state), fault.retry_after or 0.0)


def try_call(
    attempt: Callable[[], T],
    *,
    call: str,
    max_attempts: int,
    backoff_base: float,
    sleep: Callable[[float], object],
    log: Callable[[str], object],
    abandoned: Callable[[], bool],
) -> T:
    """What ``attempt`` returns, or its last ``Fault`` as an error that names ``call``.

    Each failed attempt but the last is logged with its reason and the wait until the next. An attempt that was cut for
    being slow has cost minutes: it is tried once more, and the second of that kind is the last.
    """
    enough = stop_after_attempt(max_attempts)
    slow: list[int] = []

    def ends(state: RetryCallState) -> bool:
        if _fault(state).is_slow:
            slow.append(state.attempt_number)
        return len(slow) > 1 or enough(state) or abandoned()

    retrying = Retrying(
        stop=ends,
        wait=BackOff(backoff_base),
        retry=retry_if_exception(may_pass),
        sleep=lambda seconds: _discard(sleep(seconds)),
        before_sleep=lambda state: _discard(log(_progress(call, state, max_attempts))),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except Fault as fault:
        attempts = retrying.statistics["attempt_number"]
        raise _told_to_wait(fault).as_error(call, attempts) from None


def _told_to_wait(fault: Fault) -> Fault:
    if fault.retry_after is None or fault.retry_after <= LONGEST_RETRY_AFTER:
        return fault
    reason = f"{fault.reason}, which asks for a wait of {fault.retry_after:.0f} s"
    return Fault(fault.kind, reason, f"a call waits at most {LONGEST_RETRY_AFTER:.0f} s: run it again after that")


def _progress(call: str, state: RetryCallState, max_attempts: int) -> str:
    wait = state.next_action.sleep if state.next_action else 0.0
    tried = f"attempt {state.attempt_number} of {max_attempts} failed"
    return f"{call}: {tried} ({_fault(state).reason}); next in {wait:.1f} s"


def _fault(state: RetryCallState) -> Fault:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Fault)
    return error


def _discard(_: object) -> None:
    """A handed-in sleep or log may return anything; tenacity wants nothing."""
