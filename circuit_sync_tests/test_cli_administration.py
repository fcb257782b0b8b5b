"""Administration on the command line: people, planners, circuits, credentials."""

import io
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from cryptography.fernet import Fernet

from circuit_sync.cli import main
from circuit_sync.environment import prepared_environment
from circuit_sync.orchestration.assets.metadata import plain
from circuit_sync.orchestration.terminal.execution import persistent_instance
from circuit_sync.settings import load_settings
from circuit_sync.simulator import Simulator, environment
from circuit_sync_tests.scenery import Desk

KEY = Fernet.generate_key().decode()
PASSWORD = "jlarch-simulator"
WO = "2025-1930"


@dataclass
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def circuit_sync(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    database_url: str,
    simulator: Simulator,
) -> Iterator[Command]:
    """Runs a command in this process, against the test's database and simulator; ``stdin`` is what it reads."""
    wanted = environment(simulator.base_url) | {
        "CIRCUIT_SYNC_DATABASE_URL": database_url,
        "CIRCUIT_SYNC_STATE_DIR": str(tmp_path / "state"),
        "CIRCUIT_SYNC_SECRET_KEY": KEY,
        "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
        "WORKSTUDIO_MAX_ATTEMPTS": "1",
    }
    monkeypatch.chdir(tmp_path)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["circuit-sync", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return Ended(int(ended.value.code or 0), output.out, output.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def circuits(desk: Desk) -> Desk:
    """Two circuits that Jo Larch holds, of which the second is a split, and one of a planner nobody knows."""
    held = {"SS_WO": WO, "SS_TAKENBY": "CONTRACTOR\\jlarch", "SS_TITLE": "THISTLE RIDGE"}
    desk.answer("ACTIV", [held, held | {"SS_EXT": "A"}, {"SS_WO": "2025-2"}])
    desk.sync()
    return desk


def done(ended: Ended) -> str:
    assert ended.status == 0, ended.err
    return ended.out


def test_people_are_added_listed_and_linked(circuits: Desk, circuit_sync: Command) -> None:
    added = done(
        circuit_sync(
            *("users", "add", "Jo Larch", "--email", "jo@example.com", "--role", "general_foreman"),
            *("--region", "Lancaster", "--ws-username", "CONTRACTOR\\jlarch", "--ws-guid", "{1-guid}"),
        )
    )
    assert "Jo Larch (jo@example.com) is added as general_foreman; 2 circuits were linked" in added
    done(circuit_sync("users", "add", "Pat", "--email", "pat@example.com"))

    listed = done(circuit_sync("users", "list"))
    assert "CONTRACTOR\\jlarch" in listed
    assert "pat@example.com" in listed
    planners = done(circuit_sync("planners", "list"))
    assert "CONTRACTOR\\planner1" in planners
    assert "jlarch" not in planners

    linked = done(circuit_sync("planners", "link", "contractor\\PLANNER1", "pat@example.com"))
    assert "1 circuits were linked" in linked
    assert "every planner whom circuits name is a user" in done(circuit_sync("planners", "list"))
    everyone = done(circuit_sync("planners", "list", "--all"))
    assert "jo@example.com" in everyone
    assert "pat@example.com" in everyone


def test_a_circuit_is_set_shown_given_back_and_staged(circuits: Desk, circuit_sync: Command) -> None:
    done(circuit_sync("users", "add", "Eve", "--email", "eve@example.com"))

    edited = done(
        circuit_sync("circuits", "set", WO, "A", "total_miles=12.5", "title=a = b", "is_excluded=yes", "--as", "Eve")
    )
    assert f"{WO} A  changed  total_miles: 10.0 → 12.5" in edited
    assert "title: THISTLE RIDGE → a = b" in edited
    assert "is_excluded: no → yes" in edited
    shown = done(circuit_sync("circuits", "show", WO, "A"))
    assert "12.50" in shown
    assert "Eve" in shown
    assert "THISTLE RIDGE" in shown
    given_back = done(
        circuit_sync("circuits", "set", WO, "A", "--reset", "title", "--reset", "is_excluded", "--as", "Eve")
    )
    assert "title: a = b → THISTLE RIDGE" in given_back
    assert circuits.circuit(WO)["title"] == "THISTLE RIDGE"
    assert list(circuits.circuit(WO, "A")["user_modified_fields"]) == ["total_miles"]

    staged = done(circuit_sync("circuits", "stage", WO, "rework", "--as", "Eve"))
    assert "workflow_stage: active → rework" in staged
    assert "it is at rework already" in done(circuit_sync("circuits", "stage", WO, "@", "rework", "--as", "Eve"))


def test_an_account_is_stored_verified_listed_and_put_under_a_new_key(
    circuits: Desk, circuit_sync: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(circuit_sync("users", "add", "Jo", "--email", "jo@example.com", "--ws-username", "CONTRACTOR\\jlarch"))
    said = [done(circuit_sync("credentials", "set", "jo@example.com", stdin=f"{PASSWORD}\r\nnot this".encode()))]
    said.append(done(circuit_sync("credentials", "list")))
    assert "not verified yet" in said[-1]
    said.append(done(circuit_sync("credentials", "verify")))
    assert "valid" in said[-1]

    new = Fernet.generate_key().decode()
    monkeypatch.setenv("CIRCUIT_SYNC_SECRET_KEY", f"{new},{KEY}")
    said.append(done(circuit_sync("credentials", "rotate")))
    assert "1 accounts are encrypted with the first key now" in said[-1]
    monkeypatch.setenv("CIRCUIT_SYNC_SECRET_KEY", new)
    said.append(done(circuit_sync("credentials", "verify", "Jo")))
    said.append(done(circuit_sync("credentials", "list")))
    assert "CONTRACTOR\\jlarch" in said[-1]
    assert "valid" in said[-1]
    assert not any(secret in "".join(said) for secret in (PASSWORD, KEY, new))
    assert circuits.simulator.calls[-1].user == "CONTRACTOR\\jlarch"


def test_a_wrong_password_is_told_and_fails(circuits: Desk, circuit_sync: Command) -> None:
    done(circuit_sync("users", "add", "Jo", "--email", "jo@example.com", "--ws-username", "CONTRACTOR\\jlarch"))
    done(circuit_sync("credentials", "set", "Jo", stdin=b"hunter2"))

    ended = circuit_sync("credentials", "verify")

    assert ended.status == 1
    assert "refused: wrong password" in ended.out
    assert "hunter2" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["users", "add", "Ann"], "Missing option '--email'"),
        (["users", "add", "Ann", "--email", "a@b", "--role", "boss"], "allowed are planner, general_foreman, admin"),
        (["users", "add", "Ann", "--email", "a@b", "--region", "X"], "unknown region 'X': known are Lancaster"),
        (["users", "add", "Ann", "--email", "EVE@example.com"], "is taken by Eve (eve@example.com)"),
        (["planners", "link", "A\\b", "Eve"], "no unlinked planner is named"),
        (["circuits", "show", "1999-1"], "no circuit has the work order '1999-1'"),
        (["circuits", "set", WO, "title=x"], "Missing option '--as'"),
        (["circuits", "set", WO, "A", "--as", "Eve"], "nothing to set: name FIELD=VALUE"),
        (["circuits", "set", WO, "title=x", "A", "--as", "Eve"], "'A' is not FIELD=VALUE"),
        (["circuits", "set", WO, "title=x", "title=y", "--as", "Eve"], "title is set twice"),
        (["circuits", "set", WO, "api_status=QC", "--as", "Eve"], "api_status is WorkStudio's alone"),
        (["circuits", "stage", WO, "A", "qc", "closed", "--as", "Eve"], "one stage is set at a time"),
        (["circuits", "stage", WO, "done", "--as", "Eve"], "unknown stage 'done': allowed are active"),
        (["credentials", "set", "Eve"], "eve@example.com has no WorkStudio user name: give one with --ws-username"),
        (["credentials", "set", "Eve", "--ws-username", "A\\b"], "the password is empty"),
        (["credentials", "verify"], "no account is stored for anybody"),
        (["snapshots", "take", "--work-order", "1999-1"], "1999-1"),
        (["snapshots", "import", "nowhere.csv"], "nowhere.csv"),
        (["report", "--week", "soon"], "'soon' is not a date: it looks like 2026-03-31"),
        (["report", "--week", "2026-03-02"], "no snapshot in the week 2026-03-02 to 2026-03-06"),
        (["events", "tail", "--channel", "circuit"], "unknown channel 'circuit': allowed are dashboard"),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(
    circuits: Desk, circuit_sync: Command, arguments: list[str], complaint: str
) -> None:
    done(circuit_sync("users", "add", "Eve", "--email", "eve@example.com"))

    ended = circuit_sync(*arguments)

    assert ended.status == 2
    assert complaint in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "CIRCUIT_SYNC_SECRET_KEY is not set"),
        ("my key", "CIRCUIT_SYNC_SECRET_KEY: key 1 of 1 is not a Fernet key"),
    ],
)
@pytest.mark.parametrize("command", [["set", "Jo"], ["verify"], ["rotate"]])
def test_a_missing_or_malformed_key_is_one_line_with_a_way_to_make_one(
    circuit_sync: Command, monkeypatch: pytest.MonkeyPatch, key: str, complaint: str, command: list[str]
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_SECRET_KEY", key)

    ended = circuit_sync("credentials", *command, stdin=b"secret")

    assert ended.status == 2
    assert complaint in ended.err
    assert "Fernet.generate_key()" in ended.err
    assert ended.err.count("\n") == 1
    assert not any(secret in ended.err for secret in ("my key", "secret\n"))


def test_a_password_that_is_no_text_is_refused_unquoted(circuit_sync: Command) -> None:
    done(circuit_sync("users", "add", "Jo", "--email", "jo@example.com", "--ws-username", "CONTRACTOR\\jlarch"))

    ended = circuit_sync("credentials", "set", "Jo", stdin=b"h\xffnter2")

    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "not UTF-8 text" in ended.err


def test_an_empty_database_has_clear_lists(circuit_sync: Command) -> None:
    assert "there is no user yet" in done(circuit_sync("users", "list"))
    assert "every planner whom circuits name is a user" in done(circuit_sync("planners", "list"))
    assert "no account is stored" in done(circuit_sync("credentials", "list"))


def test_snapshots_are_imported_taken_and_reported(circuits: Desk, circuit_sync: Command, tmp_path: Path) -> None:
    file = tmp_path / "older.csv"
    head = "snapshot_date,work_order,extension,region,api_status,total_miles,miles_planned\n"
    file.write_text(f"{head}2026-02-26,{WO},@,Lancaster,ACTIV,100,10\n2026-02-27,{WO},@,Lancaster,ACTIV,100,12.5\n")

    imported = done(circuit_sync("snapshots", "import", str(file)))
    assert imported == "2 snapshots of 2 dates were imported, 2026-02-26 to 2026-02-27\n"
    assert done(circuit_sync("snapshots", "take", "--work-order", WO)) == "a manual snapshot of 2 circuits was taken\n"

    page = done(circuit_sync("report", "--week", "2026-02-25", "--output", "-"))
    assert page.startswith("<!doctype html>")
    assert "Lancaster" in page
    written = done(circuit_sync("report", "--week", "2026-02-25"))
    assert written.startswith("progress-2026-02-27.html: the week ending 2026-02-27")
    # The minute in which it was made may have passed.
    kept = [text.split("Made by")[0] for text in ((tmp_path / "progress-2026-02-27.html").read_text(), page)]
    assert kept[0] == kept[1]
    nowhere = circuit_sync("report", "--week", "2026-02-25", "--output", "/nowhere/page.html")
    assert (nowhere.status, nowhere.err.count("\n")) == (2, 1)
    assert "/nowhere/page.html cannot be written" in nowhere.err


def test_targets_of_seasons(circuits: Desk, circuit_sync: Command) -> None:
    assert "there is no target yet" in done(circuit_sync("targets", "list"))
    assert done(circuit_sync("targets", "set", "2026", "2026-11-30")) == (
        "season 2026 of every region without a target of its own is to be planned by 2026-11-30\n"
    )
    region = circuits.one("SELECT name FROM regions")
    own = done(circuit_sync("targets", "set", "2026", "2026-10-30", "--region", region.upper()))
    assert own == f"season 2026 of {region} is to be planned by 2026-10-30\n"
    listed = done(circuit_sync("targets", "list"))
    assert "2026-11-30" in listed
    assert "2026-10-30" in listed
    assert "every region" in listed
    assert done(circuit_sync("targets", "set", "2026", "--none")).endswith("has no target now\n")
    assert circuits.column("SELECT finish_on::text FROM season_targets") == ["2026-10-30"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("26", "2026-11-30"), "'26' is not a season"),
        (("twenty", "2026-11-30"), "'twenty' is not a season"),
        (("²²²²", "2026-11-30"), "is not a season"),
        (("9999", "2026-11-30"), "9999 is not a season"),
        (("2026", "30.11.2026"), "'30.11.2026' is not a date"),
        (("2026", ""), "an argument is empty"),
        (("2026", "2025-11-30"), "season 2026 cannot be finished on 2025-11-30"),
        (("2026", "2026-11-30", "--region", "Nowhere"), "unknown region 'Nowhere'"),
        (("2026",), "name either FINISH_ON"),
        (("2026", "2026-11-30", "--none"), "name either FINISH_ON"),
        (("2026", "--none"), "has no target"),
    ],
)
def test_a_target_that_is_none_is_told_in_one_line(
    circuits: Desk, circuit_sync: Command, arguments: tuple[str, ...], told: str
) -> None:
    ended = circuit_sync("targets", "set", *arguments)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert told in ended.err
    assert circuits.rows("SELECT * FROM season_targets") == []


