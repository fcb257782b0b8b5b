"""What is due, and what happened since somebody looked: the questions that sensors ask."""

from collections.abc import Collection
from typing import Any

from circuit_sync.database.circuits.departures import syncs_with_departed
from circuit_sync.database.log.overview import finished_syncs
from circuit_sync.database.units.store import count_due
from circuit_sync.domain.eastern import eastern_date, midnight
from circuit_sync.sync.session import Session


def statuses_needing_aggregates(session: Session) -> dict[str, int]:
    """How many circuits of each status need their planned units fetched."""
    with session.database.transaction() as connection:
        return count_due(connection, midnight(eastern_date(session.now())))


def latest_finished_syncs(session: Session, after_id: int) -> list[dict[str, Any]]:
    """The sync logs with an id above ``after_id`` that ended and stored something, oldest first."""
    with session.database.transaction() as connection:
        return finished_syncs(connection, after_id)


def syncs_with_departed_circuits(session: Session, sync_ids: Collection[int]) -> dict[int, list[str]]:
    """Those of the syncs of whose departed circuits one was not seen since, with the statuses that they fetched."""
    with session.database.transaction() as connection:
        return syncs_with_departed(connection, sync_ids)
