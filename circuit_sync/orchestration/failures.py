"""How an error of ours ends a step: as one line in the UI, with its fate, instead of a stack trace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from circuit_sync.domain.errors import CircuitSyncError, UsageError

_WRONG_USE = "permanent: the input is wrong"


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
    told = {"kind": type(error).__name__, "fate": _WRONG_USE if isinstance(error, UsageError) else fate}
    return dg.Failure(description=str(error), metadata=told, allow_retries=False)


def blames_input(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether a failure made here tells of a mistake in what the operator asked for."""
    return "fate" in metadata and metadata["fate"].value == _WRONG_USE
