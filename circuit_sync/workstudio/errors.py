"""Errors of calls to WorkStudio, transient or permanent; each text is one line an operator can act on.

No text holds a password, a header, a row's free text or a server's body: reasons are ours, never the
exception's own words.
"""

from dataclasses import dataclass

from circuit_sync.domain import printable
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError

LATER = "WorkStudio is down, restarting or overloaded: run it again later"


class ServerUnreachable(TransientError):
    """No whole answer came: no connection, a timeout, 429, 5xx, or a body that was cut or is not JSON."""


class CallAbandoned(TransientError):
    """The run that wanted this call is over: it was cancelled, or closed its client."""


class Unauthorized(PermanentError):
    """401: this credential is wrong; another one may do."""


class Forbidden(PermanentError):
    """403: this account may not see what was asked for; another one may."""


class RequestRefused(PermanentError):
    """WorkStudio answered, and will answer the same again: another 4xx, a redirect, or ``Protocol: ERROR``."""


class UntrustedServer(PermanentError):
    """The server's TLS certificate does not verify."""


class UnusableTransport(PermanentError):
    """No call can work as things are set up: host name, protocol, TLS version, client certificate, coding, charset."""


class AnswerTooLarge(PermanentError):
    """The answer is larger than the settings allow; the same call brings it again."""


class MalformedAnswer(PermanentError):
    """Valid JSON that is not a table of the right shape, or lacks a required column, which is named."""


@dataclass(eq=False)
class Fault(Exception):
    """Why one attempt failed; becomes an error of ``kind`` once no further attempt follows.

    ``retry_after`` is how many seconds the server asked to be left alone, if it did. ``is_slow``: the attempt was cut
    because its answer took too long, which is tried once more at most.
    """

    kind: type[CircuitSyncError]
    reason: str
    advice: str
    retry_after: float | None = None
    is_slow: bool = False

    def as_error(self, call: str, attempts: int) -> CircuitSyncError:
        """The error an operator reads: what was asked, why it failed, how often it was tried, what to do."""
        tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        return self.kind(f"{call}: {self.reason} ({tried}); {self.advice}")


def one_line(text: str, limit: int = 200) -> str:
    """``text`` with printable characters only, on one line, at most ``limit`` long."""
    line = printable.one_line(text)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
