"""Snapshots: what each circuit's state was at the end of a date, computed from history.

Every type of snapshot holds what is shown and, beside it, own values: each mile of a split work order once.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops
from circuit_sync.database.circuits.temporary import changes
from circuit_sync.database.progress.states import DATES, MEASURES, PROGRESS, STATE, UNITS, UNTILS, dated_states

OWN = tuple(f"own_{name}" for name in MEASURES)
WHOLE = tuple(f"work_order_{name}" for name in MEASURES)
_COLUMNS = ", ".join((
    "circuit_id", "snapshot_date", "snapshot_type", *STATE, *PROGRESS, *OWN, *WHOLE, "main_circuit_id",
    "splits_contained", *UNITS, "units_pending_over_14_days", "oldest_pending_on", "as_of", "created_at",
))  # fmt: skip

_REPLACE = text("""
    DELETE FROM circuit_snapshots
    WHERE snapshot_type = 'daily' AND snapshot_date = ANY(:dates) AND NOT is_imported
""")

_OPEN = "api_status <> 'CLOSE' AND NOT is_excluded AND departed_at IS NULL"

# The keys of pending_by_date are ISO dates, which sort as texts, and "unknown".
_PENDING = """FROM jsonb_object_keys(u.pending_by_date) AS key WHERE key COLLATE "C" BETWEEN '0' AND '9999-12-31'"""

_TAKE = text(f"""
    INSERT INTO circuit_snapshots ({_COLUMNS})
    SELECT s.circuit_id, ({DATES})[s.number], CAST(:type AS text),
           {", ".join(f"s.{name}" for name in (*STATE, *PROGRESS))},
           {", ".join(f"CASE WHEN m.contained THEN m.own_{name} ELSE s.{name} END" for name in MEASURES)},
           {", ".join(f"CASE WHEN m.contained THEN m.{name} END" for name in MEASURES)}, w.circuit_id, m.contained,
           {", ".join(f"coalesce(u.{name}, 0)" for name in UNITS)},
           CASE WHEN u.pending_by_date <> '{{}}' THEN (
               SELECT coalesce(sum((u.pending_by_date ->> key)::int), 0) {_PENDING}
               AND key COLLATE "C" < to_char(({DATES})[s.number] - 14, 'YYYY-MM-DD')) ELSE 0 END,
           CASE WHEN u.pending_by_date <> '{{}}' THEN (SELECT min(key COLLATE "C")::date {_PENDING}) END,
           least(({UNTILS})[s.number], :now), :now
    FROM (SELECT *, generate_series(first_number, last_number) AS number FROM dated_states
          WHERE circuit_id = ANY(CAST(:circuits AS bigint[]))
             OR CAST(:circuits AS bigint[]) IS NULL AND {_OPEN}) AS s
    LEFT JOIN dated_mains AS m ON m.circuit_id = s.circuit_id AND m.number = s.number
    LEFT JOIN dated_mains AS w ON w.work_order = s.work_order AND w.number = s.number AND s.extension <> '@'
    LEFT JOIN (SELECT *, generate_series(first_number, last_number) AS number FROM dated_units) AS u
        ON u.circuit_id = s.circuit_id AND u.number = s.number
    ORDER BY s.number, s.circuit_id
""")

_COUNT = text("""
    SELECT snapshot_date, count(*) AS snapshots, count(*) FILTER (WHERE is_imported) AS imported FROM circuit_snapshots
    WHERE snapshot_type = 'daily' AND snapshot_date = ANY(:dates) GROUP BY snapshot_date
""")

_HISTORY_BEGINS = text("""
    SELECT min(begins) FROM circuits AS c CROSS JOIN LATERAL (
        SELECT min(valid_from) AS begins FROM circuit_history WHERE circuit_id = c.id) AS known
""")

_FIRST_SNAPSHOT = text("SELECT min(snapshot_date) FROM circuit_snapshots WHERE snapshot_type = 'daily'")

_MOVED = text(f"""
    SELECT c.id, c.work_order FROM {changes} AS x JOIN circuits AS c ON c.id = x.circuit_id
    WHERE x.old_status <> x.new_status
""")

_KEEP = f"""
    UPDATE circuit_snapshots AS t
    SET {", ".join(f"own_{name} = k.own_{name}, work_order_{name} = k.work_order_{name}" for name in MEASURES)},
        main_circuit_id = k.main, splits_contained = k.contained
    FROM (
        SELECT s.circuit_id, ({DATES})[s.number] AS snapshot_date, w.circuit_id AS main, m.contained,
               {", ".join(f"CASE WHEN m.contained THEN m.own_{x} END AS own_{x}" for x in MEASURES)},
               {", ".join(f"CASE WHEN m.contained THEN m.{x} END AS work_order_{x}" for x in MEASURES)}
        FROM (SELECT *, generate_series(first_number, last_number) AS number FROM dated_states
              WHERE work_order IN (SELECT work_order FROM dated_mains)) AS s
        LEFT JOIN dated_mains AS m ON m.circuit_id = s.circuit_id AND m.number = s.number
        LEFT JOIN dated_mains AS w ON w.work_order = s.work_order AND w.number = s.number AND s.extension <> '@'
        WHERE m.circuit_id IS NOT NULL OR w.circuit_id IS NOT NULL) AS k
    WHERE t.circuit_id = k.circuit_id AND t.snapshot_date = k.snapshot_date
