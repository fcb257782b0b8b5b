"""The command line: exit status, one line for a mistake, tables of what was done."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from circuit_sync.cli import main
from circuit_sync.environment import prepared_environment
from circuit_sync.orchestration.terminal.execution import persistent_instance
from circuit_sync.settings import load_settings
from circuit_sync.simulator import Fault, Simulator, environment
from circuit_sync_tests.scenery import PATIENCE, until

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, simulator: Simulator
) -> Iterator[dict[str, str]]:
    """The environment of a command whose database and WorkStudio are configured."""
    wanted = environment(simulator.base_url) | {
        "CIRCUIT_SYNC_DATABASE_URL": database_url,
        "CIRCUIT_SYNC_STATE_DIR": str(tmp_path / "state"),
        "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
        "WORKSTUDIO_MAX_ATTEMPTS": "1",
    }
    monkeypatch.chdir(tmp_path)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture
def circuit_sync(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs a command in this process; returns exit status, standard output and standard error."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["circuit-sync", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sync", "circuits", "--status", "OPEN"], "unknown status 'OPEN': allowed are ACTIV, QC, REWRK, CLOSE"),
        (["sync", "circuits", "--everything"], "No such option: --everything"),
        (["sync", "aggregates", "--status", "QC", "--work-order", "2025-1"], "exclude each other"),
        (["sync", "snapshots", "--date", "yesterday"], "'yesterday' is not a date: it looks like 2026-03-31"),
        (["sync", "snapshots", "--date", "2026-03-07"], "Monday to Friday"),
        (["sync", "snapshots", "--to", "2026-03-06"], "--to needs --from"),
        (["sync", "snapshots", "--date", "2026-03-06", "--to", "2026-03-06"], "--date excludes"),
        (["sync", "everything"], "No such command"),
        (["db", "serve"], "CIRCUIT_SYNC_DATABASE_URL names your own server"),
        (["dev", "--port", "70000"], "port 70000"),
        (["dev", "--port", "13999", "--gateway-port", "13999"], "are both 13999"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_status_2(
    configured: dict[str, str], circuit_sync: Command, arguments: list[str], complaint: str
) -> None:
    status, out, err = circuit_sync(*arguments)
    assert status == 2
    assert complaint in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_wrong_setting_gets_one_line_that_names_it(
    configured: dict[str, str], circuit_sync: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSTUDIO_TIMEOUT", "soon")
    status, _, err = circuit_sync("status")
    assert status == 2
    assert "WORKSTUDIO_TIMEOUT" in err
    assert err.count("\n") == 1


def test_a_sync_prints_its_counts_and_is_a_run_of_its_job_in_the_ui(
    configured: dict[str, str], circuit_sync: Command, database_url: str
) -> None:
    status, out, err = circuit_sync("sync", "circuits", "--status", "qc", "--status", "activ")
    assert status == 0, err
    assert [line.split()[0] for line in out.splitlines() if line.startswith((" ACTIV", " QC", " all"))] == [
        "ACTIV",
        "QC",
        "all",
    ]
    with psycopg.connect(database_url) as connection:
        (run_id,) = connection.execute("SELECT dagster_run_id FROM sync_logs").fetchone() or (None,)
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'runs'")
        assert tables.fetchone() == (0,), "Dagster keeps to its own schema"
    with prepared_environment(load_settings()), persistent_instance() as instance:
        run = instance.get_run_by_id(str(run_id))
    assert run is not None
    assert run.job_name == "sync_circuits"
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/asset_partition_range_start"] == "ACTIV"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "circuit_sync"


def test_statuses_that_do_not_lie_side_by_side_are_told_to_be_several_runs(
    configured: dict[str, str], circuit_sync: Command, database_url: str
) -> None:
    status, out, err = circuit_sync("sync", "circuits", "--status", "CLOSE", "--status", "ACTIV")
    assert status == 0, err
    assert "2 runs, as a run takes statuses that lie side by side: ACTIV; CLOSE" in err
    assert out.index("circuits: sync 1") < out.index("circuits: sync 2")


def test_sync_all_does_the_three_in_their_order_and_status_shows_them(
    configured: dict[str, str], circuit_sync: Command, database_url: str
) -> None:
    status, out, err = circuit_sync("sync", "all")
    assert status == 0, err
    assert out.index("circuits: sync 1") < out.index("aggregates: sync 2") < out.index("snapshots: sync 3")
    status, out, _ = circuit_sync("status")
    assert status == 0
    assert "circuits by status and stage" in out
    assert "sync log" in out


def test_a_date_before_history_is_taken_and_told_to_be_empty(configured: dict[str, str]) -> None:
    """In a process of its own: it loads the definitions after it has found where partitions begin."""
    command = [sys.executable, "-m", "circuit_sync.cli", "sync", "snapshots", "--date", "2026-02-02"]
    ended = subprocess.run(command, env=configured, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "warning: no snapshot for 2026-02-02" in ended.stdout
    with prepared_environment(load_settings()), persistent_instance() as instance:
        for asset in ("daily_snapshots", "regional_daily", "regional_weekly"):
            (record,) = instance.fetch_materializations(dg.AssetKey(asset), limit=2).records
            assert record.asset_materialization is not None
            assert next(iter(record.asset_materialization.metadata)) == "empty", "as it is stored, it comes first"


def test_a_preview_shows_lines_and_stores_nothing(
    configured: dict[str, str], circuit_sync: Command, database_url: str
) -> None:
    status, out, err = circuit_sync("sync", "circuits", "--status", "QC", "--preview")
    assert status == 0, err
    assert "preview: nothing was stored" in out
    assert any(line.startswith("+ ") and line.endswith("created") for line in out.splitlines())
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM circuits").fetchone() == (0,)


def test_a_failed_sync_tells_its_reason_in_one_line_and_exit_status_1(
    configured: dict[str, str], circuit_sync: Command, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("status", code=401))
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 1
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert "401" in line


def test_a_sync_that_failed_for_a_passing_reason_tells_when_it_is_tried_again(
    configured: dict[str, str], circuit_sync: Command, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("status", match="health"))
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 1
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert re.search(r"503.*; sync 1 is tried again at \d\d:\d\d E[SD]T while the daemon runs \(run ", line)


Outage = Callable[[], None]


@pytest.fixture
def outage(database_url: str, postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Takes the database away until the test ends; Dagster tries again without its 11 s of pauses."""
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_wanted: 0.001)
    name = database_url.rsplit("/", 1)[1]
    refuse = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))

    def begin() -> None:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(refuse)
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    return begin


