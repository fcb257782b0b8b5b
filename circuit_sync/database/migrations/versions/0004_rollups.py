"""roll-ups of the snapshots, and snapshots imported from another system. Their weekly views: 0007."""

from alembic import op

revision = "0004"
down_revision = "0003"

_ROLLED_UP = """
    total_miles numeric(16,2) NOT NULL, miles_planned numeric(16,2) NOT NULL, miles_remaining numeric(16,2) NOT NULL,
    total_units bigint NOT NULL, total_trees bigint NOT NULL, units_approved bigint NOT NULL,
    units_refused bigint NOT NULL, units_pending bigint NOT NULL, total_linear_ft numeric(18,4) NOT NULL,
    miles_planned_change numeric(16,2) NOT NULL, total_units_change bigint NOT NULL,
    units_approved_change bigint NOT NULL, units_refused_change bigint NOT NULL, units_pending_change bigint NOT NULL,
    computed_at timestamptz NOT NULL
"""


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.execute(f"""
        ALTER TABLE circuit_snapshots
            ADD COLUMN is_imported boolean NOT NULL DEFAULT 'false',
            DROP CONSTRAINT fk_circuit_snapshots_circuit_id, DROP CONSTRAINT fk_circuit_snapshots_region_id;

        CREATE TABLE regional_daily (
            snapshot_date date NOT NULL, region_id bigint CONSTRAINT fk_regional_daily_region_id REFERENCES regions,
            circuits integer NOT NULL, circuits_activ integer NOT NULL, circuits_qc integer NOT NULL,
            circuits_rewrk integer NOT NULL, stage_active integer NOT NULL, stage_pending_permissions integer NOT NULL,
            stage_qc integer NOT NULL, stage_rework integer NOT NULL, stage_closed integer NOT NULL, {_ROLLED_UP});
        CREATE UNIQUE INDEX uq_regional_daily_snapshot_date_region
            ON regional_daily (snapshot_date, coalesce(region_id, 0));

        CREATE TABLE planner_daily (
            snapshot_date date NOT NULL, taken_by text,
            user_id bigint CONSTRAINT fk_planner_daily_user_id REFERENCES users ON DELETE SET NULL,
            region_id bigint CONSTRAINT fk_planner_daily_region_id REFERENCES regions,
            circuits integer NOT NULL, {_ROLLED_UP});
        CREATE UNIQUE INDEX uq_planner_daily_snapshot_date_planner_region
            ON planner_daily (snapshot_date, coalesce(lower(taken_by), ''), coalesce(region_id, 0));
    """)
