"""Runs and requests: what a run asks for, as its op and the sensors read it, and the runs that ask for it.

Beside its partitions a run's configuration holds what differs from the defaults, under the names of the request's
fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field, ValidationError

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import (
    AggregateSyncRequest,
    CircuitSyncRequest,
    SnapshotRequest,
    SyncRequest,
)
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.assets.partitions import dates_of, keys_of, partition_tags, status_ranges, statuses_of
from circuit_sync.orchestration.installation import asset_key
from circuit_sync.orchestration.runs.runs import RETRY_OF_TAG, TRIGGER_TAG, UNFINISHED, started_by

R = TypeVar("R", bound=SyncRequest)


class CircuitSyncConfig(dg.Config):
    """How a circuit sync runs, beyond its partitions."""

    force: bool = Field(False, description="overwrite the fields that a person edited")
    accept_departures: bool = Field(
        False, description="believe an answer with fewer than half of the circuits held before"
    )
    triggered_by: str | None = Field(None, description="the user who asks for it, by e-mail or WorkStudio name")


class AggregateSyncConfig(dg.Config):
    """How an aggregate sync runs, beyond its partitions."""

    force: bool = Field(False, description="every circuit of the status, also one that needs no units")


class WorkOrdersConfig(dg.Config):
    """Which work orders to fetch the units of."""

    work_orders: list[str] = Field(description="work orders, such as 2026-1234; every extension of each is done")
    force: bool = Field(False, description="also those that need no units now")


@dataclass(frozen=True)
class SyncJob:
    """A job whose runs open a sync: of which request, in which step, and configured by what under which op or asset.

    ``keyed_by``: which field of the request the partitions of the asset are; ``None`` if the job is of no asset.
    """

    name: str
    request: type[SyncRequest]
    opening_step: str
    configured: str
    config: type[dg.Config] = dg.Config
    keyed_by: str | None = None

    def is_job_of(self, run: dg.DagsterRun) -> bool:
        """Whether the run is of the job, or of Dagster's own for the UI's Materialize button over the same asset."""
        if self.keyed_by and run.asset_selection:
            return asset_key(self.configured) in run.asset_selection
        return run.job_name == self.name

    def is_opened_by(self, run: dg.DagsterRun) -> bool:
        """Whether the run is to open the sync.

        One that is executed again "from failure" leaves out what succeeded: that sync belongs to the run before.
        """
        opens = not run.step_keys_to_execute or self.opening_step in run.step_keys_to_execute
        return opens and self.is_job_of(run)


WORK_ORDERS = SyncJob(
    "sync_work_orders", AggregateSyncRequest, "open_work_orders", "open_work_orders", WorkOrdersConfig
)
_CIRCUITS = SyncJob(
    "sync_circuits", CircuitSyncRequest, "circuits.open_circuit_sync", "circuits", CircuitSyncConfig, "statuses"
)
_AGGREGATES = SyncJob(
    "sync_circuit_aggregates",
    AggregateSyncRequest,
    "circuit_aggregates.open_aggregate_sync",
    "circuit_aggregates",
    AggregateSyncConfig,
    "statuses",
)
_SNAPSHOTS = SyncJob(
    "create_daily_snapshots", SnapshotRequest, "daily_snapshots.open_snapshots", "daily_snapshots", keyed_by="dates"
)
ASSET_JOBS = (_CIRCUITS, _AGGREGATES, _SNAPSHOTS)


@dataclass(frozen=True)
class SyncRun:
    """A run to start: what it ``asks``, of which job, over the partitions ``keys`` if it has any."""

    asks: SyncRequest
    job_name: str
    keys: Sequence[str]
    run_config: Mapping[str, Any]

    @property
    def tags(self) -> dict[str, str]:
        """What started it, and its partitions."""
        tags = {TRIGGER_TAG: self.asks.trigger} | (partition_tags(self.keys) if self.keys else {})
        return tags if self.asks.retry_of is None else tags | {RETRY_OF_TAG: str(self.asks.retry_of)}

    def run_request(self, cause: str) -> dg.RunRequest:
        """For a sensor: Dagster starts one run over these partitions for one ``cause``."""
        run_key = ":".join([cause, *self.keys[:1], *self.keys[-1:]])
        return dg.RunRequest(run_key=run_key, job_name=self.job_name, tags=self.tags, run_config=self.run_config)


def requested(kind: type[R], run: dg.DagsterRun, asked: Mapping[str, Any]) -> R:
    """The request of a run that asks for ``asked``; ``UsageError`` if its tags cannot be true."""
    return kind.of(asked, **started_by(run))


def requested_partitions(context: dg.AssetExecutionContext, kind: type[R], config: dg.Config | None = None) -> R:
    """The request of an asset's step."""
    keys = keys_of(context)
    options = config.model_dump() if config else {}
    return requested(kind, context.run, {"statuses": keys, "dates": keys, **options})


def request_of(run: dg.DagsterRun) -> SyncRequest | None:
    """What the run asks its first op to sync; ``None`` if it opens no sync.

    Nor does it open one if tags or a configuration written by hand ask for what no op takes.
    """
    job = next((job for job in (WORK_ORDERS, *ASSET_JOBS) if job.is_opened_by(run)), None)
    if job is None:
        return None
    chosen = statuses_of(run.tags)
    keys = {
        "statuses": [code for code in STATUS_CODES if code in chosen],
        "dates": [day.isoformat() for day in dates_of(run.tags)],
    }
    if job.keyed_by and not keys[job.keyed_by]:
        return None
    config: Any = run.run_config
    for name in ("ops", job.configured, "config"):
        config = config.get(name) or {}
    try:
        return requested(job.request, run, (keys if job.keyed_by else {}) | job.config(**config).model_dump())
    except (UsageError, ValidationError):
        return None


def unfinished_of_asset(
    instance: dg.DagsterInstance, asset: str, tags: Mapping[str, str] | None = None
) -> Sequence[dg.DagsterRun]:
    """Unfinished runs that materialise ``asset``, whatever started them."""
    job = next(job for job in ASSET_JOBS if job.configured == asset)
    return [run for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=tags)) if job.is_job_of(run)]


def runs_of(request: SyncRequest) -> list[SyncRun]:
    """The runs that ask for the request: several, each for a part, if its statuses do not lie side by side."""
    asked: Any = request.asked()
    if asked.get("work_orders"):
        return [SyncRun(request, WORK_ORDERS.name, (), _run_config(WORK_ORDERS, request))]
    job = next(job for job in ASSET_JOBS if isinstance(request, job.request))
    if job.keyed_by == "dates":
        return [SyncRun(request, job.name, asked["dates"], _run_config(job, request))]
    parts: list[Any] = [{"statuses": keys} for keys in status_ranges(asked["statuses"])]
    config = _run_config(job, request)
    return [SyncRun(replace(request, **part), job.name, part["statuses"], config) for part in parts]


def _run_config(job: SyncJob, request: SyncRequest) -> dict[str, Any]:
    """What the run's configuration can say of the request, as far as it differs from the default."""
    asked = request.asked() | {"triggered_by": request.triggered_by}
    options = {name: asked[name] for name in job.config.model_fields if asked[name]}
    return {"ops": {job.configured: {"config": options}}} if options else {}
