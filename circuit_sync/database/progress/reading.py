"""Reading the roll-ups, with the names of regions and users: what pictures, tables and the report show."""

from collections.abc import Sequence
from datetime import date
from typing import Any

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

_REGIONAL_DAYS = text(f"""
    SELECT {_REGION}, d.* FROM regional_daily AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, region
""")

_PLANNER_DAYS = text(f"""
    SELECT {_PLANNER.format(dated="d.snapshot_date")}, {_REGION}, d.* FROM planner_daily AS d {_WITH_USERS}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, planner, region
""")

_REGIONAL_WEEKS = text(f"""
    SELECT {_REGION}, d.* FROM regional_weekly AS d {_WITH_NAMES}
    WHERE d.week_ending BETWEEN :first AND :last ORDER BY d.week_ending, region
""")

_PLANNER_WEEKS = text(f"""
    SELECT {_PLANNER.format(dated="d.week_ending")}, {_REGION}, d.* FROM planner_weekly AS d {_WITH_USERS}
    WHERE d.week_ending BETWEEN :first AND :last ORDER BY d.week_ending, planner, region
""")

_EXTENT = text("SELECT min(snapshot_date) AS first, max(snapshot_date) AS last FROM regional_daily")

_IMPORTED = text("""
    SELECT day FROM unnest(CAST(:days AS date[])) AS day
    WHERE EXISTS (
        SELECT 1 FROM circuit_snapshots WHERE snapshot_type = 'daily' AND snapshot_date = day AND is_imported)
    ORDER BY day
""")

_SEASON_DAYS = text(f"""
    SELECT {_REGION}, d.* FROM season_progress AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date, d.season DESC NULLS LAST, region
""")

_SEASON_COURSES = text(f"""
    SELECT {_REGION}, d.snapshot_date, d.season, d.total_miles, d.miles_planned FROM season_daily AS d {_WITH_NAMES}
    WHERE d.snapshot_date BETWEEN :first AND :last ORDER BY d.snapshot_date
""")


def regional_days(connection: Connection, first: date, last: date) -> Lines:
    """``regional_daily`` from ``first`` to ``last``, with each region's name."""
    return _rows(connection, _REGIONAL_DAYS, first=first, last=last)


def planner_days(connection: Connection, first: date, last: date) -> Lines:
    """``planner_daily`` from ``first`` to ``last``. A planner is one by ``planner_key``, whatever the case of the name.

    ``planner``: the user's name where the planner is linked now, else the latest of its spellings here.
    """
    return _rows(connection, _PLANNER_DAYS, first=first, last=last)


def season_days(connection: Connection, first: date, last: date) -> Lines:
    """``season_progress`` from ``first`` to ``last``, with each region's name."""
    return _rows(connection, _SEASON_DAYS, first=first, last=last)


def season_courses(connection: Connection, first: date, last: date) -> Lines:
    """Miles in all and miles planned of each region's season from ``first`` to ``last``."""
    return _rows(connection, _SEASON_COURSES, first=first, last=last)


def regional_weeks(connection: Connection, first: date, last: date) -> Lines:
    """``regional_weekly`` of the weeks that end from ``first`` to ``last``."""
    return _rows(connection, _REGIONAL_WEEKS, first=first, last=last)


def planner_weeks(connection: Connection, first: date, last: date) -> Lines:
    """``planner_weekly`` of the weeks that end from ``first`` to ``last``; planners as in ``planner_days``."""
    return _rows(connection, _PLANNER_WEEKS, first=first, last=last)


def extent(connection: Connection) -> tuple[date, date] | None:
    """The first and the last date that are rolled up."""
    row = connection.execute(_EXTENT).one()
    return None if row.first is None else (row.first, row.last)


def imported_dates(connection: Connection, days: Sequence[date]) -> list[date]:
    """Those of ``days`` whose snapshots came from another system."""
    return list(connection.scalars(_IMPORTED, {"days": list(days)}))


def _rows(connection: Connection, statement: Any, **parameters: Any) -> Lines:
    return [dict(row._mapping) for row in connection.execute(statement, parameters)]
