"""Tries a call again while that can help: up to five times, ever further apart, or as the server asks."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from circuit_sync.workstudio.errors import Fault

T = TypeVar("T")

LONGEST_BACKOFF = 30.0
LONGEST_RETRY_AFTER = 300.0


def _may_pass(error: BaseException) -> bool:
    """A transient fault, unless the server asks to be left alone for longer than a call may wait."""
    return isinstance(error, Fault) and error.kind.transient and (error.retry_after or 0.0) <= LONGEST_RETRY_AFTER


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

    Waits double from ``backoff_base`` seconds, with up to as much of jitter, to 30 s; a longer Retry-After wins.
    Each failed attempt but the last is logged with its reason and the wait until the next. An attempt that was cut for
    being slow has cost minutes: it is tried once more, and the second of that kind is the last.
    """
    usual_wait = wait_exponential_jitter(multiplier=backoff_base, max=LONGEST_BACKOFF, jitter=backoff_base)
    slow = 0

    def ends(state: RetryCallState) -> bool:
        nonlocal slow
        slow += _fault(state).is_slow
        return slow > 1 or state.attempt_number >= max_attempts or abandoned()

    def announce(state: RetryCallState) -> None:
        tried = f"attempt {state.attempt_number} of {max_attempts} failed"
        log(f"{call}: {tried} ({_fault(state).reason}); next in {state.upcoming_sleep:.1f} s")

    def pause(seconds: float) -> None:
        sleep(seconds)

    retrying = Retrying(
        stop=ends,
        wait=lambda state: max(usual_wait(state), _fault(state).retry_after or 0.0),
        retry=retry_if_exception(_may_pass),
        sleep=pause,
        before_sleep=announce,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except Fault as fault:
        attempts = retrying.statistics["attempt_number"]
        if (asked := fault.retry_after or 0.0) > LONGEST_RETRY_AFTER:
            fault.reason += f", which asks for a wait of {asked:.0f} s"
            fault.advice = f"a call waits at most {LONGEST_RETRY_AFTER:.0f} s: run it again after that"
        raise fault.as_error(call, attempts) from None


def _fault(state: RetryCallState) -> Fault:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Fault)
    return error