def away(url: str) -> str:
    """How the line begins that tells of an outage."""
    password = url.split(":", 2)[2].partition("@")[0]
    return f"error: the database {url.replace(password, '***')} is not available: "


STAGING_WAITS = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
    CREATE TRIGGER wait BEFORE INSERT ON staged_circuits EXECUTE FUNCTION wait();
"""
"""What was fetched is staged once nobody holds that lock."""


def end_outage(database_url: str, postgres_server: str) -> None:
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(database_url.rsplit("/", 1)[1]))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(allow)


def test_a_database_that_goes_away_in_a_sync_gets_one_line_and_the_next_command_closes_its_log(
    configured: dict[str, str],
    circuit_sync: Command,
    simulator: Simulator,
    database_url: str,
    postgres_server: str,
    outage: Outage,
) -> None:
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"

    def in_the_second_step() -> None:
        until(lambda: holder.execute(waiting).rowcount > 0)
        outage()

    with ThreadPoolExecutor() as threads, closing(psycopg.connect(database_url)) as holder:
        holder.execute(STAGING_WAITS)
        holder.commit()
        holder.execute("SELECT pg_advisory_lock(1)")
        done = threads.submit(in_the_second_step)
        status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
        done.result()
    assert status == 1
    assert [call.view for call in simulator.calls] == ["health", "circuits"]
    *steps, line = err.splitlines()
    assert line.startswith(away(database_url))
    assert "what was not stored is not stored; a sync that it had begun is closed by the next command" in line
    assert not [line for line in steps if line[:2] != "  " and not line.startswith("circuits QC")], err

    end_outage(database_url, postgres_server)
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 0, err
    assert "sync 1 closed as failed" in err or "is gone" in err
    with psycopg.connect(database_url) as connection:
        logs = connection.execute("SELECT sync_status, retry_at IS NOT NULL FROM sync_logs ORDER BY id").fetchall()
    assert logs == [("failed", True), ("completed", False)]


def test_a_database_that_goes_away_before_a_run_is_created_gets_one_line(
    configured: dict[str, str],
    circuit_sync: Command,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    outage: Outage,
) -> None:
    def nothing_to_close(*_arguments: object) -> list[str]:
        outage()
        return []

    monkeypatch.setattr("circuit_sync.cli.runs.close_what_died", nothing_to_close)
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 1
    (line,) = [line for line in err.splitlines() if not line.startswith("circuits QC")]
    assert line.startswith(away(database_url))
    assert line.endswith("no run was begun: start it again when the database is back")


def test_a_database_that_goes_away_before_the_first_look_gets_one_line(
    configured: dict[str, str],
    circuit_sync: Command,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    outage: Outage,
) -> None:
    def look(instance: dg.DagsterInstance, _tags: object) -> list[str]:
        outage()
        return [str(instance.get_runs())]

    monkeypatch.setattr("circuit_sync.cli.runs.close_what_died", look)
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC")
    assert status == 1
    assert err.startswith(away(database_url))
    assert err.count("\n") == 1


def test_dagsters_own_attempts_are_shown_to_who_asks_for_its_log(
    configured: dict[str, str],
    circuit_sync: Command,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    database_url: str,
    outage: Outage,
) -> None:
    monkeypatch.setattr("circuit_sync.cli.runs.close_what_died", lambda *_arguments: outage() or [])
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC", "--verbose")
    assert status == 1
    assert "Retrying failed database connection" in caplog.text
    assert err.splitlines()[-1].startswith(away(database_url))
    assert "Traceback" not in err


def test_an_unknown_user_is_wrong_use(configured: dict[str, str], circuit_sync: Command) -> None:
    status, _, err = circuit_sync("sync", "circuits", "--status", "QC", "--as", "nobody")
    assert status == 2
    assert "no user named 'nobody'" in err


def test_the_url_in_use_is_printed(configured: dict[str, str], circuit_sync: Command, database_url: str) -> None:
    assert circuit_sync("db", "url") == (0, database_url + "\n", "")
    assert circuit_sync("db", "url", "--dagster")[1].startswith("postgresql+psycopg2://")


def test_another_workstudio_may_adopt_the_database(configured: dict[str, str], circuit_sync: Command) -> None:
    status, out, _ = circuit_sync("db", "adopt")
    assert status == 0
    assert out.startswith("the database now belongs to http://127.0.0.1")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_the_run_and_closes_the_log(
    configured: dict[str, str], simulator: Simulator, database_url: str, number: signal.Signals, status: int
) -> None:
    simulator.add_fault(Fault("delay", match="circuits", seconds=600))
    configured["WORKSTUDIO_TIMEOUT"] = "600"
    command = [sys.executable, "-m", "circuit_sync.cli", "sync", "circuits", "--status", "QC"]
    with subprocess.Popen(command, env=configured, stderr=subprocess.PIPE, text=True) as child:
        until(lambda: any(call.view == "circuits" for call in simulator.calls))
        child.send_signal(number)
        assert child.wait(PATIENCE) == status
        assert child.stderr is not None
        assert "Traceback" not in child.stderr.read()
    with psycopg.connect(database_url) as connection:
        (log,) = connection.execute("SELECT sync_status, completed_at IS NOT NULL FROM sync_logs").fetchall()
    assert log == ("failed", True)


def test_help_does_not_wait_for_dagster_or_pandas() -> None:
    program = (
        "import sys; from circuit_sync.cli import app; "
        "heavy = {'dagster', 'pandas', 'sqlalchemy'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
