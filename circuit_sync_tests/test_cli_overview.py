"""The tables of ``status``, and what a snapshot run prints."""

from itertools import takewhile

import pytest

from circuit_sync.cli.overview import show_overview
from circuit_sync.cli.results import show_snapshots
from circuit_sync.orchestration.terminal.execution import Outcome
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, sync_units


@pytest.fixture
def shown(desk: Desk, capsys: pytest.CaptureFixture[str]) -> "Shown":
    return Shown(desk, capsys)


class Shown:
    """What ``status`` prints now."""

    def __init__(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        self._desk = desk
        self._capsys = capsys

    def table(self, title: str) -> list[list[str]]:
        """The words of each line of the table with this title, its heading first."""
        self._capsys.readouterr()
        show_overview(self._desk.session)
        lines = self._capsys.readouterr().out.split("\n")
        table = takewhile(str.strip, lines[lines.index(title) + 2 :])
        return [line.split() for line in table if line.strip(" ─")]


def test_an_empty_database_says_that_no_status_was_ever_synced(shown: Shown) -> None:
    assert shown.table("last good sync of each status") == [
        ["status", "last", "good"],
        *([status, "never"] for status in ("ACTIV", "QC", "REWRK", "CLOSE")),
    ]


def test_a_warning_is_marked_and_a_status_that_was_never_synced_says_so(desk: Desk, shown: Shown) -> None:
    circuits(desk, *(f"2026-01{number:02}" for number in range(1, 13)))
    desk.answer("ACTIV", [{"SS_WO": WO}])
    desk.sync("ACTIV")

    heading, activ, qc, *_ = shown.table("last good sync of each status")

    assert heading == ["status", "last", "good", "result", "sync", "id"]
    assert activ == ["ACTIV", "2026-03-02", "04:32", "warning", "2"]
    assert qc == ["QC", "never"]


def test_a_sync_of_single_work_orders_does_not_pose_as_one_of_all_statuses(desk: Desk, shown: Shown) -> None:
    circuits(desk, WO, "2026-0102")
    for name in (WO, "2026-0102"):
        answer_units(desk, name)
    sync_units(desk)
    sync_units(desk, work_orders=(WO,))
    sync_units(desk, work_orders=(WO, "2026-0102"))

    _, two, one, whole, _ = shown.table("sync log")

    assert two[:7] == ["4", "aggregates", "of", "2", "work", "orders", "completed"]
    assert one[:7] == ["3", "aggregates", "of", "1", "work", "order", "completed"]
    assert whole[:4] == ["2", "aggregates", "all", "completed"]


def test_snapshots_that_were_imported_are_said_to_be_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"sync_log_id": 3, "sync_status": "completed"}
    imported = told | {"snapshots": 5, "imported": 4}

    show_snapshots(["2026-02-26", "2026-02-27"], Outcome("r", "SUCCESS", metadata={
        "2026-02-26": imported, "2026-02-27": told | {"snapshots": 7}}))  # fmt: skip
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["date", "snapshots", "imported,", "left", "alone"] in lines
    assert ["2026-02-26", "5", "4"] in lines
    assert ["2026-02-27", "7", "0"] in lines

    show_snapshots(["2026-02-27"], Outcome("r", "SUCCESS", metadata={"2026-02-27": told | {"snapshots": 7}}))
    assert "imported" not in capsys.readouterr().out
