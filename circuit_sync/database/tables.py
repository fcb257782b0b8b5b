"""The tables, as SQLAlchemy Core definitions: the single truth that the migrations are compared with.

Times are ``timestamptz`` in UTC. The two ``staged_…`` tables are unlogged: what lies in them belongs to a sync under
way and goes when the sync ends.
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
from sqlalchemy.schema import SchemaItem

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
_REGION_KEY = text("coalesce(region_id, 0)")
_SEASON_KEY = text("coalesce(season, 0)")
_PLANNER_KEY = text("coalesce(circuit_sync_fold(taken_by), '')")

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
_APPROVED = "units whose owner gave permission"
_REFUSED = "units whose owner refused"
_PENDING = "units whose owner has not answered"
_OLD_PENDING = "of the pending units those assessed over 14 days before the date"
_OLDEST = "when the pending unit that has waited longest was assessed"
_TOTAL_MILES = "miles there are to plan"
_MILES_PLANNED = "miles planned so far: a level, never to be added up over dates"
_WORK_ORDER = "work order, 2025-1930"
_EXTENSION = "@: main assessment; else the split of the work order"
_GUID = "WorkStudio's key of the circuit"
_API_DATA = "further columns of WorkStudio's row, by their names there"
_CONTENT_HASH = "hash of what WorkStudio sent, to see that nothing changed"


def _table(name: str, comment: str, *columns: SchemaItem, **options: Any) -> Table:
    return Table(name, metadata, *columns, comment=comment, **options)


def _required(name: str, kind: Any, comment: str, default: Any = None, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=default, comment=comment, **options)


def _optional(name: str, kind: Any, comment: str, **options: Any) -> Column[Any]:
    return Column(name, kind, comment=comment, **options)


def _count(name: str, comment: str) -> Column[int]:
    return _required(name, Integer, comment, "0")


def _id(comment: str = "key of the row") -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True, comment=comment)


def _circuit(**options: Any) -> Column[int]:
    return _required("circuit_id", ForeignKey("circuits.id", ondelete="CASCADE"), _CIRCUIT, **options)


def _progress() -> list[Column[Any]]:
    """The four measures of a circuit's progress, as circuits, their history and their snapshots hold them."""
    return [
        _required("total_miles", MILES, _TOTAL_MILES, "0"),
        _required("miles_planned", MILES, _MILES_PLANNED, "0"),
        _required("percent_complete", PERCENT, "0 to 100, as WorkStudio says", "0"),
        _required("total_acres", MILES, "acres of the circuit", "0"),
    ]


def _fetched() -> list[Column[Any]]:
    """What both circuits and staged circuits take from WorkStudio's row as it is."""
    return [
        _optional("title", Text, "title, as WorkStudio says"),
        _optional("job_type", Text, "job type, as WorkStudio says"),
        _optional("cycle_type", Text, "cycle type, as WorkStudio says"),
        _optional("contractor", Text, "contractor, as WorkStudio says"),
        _optional("taken_by", Text, _TAKEN_BY),
        *_progress(),
        _optional("start_date", Date, "when the work begins; its year is the season"),
        _required("api_status", Text, _STATUS),
        _optional("api_modified_at", INSTANT, "when WorkStudio last changed it"),
    ]


settings = _table(
    "database_settings",
    "What the database remembers of itself, such as the WorkStudio that filled it",
    Column("name", Text, primary_key=True, comment="name of the setting"),
    _required("value", Text, "its value"),
)

regions = _table(
    "regions",
    "Regions, as circuit syncs bring them",
    _id(),
    _required("name", Text, "name, as WorkStudio spells it; unique without regard to case", unique=True),
    _required("code", Text, "short name, unique", unique=True),
    Index("uq_regions_name_folded", text("circuit_sync_fold(name)"), unique=True),
)

