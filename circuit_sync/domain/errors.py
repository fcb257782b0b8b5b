"""Failures by what follows: a transient one may be tried again, a permanent one needs a person."""

from circuit_sync.domain.printable import one_line


class CircuitSyncError(Exception):
    """Base of every error this project raises on purpose; its text is one line, fit for an operator's eyes.

    The text never holds a secret or a row's free text; what it quotes is made printable.
    """

    transient: bool = False

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(text))


class TransientError(CircuitSyncError):
    """The same request may succeed later: a timeout, an overloaded server, a busy lock."""

    transient = True


class PermanentError(CircuitSyncError):
    """Trying again changes nothing: wrong credentials, a malformed answer, a database filled by another server."""


class UsageError(PermanentError):
    """The operator's input is wrong: a setting, an argument, a run's configuration. Names it and what is allowed."""
