"""How an error of ours ends a step: as one line in the UI, with its fate, instead of a stack trace."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from circuit_sync.domain.errors import CircuitSyncError, UsageError

_WRONG_USE = "permanent: the input is wrong"
_PASSING = "passing: it may work later"


@contextmanager
def one_line() -> Iterator[None]:
    """Turns ``CircuitSyncError`` into a ``Failure`` that says the same; any other exception passes as it is.

    Steps are never retried: calls retry in the client, whole syncs by a sensor that reads the fate in the sync log.
    """
    try:
        yield
    except CircuitSyncError as error:
        fate = _PASSING if error.passing else "permanent: it needs a person"
        told = {"kind": type(error).__name__, "fate": _WRONG_USE if isinstance(error, UsageError) else fate}
        raise dg.Failure(description=str(error), metadata=told, allow_retries=False) from None


@dataclass(frozen=True)
class End:
    """Why a run failed, whether that passes, and whether what was asked for is wrong."""

    reason: str
    passing: bool = True
    wrong_use: bool = False


def end_without_log(run_id: str, failures: Iterable[dg.DagsterEvent]) -> End:
    """How a run ended that has no sync log: by an error of ours in a step, or before any step could say so."""
    for event in failures:
        data = event.step_failure_data.user_failure_data
        if data and "fate" in data.metadata:
            passing = data.metadata["fate"].value == _PASSING
            return End(data.description or "", passing, blames_input(data.metadata))
    return End(f"run {run_id} ended before it opened its sync log: see the run's log")


def blames_input(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether a failure made here tells of a mistake in what the operator asked for."""
    return "fate" in metadata and metadata["fate"].value == _WRONG_USE