users = _table(
    "users",
    "People who use the tables, the live page or the commands",
    _id(),
    _required("name", Text, "name to show"),
    _required("email", Text, "address, by which commands name the user", unique=True),
    _required("role", Text, "sudo_admin, admin, planner or general_foreman", "planner"),
    _optional("ws_username", Text, "name in WorkStudio; unique without regard to case", unique=True),
    _optional("ws_user_guid", Text, "GUID in WorkStudio"),
    _required("is_ws_linked", Boolean, "whether circuits of the WorkStudio name are assigned to the user", "false"),
    _required("created_at", INSTANT, _CREATED, NOW),
    CheckConstraint("role IN ('sudo_admin', 'admin', 'planner', 'general_foreman')", name="role"),
    Index("uq_users_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
)

user_regions = _table(
    "user_regions",
    "Which users may see the circuits of which regions",
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, comment=_USER),
    Column("region_id", ForeignKey("regions.id", ondelete="CASCADE"), primary_key=True, comment="the region"),
)

user_ws_credentials = _table(
    "user_ws_credentials",
    "WorkStudio passwords of users, encrypted",
    _id(),
    _required("user_id", ForeignKey("users.id", ondelete="CASCADE"), _USER, unique=True),
    _required("encrypted_username", Text, "WorkStudio user name (Fernet)"),
    _required("encrypted_password", Text, "WorkStudio password (Fernet)"),
    _required("is_valid", Boolean, "whether WorkStudio took it and it is in use", "false"),
    _count("fail_count", "refusals in a row; three disable it"),
    _optional("last_used_at", INSTANT, "when it was last used"),
    _optional("failed_at", INSTANT, "when it was last refused"),
    _optional("verified_at", INSTANT, "when WorkStudio last took it"),
)

user_tokens = _table(
    "user_tokens",
    "Tokens for the live page and the event stream",
    _id(),
    _required("user_id", ForeignKey("users.id", ondelete="CASCADE"), _USER),
    _required("token_hash", Text, "SHA-256 of the token, which is kept nowhere", unique=True),
    _required("created_at", INSTANT, _CREATED, NOW),
    _optional("revoked_at", INSTANT, "when it was revoked; none: it is valid"),
    _optional("last_used_at", INSTANT, "when it was last used"),
    Index("ix_user_tokens_user_id", "user_id"),
)

unlinked_planners = _table(
    "unlinked_planners",
    "Planners who hold circuits and are no users",
    _id(),
    _required("ws_username", Text, "name in WorkStudio; unique without regard to case", unique=True),
    _required("first_seen_at", INSTANT, "when a sync first met the name"),
    _required("last_seen_at", INSTANT, "when a sync last met the name"),
    _count("occurrence_count", "circuits that the planner holds, by the latest sync"),
    _optional(
        "linked_user_id", ForeignKey("users.id", ondelete="SET NULL"), "the user whom a person linked the name to"
    ),
    Index("uq_unlinked_planners_ws_username_folded", text("circuit_sync_fold(ws_username)"), unique=True),
)

circuits = _table(
    "circuits",
    "Circuits (work orders of WorkStudio), as they are now; upserted by job_guid",
    _id(),
    _required("job_guid", Text, _GUID, unique=True),
    _required("work_order", Text, _WORK_ORDER),
    _required("extension", Text, _EXTENSION, "@"),
    _optional(
        "parent_circuit_id",
        ForeignKey("circuits.id", ondelete="SET NULL"),
        "of a split: the main assessment of its work order",
    ),
    _optional("region_id", ForeignKey("regions.id"), _REGION),
    *_fetched(),
    _required("api_data", JSONB, _API_DATA, EMPTY_OBJECT),
    _required("content_hash", Text, _CONTENT_HASH),
    _required("user_modified_fields", JSONB, "fields that people changed, which syncs leave alone", EMPTY_OBJECT),
    _required("is_excluded", Boolean, _EXCLUDED, "false"),
    _required("planned_units_sync_enabled", Boolean, "whether its planned units are fetched", "true"),
    _optional("last_planned_units_synced_at", INSTANT, "when its planned units were last fetched"),
    _optional("departed_at", INSTANT, _DEPARTED),
    _required("created_at", INSTANT, _CREATED, NOW),
    _required("updated_at", INSTANT, "when a value last changed", NOW),
    CheckConstraint("api_status IN ('ACTIV', 'QC', 'REWRK', 'CLOSE')", name="api_status"),
    CheckConstraint("percent_complete BETWEEN 0 AND 100", name="percent_complete"),
    Index("ix_circuits_work_order_extension", "work_order", "extension"),
    Index("ix_circuits_parent_circuit_id", "parent_circuit_id", postgresql_where=text("parent_circuit_id IS NOT NULL")),
)

