"""The asset checks against a real database, and their judgements by themselves."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest
from sqlalchemy import text

from circuit_sync.domain import findings
from circuit_sync.domain.eastern import EASTERN
from circuit_sync.domain.findings import AggregateSyncCounts, FetchedUnits, StatusAnswer
from circuit_sync.domain.requests import AggregateSyncRequest, CircuitSyncRequest
from circuit_sync.simulator import Simulator, circuits_table, units_table
from circuit_sync.sync.circuits.sync import fetch_circuits, open_circuit_sync, store_circuits
from circuit_sync.sync.log.checks import CHECKS
from circuit_sync.sync.session import Session
from circuit_sync.sync.units.sync import (
    complete_aggregate_sync,
    fetch_and_store_aggregates,
    open_aggregate_sync,
)
from circuit_sync_tests.scenery import ask


def _sync_circuits(session: Session, *rows: dict[str, object], simulator: Simulator) -> None:
    simulator.answer("ACTIV", circuits_table(list(rows)))
    sync_id = open_circuit_sync(session, CircuitSyncRequest(["ACTIV"]))
    fetch_circuits(session, sync_id)
    store_circuits(session, sync_id)


def _sync_units(session: Session, *work_orders: str) -> None:
    sync_id = open_aggregate_sync(session, AggregateSyncRequest(work_orders=work_orders))
    fetch_and_store_aggregates(session, sync_id)
    complete_aggregate_sync(session, sync_id)


def _failed(session: Session, *assets: str) -> dict[str, str]:
    found = {name: ask(session, name) for name, check in CHECKS.items() if check.asset in assets}
    return {name: finding.message for name, finding in found.items() if not finding.passed}


def test_an_empty_database_passes_every_check(session: Session):
    assert _failed(session, "circuits", "circuit_aggregates", "daily_snapshots") == {}


def test_circuit_checks_name_what_is_wrong(session: Session, simulator: Simulator):
    _sync_circuits(
        session,
        {"SS_WO": "2026-0001", "REGION": None, "SS_TAKENBY": ""},
        {"SS_WO": "2026-0002", "SS_EXT": "A", "REGION": "Lehigh", "SS_TAKENBY": "CONTRACTOR\\nobody"},
        {"SS_WO": "2026-0003", "REGION": "Lehigh", "VEGJOB_LENGTH": "junk"},
        simulator=simulator,
    )

    assert _failed(session, "circuits") == {
        "no_unknown_region": "1 circuits without a region",
        "few_rejected_rows": "ACTIV: 33.3%",
        "planners_are_linked": "1 planners are not linked to a user: circuit-sync planners link NAME USER",
        "splits_have_their_main_assessment": "1 splits whose main assessment is in no answer",
    }


def test_splits_of_more_miles_than_their_main_assessment_are_listed(session: Session, simulator: Simulator):
    """Rounded tenths and a mile are no difference; a work order of which nothing is open is none to look at."""
    rows = [
        {"SS_WO": wo, "SS_EXT": extension, "REGION": "Lehigh", "VEGJOB_LENGTH": miles, "SS_TAKENBY": ""}
        for wo, main, splits in (
            ("2026-0001", 20, (10, 12.5)),
            ("2026-0002", 60, (30, 30.1)),
            ("2026-0003", 5, (3, 3)),
            ("2026-0004", 30, (1,)),
            ("2026-0005", 10, (30,)),
        )
        for extension, miles in zip(("@", "C_a", "C_ba"), (main, *splits), strict=False)
    ]
    _sync_circuits(session, *rows, simulator=simulator)
    with session.database.transaction() as connection:
        connection.execute(text("UPDATE circuits SET api_status = 'CLOSE' WHERE work_order = '2026-0005'"))

    found = ask(session, "splits_are_contained")
    assert (found.passed, found.severity) == (False, "warning")
    assert found.lines == [{"work_order": "2026-0001", "main_miles": 20, "splits": 2, "split_miles": Decimal("22.50")}]

    with session.database.transaction() as connection:
        connection.execute(text("INSERT INTO database_settings VALUES ('mains_contain_splits', 'no')"))
    assert ask(session, "splits_are_contained").passed


def test_a_region_that_a_later_sync_brings_is_reported(session: Session, simulator: Simulator):
    _sync_circuits(session, {"SS_WO": "2026-0001", "REGION": "Lehigh"}, simulator=simulator)
    _sync_circuits(session, {"SS_WO": "2026-0001", "REGION": "Lehihg"}, simulator=simulator)

    assert _failed(session, "circuits")["no_unknown_region"] == "new in the last week: Lehihg"


def test_aggregates_that_do_not_add_up_or_differ_from_workstudio_are_found(session: Session, simulator: Simulator):
    _sync_circuits(session, {"SS_WO": "2026-0001", "UNITCOUNTS_NUMTREES": 7}, simulator=simulator)
    unit = {"SS_WO": "2026-0001", "VEGUNIT_UNIT": "REM612", "JOBVEGETATIONUNITS_NUMTREES": 3}
    simulator.answer("2026-0001", units_table([unit]))
    _sync_units(session)

    assert _failed(session, "circuit_aggregates") == {
        "workstudio_counts_agree": "1 circuits have another number of trees in WorkStudio's own count"
    }

    with session.database.transaction() as connection:
        connection.execute(text("UPDATE circuit_aggregates SET total_units = total_units + 1"))

    assert _failed(session, "circuit_aggregates")["totals_reconcile"] == "1 aggregates do not add up"


def test_one_work_order_is_not_the_latest_sync(session: Session, simulator: Simulator):
    _sync_circuits(session, {"SS_WO": "2026-0001"}, {"SS_WO": "2026-0002"}, simulator=simulator)
    simulator.answer("2026-0001", units_table([{"SS_WO": "2026-0001", "VEGUNIT_UNIT": "SPM"}]))
    simulator.fault("status", match="2026-0002", code=403, times=1)
    _sync_units(session)
    _sync_units(session, "2026-0001")

    assert "1 of 2 work orders failed" in _failed(session, "circuit_aggregates")["few_failed_work_orders"]


def _counted(*numbers: int) -> list[StatusAnswer]:
    return [StatusAnswer("QC", processed=number, rows_received=number, rows_rejected=0) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "passed", "severity"),
    [
        ((100,), True, "warning"),
        ((100, 99, 101), True, "warning"),
        ((70, 100, 100), False, "warning"),
        ((40, 100), False, "error"),
    ],
)
def test_a_status_count_is_judged_by_its_recent_past(numbers: tuple[int, ...], passed: bool, severity: str):
    finding = findings.judge_counts(_counted(*numbers))

    assert (finding.passed, finding.severity) == (passed, severity)


@pytest.mark.parametrize(
    ("done", "failed", "passed", "severity"),
    [(10, 0, True, "warning"), (9, 1, False, "warning"), (7, 3, False, "error")],
)
def test_failed_work_orders_are_judged_by_their_share(done: int, failed: int, passed: bool, severity: str):
    finding = findings.judge_failures(AggregateSyncCounts(sync_id=1, done=done, failed=failed))

    assert (finding.passed, finding.severity) == (passed, severity)


@pytest.mark.parametrize(
    ("synced", "passed", "severity"),
    [
        (date(2026, 11, 20), True, "warning"),  # Friday, seen on Monday: one weekday
        (date(2026, 11, 19), False, "warning"),
        (date(2026, 11, 13), False, "error"),
    ],
)
def test_the_age_of_an_aggregate_is_counted_in_weekdays(synced: date, passed: bool, severity: str):
    fetched = FetchedUnits("2026-0001 @", datetime.combine(synced, time(23), EASTERN))
    finding = findings.judge_age(fetched, date(2026, 11, 23))

    assert (finding.passed, finding.severity) == (passed, severity)
