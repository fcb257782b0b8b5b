"""Snapshots put where a test wants them: a few circuits, written straight into the tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from circuit_sync.domain.eastern import end_of
from circuit_sync.sync.progress.rollups import roll_up
from circuit_sync_tests.scenery import Desk

PLANNER = "CONTRACTOR\\larch"


@dataclass
class Shelf:
    """``put`` a snapshot, ``roll_up`` its dates, read ``regional`` and ``planner``."""

    desk: Desk
    circuits: dict[str, int] = field(default_factory=dict)

    def circuit(self, name: str) -> int:
        """The id of the circuit with this work order."""
        if name not in self.circuits:
            self.circuits[name] = self.desk.one(
                "INSERT INTO circuits (job_guid, work_order, api_status, content_hash) VALUES (%s, %s, 'ACTIV', '')"
                " RETURNING id",
                f"guid-{name}",
                name,
            )
        return self.circuits[name]

    def region(self, name: str) -> int:
        return self.desk.one(
            "INSERT INTO regions (name, code) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET name = excluded.name"
            " RETURNING id",
            name,
            name,
        )

    def put(self, name: str, day: date, planned: Any, *, region: str | None = "Lehigh", **values: Any) -> None:
        """A daily snapshot of the circuit ``name``: 100 miles, held by ``PLANNER``, unless told otherwise."""
        row = {
            "circuit_id": self.circuit(name),
            "snapshot_date": day,
            "snapshot_type": "daily",
            "region_id": None if region is None else self.region(region),
            "taken_by": PLANNER,
            "api_status": "ACTIV",
            "workflow_stage": "active",
            "total_miles": 100,
            "miles_planned": Decimal(str(planned)),
            "as_of": end_of(day),
        } | values
        names = ", ".join(row)
        places = ", ".join(["%s"] * len(row))
        self.desk.execute(f"INSERT INTO circuit_snapshots ({names}) VALUES ({places})", *row.values())

    def roll_up(self, *dates: date) -> None:
        roll_up(self.desk.session, dates)

    def regional(self, day: date) -> dict[str | None, Mapping[str, Any]]:
        """``regional_daily`` of a date, by region."""
        return self._by_region("regional_daily", "snapshot_date", day)

    def week(self, friday: date) -> dict[str | None, Mapping[str, Any]]:
        """``regional_weekly`` of a week, by region."""
        return self._by_region("regional_weekly", "week_ending", friday)

    def planner(self, day: date) -> dict[tuple[str | None, str | None], Mapping[str, Any]]:
        """``planner_daily`` of a date, by planner and region."""
        return {(row["taken_by"], row["region"]): row for row in self._rows("planner_daily", "snapshot_date", day)}

    def changes(self, days: Iterable[date], column: str = "miles_planned_change") -> list[Decimal]:
        """What all regions together changed on each date."""
        return [sum((row[column] for row in self.regional(day).values()), Decimal(0)) for day in days]

    def _by_region(self, table: str, column: str, day: date) -> dict[str | None, Mapping[str, Any]]:
        return {row["region"]: row for row in self._rows(table, column, day)}

    def _rows(self, table: str, column: str, day: date) -> list[dict[str, Any]]:
        return self.desk.rows(
            f"SELECT r.name AS region, d.* FROM {table} AS d LEFT JOIN regions AS r ON r.id = d.region_id"
            f" WHERE d.{column} = %s",
            day,
        )
