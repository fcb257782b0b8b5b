"""How an error of ours ends a step: as one line in the UI, with its fate, instead of a stack trace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.errors import CircuitSyncError, UsageError
from circuit_sync.orchestration import clock
from circuit_sync.sync.log.closing import FailedSync

_WRONG_USE = "permanent: the input is wrong"
_TRANSIENT = "transient: it may work later"
_PERMANENT = "permanent: it needs a person"


def failure(error: CircuitSyncError, failed: FailedSync | None) -> dg.Failure:
    """A ``Failure`` that says what ``error`` does, which sync ``failed`` with it, and when that is tried again.

    Steps are never retried: calls retry in the client, whole syncs by a sensor that reads the fate in the sync log.
    """
    fate = _WRONG_USE if isinstance(error, UsageError) else _TRANSIENT if error.transient else _PERMANENT
    description = str(error)
    metadata: dict[str, Any] = {"kind": type(error).__name__, "fate": fate}
    if failed is not None:
        metadata["sync_log_id"] = failed.id
        if error.transient and failed.retry_at is not None:
            metadata["retry_at"] = dg.MetadataValue.timestamp(failed.retry_at)
            description += f"; sync {failed.id} is tried again at {_hour(failed.retry_at)} while the daemon runs"
    return dg.Failure(description=description, metadata=metadata, allow_retries=False)


@dataclass(frozen=True)
class RunEnd:
    """Why a run failed, whether it may work later, and whether what was asked for is wrong."""

    reason: str
    transient: bool = True
    wrong_use: bool = False


def end_without_log(run_id: str, failures: Iterable[dg.DagsterEvent]) -> RunEnd:
    """How a run ended that has no sync log: by an error of ours in a step, or before any step could say so."""
    for event in failures:
        data = event.step_failure_data.user_failure_data
        if data and "fate" in data.metadata:
            transient = data.metadata["fate"].value == _TRANSIENT
            return RunEnd(data.description or "", transient, blames_input(data.metadata))
    return RunEnd(f"run {run_id} ended before it opened its sync log: see the run's log")


def blames_input(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether a failure made here comes of a mistake in what the operator asked for."""
    return "fate" in metadata and metadata["fate"].value == _WRONG_USE


def _hour(instant: datetime) -> str:
    day = "" if instant - clock.now() < timedelta(hours=12) else "%Y-%m-%d "
    return f"{instant.astimezone(EASTERN):{day}%H:%M %Z}"
