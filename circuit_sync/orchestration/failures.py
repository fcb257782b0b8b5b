"""How an error of ours ends a step: as one line in the UI, with its fate, instead of a stack trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from circuit_sync.domain.errors import CircuitSyncError


@contextmanager
def one_line() -> Iterator[None]:
    """Turns ``CircuitSyncError`` into a ``Failure`` that says the same; any other exception passes as it is.

    Steps are never retried: calls retry in the client, whole syncs by a sensor that reads the fate in the sync log.
    """
    try:
        yield
    except CircuitSyncError as error:
        raise failure(error) from None


def failure(error: CircuitSyncError) -> dg.Failure:
    """The step failure that tells of ``error``."""
    fate = "passing: it may work later" if error.passing else "permanent: it needs a person"
    return dg.Failure(description=str(error), metadata={"kind": type(error).__name__, "fate": fate}, allow_retries=False)
