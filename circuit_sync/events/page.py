"""The live page: one HTML file, and the numbers that it shows. No free text; only admins are shown errors.

The page may load nothing from anywhere and talk to its own gateway only.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib import resources
from typing import Any

from sqlalchemy import Connection, TextClause, text

from circuit_sync.domain.printable import Lines
from circuit_sync.domain.statuses import STATUS_CODES, WORKFLOW_STAGES
from circuit_sync.events.access import ADMIN_ROLES, MAY_SEE
from circuit_sync.events.catalogue import DASHBOARD, SYNC_STATUS
from circuit_sync.events.outbox import newest_id
from circuit_sync.events.tokens import Holder

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)

_RECENT = 30
_LOOKED_BACK = 20_000
"""How many of the newest ids are searched for the page's feed: one sync may write as many to channels of circuits."""

_SYNCS = text("""
    SELECT s.status, k.kind, l.id AS sync_id, l.sync_status, l.started_at, l.completed_at, l.retry_at,
           (l.of_status ->> 'processed')::int AS processed, (l.of_status ->> 'created')::int AS created,
           (l.of_status ->> 'updated')::int AS updated, (l.of_status ->> 'rows_rejected')::int AS rejected,
           l.error_message
    FROM unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS s (status, place)
    CROSS JOIN (VALUES ('circuit_list'), ('aggregates')) AS k (kind)
    CROSS JOIN LATERAL (
        SELECT *, context -> 'per_status' -> s.status AS of_status FROM syncs
        WHERE sync_type = k.kind AND s.status = ANY(statuses) AND work_orders = 0
        ORDER BY id DESC LIMIT 1) AS l
    ORDER BY s.place, k.kind DESC
""")
"""A sync of single work orders names every status, but does not count as a sync of them."""

_STAGES = text("""
    SELECT s.stage, count(c.id) AS circuits, coalesce(sum(o.own_total_miles), 0)::float AS miles,
           coalesce(sum(o.own_miles_planned), 0)::float AS miles_planned
    FROM unnest(CAST(:stages AS text[])) WITH ORDINALITY AS s (stage, place)
    LEFT JOIN circuit_ui_states AS u ON u.workflow_stage = s.stage
    LEFT JOIN circuits AS c ON c.id = u.circuit_id AND c.departed_at IS NULL AND NOT c.is_excluded
    LEFT JOIN circuit_own_values AS o ON o.circuit_id = c.id
    GROUP BY s.stage, s.place ORDER BY s.place
""")

_UNITS = text("""
    SELECT coalesce(r.name, '(no region)') AS region, count(*) AS circuits,
           coalesce(sum(a.total_units), 0) AS units, coalesce(sum(a.units_approved), 0) AS approved,
           coalesce(sum(a.units_pending), 0) AS pending, coalesce(sum(a.units_refused), 0) AS refused
    FROM circuits AS c
    LEFT JOIN regions AS r ON r.id = c.region_id
    LEFT JOIN LATERAL latest_aggregate(c.id, false) AS a ON true
    WHERE c.departed_at IS NULL AND NOT c.is_excluded AND c.api_status <> 'CLOSE'
    GROUP BY r.name ORDER BY r.name
""")

_LATEST_EVENTS = text(f"""
    SELECT e.id, e.name, e.occurred_at, e.payload, c.work_order, c.extension, l.sync_type,
           l.work_orders AS sync_work_orders
    FROM sync_events AS e
    LEFT JOIN syncs AS l ON l.id = e.sync_log_id
    LEFT JOIN users AS u ON u.id = :user
    LEFT JOIN circuits AS c ON c.id = e.circuit_id AND {MAY_SEE}
    WHERE e.id > :newest - {_LOOKED_BACK} AND e.id <= :newest AND e.channels && CAST(:channels AS text[])
    ORDER BY e.id DESC LIMIT {_RECENT}
""")


def read_page() -> tuple[bytes, Mapping[str, str]]:
    """The page and the headers it is served with: only the script and the style that stand in it may run."""
    page = (resources.files("circuit_sync.events") / "page.html").read_bytes()
    hashes = {kind: f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for kind, text in _INLINE.findall(page)}
    policy = (
        f"default-src 'none'; script-src {hashes[b'script']}; style-src {hashes[b'style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return page, headers


def common_state(connection: Connection) -> Mapping[str, Lines]:
    """What every known user may see: latest ``syncs`` of each status, circuits by ``stages``, ``units`` by region."""
    return {
        "syncs": _lines(connection, _SYNCS, statuses=list(STATUS_CODES)),
        "stages": _lines(connection, _STAGES, stages=list(WORKFLOW_STAGES)),
        "units": _lines(connection, _UNITS),
    }


def state_for(connection: Connection, holder: Holder, common: Mapping[str, Lines]) -> dict[str, Any]:
    """The common state and the user's own part: channels to listen to, the latest events, where to go on from."""
    is_admin = holder.role in ADMIN_ROLES
    channels, hidden = ([DASHBOARD, SYNC_STATUS], "") if is_admin else ([DASHBOARD], "error_message")
    newest = newest_id(connection)
    return {
        "user": {"name": holder.name, "role": holder.role},
        "channels": channels,
        "last_event_id": newest,
        **common,
        "syncs": [{name: value for name, value in sync.items() if name != hidden} for sync in common["syncs"]],
        "events": _lines(connection, _LATEST_EVENTS, user=holder.user_id, newest=newest, channels=channels),
    }


def _lines(connection: Connection, statement: TextClause, **parameters: Any) -> Lines:
    return [dict(row._mapping) for row in connection.execute(statement, parameters)]
