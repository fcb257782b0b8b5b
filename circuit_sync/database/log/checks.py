"""The facts that the asset checks judge, each one statement."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from sqlalchemy import Connection, text

from circuit_sync.domain.findings import AggregateSyncCounts, FetchedUnits, StatusAnswer
from circuit_sync.domain.freshness import StatusAge
from circuit_sync.domain.printable import Lines

_RECENT_ANSWERS = text("""
    SELECT s.status, (recent.counts ->> 'processed')::int AS processed,
           (recent.counts ->> 'rows_received')::int AS rows_received,
           (recent.counts ->> 'rows_rejected')::int AS rows_rejected
    FROM unnest(CAST(:statuses AS text[])) AS s (status)
    CROSS JOIN LATERAL (
        SELECT id, context -> 'per_status' -> s.status AS counts FROM syncs
        WHERE sync_type = 'circuit_list' AND is_good AND context -> 'per_status' ? s.status
        ORDER BY id DESC LIMIT :most) AS recent
    ORDER BY s.status, recent.id DESC
""")

_NEW_REGIONS = text("""
    SELECT DISTINCT jsonb_array_elements_text(context -> 'new_regions') AS region FROM syncs
    WHERE sync_type = 'circuit_list' AND completed_at > :since AND jsonb_array_length(context -> 'new_regions') > 0
      AND id > (SELECT min(id) FROM syncs WHERE sync_type = 'circuit_list' AND is_good)
    ORDER BY region
""")

_LATEST_AGGREGATE_SYNC = text("""
    SELECT id AS sync_id, (context -> 'counts' ->> 'work_orders')::int AS done,
           (context -> 'counts' ->> 'failed')::int AS failed
    FROM syncs
    WHERE sync_type = 'aggregates' AND sync_status <> 'started' AND context ? 'counts' AND work_orders = 0
    ORDER BY id DESC LIMIT 1
""")

_OLDEST_UNITS = text("""
    SELECT work_order || ' ' || extension AS circuit, last_planned_units_synced_at AS synced_at FROM circuits
    WHERE api_status = 'ACTIV' AND planned_units_sync_enabled AND NOT is_excluded AND departed_at IS NULL
      AND last_planned_units_synced_at IS NOT NULL
    ORDER BY last_planned_units_synced_at, id LIMIT 1
""")

_STATUS_AGES = text("""
    SELECT s.status, max(l.completed_at) FILTER (WHERE l.is_good) AS synced_at, min(l.started_at) AS first_tried_at
    FROM unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS s (status, place)
    LEFT JOIN syncs AS l ON l.sync_type = 'circuit_list' AND s.status = ANY(l.statuses)
    GROUP BY s.status, s.place
    ORDER BY s.place
""")

_FIRST_SYNC = text("SELECT min(completed_at) FROM syncs WHERE sync_type = 'circuit_list' AND is_good")

_SNAPSHOT_DATES = text("""
    SELECT DISTINCT CAST(d.value AS date)
    FROM syncs AS l, LATERAL jsonb_array_elements_text(l.context -> 'dates') AS d
    WHERE l.sync_type = 'snapshots' AND l.is_good AND CAST(d.value AS date) >= :since
""")

_LATEST = """circuits AS c CROSS JOIN (VALUES (false), (true)) AS kinds (is_rollup)
    CROSS JOIN LATERAL latest_aggregate(c.id, kinds.is_rollup) AS a"""


def recent_answers(connection: Connection, statuses: Sequence[str], most: int) -> list[StatusAnswer]:
    """What the latest good syncs of each status brought, newest first."""
    found = connection.execute(_RECENT_ANSWERS, {"statuses": list(statuses), "most": most})
    return [StatusAnswer(**row._mapping) for row in found]


def new_regions(connection: Connection, since: datetime) -> list[str]:
    """Regions that syncs created since then, those of the very first sync left out."""
    return list(connection.scalars(_NEW_REGIONS, {"since": since}))


def latest_aggregate_sync(connection: Connection) -> AggregateSyncCounts | None:
    """What came of the latest aggregate sync of whole statuses."""
    found = connection.execute(_LATEST_AGGREGATE_SYNC).one_or_none()
    return AggregateSyncCounts(**found._mapping) if found else None


def oldest_units(connection: Connection) -> FetchedUnits | None:
    """The ACTIV circuit whose units were fetched longest ago."""
    found = connection.execute(_OLDEST_UNITS).one_or_none()
    return FetchedUnits(**found._mapping) if found else None


def status_ages(connection: Connection, statuses: Sequence[str]) -> list[StatusAge]:
    """When each status was synced."""
    return [StatusAge(**row._mapping) for row in connection.execute(_STATUS_AGES, {"statuses": list(statuses)})]


def first_sync(connection: Connection) -> datetime | None:
    """When circuits were synced for the first time: before it there was nothing to take a snapshot of."""
    found: datetime | None = connection.scalar(_FIRST_SYNC)
    return found


def snapshot_dates(connection: Connection, since: date) -> set[date]:
    """The dates from ``since`` on whose snapshots were taken, also if there was no open circuit."""
    return set(connection.scalars(_SNAPSHOT_DATES, {"since": since}))


def _listing(query: str) -> Callable[..., Lines]:
    """A question that needs no more than a connection: the rows of ``query`` are its answer."""
    statement = text(query)
    return lambda connection, *_: [dict(row._mapping) for row in connection.execute(statement)]


circuits_without_region = _listing("""
    SELECT work_order, extension FROM circuits
    WHERE region_id IS NULL AND departed_at IS NULL ORDER BY work_order, extension
