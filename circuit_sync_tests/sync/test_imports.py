"""Snapshots from another system's file, and manual ones."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from circuit_sync.database.progress.history import record_history
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.requests import SnapshotRequest
from circuit_sync.sync.progress.imports import MOST_FAULTS, FileRefused, import_snapshots, take_manual_snapshots
from circuit_sync.sync.progress.snapshots import open_snapshots, take_snapshots
from circuit_sync_tests.scenery import MONDAY, Desk
from circuit_sync_tests.sync.snapshot_shelf import Shelf

HEAD = "snapshot_date,work_order,extension,region,taken_by,api_status,total_miles,miles_planned,total_units"
THURSDAY, FRIDAY = date(2026, 2, 26), date(2026, 2, 27)
GOOD = [
    HEAD,
    "2026-02-26,wo-1,@,Lehigh,CONTRACTOR\\larch,ACTIV,100,10,5",
    "2026-02-27,wo-1,@,lehigh,CONTRACTOR\\larch,activ,100,12.505,6",
    '2026-02-27,wo-2,A,,,Rework,"50",,',
]


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    """Two circuits, whose history begins on Monday, 2 March."""
    desk.answer(
        "ACTIV",
        [
            {"SS_JOBGUID": "guid-1", "SS_WO": "wo-1", "SS_EXT": "@", "REGION": "Lehigh", "VEGJOB_LENGTHCOMP": 20},
            {"SS_JOBGUID": "guid-2", "SS_WO": "wo-2", "SS_EXT": "A", "REGION": "Central"},
        ],
    )
    desk.sync()
    return Shelf(desk)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "older.csv"


def imported(desk: Desk) -> list[dict[str, object]]:
    return desk.rows(
        "SELECT s.snapshot_date, c.work_order, r.name AS region, s.miles_planned, s.workflow_stage, s.as_of"
        " FROM circuit_snapshots AS s JOIN circuits AS c ON c.id = s.circuit_id"
        " LEFT JOIN regions AS r ON r.id = s.region_id WHERE s.is_imported AND s.snapshot_type = 'daily' ORDER BY 1, 2"
    )


def test_a_file_is_stored_marked_and_rolled_up(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join(GOOD), encoding="utf-8-sig")
    with pytest.raises(FileRefused) as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults == ("line 4: miles_planned: is empty",)
    file.write_text("\n".join(GOOD).replace('"50",,', '"50",7,'), encoding="utf-8-sig")
    assert import_snapshots(shelf.desk.session, file).per_date == {THURSDAY: 1, FRIDAY: 2}
    end_of_friday = datetime(2026, 2, 28, 4, 59, 59, 999999, tzinfo=UTC)
    assert imported(shelf.desk)[1:] == [
        {
            "snapshot_date": FRIDAY,
            "work_order": "wo-1",
            "region": "Lehigh",
            "miles_planned": Decimal("12.51"),
            "workflow_stage": "active",
            "as_of": end_of_friday,
        },
        {
            "snapshot_date": FRIDAY,
            "work_order": "wo-2",
            "region": None,
            "miles_planned": 7,
            "workflow_stage": "rework",
            "as_of": end_of_friday,
        },
    ]
    assert shelf.regional(FRIDAY)["Lehigh"]["miles_planned_change"] == Decimal("2.51")
    assert shelf.regional(FRIDAY)["Lehigh"]["total_units_change"] == 1


def test_a_count_may_be_written_with_zeros_behind_the_point(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join([HEAD, "2026-02-27,wo-1,@,,,ACTIV,1,1,12.0"]))
    import_snapshots(shelf.desk.session, file)
    assert shelf.desk.one("SELECT total_units FROM circuit_snapshots WHERE is_imported") == 12


def test_importing_again_replaces_its_dates_as_a_whole(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join(GOOD[:3]))
    import_snapshots(shelf.desk.session, file)
    before = imported(shelf.desk)
    import_snapshots(shelf.desk.session, file)
    assert imported(shelf.desk) == before
    file.write_text("\n".join([HEAD, "2026-02-26,wo-2,A,,,QC,1,1,"]))
    import_snapshots(shelf.desk.session, file)
    assert [(row["snapshot_date"], row["work_order"]) for row in imported(shelf.desk)] == [
        (THURSDAY, "wo-2"),
        (FRIDAY, "wo-1"),
    ]


def test_our_own_first_day_counts_its_difference_from_the_imported_past(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join(GOOD[:3]))
    import_snapshots(shelf.desk.session, file)
    take_snapshots(shelf.desk.session, open_snapshots(shelf.desk.session, SnapshotRequest([MONDAY.date()])))
    shelf.roll_up(MONDAY.date())
    assert shelf.regional(MONDAY.date())["Lehigh"]["miles_planned_change"] == 20 - Decimal("12.51")


def test_a_backfill_of_an_imported_date_leaves_it_alone(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join(GOOD[:3]))
    import_snapshots(shelf.desk.session, file)
    before = imported(shelf.desk)
    request = SnapshotRequest([THURSDAY, FRIDAY, MONDAY.date()])
    take_snapshots(shelf.desk.session, open_snapshots(shelf.desk.session, request))
    assert imported(shelf.desk) == before
    assert shelf.desk.one("SELECT count(*) FROM circuit_snapshots WHERE NOT is_imported") == 2


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("yesterday,wo-1,@,,,ACTIV,1,1,", "snapshot_date: is not a date: it looks like 2026-03-31"),
        ("2026-02-28,wo-1,@,,,ACTIV,1,1,", "snapshot_date 2026-02-28 is a Saturday: snapshots are of weekdays"),
        (
            "2026-03-02,wo-1,@,,,ACTIV,1,1,",
            "snapshot_date 2026-03-02 is not before 2026-03-02, the first date of our own",
        ),
        ("2026-02-27,wo-9,@,,,ACTIV,1,1,", "no circuit has work_order wo-9 @"),
        ("2026-02-27,wo-2,,,,ACTIV,1,1,", "no circuit has work_order wo-2 @"),
        ("2026-02-27,,,,,ACTIV,1,1,", "neither job_guid nor work_order names a circuit"),
        ("2026-02-27,wo-1,@,Atlantis,,ACTIV,1,1,", "region 'Atlantis' is unknown"),
        ("2026-02-27,wo-1,@,,larch,ACTIV,1,1,", "taken_by: is not a planner's name: it looks like CONTRACTOR\\user"),
        (
            "2026-02-27,wo-1,@,,,CLOSE,1,1,",
            "api_status: is not one of ACTIV, QC, REWRK (a snapshot holds circuits that are not closed)",
        ),
        ("2026-02-27,wo-1,@,,,ACTIV,many,1,", "total_miles: not a number"),
        ("2026-02-27,wo-1,@,,,ACTIV,,1,", "total_miles: is empty"),
        ("2026-02-27,wo-1,@,,,ACTIV,-5,1,", "total_miles: is negative"),
        ("2026-02-27,wo-1,@,,,ACTIV,1,-0.01,", "miles_planned: is negative"),
        ("2026-02-27,wo-1,@,,,ACTIV,1,1,-4", "total_units: not between 0 and 2147483647"),
        ("2026-02-27,wo-1,@,,,ACTIV,1,1,12.4", "total_units: not a whole number"),
        ("2026-02-27,wo-1,@,,,ACTIV,1,1,99999999999", "total_units: not between 0 and 2147483647"),
        ("2026-02-27,wo-1,@,,,ACTIV,1,1,4,5", "has more cells than the first line has columns"),
        ("2026-02-27,wo-1,@", "api_status: is empty"),
    ],
)
def test_a_bad_line_gets_one_clear_line_and_nothing_is_stored(shelf: Shelf, file: Path, line: str, fault: str) -> None:
    file.write_text("\n".join([HEAD, GOOD[1], line]))
    with pytest.raises(FileRefused, match=r"nothing was imported: older\.csv has 1 fault") as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults == (f"line 3: {fault}",)
    assert imported(shelf.desk) == []
    assert shelf.regional(THURSDAY) == {}


def test_a_line_that_repeats_another_is_told_with_both_numbers(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join([*GOOD[:3], GOOD[1]]))
    with pytest.raises(FileRefused) as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults == ("line 4: the same circuit and date as line 2",)


def test_a_work_order_of_two_circuits_asks_for_the_guid(shelf: Shelf, file: Path) -> None:
    shelf.desk.execute("UPDATE circuits SET work_order = 'wo-1', extension = '@'")
    file.write_text("\n".join(GOOD[:2]))
    with pytest.raises(FileRefused) as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults == ("line 2: work_order wo-1 @ is that of 2 circuits: name its job_guid",)
    file.write_text("snapshot_date,job_guid,api_status,total_miles,miles_planned\n2026-02-27,guid-2,QC,1,1\n")
    assert import_snapshots(shelf.desk.session, file).per_date == {FRIDAY: 1}


@pytest.mark.parametrize(
    ("heading", "faults"),
    [
        ("", ("line 1: the file is empty; its first line names the columns",)),
        ("snapshot_date,work_order,api_status,total_miles", ("line 1: column 'miles_planned' is missing",)),
        (
            "snapshot_date,api_status,total_miles,miles_planned",
            ("line 1: column 'work_order' (or 'job_guid') is missing",),
        ),
        (f"{HEAD},total_units", ("line 1: column 'total_units' comes twice",)),
    ],
)
def test_a_wrong_first_line_is_told_before_any_other(
    shelf: Shelf, file: Path, heading: str, faults: tuple[str, ...]
) -> None:
    file.write_text(f"{heading}\nrubbish\n" if heading else "")
    with pytest.raises(FileRefused) as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults == faults


def test_an_unknown_column_is_told_with_those_allowed(shelf: Shelf, file: Path) -> None:
    file.write_text(f"{HEAD},colour\n")
    with pytest.raises(FileRefused) as refused:
        import_snapshots(shelf.desk.session, file)
    assert refused.value.faults[0].startswith("line 1: unknown column 'colour': allowed are snapshot_date, job_guid")


def test_unknown_circuits_can_be_left_out(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join([*GOOD[:3], "2026-02-27,wo-9,@,,,ACTIV,1,1,"]))
    done = import_snapshots(shelf.desk.session, file, skip_unknown=True)
    assert (done.per_date, done.skipped) == ({THURSDAY: 1, FRIDAY: 1}, 1)


def test_of_many_faults_the_first_are_told_and_the_rest_is_not_read(shelf: Shelf, file: Path) -> None:
    file.write_text("\n".join([HEAD, *["x"] * MOST_FAULTS]))
    with pytest.raises(FileRefused, match=f"has {MOST_FAULTS} faults$"):
        import_snapshots(shelf.desk.session, file)
    # Further on it is no text at all, which nobody gets to see.
    file.write_bytes("\n".join([HEAD, *["x"] * 10_000]).encode() + b"\n\xff" * 1_000_000)
    with pytest.raises(FileRefused, match=f"has {MOST_FAULTS} faults and more: it was read up to line 101$") as refused:
        import_snapshots(shelf.desk.session, file)
    assert len(refused.value.faults) == MOST_FAULTS


def test_what_is_no_such_file_is_told_in_one_line(shelf: Shelf, file: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        import_snapshots(shelf.desk.session, file)
    file.write_bytes(HEAD.encode() + b"\n\xff\xfe")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        import_snapshots(shelf.desk.session, file)
    file.write_text(f'{HEAD}\n"2026-02-26')
    with pytest.raises(UsageError, match="is not a CSV file"):
        import_snapshots(shelf.desk.session, file)


def test_without_history_only_today_and_later_are_refused(desk: Desk, file: Path) -> None:
    Shelf(desk).circuit("wo-1")
    file.write_text("\n".join([HEAD, "2026-02-27,wo-1,@,,,QC,1,1,", "2026-03-02,wo-1,@,,,QC,1,1,"]))
    with pytest.raises(FileRefused) as refused:
        import_snapshots(desk.session, file)
    assert [fault.split(":")[0] for fault in refused.value.faults] == ["line 3"]


def test_a_manual_snapshot_is_the_state_now_beside_the_daily_one(shelf: Shelf) -> None:
    desk = shelf.desk
    desk.execute("UPDATE circuits SET miles_planned = 33 WHERE work_order = 'wo-1'")
    assert take_manual_snapshots(desk.session) == 2
    assert take_manual_snapshots(desk.session, ["wo-1"]) == 1
    rows = desk.rows(
        "SELECT s.snapshot_type, s.snapshot_date, s.miles_planned, s.as_of FROM circuit_snapshots AS s"
        " JOIN circuits AS c ON c.id = s.circuit_id WHERE c.work_order = 'wo-1' ORDER BY s.id"
    )
    expected = {
        "snapshot_type": "manual",
        "snapshot_date": MONDAY.date(),
        "miles_planned": 33,
        "as_of": desk.clock(),
    }
    assert rows == [expected, expected]


def test_a_manual_snapshot_leaves_out_what_is_closed_excluded_or_departed(shelf: Shelf) -> None:
    desk = shelf.desk
    desk.execute("UPDATE circuits SET is_excluded = true WHERE work_order = 'wo-1'")
    desk.execute("UPDATE circuits SET departed_at = now() WHERE work_order = 'wo-2'")
    assert take_manual_snapshots(desk.session) == 0
    with desk.database.transaction() as connection:
        record_history(connection, desk.clock())
    with pytest.raises(UsageError, match="unknown work order wo-7"):
        take_manual_snapshots(desk.session, ["wo-7"])
