"""The tables, as SQLAlchemy Core definitions: the single truth that the migrations are compared with.

Times are ``timestamptz`` in UTC. Miles are ``numeric(12,2)``, feet and acres of units ``numeric(14,4)``, percent
``numeric(5,2)``.
The two ``staged_…`` tables are unlogged: what lies in them belongs to a sync under way and goes when the sync ends.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

MILES = Numeric(12, 2)
PERCENT = Numeric(5, 2)
MEASURE = Numeric(14, 4)
SUM_OF_MILES = Numeric(16, 2)
SUM_OF_MEASURES = Numeric(18, 4)
INSTANT = DateTime(timezone=True)
NOW = text("now()")
WEEK_ENDING = text("(snapshot_date + 5 - extract(isodow FROM snapshot_date)::int)")
EMPTY_OBJECT = text("'{}'::jsonb")

STATUSES = "'ACTIV', 'QC', 'REWRK', 'CLOSE'"
STAGES = "'active', 'pending_permissions', 'qc', 'rework', 'closed'"


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _circuit(**options: Any) -> Column[int]:
    return Column("circuit_id", ForeignKey("circuits.id", ondelete="CASCADE"), nullable=False, **options)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _flag(name: str, default: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=default)


def _json(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=EMPTY_OBJECT)


def _progress() -> list[Column[Any]]:
    """The four measures of a circuit's progress, as circuits, their history and their snapshots hold them."""
    return [
        Column("total_miles", MILES, nullable=False, server_default="0"),
        Column("miles_planned", MILES, nullable=False, server_default="0"),
        Column("percent_complete", PERCENT, nullable=False, server_default="0"),
        Column("total_acres", MILES, nullable=False, server_default="0"),
    ]


settings = Table(
    "database_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="What the database remembers of itself: the WorkStudio that filled it, the ties its locks need",
)

