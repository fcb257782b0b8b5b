"""Brings what was computed before own values into order: snapshots of split work orders, roll-ups and seasons.

It goes through the dates in steps of some, each a transaction that remembers where to go on: stopped at any point, it
is simply started again.
"""

from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.database.connection import Database
from circuit_sync.database.progress.rollups import replace_rollups
from circuit_sync.database.progress.seasons import replace_season_daily
from circuit_sync.database.progress.snapshots import keep_own_values, keep_own_values_between
from circuit_sync.database.progress.states import dated_states
from circuit_sync.domain.eastern import last_instants

FEW = 60
"""So many dates are brought into order by any command in passing; more are left to ``db upgrade``."""

_STEP = 20

_GOES_ON_FROM = text("SELECT value::date FROM database_settings WHERE name = 'recompute_from' FOR UPDATE")
_GO_ON_FROM = text("UPDATE database_settings SET value = CAST(:day AS text) WHERE name = 'recompute_from'")
_DONE = text("DELETE FROM database_settings WHERE name = 'recompute_from'")
_IS_PENDING = text("SELECT 1 FROM database_settings WHERE name = 'recompute_from'")

_DATES = text("""
    WITH RECURSIVE dates (day) AS (
        SELECT min(snapshot_date) FROM circuit_snapshots WHERE snapshot_type = 'daily' AND snapshot_date >= :first
        UNION ALL
        SELECT (SELECT min(snapshot_date) FROM circuit_snapshots WHERE snapshot_type = 'daily' AND snapshot_date > day)
        FROM dates WHERE day IS NOT NULL)
    SELECT day FROM dates WHERE day IS NOT NULL ORDER BY day LIMIT :most
""")


def dates_to_recompute(connection: Connection, most: int | None = None) -> list[date]:
    """The first ``most`` dates whose numbers are of before own values; all of them, if it is not said."""
    if connection.scalar(_IS_PENDING) is None:
        return []
    first = connection.scalar(_GOES_ON_FROM)
    return [] if first is None else list(connection.scalars(_DATES, {"first": first, "most": most}))


def recompute(database: Database, now: datetime, say: Callable[[str], None]) -> None:
    """Brings every date into order; two programs at once take turns."""
    with database.transaction() as connection:
        left = len(dates_to_recompute(connection))
    total = left
    while left:
        with database.transaction() as connection:
            dates = dates_to_recompute(connection, _STEP + 1)
            if step := dates[:_STEP]:
                _recompute(connection, step, now)
            rest = dates[_STEP:]
            connection.execute(_GO_ON_FROM if rest else _DONE, {"day": rest[0].isoformat()} if rest else {})
        left = left - len(step) if rest else 0
        say(f"own values, roll-ups and seasons: {total - left} of {total} dates are in order")


def _recompute(connection: Connection, dates: list[date], now: datetime) -> None:
    untils = last_instants(dates)
    with dated_states(connection, untils, with_snapshots=True):
        keep_own_values(connection, dates)
    keep_own_values_between(connection, dates)
    replace_rollups(connection, dates, now)  # first, as everywhere: it waits for others that compute roll-ups
    with dated_states(connection, untils):
        replace_season_daily(connection, untils, now)
