"""What leaves the program is printable, and the work does not depend on who reads it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuit_sync.cli import main, terminal
from circuit_sync.cli.streams import Unfailing
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.domain.printable import is_printable, one_line, printable, printable_lines
from circuit_sync.simulator import Simulator, environment
from circuit_sync_tests.scenery import Desk

STEERING = [
    "\x1b]0;PWNED\x07",
    "\x9b31m",
    "a\nerror: forged",
    "a\rb",
    "\u202eevil",
    "\u2028",
    "\x7f",
    "\ud800",
    "\0",
    "\t",
    "\x85",
]
PROGRAM = "from circuit_sync.cli import main; main()"
SHOUT = """
import sys
from circuit_sync.cli import streams, terminal
streams.make_unfailing()
for number in range(1_000):
    terminal.say(f"{number} → São")
    terminal.note("…")
terminal.table("títle", [{"a": "→"}])
sys.stdin.read()
import subprocess; subprocess.run([sys.executable, "-c", "import sys; sys.stdout.fileno()"], check=True)
with open(sys.argv[1], "w") as file:
    file.write(f"{file.fileno() > 2} {streams.unwritten()}")
"""


@given(st.text() | st.sampled_from(STEERING))
def test_printable_text_steers_nothing_and_keeps_the_rest(text: str) -> None:
    clean = printable(text)
    assert is_printable(clean)
    assert len(clean) == len(text)
    assert all(there in (here, " ") for here, there in zip(text, clean, strict=True))
    clean.encode()
    assert len(one_line(text).splitlines()) <= 1
    assert printable_lines(f"{text}\n").count("\n") == text.count("\n") + 1


def test_what_people_write_is_left_alone() -> None:
    for text in ("São José", "naïve — “quoted” … 100 %", "日本語", "👩\u200d🌾", "a\xa0b"):
        assert printable(text) == text


@pytest.mark.parametrize("text", STEERING)
def test_no_way_to_the_terminal_lets_anything_through(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(text)
    terminal.note(text)
    terminal.complain(text)
    terminal.table(text, [{"title": text, text: "x"}], total=True)
    terminal.difference(
        [{"what": text, "work_order": text, "extension": text, "field": text, "old": text, "new": text}]
    )
    with terminal.progress(text) as progress:
        progress.line(text)
    told = capsys.readouterr()
    lines = f"{told.out}{told.err}".split("\n")
    assert [line for line in lines if not is_printable(line)] == []
    assert not any(line.startswith("error: forged") for line in lines)


def test_an_error_is_one_printable_line() -> None:
    assert (
        str(CircuitSyncError("work order a\x1b]0;PWNED\x07\nerror:  forged")) == "work order a ]0;PWNED error: forged"
    )


def test_log_lines_of_a_use_case_are_printable(desk: Desk) -> None:
    desk.session.log("work order 2026-1\nerror: forged\x1b[2J")
    assert desk.lines == ["work order 2026-1 error: forged [2J"]


def test_what_cannot_be_written_is_dropped() -> None:
    reading, writing = os.pipe()
    with closing(Unfailing(writing)) as stream:
        assert stream.write(b"abc") == 3
        os.close(reading)
        assert stream.write(b"abc") == 3
        assert isinstance(stream.failure, BrokenPipeError)
        assert stream.write(memoryview(b"abc")) == 3
    os.close(writing)


def test_progress_does_not_wait_for_a_reader_that_stands_still() -> None:
    reading, writing = os.pipe()
    stream = Unfailing(writing, patience=0.1)
    left = memoryview(b"x" * 1_000_000)
    while left:
        left = left[stream.write(left) :]
    os.set_blocking(reading, False)
    with suppress(BlockingIOError):
        while os.read(reading, 65536):
            pass
    assert stream.write(b"on") == 2
    assert os.read(reading, 10) == b"on"
    os.close(reading)
    os.close(writing)


def test_a_descriptor_that_does_not_wait_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    sent = b"x" * 1_000_000
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(len(sys.stdin.buffer.read()))"], stdin=reading, stdout=subprocess.PIPE
    ) as reader:
        os.close(reading)
        stream = Unfailing(writing)
        left = memoryview(sent)
        while left:
            left = left[stream.write(left) :]
        os.close(writing)
        assert reader.communicate()[0] == b"1000000\n"
    assert stream.failure is None


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ('"$@" >&- 2>&- <&-', "None"),
        ('"$@" >/dev/full 2>/dev/full', "No space left on device"),
        ('"$@" 2>&1 </dev/null | head -1', "None"),
        ('PYTHONIOENCODING=ascii "$@" </dev/null', "None"),
        ('PYTHONIOENCODING=latin-1 "$@" </dev/null >/dev/null 2>&1', "None"),
    ],
)
def test_a_command_goes_on_whoever_reads_it(tmp_path: Path, shell: str, reason: str) -> None:
    note = tmp_path / "note"
    command = ["bash", "-c", f"set -o pipefail; {shell}", "bash", sys.executable, "-c", SHOUT, str(note)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    assert note.read_text() == f"True {reason}"


@pytest.mark.parametrize("shell", ['"$@" 2>&1 | head -1', 'PYTHONIOENCODING=ascii "$@" >/dev/full 2>&- <&-'])
def test_a_sync_does_not_depend_on_who_reads_its_output(
    tmp_path: Path, database_url: str, simulator: Simulator, shell: str
) -> None:
    surroundings = (
        os.environ
        | environment(simulator.base_url)
        | {
            "CIRCUIT_SYNC_DATABASE_URL": database_url,
            "CIRCUIT_SYNC_STATE_DIR": str(tmp_path),
            "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
        }
    )
    command = [sys.executable, "-c", PROGRAM, "sync", "circuits", "--status", "QC"]
    shelled = ["bash", "-c", f"set -o pipefail; {shell}", "bash", *command]
    done = subprocess.run(shelled, check=False, env=surroundings, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT sync_status FROM sync_logs").fetchall() == [("completed",)]


def test_what_a_command_is_for_is_not_lost_in_silence(tmp_path: Path) -> None:
    for arguments in (["--help"], ["sync", "--help"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, *arguments], check=False, stdout=full, stderr=subprocess.PIPE, text=True
            )
        is_sync = arguments[0] == "sync"
        assert done.returncode == (0 if is_sync else 1)
        assert done.stderr == ("" if is_sync else "error: standard output cannot be written: No space left on device\n")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs a command in this process, with no database to be had; returns its exit status and standard error."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("CIRCUIT_SYNC_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")

    def in_this_process(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["circuit-sync", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    yield in_this_process
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sync", "snapshots", "--date", ""], "--date is empty"),
        (["sync", "snapshots", "--date="], "--date is empty"),
        (["sync", "snapshots", "--from", "2026-03-02", "--to", " "], "--to is empty"),
        (["sync", "circuits", "--status", ""], "--status is empty"),
        (["sync", "circuits", "--as", ""], "--as is empty"),
        (["gateway", "--host", ""], "--host is empty"),
        (["users", "add", "", "--email", "a@example.com"], "an argument is empty"),
        ([""], "an argument is empty"),
        (["circuits", "show", "2026-\udcff"], "is not UTF-8 text"),
        (["sync", "snapshots", "--date", "0001-01-01"], "too far away: allowed are 2000-01-01 to 2100-12-31"),
        (["sync", "snapshots", "--from", "9999-12-31"], "too far away"),
        (["report", "--week", "0001-01-01"], "too far away"),
        (["report", "--week", "9999-12-31"], "too far away"),
        (["events", "tail", "--from", str(10**30)], "less than or equal to"),
        (["gateway", "--port", "-1"], "port -1 is not a port"),
        (["gateway", "--port", "1e9"], "valid integer"),
        (["\x1b]0;PWNED\x07"], "No such command "),
        (["sync", "circuits", "--status", "\x1b[2J"], "unknown status "),
    ],
)
def test_an_absurd_argument_gets_one_printable_line(
    run: Callable[..., tuple[int, str]], arguments: list[str], told: str
) -> None:
    status, complaint = run(*arguments)
    assert status == 2
    assert told in complaint
    assert complaint.count("\n") == 1
    assert is_printable(complaint.rstrip("\n"))
