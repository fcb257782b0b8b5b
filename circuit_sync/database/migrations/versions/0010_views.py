"""what is asked of sync logs and of aggregates again and again has a name."""

from alembic import op

revision = "0010"
down_revision = "0009"

_SYNCS = """
    CREATE VIEW syncs AS
    SELECT id, sync_type, sync_status, sync_status IN ('completed', 'warning') AS is_good,
           string_to_array(api_status_filter, ',') AS statuses,
           jsonb_array_length(coalesce(context -> 'work_orders', '[]')) AS work_orders,
           started_at, completed_at, retry_at, error_message, error_details, context
    FROM sync_logs
"""

# A function, as the planner puts its body in place of the call: a view that is joined is computed for every circuit.
_LATEST_AGGREGATE = """
    CREATE FUNCTION latest_aggregate(circuit bigint, rollup boolean) RETURNS SETOF circuit_aggregates
    LANGUAGE sql STABLE ROWS 1 AS $$
        SELECT * FROM circuit_aggregates WHERE circuit_id = $1 AND is_rollup = $2
        ORDER BY aggregate_date DESC LIMIT 1
    $$
"""


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.execute(_SYNCS)
    op.execute(_LATEST_AGGREGATE)
    op.execute("GRANT EXECUTE ON FUNCTION latest_aggregate(bigint, boolean) TO PUBLIC")  # it reads as its caller may
