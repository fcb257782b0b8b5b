"""roll-ups of the snapshots, and snapshots imported from another system."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LEVELS = (
    "total_miles",
    "miles_planned",
    "miles_remaining",
    "total_units",
    "total_trees",
    "units_approved",
    "units_refused",
    "units_pending",
    "total_linear_ft",
)
_CHANGES = (
    "miles_planned_change",
    "total_units_change",
    "units_approved_change",
    "units_refused_change",
    "units_pending_change",
)
_CIRCUITS = (
    "circuits",
    "circuits_activ",
    "circuits_qc",
    "circuits_rewrk",
    "stage_active",
    "stage_pending_permissions",
    "stage_qc",
    "stage_rework",
    "stage_closed",
)


def _rolled_up() -> "list[sa.Column[object]]":
    miles, counts = sa.Numeric(precision=16, scale=2), sa.BigInteger()
    kinds = dict.fromkeys(_LEVELS[:3], miles) | {"total_linear_ft": sa.Numeric(precision=18, scale=4)}
    kinds["miles_planned_change"] = miles
    columns = [sa.Column(name, kinds.get(name, counts), nullable=False) for name in (*_LEVELS, *_CHANGES)]
    return [*columns, sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False)]


def _kind(name: str) -> str:
    if "miles" in name:
        return "numeric(16,2)"
    if name in _CIRCUITS:
        return "integer"
    return "numeric(18,4)" if name == "total_linear_ft" else "bigint"


def _weekly(name: str, daily: str, key: str, shown: str, levels: tuple[str, ...]) -> str:
    """A week's levels are those of its last snapshot; its differences are those of its days, added."""
    of_the_last = ", ".join(
        f"coalesce(sum({level}) FILTER (WHERE snapshot_date = last_snapshot_date), 0)::{_kind(level)} AS {level}"
        for level in levels
    )
    added = ", ".join(f"sum({change})::{_kind(change)} AS {change}" for change in _CHANGES)
    return f"""
        CREATE VIEW {name} AS
        SELECT week_ending, {shown}, max(last_snapshot_date) AS last_snapshot_date, {of_the_last}, {added}
        FROM (
            SELECT *, max(snapshot_date) OVER (PARTITION BY week_ending) AS last_snapshot_date
            FROM (
                SELECT *, snapshot_date + 5 - extract(isodow FROM snapshot_date)::int AS week_ending
                FROM {daily}) AS dated) AS days
        GROUP BY week_ending, {key}
    """


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.add_column("circuit_snapshots", sa.Column("is_imported", sa.Boolean(), server_default="false", nullable=False))
    for column in ("circuit_id", "region_id"):
        op.drop_constraint(op.f(f"fk_circuit_snapshots_{column}"), "circuit_snapshots", type_="foreignkey")
    op.create_table(
        "regional_daily",
        sa.Column("snapshot_date", sa.Date(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _CIRCUITS),
        *_rolled_up(),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_regional_daily_region_id")),
    )
    op.create_index(
        "uq_regional_daily_snapshot_date_region",
        "regional_daily",
        ["snapshot_date", sa.literal_column("coalesce(region_id, 0)")],
        unique=True,
    )
    op.create_table(
        "planner_daily",
        sa.Column("snapshot_date", sa.Date(), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=True, comment="null: circuits that nobody holds"),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("circuits", sa.Integer(), nullable=False),
        *_rolled_up(),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_planner_daily_region_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_planner_daily_user_id"), ondelete="SET NULL"),
    )
    op.create_index(
        "uq_planner_daily_snapshot_date_planner_region",
        "planner_daily",
        [
            "snapshot_date",
            sa.literal_column("coalesce(lower(taken_by), '')"),
            sa.literal_column("coalesce(region_id, 0)"),
        ],
        unique=True,
    )
    op.execute(_weekly("regional_weekly", "regional_daily", "region_id", "region_id", (*_CIRCUITS, *_LEVELS)))
    shown = "max(taken_by) AS taken_by, max(user_id) AS user_id, region_id"
    op.execute(_weekly("planner_weekly", "planner_daily", "lower(taken_by), region_id", shown, ("circuits", *_LEVELS)))
