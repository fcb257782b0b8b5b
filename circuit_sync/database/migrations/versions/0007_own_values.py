"""each mile once: own values beside what is shown, seasons, and roll-ups that add own values.

What was computed before is brought into order afterwards (``circuit_sync.database.progress.recompute``), in steps that
can be repeated; until then own values that are missing mean what is shown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_MILES = sa.Numeric(precision=12, scale=2)
_SUM_OF_MILES = sa.Numeric(precision=16, scale=2)

_LEVELS = (
    "total_miles",
    "miles_planned",
    "miles_remaining",
    "total_units",
    "total_trees",
    "units_approved",
    "units_refused",
    "units_pending",
    "units_pending_over_14_days",
    "total_linear_ft",
)
_CHANGES = (
    "miles_planned_change",
    "total_units_change",
    "total_trees_change",
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

_OWN_VALUES = """
    CREATE VIEW circuit_own_values AS
    WITH parts AS (
        SELECT * FROM circuits
        WHERE work_order IN (SELECT work_order FROM circuits WHERE extension <> '@' AND departed_at IS NULL)),
    splits AS (
        SELECT work_order, sum(total_miles) AS total_miles, sum(miles_planned) AS miles_planned,
               sum(total_acres) AS total_acres
        FROM parts WHERE extension <> '@' AND departed_at IS NULL GROUP BY work_order),
    mains AS (
        SELECT DISTINCT ON (work_order) * FROM parts WHERE extension = '@'
        ORDER BY work_order, departed_at IS NOT NULL, api_status = 'CLOSE', job_guid COLLATE "C"),
    judged AS (
        SELECT m.id, m.work_order, m.total_miles, m.miles_planned, m.total_acres, s.total_miles AS split_miles,
               s.miles_planned AS split_planned, s.total_acres AS split_acres,
               CASE coalesce((SELECT value FROM database_settings WHERE name = 'mains_contain_splits'), 'auto')
                   WHEN 'yes' THEN true WHEN 'no' THEN false
                   ELSE NOT (s.total_miles > m.total_miles * 1.1 AND s.total_miles > m.total_miles + 1)
               END AS contained
        FROM mains AS m JOIN splits AS s USING (work_order))
    SELECT c.id AS circuit_id,
           CASE WHEN j.contained THEN greatest(j.total_miles, j.split_miles) - j.split_miles ELSE c.total_miles
               END AS own_total_miles,
           CASE WHEN j.contained THEN greatest(j.miles_planned, j.split_planned) - j.split_planned ELSE c.miles_planned
               END AS own_miles_planned,
           CASE WHEN j.contained THEN greatest(j.total_acres, j.split_acres) - j.split_acres ELSE c.total_acres
               END AS own_total_acres,
           w.id AS main_circuit_id,
           j.contained AS splits_contained
    FROM circuits AS c
    LEFT JOIN judged AS j ON j.id = c.id
    LEFT JOIN judged AS w ON w.work_order = c.work_order AND c.extension <> '@' AND c.departed_at IS NULL
