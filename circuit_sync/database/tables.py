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

_CIRCUIT = "the circuit"
_USER = "the user"
_CREATED = "when the row was written"
_REGION = "the region; none where WorkStudio names none"
_TAKEN_BY = "the planner who holds the circuit, as WorkStudio names them; none: nobody"
_STAGE = "active, pending_permissions, qc, rework or closed"
_STATUS = "ACTIV, QC, REWRK or CLOSE"
_EXCLUDED = "a person excluded it: it counts nowhere"
_DEPARTED = "when the answer of its status first lacked it; none: it is in the answer"
_COMPUTED = "when the row was computed"
_DATE = "the weekday, in Eastern Time"
_SYNC = "the sync"
_APPROVED = "units whose owner gave permission"
_REFUSED = "units whose owner refused"
_PENDING = "units whose owner has not answered"
_OLD_PENDING = "of the pending units those assessed over 14 days before the date"
_OLDEST = "when the pending unit that has waited longest was assessed"
_WORK_ORDER = "work order, 2025-1930"
_EXTENSION = "@: main assessment; else the split of the work order"
_GUID = "WorkStudio's key of the circuit"
_TITLE = "title, as WorkStudio says"
_JOB_TYPE = "job type, as WorkStudio says"
_CYCLE_TYPE = "cycle type, as WorkStudio says"
_CONTRACTOR = "contractor, as WorkStudio says"
_START_DATE = "when the work begins; its year is the season"
_API_MODIFIED_AT = "when WorkStudio last changed it"
_API_DATA = "further columns of WorkStudio's row, by their names there"
_CONTENT_HASH = "hash of what WorkStudio sent, to see that nothing changed"


def _id(comment: str = "key of the row") -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True, comment=comment)


def _circuit(**options: Any) -> Column[int]:
    return Column(
        "circuit_id", ForeignKey("circuits.id", ondelete="CASCADE"), nullable=False, comment=_CIRCUIT, **options
    )


def _count(name: str, comment: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0", comment=comment)


def _flag(name: str, default: str, comment: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=default, comment=comment)


def _json(name: str, comment: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=EMPTY_OBJECT, comment=comment)


def _progress() -> list[Column[Any]]:
    """The four measures of a circuit's progress, as circuits, their history and their snapshots hold them."""
    return [
        Column("total_miles", MILES, nullable=False, server_default="0", comment="miles there are to plan"),
        Column(
            "miles_planned",
            MILES,
            nullable=False,
            server_default="0",
            comment="miles planned so far: a level, never to be added up over dates",
        ),
        Column("percent_complete", PERCENT, nullable=False, server_default="0", comment="0 to 100, as WorkStudio says"),
        Column("total_acres", MILES, nullable=False, server_default="0", comment="acres of the circuit"),
    ]


settings = Table(
    "database_settings",
    metadata,
    Column("name", Text, primary_key=True, comment="name of the setting"),
    Column("value", Text, nullable=False, comment="its value"),
    comment="What the database remembers of itself, such as the WorkStudio that filled it",
)

regions = Table(
    "regions",
    metadata,
    _id(),
    Column(
        "name",
        Text,
        nullable=False,
        unique=True,
        comment="name, as WorkStudio spells it; unique without regard to case",
    ),
    Column("code", Text, nullable=False, unique=True, comment="short name, unique"),
    Index("uq_regions_name_folded", text("circuit_sync_fold(name)"), unique=True),
    comment="Regions, as circuit syncs bring them",
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("name", Text, nullable=False, comment="name to show"),
    Column("email", Text, nullable=False, unique=True, comment="address, by which commands name the user"),
    Column(
        "role", Text, nullable=False, server_default="planner", comment="sudo_admin, admin, planner or general_foreman"
    ),
    Column("ws_username", Text, unique=True, comment="name in WorkStudio; unique without regard to case"),
    Column("ws_user_guid", Text, comment="GUID in WorkStudio"),
    _flag("is_ws_linked", "false", "whether circuits of the WorkStudio name are assigned to the user"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW, comment=_CREATED),
    CheckConstraint("role IN ('sudo_admin', 'admin', 'planner', 'general_foreman')", name="role"),
    Index("uq_users_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
    comment="People who use the tables, the live page or the commands",
)

user_regions = Table(
    "user_regions",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, comment=_USER),
    Column("region_id", ForeignKey("regions.id", ondelete="CASCADE"), primary_key=True, comment="the region"),
    comment="Which users may see the circuits of which regions",
)

user_ws_credentials = Table(
    "user_ws_credentials",
    metadata,
    _id(),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True, comment=_USER),
    Column("encrypted_username", Text, nullable=False, comment="WorkStudio user name (Fernet)"),
    Column("encrypted_password", Text, nullable=False, comment="WorkStudio password (Fernet)"),
    _flag("is_valid", "false", "whether WorkStudio took it and it is in use"),
    _count("fail_count", "refusals in a row; three disable it"),
    Column("last_used_at", INSTANT, comment="when it was last used"),
    Column("failed_at", INSTANT, comment="when it was last refused"),
    Column("verified_at", INSTANT, comment="when WorkStudio last took it"),
    comment="WorkStudio passwords of users, encrypted",
)

