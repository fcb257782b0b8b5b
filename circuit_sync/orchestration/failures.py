"""How an error of ours ends a step: as one line in the UI, with its fate, instead of a stack trace."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from circuit_sync.domain.errors import CircuitSyncError, UsageError

_WRONG_USE = "permanent: the input is wrong"
_PASSING = "passing: it may work later"
_NO_SYNC_LOG = "sync_log"


@contextmanager
def one_line() -> Iterator[None]:
    """Turns ``CircuitSyncError`` into a ``Failure`` that says the same; any other exception passes as it is.

    Steps are never retried: calls retry in the client, whole syncs by a sensor that reads the fate in the sync log.
    """
    try:
        yield
    except CircuitSyncError as error:
        raise failure(error) from None


def failure(error: CircuitSyncError, *, has_log: bool = True) -> dg.Failure:
    """The step failure that tells of ``error``; without ``has_log`` no sync log tells of it, though one should."""
    fate = _PASSING if error.passing else "permanent: it needs a person"
    told = {"kind": type(error).__name__, "fate": _WRONG_USE if isinstance(error, UsageError) else fate}
    if not has_log:
        told[_NO_SYNC_LOG] = "none: it could not be written"
    return dg.Failure(description=str(error), metadata=told, allow_retries=False)


def unlogged_end(run_id: str, events: Sequence[dg.DagsterEvent]) -> tuple[str, bool] | None:
    """Why a failed run has no sync log, and whether that passes; ``None`` if its steps saw to the log.

    ``events``: the run's STEP_START and STEP_FAILURE, in their order.
    """
    for event in events:
        data = event.step_failure_data.user_failure_data if event.is_step_failure else None
        if data and _NO_SYNC_LOG in data.metadata:
            return data.description or "", data.metadata["fate"].value == _PASSING
    return None if events else (f"run {run_id} ended before its first step: see the run's log", True)


def blames_input(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether a failure made here tells of a mistake in what the operator asked for."""
    return "fate" in metadata and metadata["fate"].value == _WRONG_USE