""")

unlinked_planners = _listing("""
    SELECT ws_username, occurrence_count AS circuits FROM unlinked_planners
    WHERE linked_user_id IS NULL AND occurrence_count > 0 ORDER BY occurrence_count DESC, ws_username
""")

orphaned_splits = _listing("""
    SELECT work_order, extension, api_status AS status FROM circuits
    WHERE extension <> '@' AND parent_circuit_id IS NULL AND departed_at IS NULL AND api_status <> 'CLOSE'
    ORDER BY work_order, extension
""")
"""Open splits whose main assessment is not known."""

splits_not_contained = _listing("""
    SELECT m.work_order, m.total_miles AS main_miles, count(*) AS splits, sum(s.total_miles) AS split_miles
    FROM circuit_own_values AS o
    JOIN circuits AS m ON m.id = o.circuit_id
    JOIN circuits AS s ON s.work_order = m.work_order AND s.extension <> '@' AND s.departed_at IS NULL
    WHERE o.splits_contained IS FALSE
      AND NOT EXISTS (SELECT 1 FROM database_settings WHERE name = 'mains_contain_splits' AND value = 'no')
    GROUP BY m.id
    HAVING bool_or(s.api_status <> 'CLOSE') OR (m.api_status <> 'CLOSE' AND m.departed_at IS NULL)
    ORDER BY m.work_order
""")
"""Work orders, with an open circuit, whose splits have more miles than their main assessment. None where
``WORKSTUDIO_MAINS_CONTAIN_SPLITS`` says that mains show no splits.
"""

unreconciled_aggregates = _listing(f"""
    SELECT c.work_order, c.extension, a.is_rollup, a.aggregate_date AS date
    FROM {_LATEST}
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((value ->> 'unit_count')::int), 0) AS units,
               coalesce(sum((value ->> 'linear_ft')::numeric), 0) AS linear_ft,
               coalesce(sum((value ->> 'acres')::numeric), 0) AS acres,
               coalesce(sum((value ->> 'trees')::int), 0) AS trees
        FROM jsonb_each(a.planner_distribution)) AS p
    WHERE a.total_units <> (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(a.unit_counts_by_type))
       OR a.total_units <> (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(a.permission_counts))
       OR a.total_linear_ft <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.linear_ft_by_type))
       OR a.total_acres <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.acres_by_type))
       OR (a.total_units, a.total_linear_ft, a.total_acres, a.total_trees)
          IS DISTINCT FROM (p.units, p.linear_ft, p.acres, p.trees)
       OR (a.trees_by_type || a.pending_by_date <> '{{}}'
           AND (a.total_trees <> (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(a.trees_by_type))
                OR a.units_pending <> (SELECT coalesce(sum(value::numeric), 0)
                                       FROM jsonb_each_text(a.pending_by_date))))
    ORDER BY c.work_order, c.extension
""")
"""Latest aggregates in which a breakdown does not add up to its total.

A row that has neither trees by type nor pending units by date is from before there were such, or from another program
that knows neither: these two are then not compared.
"""

trees_that_differ = _listing(f"""
    SELECT c.work_order, c.extension, a.total_trees AS ours, c.api_data ->> 'UNITCOUNTS_NUMTREES' AS workstudio
    FROM {_LATEST}
    WHERE a.is_rollup = EXISTS (SELECT 1 FROM circuit_aggregates WHERE circuit_id = c.id AND is_rollup)
      AND c.departed_at IS NULL AND c.last_planned_units_synced_at >= c.updated_at
      AND jsonb_typeof(c.api_data -> 'UNITCOUNTS_NUMTREES') = 'number'
      AND (c.api_data ->> 'UNITCOUNTS_NUMTREES')::numeric <> a.total_trees
    ORDER BY c.work_order, c.extension
""")
"""Circuits for which WorkStudio counts other trees than we do, though their units are newer than their change.

WorkStudio's count of a main assessment includes its splits, as our roll-up does.
"""
