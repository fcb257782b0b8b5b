"""Seasons: all circuits of a region that began in a year, finished ones included, as of the end of a date."""

from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.staging import nested_loops
from circuit_sync.database.progress.states import DATES, UNTILS, contained

_UNITS = ("total_units", "total_trees", "units_approved", "units_refused", "units_pending")
_CLOSED = "api_status = 'CLOSE'"

_DROP = text("DELETE FROM season_daily WHERE snapshot_date = ANY(:dates)")

_ADD = text(f"""
    WITH shown AS (
        SELECT s.circuit_id, s.work_order,
               generate_series(greatest(s.first_number, m.first_number), least(s.last_number, m.last_number)) AS number
        FROM dated_states AS s JOIN dated_states AS m ON m.work_order = s.work_order AND m.extension = '@'
        WHERE s.extension <> '@' AND s.departed_at IS NOT NULL AND NOT m.is_excluded AND {contained("s", "m")}),
    shown_by_main AS (
        SELECT DISTINCT shown.circuit_id, number FROM shown LEFT JOIN dated_mains AS m USING (work_order, number)
        WHERE m.contained IS NOT FALSE),
    circuits AS (
        SELECT p.*, extract(year FROM p.start_date)::int AS season,
               CASE WHEN m.contained THEN m.own_total_miles WHEN d.circuit_id IS NULL THEN p.total_miles ELSE 0 END
                   AS own_miles,
               CASE WHEN m.contained THEN m.own_miles_planned WHEN d.circuit_id IS NULL THEN p.miles_planned ELSE 0 END
                   AS own_planned,
               u.circuit_id IS NOT NULL AS has_units, {", ".join(f"u.{name}" for name in _UNITS)}
        FROM (SELECT *, generate_series(first_number, last_number) AS number FROM dated_states
              WHERE NOT is_excluded) AS p
        LEFT JOIN dated_mains AS m ON m.circuit_id = p.circuit_id AND m.number = p.number
        LEFT JOIN shown_by_main AS d ON d.circuit_id = p.circuit_id AND d.number = p.number
        LEFT JOIN (SELECT *, generate_series(first_number, last_number) AS number FROM dated_units) AS u
            ON u.circuit_id = p.circuit_id AND u.number = p.number),
    seasons AS (
        SELECT ({DATES})[number] AS snapshot_date, region_id, season, count(*) AS circuits,
               count(*) FILTER (WHERE {_CLOSED}) AS circuits_closed,
               count(*) FILTER (WHERE departed_at IS NOT NULL) AS circuits_departed,
               count(*) FILTER (WHERE has_units) AS circuits_with_units,
               sum(own_miles) AS total_miles, sum(own_planned) AS miles_planned,
               coalesce(sum(own_miles - own_planned) FILTER (WHERE NOT ({_CLOSED})), 0) AS miles_remaining,
               coalesce(sum(own_miles - own_planned) FILTER (WHERE {_CLOSED}), 0) AS miles_closed_unplanned,
               {", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in _UNITS)},
               bool_or(api_status <> 'CLOSE' AND departed_at IS NULL) AS has_open,
               max(valid_from) > ({UNTILS})[number] - interval '28 days' AS has_moved
        FROM circuits GROUP BY number, region_id, season)
    INSERT INTO season_daily (
        snapshot_date, region_id, season, circuits, circuits_closed, circuits_departed, circuits_with_units,
        total_miles, miles_planned, miles_remaining, miles_closed_unplanned, {", ".join(_UNITS)}, computed_at)
    SELECT s.snapshot_date, s.region_id, s.season, circuits, circuits_closed, circuits_departed, circuits_with_units,
           total_miles, miles_planned, miles_remaining, miles_closed_unplanned, {", ".join(_UNITS)}, :now
    FROM seasons AS s
    WHERE s.has_open OR s.has_moved OR s.snapshot_date <= (
        SELECT finish_on FROM season_targets
        WHERE season = s.season AND (region_id = s.region_id OR region_id IS NULL)
        ORDER BY region_id NULLS LAST LIMIT 1)
""")
"""A departed split that its main assessment shows too (``shown_by_main``) counts as a circuit, its miles as the main
one's; where the main one does not contain those that are here, it shows none.
``miles_planned + miles_remaining + miles_closed_unplanned`` is ``total_miles``.
"""


def replace_season_daily(connection: Connection, untils: dict[date, datetime], now: datetime) -> None:
    """Computes ``season_daily`` of the dates of ``untils`` anew, from what ``dated_states`` holds of them."""
    dates = sorted(untils)
    connection.execute(_DROP, {"dates": dates})
    with nested_loops(connection, allowed=False):
        connection.execute(_ADD, {"dates": dates, "untils": [untils[day] for day in dates], "now": now})
