"""Reading the roll-ups, with the names of regions and users: what pictures, tables and the report show."""

from collections.abc import Callable, Sequence
from datetime import date

from sqlalchemy import Connection, text

from circuit_sync.domain.printable import Lines

_REGION = "coalesce(r.name, '(no region)') AS region"
_KEY = "coalesce(u.id::text, circuit_sync_fold(d.taken_by))"
_PLANNER = f"""
    coalesce(u.name, first_value(d.taken_by) OVER (PARTITION BY {_KEY} ORDER BY {{dated}} DESC, d.taken_by),
             '(nobody)') AS planner, {_KEY} AS planner_key"""
_WITH_NAMES = "LEFT JOIN regions AS r ON r.id = d.region_id"
_WITH_USERS = f"""
    LEFT JOIN unlinked_planners AS p ON circuit_sync_fold(p.ws_username) = circuit_sync_fold(d.taken_by)
    LEFT JOIN users AS n ON circuit_sync_fold(n.ws_username) = circuit_sync_fold(d.taken_by)
    LEFT JOIN users AS u ON u.id = coalesce(n.id, p.linked_user_id) {_WITH_NAMES}
"""


def _between(query: str) -> Callable[[Connection, date, date], Lines]:
    """The rows of ``query`` from ``first`` to ``last``."""
    statement = text(query)
    return lambda connection, first, last: [
        dict(row._mapping) for row in connection.execute(statement, {"first": first, "last": last})
    ]


regional_days = _between(f"""
    SELECT {_REGION}, d.* FROM regional_daily AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, region
""")
"""``regional_daily`` from ``first`` to ``last``, with each region's name."""

planner_days = _between(f"""
    SELECT {_PLANNER.format(dated="d.snapshot_date")}, {_REGION}, d.* FROM planner_daily AS d {_WITH_USERS}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, planner, region
""")
"""``planner_daily`` from ``first`` to ``last``. A planner is one by ``planner_key``, whatever the case of the name.

``planner``: the user's name where the planner is linked now, else the latest of its spellings here.
"""

regional_weeks = _between(f"""
    SELECT {_REGION}, d.* FROM regional_weekly AS d {_WITH_NAMES}
    WHERE d.week_ending BETWEEN :first AND :last ORDER BY d.week_ending, region
""")
"""``regional_weekly`` of the weeks that end from ``first`` to ``last``."""

planner_weeks = _between(f"""
    SELECT {_PLANNER.format(dated="d.week_ending")}, {_REGION}, d.* FROM planner_weekly AS d {_WITH_USERS}
    WHERE d.week_ending BETWEEN :first AND :last ORDER BY d.week_ending, planner, region
""")
"""``planner_weekly`` of the weeks that end from ``first`` to ``last``; planners as in ``planner_days``."""

_EXTENT = text("SELECT min(snapshot_date) AS first, max(snapshot_date) AS last FROM regional_daily")

_IMPORTED = text("""
    SELECT day FROM unnest(CAST(:days AS date[])) AS day
    WHERE EXISTS (
        SELECT 1 FROM circuit_snapshots WHERE snapshot_type = 'daily' AND snapshot_date = day AND is_imported)
    ORDER BY day
""")

season_days = _between(f"""
    SELECT {_REGION}, d.* FROM season_progress AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, d.season DESC NULLS LAST, region
""")
"""``season_progress`` from ``first`` to ``last``, with each region's name."""

season_courses = _between(f"""
    SELECT {_REGION}, d.snapshot_date, d.season, d.total_miles, d.miles_planned FROM season_daily AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date
""")
"""Miles in all and miles planned of each region's season from ``first`` to ``last``."""


def extent(connection: Connection) -> tuple[date, date] | None:
    """The first and the last date that are rolled up."""
    row = connection.execute(_EXTENT).one()
    return None if row.first is None else (row.first, row.last)


def imported_dates(connection: Connection, days: Sequence[date]) -> list[date]:
    """Those of ``days`` whose snapshots came from another system."""
    return list(connection.scalars(_IMPORTED, {"days": list(days)}))
