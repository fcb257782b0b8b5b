"""``dev`` ends the whole tree of processes that it started."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from circuit_sync.cli.development import HOST, check_port
from circuit_sync.domain.errors import UsageError
from circuit_sync_tests.scenery import PATIENCE, until

TREE = """
import signal, subprocess, sys, time
from pathlib import Path
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
Path(sys.argv[1] + "~").write_text(str(child.pid))
Path(sys.argv[1] + "~").rename(sys.argv[1])
time.sleep(600)
"""

DEV = """
import subprocess, sys
from circuit_sync.cli import development
development.STOP_SECONDS = 0.5
gateway = subprocess.Popen([sys.executable, "-c", sys.argv[3]], stdin=subprocess.PIPE)
try:
    sys.exit(development.run_as_a_tree([sys.executable, "-c", sys.argv[1], sys.argv[2]], gateway))
finally:
    gateway.stdin.close()
"""
STANDING = "import sys; sys.stdin.read()"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_children_and_grandchildren(tmp_path: Path, number: signal.Signals, status: int) -> None:
    note = tmp_path / "grandchild"
    # As a shell's & does: the child begins with SIGINT ignored.
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", DEV, TREE, str(note), STANDING]
    with subprocess.Popen(command) as dev:
        until(lambda: note.exists() and bool(note.read_text()))
        dev.send_signal(number)
        assert dev.wait(PATIENCE) == status
    state = Path(f"/proc/{note.read_text()}/stat")
    until(lambda: not state.exists() or state.read_text().split()[2] == "Z")


def test_a_killed_dev_leaves_nothing_running(tmp_path: Path) -> None:
    note = tmp_path / "child"
    child = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", DEV, child, str(note), STANDING]) as dev:
        until(lambda: note.exists() and bool(note.read_text()))
        dev.kill()
    until(lambda: not Path(f"/proc/{note.read_text()}").exists())


def test_a_port_in_use_is_told_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(UsageError, match="is in use"):
            check_port(taken.getsockname()[1])


def test_dagster_that_ends_by_itself_is_an_error_whatever_its_exit_status() -> None:
    for child in ("pass", "import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)"):
        command = [sys.executable, "-c", DEV, child, "", STANDING]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: Dagster ended by itself: ")


@pytest.mark.parametrize("death", ["import sys; sys.exit(3)", "pass", "import os; os.kill(os.getpid(), 9)"])
def test_a_gateway_that_ends_by_itself_is_an_error_and_ends_dagster(tmp_path: Path, death: str) -> None:
    note = tmp_path / "grandchild"
    gateway = f"import os, time\nwhile not os.path.exists({str(note)!r}): time.sleep(0.01)\n{death}"
    ended = subprocess.run(
        [sys.executable, "-c", DEV, TREE, str(note), gateway], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: the gateway ended by itself ")
    state = Path(f"/proc/{note.read_text()}/stat")
    until(lambda: not state.exists() or state.read_text().split()[2] == "Z")


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_what_is_no_port_is_told(port: int) -> None:
    with pytest.raises(UsageError, match=f"--port {port} is not a port: allowed are 1 to 65535"):
        check_port(port)