"""
_KEEP_OWN_VALUES = text(f"{_KEEP} AND t.snapshot_type = 'daily'")
_KEEP_OWN_VALUES_AT = text(f"{_KEEP} AND t.snapshot_type <> 'daily' AND t.as_of = :as_of")

_BETWEEN_DAYS = text("""
    SELECT s.snapshot_date, s.as_of, array_agg(DISTINCT c.work_order) AS work_orders
    FROM circuits AS c JOIN circuit_snapshots AS s ON s.circuit_id = c.id
    WHERE c.work_order IN (SELECT work_order FROM circuits WHERE extension <> '@')
      AND s.snapshot_date = ANY(:dates) AND s.snapshot_type <> 'daily'
    GROUP BY s.snapshot_date, s.as_of
""")


def replace_snapshots(
    connection: Connection, untils: Mapping[date, datetime], now: datetime
) -> dict[date, dict[str, int]]:
    """Replaces the daily snapshots of each date by the state at its instant; returns what each date has then:
    ``snapshots`` and, if there are any among them, ``imported`` ones.

    Circuits closed, excluded or departed then are left out; what was imported is kept. ``untils``: the last instant
    that counts for each date; if it is to come, the state now counts. ``dated_states`` holds these instants.
    """
    dates = sorted(untils)
    connection.execute(_REPLACE, {"dates": dates})
    _take(connection, "daily", untils, now)
    per_date = {day: {"snapshots": 0} for day in dates}
    for row in connection.execute(_COUNT, {"dates": dates}):
        per_date[row.snapshot_date]["snapshots"] = row.snapshots
        if row.imported:
            per_date[row.snapshot_date]["imported"] = row.imported
    return per_date


def take_now(
    connection: Connection, kind: str, day: date, now: datetime, work_orders: Sequence[str] | None = None
) -> int:
    """A snapshot of ``kind`` of every open circuit as it is now, or of those of ``work_orders``; how many."""
    with dated_states(connection, {day: now}, work_orders=work_orders):
        return _take(connection, kind, {day: now}, now)


def snapshot_status_changes(connection: Connection, day: date, now: datetime) -> None:
    """A ``status_change`` snapshot of every circuit whose status this transaction changes (table ``changes``)."""
    moved = connection.execute(_MOVED).all()
    if moved:
        with dated_states(connection, {day: now}, work_orders=[row.work_order for row in moved]):
            _take(connection, "status_change", {day: now}, now, circuits=[row.id for row in moved])


def keep_own_values(connection: Connection, dates: Sequence[date]) -> None:
    """Gives existing snapshots of split work orders their own values, by what ``dated_states`` holds of ``dates``."""
    with nested_loops(connection, allowed=False):
        connection.execute(_KEEP_OWN_VALUES, {"dates": list(dates)})


def keep_own_values_between(connection: Connection, dates: Sequence[date]) -> None:
    """The same for what was taken at other instants of ``dates``: on a change of status, or by command."""
    with nested_loops(connection, allowed=True):
        instants = connection.execute(_BETWEEN_DAYS, {"dates": list(dates)}).all()
    for taken in instants:
        day = taken.snapshot_date
        with dated_states(connection, {day: taken.as_of}, work_orders=taken.work_orders):
            connection.execute(_KEEP_OWN_VALUES_AT, {"dates": [day], "as_of": taken.as_of})


def history_begins(connection: Connection) -> datetime | None:
    """The first instant that history knows of."""
    begins: datetime | None = connection.scalar(_HISTORY_BEGINS)
    return begins


def first_snapshot(connection: Connection) -> date | None:
    """The earliest date that has snapshots."""
    first: date | None = connection.scalar(_FIRST_SNAPSHOT)
    return first


def _take(
    connection: Connection,
    kind: str,
    untils: Mapping[date, datetime],
    now: datetime,
    circuits: Sequence[int] | None = None,
) -> int:
    dates = sorted(untils)
    parameters = {"dates": dates, "untils": [untils[day] for day in dates], "type": kind, "now": now}
    with nested_loops(connection, allowed=False):
        return connection.execute(_TAKE, parameters | {"circuits": circuits}).rowcount