circuit_ui_states = _table(
    "circuit_ui_states",
    "The stage of each circuit",
    _circuit(primary_key=True),
    _required("workflow_stage", Text, _STAGE),
    _required("stage_changed_at", INSTANT, "when the stage last changed"),
    _optional("stage_changed_by", Text, "'sync', or the person who set the stage"),
    CheckConstraint(
        "workflow_stage IN ('active', 'pending_permissions', 'qc', 'rework', 'closed')", name="workflow_stage"
    ),
)

circuit_user = _table(
    "circuit_user",
    "Which users plan which circuits",
    _circuit(primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, comment="the planner"),
    _required("assignment_source", Text, "api_sync (WorkStudio names the planner) or manual"),
    _required("assigned_at", INSTANT, "when the planner was assigned", NOW),
    CheckConstraint("assignment_source IN ('api_sync', 'manual')", name="assignment_source"),
    Index("ix_circuit_user_user_id", "user_id"),
)

# Without foreign keys: its one writer copies from circuits, and to check each row again was a tenth of a whole sync.
circuit_history = _table(
    "circuit_history",
    "States of each circuit: a row whenever one of these values changed",
    Column("circuit_id", BigInteger, primary_key=True, autoincrement=False, comment=_CIRCUIT),
    Column("valid_from", INSTANT, primary_key=True, comment="since when this is the state"),
    _optional("valid_to", INSTANT, "until when; none: this is the state now"),
    _required("api_status", Text, _STATUS),
    _required("workflow_stage", Text, _STAGE),
    _optional("region_id", BigInteger, _REGION),
    _optional("taken_by", Text, _TAKEN_BY),
    _required("is_excluded", Boolean, _EXCLUDED),
    _optional("departed_at", INSTANT, _DEPARTED),
    *_progress(),
    _optional("work_order", Text, "work order; none: as circuits says"),
    _optional("extension", Text, "@ or the split; none: as circuits says"),
    _optional("start_date", Date, "when the work begins; none: as circuits says"),
    Index("uq_circuit_history_open", "circuit_id", unique=True, postgresql_where=text("valid_to IS NULL")),
)

circuit_aggregates = _table(
    "circuit_aggregates",
    "Totals over the planned units of a circuit: a row of each date on which one changed",
    _id(),
    _circuit(),
    _required("aggregate_date", Date, "the day it was computed, in Eastern Time: a row only where a value changed"),
    _required("is_rollup", Boolean, "on a main assessment: main and splits together, each unit once", "false"),
    _count("total_units", "planned units; one listed under a main assessment and a split is the split's"),
    _required("total_linear_ft", MEASURE, "feet of the types that count feet", "0"),
    _required("total_acres", MEASURE, "acres of the types that count acres", "0"),
    _count("total_trees", "trees of the types that count trees"),
    _count("units_approved", _APPROVED),
    _count("units_refused", _REFUSED),
    _count("units_pending", _PENDING),
    _required("unit_counts_by_type", JSONB, "total_units by unit type", EMPTY_OBJECT),
    _required("linear_ft_by_type", JSONB, "total_linear_ft by unit type", EMPTY_OBJECT),
    _required("acres_by_type", JSONB, "total_acres by unit type", EMPTY_OBJECT),
    _required(
        "trees_by_type", JSONB, "total_trees by unit type; empty in rows of before there was this column", EMPTY_OBJECT
    ),
    _required(
        "pending_by_date",
        JSONB,
        "units_pending by the date assessed, 2026-01-31 or unknown; empty in rows of before there was this column",
        EMPTY_OBJECT,
    ),
    _required("permission_counts", JSONB, "total_units by permission, as WorkStudio writes it", EMPTY_OBJECT),
    _required("planner_distribution", JSONB, "unit_count, linear_ft, acres and trees by forester", EMPTY_OBJECT),
    _required("computed_at", INSTANT, _COMPUTED, NOW),
    UniqueConstraint("circuit_id", "aggregate_date", "is_rollup"),
)

