"""What tables, views and their columns hold: for Dagster's catalogue, and as comments in the database.

The views' statements stand in the migrations.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Connection, Date, Integer, MetaData, Table, Text
from sqlalchemy.dialects import postgresql

from circuit_sync.database import tables
from circuit_sync.database.tables import MILES, SUM_OF_MILES

views = MetaData()


def _like(columns: Iterable[Column[Any]]) -> Iterator[Column[Any]]:
    """Columns that a view takes from a table as they are."""
    return (Column(column.name, column.type, comment=column.comment) for column in columns)


def _without(table: Table, *names: str) -> Iterator[Column[Any]]:
    return _like(column for column in table.columns if column.name not in names)


def _week() -> list[Column[Any]]:
    of_the_last = "the week's last date that has snapshots: levels are of its end"
    return [
        Column("week_ending", Date, comment="the Friday of the week"),
        Column("last_snapshot_date", Date, comment=of_the_last),
    ]


Table(
    "regional_weekly",
    views,
    *_week(),
    *_without(tables.regional_daily, "snapshot_date", "computed_at"),
    comment="Weeks by region: levels at the end of the last date with snapshots, differences added up",
)

Table(
    "planner_weekly",
    views,
    *_week(),
    *_without(tables.planner_daily, "snapshot_date", "computed_at"),
    Column("user_id", BigInteger, comment="the user whom the planner is linked to, now"),
    comment="Weeks by planner and region: levels at the end of the last date with snapshots, differences added up",
)

Table(
    "season_progress",
    views,
    *_without(tables.season_daily, "id", "computed_at"),
    Column("finish_on", Date, comment="the target: the date by which all is to be planned; none: there is no target"),
    Column(
        "miles_per_week",
        SUM_OF_MILES,
        comment="the pace: miles planned in the four weeks before, a week; none without an earlier date",
    ),
    Column(
        "needed_miles_per_week",
        SUM_OF_MILES,
        comment="the pace from the date to the target; none without a target to come",
    ),
    Column(
        "projected_end",
        Date,
        comment="when nothing remains at this pace; none without a pace; the date itself if nothing remains",
    ),
    Column("is_overdue", Boolean, comment="whether miles remain and the target is past"),
    comment="season_daily with the targets as they are now",
)

Table(
    "circuit_own_values",
    views,
    Column("circuit_id", BigInteger, comment="the circuit"),
    *(
        Column(f"own_{name}", MILES, comment=f"{name} less that of its splits, which shows them too")
        for name in ("total_miles", "miles_planned", "total_acres")
    ),
    *_like(tables.circuit_snapshots.c["main_circuit_id", "splits_contained"]),
    comment="Each mile once: what a circuit shows less what its splits show too, as of now",
)

Table(
    "syncs",
    views,
    *_like(tables.sync_logs.c["id", "sync_type", "sync_status", "started_at", "completed_at", "retry_at"]),
    *_like(tables.sync_logs.c["error_message", "error_details", "context"]),
    Column("is_good", Boolean, comment="whether it ended and stored what it fetched"),
    Column("statuses", ARRAY(Text), comment="the statuses it was asked for, in their order; none: snapshots"),
    Column("work_orders", Integer, comment="of how many work orders it was; 0 if of its statuses as a whole"),
    comment="Sync logs, with what is asked of them again and again",
)


@dataclass(frozen=True)
class Description:
    """A column. ``kind``: its type as ``information_schema`` names it."""

    name: str
    kind: str
    text: str


def describe(connection: Connection) -> None:
    """Writes all descriptions into the database."""
    statements = []
    for kind, described in (("TABLE", tables.metadata), ("VIEW", views)):
        for table in described.tables.values():
            statements.append(f"COMMENT ON {kind} {table.name} IS {_literal(table.comment)}")
            statements += [f"COMMENT ON COLUMN {column} IS {_literal(column.comment)}" for column in table.columns]
    connection.exec_driver_sql(";".join(statements))


def columns_of(relation: str) -> list[Description]:
    """The columns of a table or view."""
    found = (tables.metadata.tables | views.tables)[relation]
    return [Description(column.name, _kind(column), column.comment or "") for column in found.columns]


def _kind(column: Column[Any]) -> str:
    name = column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
    return re.sub(r"\(.*\)", "", name).lower()


def _literal(comment: str | None) -> str:
    return "'" + (comment or "").replace("'", "''") + "'"