"""

_SEASON_PROGRESS = """
    CREATE VIEW season_progress AS
    SELECT d.snapshot_date, d.region_id, d.season, d.circuits, d.circuits_closed, d.circuits_departed,
           d.circuits_with_units, d.total_miles, d.miles_planned, d.miles_remaining, d.miles_closed_unplanned,
           d.total_units, d.total_trees, d.units_approved, d.units_refused, d.units_pending,
           t.finish_on, p.pace AS miles_per_week,
           CASE WHEN t.finish_on > d.snapshot_date
               THEN round(greatest(d.miles_remaining, 0) * 7 / (t.finish_on - d.snapshot_date), 2)
               END AS needed_miles_per_week,
           CASE WHEN d.miles_remaining <= 0 THEN d.snapshot_date
                WHEN p.pace > 0 AND d.miles_remaining / p.pace < 5200
                    THEN d.snapshot_date + ceil(d.miles_remaining * 7 / p.pace)::int END AS projected_end,
           coalesce(d.miles_remaining > 0 AND t.finish_on < d.snapshot_date, false) AS is_overdue
    FROM season_daily AS d
    LEFT JOIN LATERAL (
        SELECT finish_on FROM season_targets
        WHERE season = d.season AND (region_id = d.region_id OR region_id IS NULL)
        ORDER BY region_id NULLS LAST LIMIT 1) AS t ON true
    LEFT JOIN LATERAL (
        SELECT round((d.miles_planned - b.miles_planned) * 7 / (d.snapshot_date - b.snapshot_date), 2) AS pace
        FROM (
            (SELECT snapshot_date, miles_planned FROM season_daily
             WHERE coalesce(region_id, 0) = coalesce(d.region_id, 0) AND coalesce(season, 0) = coalesce(d.season, 0)
               AND snapshot_date <= d.snapshot_date - 28
             ORDER BY snapshot_date DESC LIMIT 1)
            UNION ALL
            (SELECT snapshot_date, miles_planned FROM season_daily
             WHERE coalesce(region_id, 0) = coalesce(d.region_id, 0) AND coalesce(season, 0) = coalesce(d.season, 0)
               AND snapshot_date > d.snapshot_date - 28 AND snapshot_date < d.snapshot_date
             ORDER BY snapshot_date LIMIT 1)
            ORDER BY snapshot_date LIMIT 1) AS b) AS p ON true
"""
"""The pace is that of the last four weeks, or of as many days as are known. A target without region is every region's
that has none of its own.
"""


_WEEK_ENDING = "snapshot_date + 5 - extract(isodow FROM snapshot_date)::int"


def _kind(name: str) -> str:
    if "miles" in name:
        return "numeric(16,2)"
    if name in _CIRCUITS:
        return "integer"
    return "numeric(18,4)" if name == "total_linear_ft" else "bigint"


def _weekly(name: str, daily: str, key: str, shown: str, joined: str, levels: tuple[str, ...]) -> str:
    """A week's levels are those of its last snapshot; its differences are those of its days, added."""
    of_the_last = ", ".join(
        f"coalesce(sum({level}) FILTER (WHERE snapshot_date = last_snapshot_date), 0)::{_kind(level)} AS {level}"
        for level in levels
    )
    added = ", ".join(f"sum({change})::{_kind(change)} AS {change}" for change in _CHANGES)
    oldest = "min(oldest_pending_on) FILTER (WHERE snapshot_date = last_snapshot_date) AS oldest_pending_on"
    return f"""
        CREATE VIEW {name} AS
        SELECT week_ending, {shown}, max(last_snapshot_date) AS last_snapshot_date, {of_the_last}, {oldest}, {added}
        FROM (
            SELECT *, max(snapshot_date) OVER (PARTITION BY week_ending) AS last_snapshot_date
            FROM (
                SELECT d.*, {_WEEK_ENDING} AS week_ending FROM {daily} AS d) AS dated) AS days {joined}
        GROUP BY week_ending, {key}
    """


def _season_daily() -> None:
    counts = ("circuits", "circuits_closed", "circuits_departed", "circuits_with_units")
    miles = ("total_miles", "miles_planned", "miles_remaining", "miles_closed_unplanned")
    units = ("total_units", "total_trees", "units_approved", "units_refused", "units_pending")
    op.create_table(
        "season_daily",
        sa.Column("snapshot_date", sa.Date(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("season", sa.Integer(), nullable=True, comment="the year of the circuits' start_date; null: unknown"),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in counts),
        *(sa.Column(name, _SUM_OF_MILES, server_default="0", nullable=False) for name in miles),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in units),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_season_daily_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_season_daily")),
    )
    op.create_index(
        "uq_season_daily_snapshot_date_region_season",
        "season_daily",
        ["snapshot_date", sa.literal_column("coalesce(region_id, 0)"), sa.literal_column("coalesce(season, 0)")],
        unique=True,
    )
    op.create_index(
        "ix_season_daily_region_season",
        "season_daily",
        [sa.literal_column("coalesce(region_id, 0)"), sa.literal_column("coalesce(season, 0)"), "snapshot_date"],
    )
    op.create_table(
        "season_targets",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("region_id", sa.BigInteger(), nullable=True),
        sa.Column("season", sa.Integer(), nullable=False),
        sa.Column("finish_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_season_targets_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_season_targets")),
    )
    op.create_index(
        "uq_season_targets_region_season",
        "season_targets",
        [sa.literal_column("coalesce(region_id, 0)"), "season"],
        unique=True,
    )