def shown(asset: str) -> dict[str, dict[str, Any]]:
    """What each partition of an asset says in Dagster."""
    with prepared_environment(load_settings(), calls_workstudio=False), persistent_instance() as instance:
        found = instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
    return {str(record.partition_key): plain(record.asset_materialization.metadata) for record in found}  # type: ignore[union-attr]


def test_imported_dates_and_their_weeks_are_green_and_say_where_they_come_from(
    circuits: Desk, circuit_sync: Command, tmp_path: Path
) -> None:
    file = tmp_path / "older.csv"
    head = "snapshot_date,work_order,extension,region,api_status,total_miles,miles_planned\n"
    file.write_text(f"{head}2025-12-30,{WO},@,Lancaster,ACTIV,100,10\n2026-02-27,{WO},@,Lancaster,ACTIV,100,12.5\n")

    imported = circuit_sync("snapshots", "import", str(file))

    dates, weeks = {"2025-12-30", "2026-02-27"}, {"2025-12-29", "2026-02-23"}
    assert "the dates before 2026-03-02 once it is started again" in imported.err
    snapshots = shown("daily_snapshots")
    assert {day: (told["snapshots"], told["imported"]) for day, told in snapshots.items()} == dict.fromkeys(
        dates, (1, 1)
    )
    for asset, partitions in {
        "regional_daily": dates,
        "planner_daily": dates,
        "regional_weekly": weeks,
        "planner_weekly": weeks,
    }.items():
        told = shown(asset)
        assert set(told) == partitions
        assert {line["imported"] for line in told.values()} == dates
        assert max(told.values(), key=lambda line: line["miles_planned"])["miles_planned_change"] == 2.5


