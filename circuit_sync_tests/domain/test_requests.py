from datetime import date

import pytest

from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest, SnapshotRequest, SyncRequest
from circuit_sync.domain.statuses import STATUS_CODES

FRIDAY, MONDAY = date(2026, 3, 6), date(2026, 3, 9)


@pytest.mark.parametrize(
    ("earlier", "later", "covers"),
    [
        (CircuitSyncRequest(["QC"]), CircuitSyncRequest(STATUS_CODES), True),
        (CircuitSyncRequest(["QC", "REWRK"]), CircuitSyncRequest(["QC"]), False),
        (CircuitSyncRequest(["QC"]), CircuitSyncRequest(["ACTIV"]), False),
        (CircuitSyncRequest(["QC"], force=True), CircuitSyncRequest(["QC"]), False),
        (CircuitSyncRequest(["QC"]), CircuitSyncRequest(["QC"], force=True), True),
        (CircuitSyncRequest(["QC"], accept_departures=True), CircuitSyncRequest(["QC"]), False),
        (CircuitSyncRequest(["QC"]), AggregateSyncRequest(["QC"]), False),
        (SnapshotRequest([MONDAY]), SnapshotRequest([FRIDAY, MONDAY]), True),
        (SnapshotRequest([FRIDAY, MONDAY]), SnapshotRequest([MONDAY]), False),
        (AggregateSyncRequest(["ACTIV"]), AggregateSyncRequest(["ACTIV", "QC"]), True),
        (AggregateSyncRequest(["ACTIV"]), AggregateSyncRequest(work_orders=["wo-1"]), False),
        (AggregateSyncRequest(work_orders=["wo-1"]), AggregateSyncRequest(work_orders=["wo-2", "wo-1"]), True),
        (AggregateSyncRequest(work_orders=["wo-1", "wo-2"]), AggregateSyncRequest(work_orders=["wo-2"]), False),
        (AggregateSyncRequest(work_orders=["wo-1"]), AggregateSyncRequest(), False),
        (AggregateSyncRequest(work_orders=["wo-1"]), AggregateSyncRequest(force=True), True),
        (AggregateSyncRequest(work_orders=["wo-1"]), AggregateSyncRequest(["QC"], force=True), False),
        (AggregateSyncRequest(["ACTIV"], force=True), AggregateSyncRequest(["ACTIV"]), False),
    ],
)
def test_a_later_sync_covers_what_it_does_as_thoroughly(earlier: SyncRequest, later: SyncRequest, covers: bool) -> None:
    assert later.covers(earlier) == covers
