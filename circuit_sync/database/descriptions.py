"""What the columns of tables and views hold: the comments that the database shows too.

The views' statements stand in the migrations, as do these comments, which a test compares.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Column, Date, MetaData, Table
from sqlalchemy.dialects import postgresql

from circuit_sync.database import tables
from circuit_sync.database.tables import MILES, SUM_OF_MILES

views = MetaData()


def _taken_from(table: Table, *without: str) -> Iterator[Column[object]]:
    """Columns that a view takes from a table as they are."""
    return (Column(c.name, c.type, comment=c.comment) for c in table.columns if c.name not in without)


def _week() -> list[Column[object]]:
    of_the_last = "the week's last date that has snapshots: levels are of its end"
    return [
        Column("week_ending", Date, comment="the Friday of the week"),
        Column("last_snapshot_date", Date, comment=of_the_last),
    ]


Table(
    "regional_weekly",
    views,
    *_week(),
    *_taken_from(tables.regional_daily, "snapshot_date", "computed_at"),
    comment="Weeks by region: levels at the end of the last date with snapshots, differences added up",
)

Table(
    "planner_weekly",
    views,
    *_week(),
    *_taken_from(tables.planner_daily, "snapshot_date", "computed_at"),
    Column("user_id", BigInteger, comment="the user whom the planner is linked to, now"),
    comment="Weeks by planner and region: levels at the end of the last date with snapshots, differences added up",
)

Table(
    "season_progress",
    views,
    *_taken_from(tables.season_daily, "id", "computed_at"),
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
    *(
        Column(name, tables.circuit_snapshots.c[name].type, comment=tables.circuit_snapshots.c[name].comment)
        for name in ("main_circuit_id", "splits_contained")
    ),
    comment="Each mile once: what a circuit shows less what its splits show too, as of now",
)


@dataclass(frozen=True)
class Description:
    """A column. ``kind``: its type as ``information_schema`` names it."""

    name: str
    kind: str
    text: str


def columns_of(relation: str) -> list[Description]:
    """The columns of a table or view."""
    found = (tables.metadata.tables | views.tables)[relation]
    return [Description(column.name, _kind(column), column.comment or "") for column in found.columns]


def _kind(column: Column[object]) -> str:
    name = column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
    return re.sub(r"\(.*\)", "", name).lower()