def test_an_import_before_the_first_partition_that_is_set_says_so(
    circuits: Desk, circuit_sync: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_FIRST_SNAPSHOT", "2026-01-01")
    file = tmp_path / "older.csv"
    head = "snapshot_date,work_order,extension,api_status,total_miles,miles_planned\n"
    file.write_text(f"{head}2025-12-30,{WO},@,ACTIV,100,10\n")
    imported = circuit_sync("snapshots", "import", str(file))
    assert imported.out.startswith("1 snapshots of 1 dates were imported")
    assert imported.err == "Dagster shows dates from 2026-01-01 on, as CIRCUIT_SYNC_FIRST_SNAPSHOT says\n"


def test_a_file_with_faults_is_refused_with_a_line_for_each(
    circuits: Desk, circuit_sync: Command, tmp_path: Path
) -> None:
    file = tmp_path / "older.csv"
    file.write_text(
        "snapshot_date,work_order,extension,api_status,total_miles,miles_planned\n"
        f"2026-02-28,{WO},@,ACTIV,100,10\n2026-02-27,1999-1,@,ACTIV,1,1\n"
    )

    ended = circuit_sync("snapshots", "import", str(file))

    assert ended.status == 2
    assert "line 2: " in ended.err
    assert "line 3: " in ended.err
    assert "Traceback" not in ended.err
    assert circuits.one("SELECT count(*) FROM circuit_snapshots") == 0