regions = Table(
    "regions",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("code", Text, nullable=False, unique=True),
    Index("uq_regions_name_folded", text("circuit_sync_fold(name)"), unique=True),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False, server_default="planner"),
    Column("ws_username", Text, unique=True),
    Column("ws_user_guid", Text),
    _flag("is_ws_linked", "false"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("role IN ('sudo_admin', 'admin', 'planner', 'general_foreman')", name="role"),
    Index("uq_users_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
)

user_regions = Table(
    "user_regions",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("region_id", ForeignKey("regions.id", ondelete="CASCADE"), primary_key=True),
)

user_ws_credentials = Table(
    "user_ws_credentials",
    metadata,
    _id(),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("encrypted_username", Text, nullable=False),
    Column("encrypted_password", Text, nullable=False),
    _flag("is_valid", "false"),
    _count("fail_count"),
    Column("last_used_at", INSTANT),
    Column("failed_at", INSTANT),
    Column("verified_at", INSTANT),
)

user_tokens = Table(
    "user_tokens",
    metadata,
    _id(),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", Text, nullable=False, unique=True, comment="SHA-256 of the token, which is kept nowhere"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("revoked_at", INSTANT),
    Column("last_used_at", INSTANT),
    Index("ix_user_tokens_user_id", "user_id"),
)

unlinked_planners = Table(
    "unlinked_planners",
    metadata,
    _id(),
    Column("ws_username", Text, nullable=False, unique=True),
    Column("first_seen_at", INSTANT, nullable=False),
    Column("last_seen_at", INSTANT, nullable=False),
    _count("occurrence_count"),
    Column("linked_user_id", ForeignKey("users.id", ondelete="SET NULL")),
    Index("uq_unlinked_planners_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
)

circuits = Table(
    "circuits",
    metadata,
    _id(),
    Column("job_guid", Text, nullable=False, unique=True),
    Column("work_order", Text, nullable=False),
    Column("extension", Text, nullable=False, server_default="@"),
    Column("parent_circuit_id", ForeignKey("circuits.id", ondelete="SET NULL")),
    Column("region_id", ForeignKey("regions.id")),
    Column("title", Text),
    Column("job_type", Text),
    Column("cycle_type", Text),
    Column("contractor", Text),
    Column("taken_by", Text),
    *_progress(),
    Column("start_date", Date),
    Column("api_status", Text, nullable=False),
    Column("api_modified_at", INSTANT),
    _json("api_data"),
    Column("content_hash", Text, nullable=False),
    _json("user_modified_fields"),
    _flag("is_excluded", "false"),
    _flag("planned_units_sync_enabled", "true"),
    Column("last_planned_units_synced_at", INSTANT),
    Column("departed_at", INSTANT),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("updated_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint(f"api_status IN ({STATUSES})", name="api_status"),
    CheckConstraint("percent_complete BETWEEN 0 AND 100", name="percent_complete"),
    Index("ix_circuits_work_order_extension", "work_order", "extension"),
    Index("ix_circuits_parent_circuit_id", "parent_circuit_id", postgresql_where=text("parent_circuit_id IS NOT NULL")),
)

circuit_ui_states = Table(
    "circuit_ui_states",
    metadata,
    _circuit(primary_key=True),
    Column("workflow_stage", Text, nullable=False),
    Column("stage_changed_at", INSTANT, nullable=False),
    Column("stage_changed_by", Text, comment="'sync', or the person who set the stage"),
    CheckConstraint(f"workflow_stage IN ({STAGES})", name="workflow_stage"),
)

circuit_user = Table(
    "circuit_user",
    metadata,
    _circuit(primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("assignment_source", Text, nullable=False),
    Column("assigned_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("assignment_source IN ('api_sync', 'manual')", name="assignment_source"),
    Index("ix_circuit_user_user_id", "user_id"),
)

# Without foreign keys: its one writer copies from circuits, and to check each row again was a tenth of a whole sync.
circuit_history = Table(
    "circuit_history",
    metadata,
    Column("circuit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_from", INSTANT, primary_key=True),
    Column("valid_to", INSTANT, comment="null: this is the state now"),
    Column("api_status", Text, nullable=False),
    Column("workflow_stage", Text, nullable=False),
    Column("region_id", BigInteger),
    Column("taken_by", Text),
    Column("is_excluded", Boolean, nullable=False),
    Column("departed_at", INSTANT),
    *_progress(),
    Column("work_order", Text, comment="null: as circuits says"),
    Column("extension", Text, comment="null: as circuits says"),
    Column("start_date", Date, comment="null: as circuits says"),
    Index("uq_circuit_history_open", "circuit_id", unique=True, postgresql_where=text("valid_to IS NULL")),
)

circuit_aggregates = Table(
    "circuit_aggregates",
    metadata,
    _id(),
    _circuit(),
    Column("aggregate_date", Date, nullable=False, comment="the date in Eastern Time"),
    _flag("is_rollup", "false"),
    _count("total_units"),
    Column("total_linear_ft", MEASURE, nullable=False, server_default="0"),
    Column("total_acres", MEASURE, nullable=False, server_default="0"),
    _count("total_trees"),
    _count("units_approved"),
    _count("units_refused"),
    _count("units_pending"),
    _json("unit_counts_by_type"),
    _json("linear_ft_by_type"),
    _json("acres_by_type"),
    _json("trees_by_type"),
    _json("pending_by_date"),
    _json("permission_counts"),
    _json("planner_distribution"),
    Column("computed_at", INSTANT, nullable=False, server_default=NOW),
    UniqueConstraint("circuit_id", "aggregate_date", "is_rollup"),
)

# Without foreign keys, like the history it is computed from: row by row they cost a backfill twice its writing, and
# nothing that they name is ever deleted.
circuit_snapshots = Table(
    "circuit_snapshots",
    metadata,
    _id(),
    Column("circuit_id", BigInteger, nullable=False),
    Column("snapshot_date", Date, nullable=False),
    Column("snapshot_type", Text, nullable=False),
    Column("region_id", BigInteger),
    Column("taken_by", Text),
    Column("api_status", Text, nullable=False),
    Column("workflow_stage", Text, nullable=False),
    *_progress(),
    _count("total_units"),
    Column("total_linear_ft", MEASURE, nullable=False, server_default="0"),
    _count("total_trees"),
    _count("units_approved"),
    _count("units_refused"),
    _count("units_pending"),
    Column("as_of", INSTANT, nullable=False, comment="the instant whose state this is"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    _flag("is_imported", "false"),
    *(
        Column(name, MILES, comment="null: what is shown")
        for name in ("own_total_miles", "own_miles_planned", "own_total_acres")
    ),
    *(
        Column(name, SUM_OF_MILES, comment="of a main assessment that contains its splits")
        for name in ("work_order_total_miles", "work_order_miles_planned", "work_order_total_acres")
    ),
    Column("main_circuit_id", BigInteger, comment="of a split: what it is a split of"),
    Column("splits_contained", Boolean, comment="null: it has no splits"),
    _count("units_pending_over_14_days"),
    Column("oldest_pending_on", Date),
    CheckConstraint("snapshot_type IN ('daily', 'status_change', 'manual')", name="snapshot_type"),
    Index(
        "uq_circuit_snapshots_daily",
        "snapshot_date",
        "circuit_id",
        unique=True,
        postgresql_where=text("snapshot_type = 'daily'"),
    ),
    Index("ix_circuit_snapshots_circuit_id_snapshot_date", "circuit_id", "snapshot_date"),
    Index("ix_circuit_snapshots_imported", "snapshot_date", postgresql_where=text("is_imported")),
    Index(
        "ix_circuit_snapshots_main_circuit_id_snapshot_date",
        "main_circuit_id",
        "snapshot_date",
        postgresql_where=text("main_circuit_id IS NOT NULL"),
    ),
)


def _rolled_up() -> list[Column[Any]]:
    """What the roll-ups hold of their circuits: levels at the end of the date, and differences, kept apart."""
    miles = ("total_miles", "miles_planned", "miles_remaining")
    levels: list[Column[Any]] = [Column(name, SUM_OF_MILES, nullable=False) for name in miles]
    units = ("total_units", "total_trees", "units_approved", "units_refused", "units_pending")
    levels += [Column(name, BigInteger, nullable=False) for name in units]
    levels.append(Column("total_linear_ft", SUM_OF_MEASURES, nullable=False))
    changes: list[Column[Any]] = [Column("miles_planned_change", SUM_OF_MILES, nullable=False)]
    changes += [
        Column(f"{name}_change", BigInteger, nullable=False)
        for name in ("total_units", "units_approved", "units_refused", "units_pending")
    ]
    return [
        *levels,
        *changes,
        Column("computed_at", INSTANT, nullable=False),
        Column("units_pending_over_14_days", BigInteger, nullable=False, server_default="0"),
        Column("oldest_pending_on", Date),
        Column("total_trees_change", BigInteger, nullable=False, server_default="0"),
    ]


regional_daily = Table(
    "regional_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False),
    Column("region_id", ForeignKey("regions.id")),
    *(Column(f"circuits{of}", Integer, nullable=False) for of in ("", "_activ", "_qc", "_rewrk")),
    *(
        Column(f"stage_{stage}", Integer, nullable=False)
        for stage in ("active", "pending_permissions", "qc", "rework", "closed")
    ),
    *_rolled_up(),
    Index("ix_regional_daily_week_ending", WEEK_ENDING),
    Index("uq_regional_daily_snapshot_date_region", "snapshot_date", text("coalesce(region_id, 0)"), unique=True),
)

planner_daily = Table(
    "planner_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False),
    Column("taken_by", Text, comment="null: circuits that nobody holds"),
    Column("region_id", ForeignKey("regions.id")),
    Column("circuits", Integer, nullable=False),
    *_rolled_up(),
    Index("ix_planner_daily_week_ending", WEEK_ENDING),
    Index(
        "uq_planner_daily_snapshot_date_planner_region",
        "snapshot_date",
        text("coalesce(circuit_sync_fold(taken_by), '')"),
        text("coalesce(region_id, 0)"),
        unique=True,
    ),
)

season_daily = Table(
    "season_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False),
    Column("region_id", ForeignKey("regions.id")),
    Column("season", Integer, comment="the year of the circuits' start_date; null: unknown"),
    *(_count(name) for name in ("circuits", "circuits_closed", "circuits_departed", "circuits_with_units")),
    *(
        Column(name, SUM_OF_MILES, nullable=False, server_default="0")
        for name in ("total_miles", "miles_planned", "miles_remaining", "miles_closed_unplanned")
    ),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in ("total_units", "total_trees", "units_approved", "units_refused", "units_pending")
    ),
    Column("computed_at", INSTANT, nullable=False, server_default=NOW),
    _id(),
    Index(
        "uq_season_daily_snapshot_date_region_season",
        "snapshot_date",
        text("coalesce(region_id, 0)"),
        text("coalesce(season, 0)"),
        unique=True,
    ),
    Index(
        "ix_season_daily_region_season",
        text("coalesce(region_id, 0)"),
        text("coalesce(season, 0)"),
        "snapshot_date",
    ),
)

season_targets = Table(
    "season_targets",
    metadata,
    _id(),
    Column("region_id", ForeignKey("regions.id")),
    Column("season", Integer, nullable=False),
    Column("finish_on", Date, nullable=False),
    Index("uq_season_targets_region_season", text("coalesce(region_id, 0)"), "season", unique=True),
)

sync_logs = Table(
    "sync_logs",
    metadata,
    _id(),
    Column("sync_type", Text, nullable=False),
    Column("sync_status", Text, nullable=False, server_default="started"),
    Column("sync_trigger", Text, nullable=False),
    Column("region_id", ForeignKey("regions.id")),
    Column("api_status_filter", Text),
    Column("triggered_by", ForeignKey("users.id", ondelete="SET NULL")),
    Column("dagster_run_id", Text),
    Column("retry_of", ForeignKey("sync_logs.id", ondelete="SET NULL")),
    Column("retry_at", INSTANT),
    Column("started_at", INSTANT, nullable=False),
    Column("completed_at", INSTANT),
    Column("duration_seconds", Numeric(12, 3)),
    _count("circuits_processed"),
    _count("circuits_created"),
    _count("circuits_updated"),
    _count("circuits_unchanged"),
    _count("rows_received"),
    _count("rows_rejected"),
    _count("rows_duplicate"),
    _count("aggregates_created"),
    Column("error_message", Text),
    _json("error_details"),
    _json("context"),
    UniqueConstraint("dagster_run_id", "sync_type"),
    CheckConstraint("sync_type IN ('circuit_list', 'aggregates', 'snapshots')", name="sync_type"),
    CheckConstraint("sync_status IN ('started', 'completed', 'failed', 'warning')", name="sync_status"),
    CheckConstraint("sync_trigger IN ('scheduled', 'manual', 'workflow_event')", name="sync_trigger"),
    Index("ix_sync_logs_started", "started_at", postgresql_where=text("sync_status = 'started'")),
    Index("ix_sync_logs_retry_of", "retry_of"),
)

sync_events = Table(
    "sync_events",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("circuit_id", BigInteger),
    Column("sync_log_id", BigInteger),
    Column("occurred_at", INSTANT, nullable=False, server_default=NOW),
    Index("ix_sync_events_occurred_at", "occurred_at"),
    Index("ix_sync_events_of_syncs", "id", postgresql_where=text("circuit_id IS NULL")),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("url_hash", Text, primary_key=True, comment="SHA-256 of the URL, which may hold a secret"),
    Column("position", BigInteger, nullable=False, comment="id of the last event that is done with"),
    _count("attempts"),
    Column("next_attempt_at", INSTANT),
    Column("delivered_at", INSTANT),
    Column("last_error", Text),
    _count("refusals"),
)

unit_types = Table(
    "unit_types",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("measurement", Text, nullable=False),
    Column("dbh_min_in", Numeric(6, 2)),
    Column("dbh_max_in", Numeric(6, 2)),
    Column("species", Text),
    CheckConstraint("measurement IN ('linear_ft', 'acres', 'tree_count', 'none')", name="measurement"),
)

staged_circuits = Table(
    "staged_circuits",
    metadata,
    Column("sync_log_id", BigInteger, nullable=False),
    Column("row_number", Integer, nullable=False),
    Column(
        "status_order", SmallInteger, nullable=False, comment="place of the answer's status in the order of statuses"
    ),
    Column("answer_status", Text, nullable=False, comment="the status that was asked for"),
    Column("job_guid", Text, nullable=False),
    Column("work_order", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("region", Text),
    Column("title", Text),
    Column("job_type", Text),
    Column("cycle_type", Text),
    Column("contractor", Text),
    Column("taken_by", Text),
    *_progress(),
    Column("start_date", Date),
    Column("api_status", Text, nullable=False),
    Column("api_modified_at", INSTANT),
    Column("api_data", JSONB, nullable=False),
    Column("content_hash", Text, nullable=False),
    prefixes=["UNLOGGED"],
)

staged_choices = Table(
    "staged_choices",
    metadata,
    Column("sync_log_id", BigInteger, nullable=False),
    Column("circuit_id", BigInteger, nullable=False),
    Column("work_order", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("reason", Text, nullable=False),
    prefixes=["UNLOGGED"],
)
