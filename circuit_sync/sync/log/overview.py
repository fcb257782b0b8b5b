"""Where everything stands, for ``circuit-sync status`` and the demo."""

from dataclasses import dataclass

from circuit_sync.database.log import overview as queries
from circuit_sync.domain.eastern import eastern_date, midnight
from circuit_sync.domain.printable import Lines
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class Overview:
    """Tables for people; each a list of lines with the same keys."""

    last_good_syncs: Lines
    latest_syncs: Lines
    circuits_by_status: Lines
    units_by_region: Lines
    due: Lines
    rejected: Lines
    departed: Lines
    unlinked: Lines


def overview(session: Session, most: int = 10) -> Overview:
    """The state of the database; the lists that may be long hold at most ``most`` lines."""
    with session.database.transaction() as connection:
        return Overview(
            last_good_syncs=queries.last_good_syncs(connection, STATUS_CODES),
            latest_syncs=queries.latest_syncs(connection, most),
            circuits_by_status=queries.circuits_by_status(connection, STATUS_CODES),
            units_by_region=queries.units_by_region(connection),
            due=queries.due_circuits(connection, STATUS_CODES, midnight(eastern_date(session.now()))),
            rejected=queries.rejected_rows(connection, most),
            departed=queries.departed_circuits(connection, most),
            unlinked=queries.unlinked_planners(connection, most),
        )
