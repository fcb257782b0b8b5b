"""Circuits that their status' answer names no more."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from circuit_sync.database.circuits.temporary import departed

_HELD = text("""
    SELECT c.api_status, count(*) AS held, count(*) FILTER (WHERE s.answer_status <> c.api_status) AS moved
    FROM circuits AS c
    LEFT JOIN staged_circuits AS s ON s.sync_log_id = :sync AND s.job_guid = c.job_guid
    WHERE c.api_status = ANY(:statuses) AND c.departed_at IS NULL
    GROUP BY c.api_status
""")

_MISSING = text("""
    SELECT c.id, c.job_guid, c.work_order, c.extension
    FROM circuits AS c
    WHERE c.api_status = :status AND c.departed_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM staged_circuits WHERE sync_log_id = :sync AND job_guid = c.job_guid)
    ORDER BY c.id
""")

_NEW = text("""
    SELECT count(*)
    FROM (SELECT job_guid FROM staged_circuits WHERE sync_log_id = :sync AND answer_status = :status
          UNION SELECT unnest(CAST(:rejected AS text[]))) AS named
    WHERE NOT EXISTS (SELECT 1 FROM circuits WHERE job_guid = named.job_guid)
""")

_DEPART = text(f"""
    WITH locked AS (
        SELECT id FROM circuits WHERE id = ANY(:circuits) AND departed_at IS NULL ORDER BY id FOR NO KEY UPDATE),
    gone AS (
        UPDATE circuits AS c SET departed_at = :now FROM locked WHERE c.id = locked.id RETURNING c.id, c.api_status)
    INSERT INTO {departed} SELECT id, api_status FROM gone
""")

_WITH_DEPARTED = text("""
    SELECT l.id, string_to_array(l.api_status_filter, ',') AS statuses
    FROM sync_logs AS l
    WHERE l.id = ANY(:syncs)
      AND EXISTS (SELECT 1 FROM circuits AS c
                  WHERE c.departed_at BETWEEN l.started_at AND l.completed_at
                    AND c.api_status = ANY(string_to_array(l.api_status_filter, ',')))
    ORDER BY l.id
""")


@dataclass(frozen=True)
class MissingCircuit:
    """A circuit that its status' answer did not name."""

    id: int
    job_guid: str
    work_order: str
    extension: str


def circuits_held(connection: Connection, sync_id: int, statuses: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each status: how many circuits it held before this sync, and how many of them came under another one now."""
    rows = connection.execute(_HELD, {"sync": sync_id, "statuses": list(statuses)})
    return {row.api_status: (row.held, row.moved) for row in rows}


def missing_circuits(connection: Connection, sync_id: int, status: str) -> list[MissingCircuit]:
    """The circuits of ``status`` that no answer of this sync named."""
    return [MissingCircuit(**row._mapping) for row in connection.execute(_MISSING, {"sync": sync_id, "status": status})]


def count_new(connection: Connection, sync_id: int, status: str, rejected: Collection[str]) -> int:
    """How many circuits the answer for ``status`` names, ``rejected`` GUIDs of its rows included, that nobody knew."""
    parameters = {"sync": sync_id, "status": status, "rejected": list(rejected)}
    return int(connection.scalar(_NEW, parameters) or 0)


def mark_departed(connection: Connection, circuit_ids: Sequence[int], now: datetime) -> None:
    """Marks circuits as gone from their status' answer; nothing else of them changes."""
    connection.execute(_DEPART, {"circuits": list(circuit_ids), "now": now})


def syncs_with_departed(connection: Connection, sync_ids: Collection[int]) -> dict[int, list[str]]:
    """Those of the syncs of whose departed circuits one was not seen since, with the statuses that they fetched."""
    return {row.id: row.statuses for row in connection.execute(_WITH_DEPARTED, {"syncs": list(sync_ids)})}