def _history() -> None:
    op.add_column("circuit_history", sa.Column("work_order", sa.Text(), comment="null: as circuits says"))
    op.add_column("circuit_history", sa.Column("extension", sa.Text(), comment="null: as circuits says"))
    op.add_column("circuit_history", sa.Column("start_date", sa.Date(), comment="null: as circuits says"))
    op.execute("""
        UPDATE circuit_history AS h
        SET work_order = c.work_order, extension = c.extension, start_date = c.start_date
        FROM circuits AS c WHERE c.id = h.circuit_id AND h.valid_to IS NULL
    """)


def _snapshots() -> None:
    for name in ("own_total_miles", "own_miles_planned", "own_total_acres"):
        op.add_column("circuit_snapshots", sa.Column(name, _MILES, comment="null: what is shown"))
    for name in ("work_order_total_miles", "work_order_miles_planned", "work_order_total_acres"):
        op.add_column(
            "circuit_snapshots", sa.Column(name, _SUM_OF_MILES, comment="of a main assessment that contains its splits")
        )
    op.add_column(
        "circuit_snapshots", sa.Column("main_circuit_id", sa.BigInteger(), comment="of a split: what it is a split of")
    )
    op.add_column("circuit_snapshots", sa.Column("splits_contained", sa.Boolean(), comment="null: it has no splits"))
    op.add_column(
        "circuit_snapshots",
        sa.Column("units_pending_over_14_days", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column("circuit_snapshots", sa.Column("oldest_pending_on", sa.Date()))
    op.create_index(
        "ix_circuit_snapshots_imported",
        "circuit_snapshots",
        ["snapshot_date"],
        postgresql_where=sa.text("is_imported"),
    )
    op.create_index(
        "ix_circuit_snapshots_main_circuit_id_snapshot_date",
        "circuit_snapshots",
        ["main_circuit_id", "snapshot_date"],
        postgresql_where=sa.text("main_circuit_id IS NOT NULL"),
    )


def _rollups() -> None:
    for view in ("regional_weekly", "planner_weekly"):
        op.execute(f"DROP VIEW {view}")
    op.drop_constraint("fk_planner_daily_user_id", "planner_daily", type_="foreignkey")
    op.drop_column("planner_daily", "user_id")
    for table in ("regional_daily", "planner_daily"):
        op.add_column(
            table, sa.Column("units_pending_over_14_days", sa.BigInteger(), server_default="0", nullable=False)
        )
        op.add_column(table, sa.Column("oldest_pending_on", sa.Date()))
        op.add_column(table, sa.Column("total_trees_change", sa.BigInteger(), server_default="0", nullable=False))
        op.create_index(f"ix_{table}_week_ending", table, [sa.literal_column(f"({_WEEK_ENDING})")])
    op.execute(_weekly("regional_weekly", "regional_daily", "region_id", "region_id", "", (*_CIRCUITS, *_LEVELS)))
    op.execute(
        _weekly(
            "planner_weekly",
            "planner_daily",
            "lower(taken_by), region_id",
            "max(taken_by) AS taken_by, max(coalesce(u.id, p.linked_user_id)) AS user_id, region_id",
            """LEFT JOIN users AS u ON lower(u.ws_username) = lower(taken_by)
               LEFT JOIN unlinked_planners AS p ON lower(p.ws_username) = lower(taken_by)""",
            ("circuits", *_LEVELS),
        )
    )


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    _history()
    _snapshots()
    _rollups()
    _season_daily()
    op.execute(_OWN_VALUES)
    op.execute(_SEASON_PROGRESS)
    op.execute("""
        INSERT INTO database_settings (name, value)
        SELECT 'recompute_from', min(snapshot_date)::text FROM circuit_snapshots WHERE snapshot_type = 'daily'
        HAVING count(*) > 0
    """)
