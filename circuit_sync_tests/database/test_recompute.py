"""What was computed before own values is brought into order, by steps that can be repeated."""

from datetime import UTC, date, datetime

import pytest

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.progress.recompute import recompute
from circuit_sync.domain.eastern import weekdays_between
from circuit_sync_tests.database.test_migrate import empty, migrate_to

__all__ = ["empty"]
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SHOWN = {"@": ("60.00", "10.00"), "C_a": ("35.00", "6.00"), "C_b": ("20.00", "4.00")}
MADE = """
    INSERT INTO circuits (job_guid, work_order, extension, api_status, content_hash, total_miles, miles_planned)
    VALUES ('{}', '2026-1', '{}', '{}', '', {}, {})
"""
SNAPSHOT = """
    INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type, api_status, workflow_stage, as_of,
                                   total_miles, miles_planned, is_imported)
    SELECT id, '{}', 'daily', 'ACTIV', 'active', now(), total_miles, miles_planned, {} FROM circuits
    WHERE api_status <> 'CLOSE'
"""
ROLLED_UP = """
    INSERT INTO regional_daily (
        snapshot_date, circuits, circuits_activ, circuits_qc, circuits_rewrk, stage_active, stage_pending_permissions,
        stage_qc, stage_rework, stage_closed, total_miles, miles_planned, miles_remaining, total_units, total_trees,
        units_approved, units_refused, units_pending, total_linear_ft, miles_planned_change, total_units_change,
        units_approved_change, units_refused_change, units_pending_change, computed_at)
    SELECT DISTINCT snapshot_date, 2, 2, 0, 0, 2, 0, 0, 0, 0, 95, 16, 79, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, now()
    FROM circuit_snapshots
"""


def fill(database: Database, dates: list[date], *, imported: bool) -> None:
    """A main assessment with an open split and a closed one, as the release before own values kept them."""
    with database.transaction() as connection:
        for extension, (miles, planned) in SHOWN.items():
            status = "CLOSE" if extension == "C_b" else "ACTIV"
            connection.exec_driver_sql(MADE.format(extension, extension, status, miles, planned))
        if not imported:
            connection.exec_driver_sql(
                "INSERT INTO circuit_history (circuit_id, valid_from, api_status, workflow_stage, is_excluded,"
                " total_miles, miles_planned) SELECT id, '2026-01-01', api_status, 'active', false, total_miles,"
                " miles_planned FROM circuits"
            )
        for day in dates:
            connection.exec_driver_sql(SNAPSHOT.format(day, imported))
        connection.exec_driver_sql(ROLLED_UP)


def own_miles(database: Database) -> dict[str, set[float]]:
    query = (
        "SELECT c.extension, array_agg(DISTINCT coalesce(s.own_total_miles, s.total_miles)::float)"
        " FROM circuit_snapshots AS s JOIN circuits AS c ON c.id = s.circuit_id GROUP BY 1"
    )
    with database.transaction() as connection:
        return {extension: set(miles) for extension, miles in connection.exec_driver_sql(query)}


def levels(database: Database) -> list[tuple[date, float]]:
    with database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT snapshot_date, total_miles::float FROM regional_daily ORDER BY 1")
        return [(row[0], row[1]) for row in rows]


def test_a_few_dates_are_brought_into_order_in_passing_closed_splits_included(empty: Database) -> None:
    dates = weekdays_between(date(2026, 3, 2), date(2026, 3, 10))
    migrate_to(empty, "0005")
    fill(empty, dates, imported=False)
    assert upgrade(empty) is None
    assert own_miles(empty) == {"@": {5}, "C_a": {35}}
    assert levels(empty) == [(day, 40) for day in dates]


def test_snapshots_of_every_type_are_brought_into_order_as_of_their_instant(empty: Database) -> None:
    migrate_to(empty, "0005")
    fill(empty, [date(2026, 3, 3)], imported=False)
    with empty.transaction() as connection:
        for kind, hour, miles in (("status_change", 10, 58), ("manual", 14, 60)):
            connection.exec_driver_sql(
                "INSERT INTO circuit_snapshots (circuit_id, snapshot_date, snapshot_type, api_status, workflow_stage,"
                f" as_of, total_miles) SELECT id, '2026-03-03', '{kind}', 'ACTIV', 'active',"
                f" '2026-03-03 {hour}:00Z', {miles} FROM circuits WHERE extension = '@'"
            )
        connection.exec_driver_sql(
            "INSERT INTO circuit_history (circuit_id, valid_from, valid_to, api_status, workflow_stage, is_excluded,"
            " total_miles) SELECT id, '2025-12-01', '2026-03-03 12:00Z', 'ACTIV', 'active', false, 58 FROM circuits"
            " WHERE extension = '@'"
        )
        connection.exec_driver_sql(
            "UPDATE circuit_history SET valid_from = '2026-03-03 12:00Z' WHERE valid_to IS NULL AND total_miles = 60"
        )
    assert upgrade(empty) is None
    with empty.transaction() as connection:
        found = connection.exec_driver_sql(
            "SELECT snapshot_type, own_total_miles::int, work_order_total_miles::int FROM circuit_snapshots"
            " WHERE splits_contained ORDER BY as_of, snapshot_type"
        )
        assert {tuple(row) for row in found} == {("daily", 5, 60), ("manual", 5, 60), ("status_change", 3, 58)}


def test_imported_dates_have_the_splits_of_their_own_rows(empty: Database) -> None:
    dates = weekdays_between(date(2025, 3, 3), date(2025, 3, 5))
    migrate_to(empty, "0005")
    fill(empty, dates, imported=True)
    assert upgrade(empty) is None
    assert own_miles(empty) == {"@": {25}, "C_a": {35}}
    assert levels(empty) == [(day, 60) for day in dates]


def test_years_are_left_to_the_command_that_says_so_and_can_be_stopped(empty: Database) -> None:
    dates = weekdays_between(date(2026, 3, 2), date(2026, 6, 30))
    migrate_to(empty, "0005")
    fill(empty, dates, imported=False)
    told = upgrade(empty)
    assert told is not None
    assert "db upgrade" in told
    assert "\n" not in told
    assert levels(empty) == [(day, 95) for day in dates]
    lines: list[str] = []

    def stopped(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recompute(empty, NOW, stopped)
    assert [miles for _, miles in levels(empty)].count(40) == 40
    assert upgrade(empty) is None or len(dates) - 40 > 60
    recompute(empty, NOW, lines.append)
    assert levels(empty) == [(day, 40) for day in dates]
    assert upgrade(empty) is None


def test_a_database_without_snapshots_has_nothing_to_bring_into_order(empty: Database) -> None:
    migrate_to(empty, "0005")
    assert upgrade(empty) is None