# Without foreign keys, like the history it is computed from: row by row they cost a backfill twice its writing, and
# nothing that they name is ever deleted.
circuit_snapshots = _table(
    "circuit_snapshots",
    "Circuits that were not closed at the end of a date",
    _id(),
    _required("circuit_id", BigInteger, _CIRCUIT),
    _required("snapshot_date", Date, _DATE),
    _required("snapshot_type", Text, "daily, status_change (at once when the status changes) or manual (by command)"),
    _optional("region_id", BigInteger, _REGION),
    _optional("taken_by", Text, _TAKEN_BY),
    _required("api_status", Text, "ACTIV, QC, REWRK or (status_change only) CLOSE"),
    _required("workflow_stage", Text, _STAGE),
    *_progress(),
    _count("total_units", "planned units, by the latest aggregate at the time"),
    _required("total_linear_ft", MEASURE, "feet of these units", "0"),
    _count("total_trees", "trees of these units"),
    _count("units_approved", _APPROVED),
    _count("units_refused", _REFUSED),
    _count("units_pending", _PENDING),
    _required("as_of", INSTANT, "the instant whose state this is"),
    _required("created_at", INSTANT, _CREATED, NOW),
    _required("is_imported", Boolean, "from another system's file, of a date before our history begins", "false"),
    *(
        _optional(f"own_{name}", MILES, f"{name} less that of its splits, which shows them too; none: what is shown")
        for name in ("total_miles", "miles_planned", "total_acres")
    ),
    *(
        _optional(
            f"work_order_{name}", SUM_OF_MILES, f"{name} of the whole work order, on a main assessment that contains it"
        )
        for name in ("total_miles", "miles_planned", "total_acres")
    ),
    _optional("main_circuit_id", BigInteger, "of a split: the main assessment it is a split of"),
    _optional("splits_contained", Boolean, "whether a main assessment shows its splits too; none: it has no splits"),
    _count("units_pending_over_14_days", _OLD_PENDING),
    _optional("oldest_pending_on", Date, _OLDEST),
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


def _units(default: str | None = None) -> list[Column[Any]]:
    return [
        _required("total_units", BigInteger, "planned units, by the latest aggregate at the time", default),
        _required("total_trees", BigInteger, "trees of these units", default),
        _required("units_approved", BigInteger, _APPROVED, default),
        _required("units_refused", BigInteger, _REFUSED, default),
        _required("units_pending", BigInteger, _PENDING, default),
    ]


def _rolled_up() -> list[Column[Any]]:
    """What the roll-ups hold of their circuits: levels at the end of the date, and differences, kept apart."""
    return [
        _required("total_miles", SUM_OF_MILES, _TOTAL_MILES),
        _required("miles_planned", SUM_OF_MILES, _MILES_PLANNED),
        _required("miles_remaining", SUM_OF_MILES, "total_miles - miles_planned"),
        *_units(),
        _required("total_linear_ft", SUM_OF_MEASURES, "feet of these units"),
        _required("miles_planned_change", SUM_OF_MILES, "miles planned in this period; a correction is negative"),
        _required("total_units_change", BigInteger, "units added in this period"),
        _required("units_approved_change", BigInteger, "units approved in this period"),
        _required("units_refused_change", BigInteger, "units refused in this period"),
        _required("units_pending_change", BigInteger, "units that became pending in this period"),
        _required("computed_at", INSTANT, _COMPUTED),
        _required("units_pending_over_14_days", BigInteger, _OLD_PENDING, "0"),
        _optional("oldest_pending_on", Date, _OLDEST),
        _required("total_trees_change", BigInteger, "trees added in this period", "0"),
    ]


regional_daily = _table(
    "regional_daily",
    "The daily snapshots added up by region: levels, and differences (…_change) of the day",
    _required("snapshot_date", Date, _DATE),
    _optional("region_id", ForeignKey("regions.id"), _REGION),
    _required("circuits", Integer, "circuits that are not closed, not excluded and not departed"),
    _required("circuits_activ", Integer, "of these in progress (ACTIV)"),
    _required("circuits_qc", Integer, "of these in quality control (QC)"),
    _required("circuits_rewrk", Integer, "of these in rework (REWRK)"),
    _required("stage_active", Integer, "of these in the stage active"),
    _required("stage_pending_permissions", Integer, "of these planned to the end, permissions outstanding"),
    _required("stage_qc", Integer, "of these in the stage qc"),
    _required("stage_rework", Integer, "of these in the stage rework"),
    _required("stage_closed", Integer, "of these that a person closed before WorkStudio did"),
    *_rolled_up(),
    Index("ix_regional_daily_week_ending", WEEK_ENDING),
    Index("uq_regional_daily_snapshot_date_region", "snapshot_date", _REGION_KEY, unique=True),
)

planner_daily = _table(
    "planner_daily",
    "The daily snapshots added up by planner and region: levels, and differences (…_change) of the day",
    _required("snapshot_date", Date, _DATE),
    _optional("taken_by", Text, "the planner as WorkStudio names them; none: circuits that nobody holds"),
    _optional("region_id", ForeignKey("regions.id"), _REGION),
    _required("circuits", Integer, "circuits the planner holds"),
    *_rolled_up(),
    Index("ix_planner_daily_week_ending", WEEK_ENDING),
    Index("uq_planner_daily_snapshot_date_planner_region", "snapshot_date", _PLANNER_KEY, _REGION_KEY, unique=True),
)

season_daily = _table(
    "season_daily",
    "All circuits of a season by region, finished ones too, as of the end of a date",
    _required("snapshot_date", Date, _DATE),
    _optional("region_id", ForeignKey("regions.id"), _REGION),
    _optional("season", Integer, "the year the circuits begin in (start_date); none: unknown"),
    _count("circuits", "circuits of the season, closed and departed ones too, excluded ones not"),
    _count("circuits_closed", "of these closed, at their last state"),
    _count("circuits_departed", "of these departed, at their last state"),
    _count("circuits_with_units", "of these those whose units were ever fetched"),
    _required("total_miles", SUM_OF_MILES, "own miles of all", "0"),
    _required("miles_planned", SUM_OF_MILES, "own miles planned of all", "0"),
    _required("miles_remaining", SUM_OF_MILES, "own miles not planned of those that are not closed", "0"),
    _required("miles_closed_unplanned", SUM_OF_MILES, "own miles not planned of those that are closed", "0"),
    *_units("0"),
    _required("computed_at", INSTANT, _COMPUTED, NOW),
    _id(),
    Index("uq_season_daily_snapshot_date_region_season", "snapshot_date", _REGION_KEY, _SEASON_KEY, unique=True),
    Index("ix_season_daily_region_season", _REGION_KEY, _SEASON_KEY, "snapshot_date"),
)

season_targets = _table(
    "season_targets",
    "By when a season is to be planned",
    _id(),
    _optional("region_id", ForeignKey("regions.id"), "the region; none: every region that has no target of its own"),
    _required("season", Integer, "the year in which circuits begin"),
    _required("finish_on", Date, "the date by which all is to be planned"),
    Index("uq_season_targets_region_season", _REGION_KEY, "season", unique=True),
)

sync_logs = _table(
    "sync_logs",
    "Every sync: what it asked for, what became of it",
    _id(),
    _required("sync_type", Text, "circuit_list, aggregates or snapshots"),
    _required("sync_status", Text, "started, completed, failed or warning (completed, but look)", "started"),
    _required("sync_trigger", Text, "scheduled, manual or workflow_event"),
    _optional("region_id", ForeignKey("regions.id"), "the region it was limited to; none: every region"),
    _optional("api_status_filter", Text, "the statuses asked for: ACTIV or QC,REWRK,CLOSE"),
    _optional("triggered_by", ForeignKey("users.id", ondelete="SET NULL"), "the user who started it"),
    _optional("dagster_run_id", Text, "the run in Dagster"),
    _optional("retry_of", ForeignKey("sync_logs.id", ondelete="SET NULL"), "the failed sync that this one tries again"),
    _optional("retry_at", INSTANT, "when it is tried again; none: it is not"),
    _required("started_at", INSTANT, "when it began"),
    _optional("completed_at", INSTANT, "when it ended"),
    _optional("duration_seconds", Numeric(12, 3), "seconds from beginning to end"),
    _count("circuits_processed", "circuits seen: created, updated and unchanged"),
    _count("circuits_created", "of these new"),
    _count("circuits_updated", "of these changed"),
    _count("circuits_unchanged", "of these as they were"),
    _count("rows_received", "rows of WorkStudio's answers: circuits_processed, rejected and duplicate"),
    _count("rows_rejected", "rows with a value that cannot be"),
    _count("rows_duplicate", "rows of a circuit that another row of the sync had"),
    _count("aggregates_created", "aggregates or snapshots written"),
    _optional("error_message", Text, "why it failed, in one line"),
    _required("error_details", JSONB, "what failed, for programs", EMPTY_OBJECT),
    _required("context", JSONB, "what it was asked for and what it found, by its type", EMPTY_OBJECT),
    UniqueConstraint("dagster_run_id", "sync_type"),
    CheckConstraint("sync_type IN ('circuit_list', 'aggregates', 'snapshots')", name="sync_type"),
    CheckConstraint("sync_status IN ('started', 'completed', 'failed', 'warning')", name="sync_status"),
    CheckConstraint("sync_trigger IN ('scheduled', 'manual', 'workflow_event')", name="sync_trigger"),
    Index("ix_sync_logs_started", "started_at", postgresql_where=text("sync_status = 'started'")),
    Index("ix_sync_logs_retry_of", "retry_of"),
)

sync_events = _table(
    "sync_events",
    "Events, each written in the transaction of what it tells of",
    _id("key of the row, by which listeners resume"),
    _required("name", Text, "sync.started, circuit.updated, …"),
    _required("channels", ARRAY(Text), "who is told: dashboard, sync-status, circuit.ID"),
    _required("payload", JSONB, "what listeners are sent"),
    _optional("circuit_id", BigInteger, _CIRCUIT),
    _optional("sync_log_id", BigInteger, "the sync that it happened in"),
    _required("occurred_at", INSTANT, "when it happened", NOW),
    Index("ix_sync_events_occurred_at", "occurred_at"),
    Index("ix_sync_events_of_syncs", "id", postgresql_where=text("circuit_id IS NULL")),
)

webhooks = _table(
    "webhooks",
    "How far each webhook has been told",
    Column("url_hash", Text, primary_key=True, comment="SHA-256 of the URL, which may hold a secret"),
    _required("position", BigInteger, "id of the last event that is done with"),
    _count("attempts", "failed attempts at the next event"),
    _optional("next_attempt_at", INSTANT, "when it is tried again"),
    _optional("delivered_at", INSTANT, "when an event was last taken"),
    _optional("last_error", Text, "why the last attempt failed"),
    _count("refusals", "of these attempts those that the receiver answered by refusing the event"),
)

unit_types = _table(
    "unit_types",
    "Types of planned units, from the file that comes with the program",
    Column("code", Text, primary_key=True, comment="code in WorkStudio"),
    _required("name", Text, "name"),
    _required("category", Text, "category"),
    _required("measurement", Text, "what is counted of it: linear_ft, acres, tree_count or none"),
    _optional("dbh_min_in", Numeric(6, 2), "least trunk diameter, inches"),
    _optional("dbh_max_in", Numeric(6, 2), "largest trunk diameter, inches"),
    _optional("species", Text, "species"),
    CheckConstraint("measurement IN ('linear_ft', 'acres', 'tree_count', 'none')", name="measurement"),
)

staged_circuits = _table(
    "staged_circuits",
    "Rows of a circuit sync under way, gone when it ends",
    _required("sync_log_id", BigInteger, "the sync"),
    _required("row_number", Integer, "place of the row in the answers"),
    _required("status_order", SmallInteger, "place of the answer's status in the order of statuses"),
    _required("answer_status", Text, "the status that was asked for"),
    _required("job_guid", Text, _GUID),
    _required("work_order", Text, _WORK_ORDER),
    _required("extension", Text, _EXTENSION),
    _optional("region", Text, "name of the region; none where WorkStudio names none"),
    *_fetched(),
    _required("api_data", JSONB, _API_DATA),
    _required("content_hash", Text, _CONTENT_HASH),
    prefixes=["UNLOGGED"],
)

staged_choices = _table(
    "staged_choices",
    "Circuits whose units an aggregate sync under way fetches, gone when it ends",
    _required("sync_log_id", BigInteger, "the sync"),
    _required("circuit_id", BigInteger, _CIRCUIT),
    _required("work_order", Text, _WORK_ORDER),
    _required("extension", Text, _EXTENSION),
    _required("reason", Text, "why its units are due"),
    prefixes=["UNLOGGED"],
)