user_tokens = Table(
    "user_tokens",
    metadata,
    _id(),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, comment=_USER),
    Column("token_hash", Text, nullable=False, unique=True, comment="SHA-256 of the token, which is kept nowhere"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW, comment=_CREATED),
    Column("revoked_at", INSTANT, comment="when it was revoked; none: it is valid"),
    Column("last_used_at", INSTANT, comment="when it was last used"),
    Index("ix_user_tokens_user_id", "user_id"),
    comment="Tokens for the live page and the event stream",
)

unlinked_planners = Table(
    "unlinked_planners",
    metadata,
    _id(),
    Column(
        "ws_username", Text, nullable=False, unique=True, comment="name in WorkStudio; unique without regard to case"
    ),
    Column("first_seen_at", INSTANT, nullable=False, comment="when a sync first met the name"),
    Column("last_seen_at", INSTANT, nullable=False, comment="when a sync last met the name"),
    _count("occurrence_count", "circuits that the planner holds, by the latest sync"),
    Column(
        "linked_user_id",
        ForeignKey("users.id", ondelete="SET NULL"),
        comment="the user whom a person linked the name to",
    ),
    Index("uq_unlinked_planners_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
    comment="Planners who hold circuits and are no users",
)

circuits = Table(
    "circuits",
    metadata,
    _id(),
    Column("job_guid", Text, nullable=False, unique=True, comment=_GUID),
    Column("work_order", Text, nullable=False, comment=_WORK_ORDER),
    Column("extension", Text, nullable=False, server_default="@", comment=_EXTENSION),
    Column(
        "parent_circuit_id",
        ForeignKey("circuits.id", ondelete="SET NULL"),
        comment="of a split: the main assessment of its work order",
    ),
    Column("region_id", ForeignKey("regions.id"), comment=_REGION),
    Column("title", Text, comment=_TITLE),
    Column("job_type", Text, comment=_JOB_TYPE),
    Column("cycle_type", Text, comment=_CYCLE_TYPE),
    Column("contractor", Text, comment=_CONTRACTOR),
    Column("taken_by", Text, comment=_TAKEN_BY),
    *_progress(),
    Column("start_date", Date, comment=_START_DATE),
    Column("api_status", Text, nullable=False, comment=_STATUS),
    Column("api_modified_at", INSTANT, comment=_API_MODIFIED_AT),
    _json("api_data", _API_DATA),
    Column("content_hash", Text, nullable=False, comment=_CONTENT_HASH),
    _json("user_modified_fields", "fields that people changed, which syncs leave alone"),
    _flag("is_excluded", "false", _EXCLUDED),
    _flag("planned_units_sync_enabled", "true", "whether its planned units are fetched"),
    Column("last_planned_units_synced_at", INSTANT, comment="when its planned units were last fetched"),
    Column("departed_at", INSTANT, comment=_DEPARTED),
    Column("created_at", INSTANT, nullable=False, server_default=NOW, comment=_CREATED),
    Column("updated_at", INSTANT, nullable=False, server_default=NOW, comment="when a value last changed"),
    CheckConstraint(f"api_status IN ({STATUSES})", name="api_status"),
    CheckConstraint("percent_complete BETWEEN 0 AND 100", name="percent_complete"),
    Index("ix_circuits_work_order_extension", "work_order", "extension"),
    Index("ix_circuits_parent_circuit_id", "parent_circuit_id", postgresql_where=text("parent_circuit_id IS NOT NULL")),
    comment="Circuits (work orders of WorkStudio), as they are now; upserted by job_guid",
)

circuit_ui_states = Table(
    "circuit_ui_states",
    metadata,
    _circuit(primary_key=True),
    Column("workflow_stage", Text, nullable=False, comment=_STAGE),
    Column("stage_changed_at", INSTANT, nullable=False, comment="when the stage last changed"),
    Column("stage_changed_by", Text, comment="'sync', or the person who set the stage"),
    CheckConstraint(f"workflow_stage IN ({STAGES})", name="workflow_stage"),
    comment="The stage of each circuit",
)

circuit_user = Table(
    "circuit_user",
    metadata,
    _circuit(primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, comment="the planner"),
    Column("assignment_source", Text, nullable=False, comment="api_sync (WorkStudio names the planner) or manual"),
    Column("assigned_at", INSTANT, nullable=False, server_default=NOW, comment="when the planner was assigned"),
    CheckConstraint("assignment_source IN ('api_sync', 'manual')", name="assignment_source"),
    Index("ix_circuit_user_user_id", "user_id"),
    comment="Which users plan which circuits",
)

# Without foreign keys: its one writer copies from circuits, and to check each row again was a tenth of a whole sync.
circuit_history = Table(
    "circuit_history",
    metadata,
    Column("circuit_id", BigInteger, primary_key=True, autoincrement=False, comment=_CIRCUIT),
    Column("valid_from", INSTANT, primary_key=True, comment="since when this is the state"),
    Column("valid_to", INSTANT, comment="until when; none: this is the state now"),
    Column("api_status", Text, nullable=False, comment=_STATUS),
    Column("workflow_stage", Text, nullable=False, comment=_STAGE),
    Column("region_id", BigInteger, comment=_REGION),
    Column("taken_by", Text, comment=_TAKEN_BY),
    Column("is_excluded", Boolean, nullable=False, comment=_EXCLUDED),
    Column("departed_at", INSTANT, comment=_DEPARTED),
    *_progress(),
    Column("work_order", Text, comment="work order; none: as circuits says"),
    Column("extension", Text, comment="@ or the split; none: as circuits says"),
    Column("start_date", Date, comment="when the work begins; none: as circuits says"),
    Index("uq_circuit_history_open", "circuit_id", unique=True, postgresql_where=text("valid_to IS NULL")),
    comment="States of each circuit: a row whenever one of these values changed",
)

circuit_aggregates = Table(
    "circuit_aggregates",
    metadata,
    _id(),
    _circuit(),
    Column(
        "aggregate_date",
        Date,
        nullable=False,
        comment="the day it was computed, in Eastern Time: a row only where a value changed",
    ),
    _flag("is_rollup", "false", "on a main assessment: main and splits together, each unit once"),
    _count("total_units", "planned units; one listed under a main assessment and a split is the split's"),
    Column("total_linear_ft", MEASURE, nullable=False, server_default="0", comment="feet of the types that count feet"),
    Column("total_acres", MEASURE, nullable=False, server_default="0", comment="acres of the types that count acres"),
    _count("total_trees", "trees of the types that count trees"),
    _count("units_approved", _APPROVED),
    _count("units_refused", _REFUSED),
    _count("units_pending", _PENDING),
    _json("unit_counts_by_type", "total_units by unit type"),
    _json("linear_ft_by_type", "total_linear_ft by unit type"),
    _json("acres_by_type", "total_acres by unit type"),
    _json("trees_by_type", "total_trees by unit type; empty in rows of before there was this column"),
    _json(
        "pending_by_date",
        "units_pending by the date assessed, 2026-01-31 or unknown; empty in rows of before there was this column",
    ),
    _json("permission_counts", "total_units by permission, as WorkStudio writes it"),
    _json("planner_distribution", "unit_count, linear_ft, acres and trees by forester"),
    Column("computed_at", INSTANT, nullable=False, server_default=NOW, comment=_COMPUTED),
    UniqueConstraint("circuit_id", "aggregate_date", "is_rollup"),
    comment="Totals over the planned units of a circuit: a row of each date on which one changed",
)

# Without foreign keys, like the history it is computed from: row by row they cost a backfill twice its writing, and
# nothing that they name is ever deleted.
circuit_snapshots = Table(
    "circuit_snapshots",
    metadata,
    _id(),
    Column("circuit_id", BigInteger, nullable=False, comment=_CIRCUIT),
    Column("snapshot_date", Date, nullable=False, comment=_DATE),
    Column(
        "snapshot_type",
        Text,
        nullable=False,
        comment="daily, status_change (at once when the status changes) or manual (by command)",
    ),
    Column("region_id", BigInteger, comment=_REGION),
    Column("taken_by", Text, comment=_TAKEN_BY),
    Column("api_status", Text, nullable=False, comment="ACTIV, QC, REWRK or (status_change only) CLOSE"),
    Column("workflow_stage", Text, nullable=False, comment=_STAGE),
    *_progress(),
    _count("total_units", "planned units, by the latest aggregate at the time"),
    Column("total_linear_ft", MEASURE, nullable=False, server_default="0", comment="feet of these units"),
    _count("total_trees", "trees of these units"),
    _count("units_approved", _APPROVED),
    _count("units_refused", _REFUSED),
    _count("units_pending", _PENDING),
    Column("as_of", INSTANT, nullable=False, comment="the instant whose state this is"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW, comment=_CREATED),
    _flag("is_imported", "false", "from another system's file, of a date before our history begins"),
    *(
        Column(
            f"own_{name}", MILES, comment=f"{name} less that of its splits, which shows them too; none: what is shown"
        )
        for name in ("total_miles", "miles_planned", "total_acres")
    ),
    *(
        Column(
            f"work_order_{name}",
            SUM_OF_MILES,
            comment=f"{name} of the whole work order, on a main assessment that contains it",
        )
        for name in ("total_miles", "miles_planned", "total_acres")
    ),
    Column("main_circuit_id", BigInteger, comment="of a split: the main assessment it is a split of"),
    Column(
        "splits_contained", Boolean, comment="whether a main assessment shows its splits too; none: it has no splits"
    ),
    _count("units_pending_over_14_days", _OLD_PENDING),
    Column("oldest_pending_on", Date, comment=_OLDEST),
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
    comment="Circuits that were not closed at the end of a date",
)


def _rolled_up() -> list[Column[Any]]:
    """What the roll-ups hold of their circuits: levels at the end of the date, and differences, kept apart."""
    return [
        Column("total_miles", SUM_OF_MILES, nullable=False, comment="miles there are to plan"),
        Column(
            "miles_planned",
            SUM_OF_MILES,
            nullable=False,
            comment="miles planned so far: a level, never to be added up over dates",
        ),
        Column("miles_remaining", SUM_OF_MILES, nullable=False, comment="total_miles - miles_planned"),
        Column("total_units", BigInteger, nullable=False, comment="planned units, by the latest aggregate at the time"),
        Column("total_trees", BigInteger, nullable=False, comment="trees of these units"),
        Column("units_approved", BigInteger, nullable=False, comment=_APPROVED),
        Column("units_refused", BigInteger, nullable=False, comment=_REFUSED),
        Column("units_pending", BigInteger, nullable=False, comment=_PENDING),
        Column("total_linear_ft", SUM_OF_MEASURES, nullable=False, comment="feet of these units"),
        Column(
            "miles_planned_change",
            SUM_OF_MILES,
            nullable=False,
            comment="miles planned in this period; a correction is negative",
        ),
        Column("total_units_change", BigInteger, nullable=False, comment="units added in this period"),
        Column("units_approved_change", BigInteger, nullable=False, comment="units approved in this period"),
        Column("units_refused_change", BigInteger, nullable=False, comment="units refused in this period"),
        Column("units_pending_change", BigInteger, nullable=False, comment="units that became pending in this period"),
        Column("computed_at", INSTANT, nullable=False, comment=_COMPUTED),
        Column("units_pending_over_14_days", BigInteger, nullable=False, server_default="0", comment=_OLD_PENDING),
        Column("oldest_pending_on", Date, comment=_OLDEST),
        Column(
            "total_trees_change", BigInteger, nullable=False, server_default="0", comment="trees added in this period"
        ),
    ]


regional_daily = Table(
    "regional_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False, comment=_DATE),
    Column("region_id", ForeignKey("regions.id"), comment=_REGION),
    Column("circuits", Integer, nullable=False, comment="circuits that are not closed, not excluded and not departed"),
    Column("circuits_activ", Integer, nullable=False, comment="of these in progress (ACTIV)"),
    Column("circuits_qc", Integer, nullable=False, comment="of these in quality control (QC)"),
    Column("circuits_rewrk", Integer, nullable=False, comment="of these in rework (REWRK)"),
    Column("stage_active", Integer, nullable=False, comment="of these in the stage active"),
    Column(
        "stage_pending_permissions",
        Integer,
        nullable=False,
        comment="of these planned to the end, permissions outstanding",
    ),
    Column("stage_qc", Integer, nullable=False, comment="of these in the stage qc"),
    Column("stage_rework", Integer, nullable=False, comment="of these in the stage rework"),
    Column("stage_closed", Integer, nullable=False, comment="of these that a person closed before WorkStudio did"),
    *_rolled_up(),
    Index("ix_regional_daily_week_ending", WEEK_ENDING),
    Index("uq_regional_daily_snapshot_date_region", "snapshot_date", text("coalesce(region_id, 0)"), unique=True),
    comment="The daily snapshots added up by region: levels, and differences (…_change) of the day",
)

planner_daily = Table(
    "planner_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False, comment=_DATE),
    Column("taken_by", Text, comment="the planner as WorkStudio names them; none: circuits that nobody holds"),
    Column("region_id", ForeignKey("regions.id"), comment=_REGION),
    Column("circuits", Integer, nullable=False, comment="circuits the planner holds"),
    *_rolled_up(),
    Index("ix_planner_daily_week_ending", WEEK_ENDING),
    Index(
        "uq_planner_daily_snapshot_date_planner_region",
        "snapshot_date",
        text("coalesce(circuit_sync_fold(taken_by), '')"),
        text("coalesce(region_id, 0)"),
        unique=True,
    ),
    comment="The daily snapshots added up by planner and region: levels, and differences (…_change) of the day",
)

season_daily = Table(
    "season_daily",
    metadata,
    Column("snapshot_date", Date, nullable=False, comment=_DATE),
    Column("region_id", ForeignKey("regions.id"), comment=_REGION),
    Column("season", Integer, comment="the year the circuits begin in (start_date); none: unknown"),
    _count("circuits", "circuits of the season, closed and departed ones too, excluded ones not"),
    _count("circuits_closed", "of these closed, at their last state"),
    _count("circuits_departed", "of these departed, at their last state"),
    _count("circuits_with_units", "of these those whose units were ever fetched"),
    Column("total_miles", SUM_OF_MILES, nullable=False, server_default="0", comment="own miles of all"),
    Column("miles_planned", SUM_OF_MILES, nullable=False, server_default="0", comment="own miles planned of all"),
    Column(
        "miles_remaining",
        SUM_OF_MILES,
        nullable=False,
        server_default="0",
        comment="own miles not planned of those that are not closed",
    ),
    Column(
        "miles_closed_unplanned",
        SUM_OF_MILES,
        nullable=False,
        server_default="0",
        comment="own miles not planned of those that are closed",
    ),
    Column(
        "total_units",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="planned units, by the latest aggregate at the time",
    ),
    Column("total_trees", BigInteger, nullable=False, server_default="0", comment="trees of these units"),
    Column("units_approved", BigInteger, nullable=False, server_default="0", comment=_APPROVED),
    Column("units_refused", BigInteger, nullable=False, server_default="0", comment=_REFUSED),
    Column("units_pending", BigInteger, nullable=False, server_default="0", comment=_PENDING),
    Column("computed_at", INSTANT, nullable=False, server_default=NOW, comment=_COMPUTED),
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
    comment="All circuits of a season by region, finished ones too, as of the end of a date",
)

season_targets = Table(
    "season_targets",
    metadata,
    _id(),
    Column(
        "region_id", ForeignKey("regions.id"), comment="the region; none: every region that has no target of its own"
    ),
    Column("season", Integer, nullable=False, comment="the year in which circuits begin"),
    Column("finish_on", Date, nullable=False, comment="the date by which all is to be planned"),
    Index("uq_season_targets_region_season", text("coalesce(region_id, 0)"), "season", unique=True),
    comment="By when a season is to be planned",
)

sync_logs = Table(
    "sync_logs",
    metadata,
    _id(),
    Column("sync_type", Text, nullable=False, comment="circuit_list, aggregates or snapshots"),
    Column(
        "sync_status",
        Text,
        nullable=False,
        server_default="started",
        comment="started, completed, failed or warning (completed, but look)",
    ),
    Column("sync_trigger", Text, nullable=False, comment="scheduled, manual or workflow_event"),
    Column("region_id", ForeignKey("regions.id"), comment="the region it was limited to; none: every region"),
    Column("api_status_filter", Text, comment="the statuses asked for: ACTIV or QC,REWRK,CLOSE"),
    Column("triggered_by", ForeignKey("users.id", ondelete="SET NULL"), comment="the user who started it"),
    Column("dagster_run_id", Text, comment="the run in Dagster"),
    Column(
        "retry_of", ForeignKey("sync_logs.id", ondelete="SET NULL"), comment="the failed sync that this one tries again"
    ),
    Column("retry_at", INSTANT, comment="when it is tried again; none: it is not"),
    Column("started_at", INSTANT, nullable=False, comment="when it began"),
    Column("completed_at", INSTANT, comment="when it ended"),
    Column("duration_seconds", Numeric(12, 3), comment="seconds from beginning to end"),
    _count("circuits_processed", "circuits seen: created, updated and unchanged"),
    _count("circuits_created", "of these new"),
    _count("circuits_updated", "of these changed"),
    _count("circuits_unchanged", "of these as they were"),
    _count("rows_received", "rows of WorkStudio's answers: circuits_processed, rejected and duplicate"),
    _count("rows_rejected", "rows with a value that cannot be"),
    _count("rows_duplicate", "rows of a circuit that another row of the sync had"),
    _count("aggregates_created", "aggregates or snapshots written"),
    Column("error_message", Text, comment="why it failed, in one line"),
    _json("error_details", "what failed, for programs"),
    _json("context", "what it was asked for and what it found, by its type"),
    UniqueConstraint("dagster_run_id", "sync_type"),
    CheckConstraint("sync_type IN ('circuit_list', 'aggregates', 'snapshots')", name="sync_type"),
    CheckConstraint("sync_status IN ('started', 'completed', 'failed', 'warning')", name="sync_status"),
    CheckConstraint("sync_trigger IN ('scheduled', 'manual', 'workflow_event')", name="sync_trigger"),
    Index("ix_sync_logs_started", "started_at", postgresql_where=text("sync_status = 'started'")),
    Index("ix_sync_logs_retry_of", "retry_of"),
    comment="Every sync: what it asked for, what became of it",
)

sync_events = Table(
    "sync_events",
    metadata,
    _id("key of the row, by which listeners resume"),
    Column("name", Text, nullable=False, comment="sync.started, circuit.updated, …"),
    Column("channels", ARRAY(Text), nullable=False, comment="who is told: dashboard, sync-status, circuit.ID"),
    Column("payload", JSONB, nullable=False, comment="what listeners are sent"),
    Column("circuit_id", BigInteger, comment=_CIRCUIT),
    Column("sync_log_id", BigInteger, comment="the sync that it happened in"),
    Column("occurred_at", INSTANT, nullable=False, server_default=NOW, comment="when it happened"),
    Index("ix_sync_events_occurred_at", "occurred_at"),
    Index("ix_sync_events_of_syncs", "id", postgresql_where=text("circuit_id IS NULL")),
    comment="Events, each written in the transaction of what it tells of",
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("url_hash", Text, primary_key=True, comment="SHA-256 of the URL, which may hold a secret"),
    Column("position", BigInteger, nullable=False, comment="id of the last event that is done with"),
    _count("attempts", "failed attempts at the next event"),
    Column("next_attempt_at", INSTANT, comment="when it is tried again"),
    Column("delivered_at", INSTANT, comment="when an event was last taken"),
    Column("last_error", Text, comment="why the last attempt failed"),
    _count("refusals", "of these attempts those that the receiver answered by refusing the event"),
    comment="How far each webhook has been told",
)

unit_types = Table(
    "unit_types",
    metadata,
    Column("code", Text, primary_key=True, comment="code in WorkStudio"),
    Column("name", Text, nullable=False, comment="name"),
    Column("category", Text, nullable=False, comment="category"),
    Column("measurement", Text, nullable=False, comment="what is counted of it: linear_ft, acres, tree_count or none"),
    Column("dbh_min_in", Numeric(6, 2), comment="least trunk diameter, inches"),
    Column("dbh_max_in", Numeric(6, 2), comment="largest trunk diameter, inches"),
    Column("species", Text, comment="species"),
    CheckConstraint("measurement IN ('linear_ft', 'acres', 'tree_count', 'none')", name="measurement"),
    comment="Types of planned units, from the file that comes with the program",
)

staged_circuits = Table(
    "staged_circuits",
    metadata,
    Column("sync_log_id", BigInteger, nullable=False, comment=_SYNC),
    Column("row_number", Integer, nullable=False, comment="place of the row in the answers"),
    Column(
        "status_order", SmallInteger, nullable=False, comment="place of the answer's status in the order of statuses"
    ),
    Column("answer_status", Text, nullable=False, comment="the status that was asked for"),
    Column("job_guid", Text, nullable=False, comment=_GUID),
    Column("work_order", Text, nullable=False, comment=_WORK_ORDER),
    Column("extension", Text, nullable=False, comment=_EXTENSION),
    Column("region", Text, comment="name of the region; none where WorkStudio names none"),
    Column("title", Text, comment=_TITLE),
    Column("job_type", Text, comment=_JOB_TYPE),
    Column("cycle_type", Text, comment=_CYCLE_TYPE),
    Column("contractor", Text, comment=_CONTRACTOR),
    Column("taken_by", Text, comment=_TAKEN_BY),
    *_progress(),
    Column("start_date", Date, comment=_START_DATE),
    Column("api_status", Text, nullable=False, comment=_STATUS),
    Column("api_modified_at", INSTANT, comment=_API_MODIFIED_AT),
    Column("api_data", JSONB, nullable=False, comment=_API_DATA),
    Column("content_hash", Text, nullable=False, comment=_CONTENT_HASH),
    prefixes=["UNLOGGED"],
    comment="Rows of a circuit sync under way, gone when it ends",
)

staged_choices = Table(
    "staged_choices",
    metadata,
    Column("sync_log_id", BigInteger, nullable=False, comment=_SYNC),
    Column("circuit_id", BigInteger, nullable=False, comment=_CIRCUIT),
    Column("work_order", Text, nullable=False, comment=_WORK_ORDER),
    Column("extension", Text, nullable=False, comment=_EXTENSION),
    Column("reason", Text, nullable=False, comment="why its units are due"),
    prefixes=["UNLOGGED"],
    comment="Circuits whose units an aggregate sync under way fetches, gone when it ends",
)
