"""Targets: the date by which a season, of one region or of every region without one of its own, is to be planned."""

from datetime import date

from sqlalchemy import Connection, text

from circuit_sync.domain.printable import Lines

_SET = text("""
    INSERT INTO season_targets (region_id, season, finish_on) VALUES (:region, :season, :finish_on)
    ON CONFLICT (coalesce(region_id, 0), season) DO UPDATE SET finish_on = excluded.finish_on
""")

_REMOVE = text("""
    DELETE FROM season_targets
    WHERE season = :season AND region_id IS NOT DISTINCT FROM CAST(:region AS bigint) RETURNING finish_on
""")

_TARGETS = text("""
    SELECT t.season, coalesce(o.name, 'every region') AS target_of, t.finish_on,
           coalesce(r.name, CASE WHEN p.snapshot_date IS NOT NULL THEN '(no region)' END) AS region, p.snapshot_date,
           p.circuits, p.total_miles, p.miles_planned, p.miles_remaining, p.miles_per_week, p.needed_miles_per_week,
           p.projected_end, p.is_overdue
    FROM season_targets AS t
    LEFT JOIN regions AS o ON o.id = t.region_id
    LEFT JOIN season_progress AS p
        ON p.snapshot_date = (SELECT max(snapshot_date) FROM season_daily) AND p.season = t.season
        AND (p.region_id = t.region_id OR t.region_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM season_targets AS own WHERE own.season = t.season AND own.region_id = p.region_id))
    LEFT JOIN regions AS r ON r.id = p.region_id
    ORDER BY t.season DESC, t.region_id IS NOT NULL, o.name, r.name NULLS LAST
""")


def set_target(connection: Connection, season: int, region_id: int | None, finish_on: date) -> None:
    """Sets or moves a target; without a region that of every region that has none of its own."""
    connection.execute(_SET, {"season": season, "region": region_id, "finish_on": finish_on})


def remove_target(connection: Connection, season: int, region_id: int | None) -> date | None:
    """Removes a target; its date, or ``None`` if there was none."""
    removed: date | None = connection.scalar(_REMOVE, {"season": season, "region": region_id})
    return removed


def targets(connection: Connection) -> Lines:
    """A line for each target and region that it holds for, with what ``season_progress`` says of the latest date.

    One line without region and progress for a target whose season has no circuit.
    """
    return [dict(row._mapping) for row in connection.execute(_TARGETS)]
