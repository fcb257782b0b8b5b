"""the first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""

    op.create_table(
        "database_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_database_settings")),
        comment="What the database remembers of itself: the WorkStudio that filled it, the ties its locks need",
    )
    op.create_table(
        "regions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regions")),
        sa.UniqueConstraint("code", name=op.f("uq_regions_code")),
        sa.UniqueConstraint("name", name=op.f("uq_regions_name")),
    )
    op.create_index("uq_regions_name_folded", "regions", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "staged_choices",
        sa.Column("sync_log_id", sa.BigInteger(), nullable=False),
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("work_order", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staged_circuits",
        sa.Column("sync_log_id", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column(
            "status_order",
            sa.SmallInteger(),
            nullable=False,
            comment="place of the answer's status in the order of statuses",
        ),
        sa.Column("answer_status", sa.Text(), nullable=False, comment="the status that was asked for"),
        sa.Column("job_guid", sa.Text(), nullable=False),
        sa.Column("work_order", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("job_type", sa.Text(), nullable=True),
        sa.Column("cycle_type", sa.Text(), nullable=True),
        sa.Column("contractor", sa.Text(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("total_miles", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("miles_planned", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("percent_complete", sa.Numeric(precision=5, scale=2), server_default="0", nullable=False),
        sa.Column("total_acres", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("api_status", sa.Text(), nullable=False),
        sa.Column("api_modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "sync_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("circuit_id", sa.BigInteger(), nullable=True),
        sa.Column("sync_log_id", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_events")),
    )
    op.create_index("ix_sync_events_occurred_at", "sync_events", ["occurred_at"], unique=False)
    op.create_table(
        "unit_types",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("measurement", sa.Text(), nullable=False),
        sa.Column("dbh_min_in", sa.Numeric(precision=6, scale=2), nullable=True),
        sa.Column("dbh_max_in", sa.Numeric(precision=6, scale=2), nullable=True),
        sa.Column("species", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "measurement IN ('linear_ft', 'acres', 'tree_count', 'none')", name=op.f("ck_unit_types_measurement")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_unit_types")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default="planner", nullable=False),
        sa.Column("ws_username", sa.Text(), nullable=True),
        sa.Column("ws_user_guid", sa.Text(), nullable=True),
        sa.Column("is_ws_linked", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('sudo_admin', 'admin', 'planner', 'general_foreman')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("ws_username", name=op.f("uq_users_ws_username")),
    )
    op.create_index("uq_users_ws_username_folded", "users", [sa.literal_column("lower(ws_username)")], unique=True)
    op.create_table(
        "circuits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_guid", sa.Text(), nullable=False),
        sa.Column("work_order", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), server_default="@", nullable=False),
        sa.Column("parent_circuit_id", sa.BigInteger(), nullable=True),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("job_type", sa.Text(), nullable=True),
        sa.Column("cycle_type", sa.Text(), nullable=True),
        sa.Column("contractor", sa.Text(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("total_miles", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("miles_planned", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("percent_complete", sa.Numeric(precision=5, scale=2), server_default="0", nullable=False),
        sa.Column("total_acres", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("api_status", sa.Text(), nullable=False),
        sa.Column("api_modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "api_data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column(
            "user_modified_fields",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("is_excluded", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("planned_units_sync_enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("last_planned_units_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("departed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("api_status IN ('ACTIV', 'QC', 'REWRK', 'CLOSE')", name=op.f("ck_circuits_api_status")),
        sa.CheckConstraint("percent_complete BETWEEN 0 AND 100", name=op.f("ck_circuits_percent_complete")),
        sa.ForeignKeyConstraint(
            ["parent_circuit_id"], ["circuits.id"], name=op.f("fk_circuits_parent_circuit_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_circuits_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_circuits")),
        sa.UniqueConstraint("job_guid", name=op.f("uq_circuits_job_guid")),
    )
    op.create_index(
        "ix_circuits_parent_circuit_id",
        "circuits",
        ["parent_circuit_id"],
        unique=False,
        postgresql_where=sa.text("parent_circuit_id IS NOT NULL"),
    )
    op.create_index("ix_circuits_work_order_extension", "circuits", ["work_order", "extension"], unique=False)
    op.create_table(
        "sync_logs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sync_type", sa.Text(), nullable=False),
        sa.Column("sync_status", sa.Text(), server_default="started", nullable=False),
        sa.Column("sync_trigger", sa.Text(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("api_status_filter", sa.Text(), nullable=True),
        sa.Column("triggered_by", sa.BigInteger(), nullable=True),
        sa.Column("dagster_run_id", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_seconds", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("circuits_processed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("circuits_created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("circuits_updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("circuits_unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_received", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_duplicate", sa.Integer(), server_default="0", nullable=False),
        sa.Column("aggregates_created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "error_details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "context", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "sync_status IN ('started', 'completed', 'failed', 'warning')", name=op.f("ck_sync_logs_sync_status")
        ),
        sa.CheckConstraint(
            "sync_trigger IN ('scheduled', 'manual', 'workflow_event')", name=op.f("ck_sync_logs_sync_trigger")
        ),
        sa.CheckConstraint(
            "sync_type IN ('circuit_list', 'aggregates', 'snapshots')", name=op.f("ck_sync_logs_sync_type")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_sync_logs_region_id")),
        sa.ForeignKeyConstraint(
            ["retry_of"], ["sync_logs.id"], name=op.f("fk_sync_logs_retry_of"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["triggered_by"], ["users.id"], name=op.f("fk_sync_logs_triggered_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_logs")),
        sa.UniqueConstraint("dagster_run_id", "sync_type", name=op.f("uq_sync_logs_dagster_run_id_sync_type")),
    )
    op.create_index(
        "ix_sync_logs_started",
        "sync_logs",
        ["started_at"],
        unique=False,
        postgresql_where=sa.text("sync_status = 'started'"),
    )
    op.create_table(
        "unlinked_planners",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("ws_username", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurrence_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("linked_user_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["linked_user_id"], ["users.id"], name=op.f("fk_unlinked_planners_linked_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unlinked_planners")),
        sa.UniqueConstraint("ws_username", name=op.f("uq_unlinked_planners_ws_username")),
    )
    op.create_index(
        "uq_unlinked_planners_ws_username_folded",
        "unlinked_planners",
        [sa.literal_column("lower(ws_username)")],
        unique=True,
    )
    op.create_table(
        "user_regions",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_id"], ["regions.id"], name=op.f("fk_user_regions_region_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_regions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "region_id", name=op.f("pk_user_regions")),
    )
    op.create_table(
        "user_ws_credentials",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("encrypted_username", sa.Text(), nullable=False),
        sa.Column("encrypted_password", sa.Text(), nullable=False),
        sa.Column("is_valid", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("fail_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_ws_credentials_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_ws_credentials")),
        sa.UniqueConstraint("user_id", name=op.f("uq_user_ws_credentials_user_id")),
    )
    op.create_table(
        "circuit_aggregates",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("aggregate_date", sa.Date(), nullable=False, comment="the date in Eastern Time"),
        sa.Column("is_rollup", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("total_units", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total_linear_ft", sa.Numeric(precision=14, scale=4), server_default="0", nullable=False),
        sa.Column("total_acres", sa.Numeric(precision=14, scale=4), server_default="0", nullable=False),
        sa.Column("total_trees", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_approved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_pending", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "unit_counts_by_type",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "linear_ft_by_type",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "acres_by_type",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "permission_counts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "planner_distribution",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["circuit_id"], ["circuits.id"], name=op.f("fk_circuit_aggregates_circuit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_circuit_aggregates")),
        sa.UniqueConstraint(
            "circuit_id",
            "aggregate_date",
            "is_rollup",
            name=op.f("uq_circuit_aggregates_circuit_id_aggregate_date_is_rollup"),
        ),
    )
    op.create_table(
        "circuit_history",
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True, comment="null: this is the state now"),
        sa.Column("api_status", sa.Text(), nullable=False),
        sa.Column("workflow_stage", sa.Text(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("is_excluded", sa.Boolean(), nullable=False),
        sa.Column("departed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("total_miles", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("miles_planned", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("percent_complete", sa.Numeric(precision=5, scale=2), server_default="0", nullable=False),
        sa.Column("total_acres", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["circuit_id"], ["circuits.id"], name=op.f("fk_circuit_history_circuit_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_circuit_history_region_id")),
        sa.PrimaryKeyConstraint("circuit_id", "valid_from", name=op.f("pk_circuit_history")),
    )
    op.create_index(
        "uq_circuit_history_open",
        "circuit_history",
        ["circuit_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "circuit_snapshots",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_date", sa.Date(), nullable=False),
        sa.Column("snapshot_type", sa.Text(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("api_status", sa.Text(), nullable=False),
        sa.Column("workflow_stage", sa.Text(), nullable=False),
        sa.Column("total_miles", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("miles_planned", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("percent_complete", sa.Numeric(precision=5, scale=2), server_default="0", nullable=False),
        sa.Column("total_acres", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("total_units", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total_linear_ft", sa.Numeric(precision=14, scale=4), server_default="0", nullable=False),
        sa.Column("total_trees", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_approved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("units_pending", sa.Integer(), server_default="0", nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="the instant whose state this is"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "snapshot_type IN ('daily', 'status_change', 'manual')", name=op.f("ck_circuit_snapshots_snapshot_type")
        ),
        sa.ForeignKeyConstraint(
            ["circuit_id"], ["circuits.id"], name=op.f("fk_circuit_snapshots_circuit_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_circuit_snapshots_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_circuit_snapshots")),
    )
    op.create_index(
        "ix_circuit_snapshots_circuit_id_snapshot_date",
        "circuit_snapshots",
        ["circuit_id", "snapshot_date"],
        unique=False,
    )
    op.create_index(
        "uq_circuit_snapshots_daily",
        "circuit_snapshots",
        ["snapshot_date", "circuit_id"],
        unique=True,
        postgresql_where=sa.text("snapshot_type = 'daily'"),
    )
    op.create_table(
        "circuit_ui_states",
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("workflow_stage", sa.Text(), nullable=False),
        sa.Column("stage_changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stage_changed_by", sa.Text(), nullable=True, comment="'sync', or the person who set the stage"),
        sa.CheckConstraint(
            "workflow_stage IN ('active', 'pending_permissions', 'qc', 'rework', 'closed')",
            name=op.f("ck_circuit_ui_states_workflow_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["circuit_id"], ["circuits.id"], name=op.f("fk_circuit_ui_states_circuit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("circuit_id", name=op.f("pk_circuit_ui_states")),
    )
    op.create_table(
        "circuit_user",
        sa.Column("circuit_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("assignment_source", sa.Text(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "assignment_source IN ('api_sync', 'manual')", name=op.f("ck_circuit_user_assignment_source")
        ),
        sa.ForeignKeyConstraint(
            ["circuit_id"], ["circuits.id"], name=op.f("fk_circuit_user_circuit_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_circuit_user_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("circuit_id", "user_id", name=op.f("pk_circuit_user")),
    )
    op.create_index("ix_circuit_user_user_id", "circuit_user", ["user_id"], unique=False)
