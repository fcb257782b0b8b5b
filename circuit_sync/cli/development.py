"""``circuit-sync dev``: Dagster's UI and daemon as one child, the gateway as another, and nothing left behind them."""

import ctypes
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from circuit_sync.cli import terminal
from circuit_sync.domain.errors import UsageError

HOST = "127.0.0.1"
STOP_SECONDS = 30
_POLL_SECONDS = 0.1
_PARENT_DEATH_SIGNAL = 1


def run_dev(port: int, gateway_port: int) -> int:
    """Serves until SIGINT or SIGTERM, or until Dagster or the gateway ends by itself, which is a failure.

    Returns the exit status.
    """
    from circuit_sync.environment import prepared_environment, project_dir, stop
    from circuit_sync.settings import load_settings

    check_port(port)
    check_port(gateway_port, "--gateway-port")
    if port == gateway_port:
        raise UsageError(f"--port and --gateway-port are both {port}: choose another for one of them")
    serving = [sys.executable, "-m", "circuit_sync.cli", "gateway", "--host", HOST, "--port", str(gateway_port)]
    with prepared_environment(load_settings()), _child(serving) as gateway:
        try:
            workspace = str(project_dir() / "workspace.yaml")
            terminal.note(
                f"Dagster on http://{HOST}:{port}; schedules and sensors are on. Ctrl-C ends it and all it started"
            )
            quietly = ["-W", "ignore:Function `dev_command` is superseded"]
            command = [sys.executable, *quietly, "-m", "dagster", "dev", "-h", HOST, "-p", str(port), "-w", workspace]
            return run_as_a_tree(command, gateway)
        finally:
            stop(gateway, STOP_SECONDS)


def _child(command: list[str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so out of reach of the terminal's Ctrl-C; interrupted if this process is killed."""
    return subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)  # noqa: S603, PLW1509


def _end_with_parent() -> None:
    """Linux only: elsewhere what a killed ``dev`` leaves running has to be ended by hand."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # What a shell's ``&`` ignores, children would ignore too.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGINT)


def check_port(port: int, option: str = "--port") -> None:
    """Raises ``UsageError`` if nothing can listen there."""
    if not 1 <= port <= 65535:
        raise UsageError(f"{option} {port} is not a port: allowed are 1 to 65535")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            raise UsageError(
                f"port {port} on {HOST} is in use: end what listens there, or choose another with {option}"
            ) from None


def run_as_a_tree(command: list[str], gateway: subprocess.Popen[bytes]) -> int:
    """Runs ``command`` in a session of its own, passes signals on to it, and ends whatever is left of it after it.

    When the gateway has ended, it is ended too: half of what ``dev`` serves would be missing unnoticed.

    The first signal asks Dagster to end its servers and runs in order; from a terminal, Ctrl-C reaches only us. As we
    handle both signals, children do not inherit that a shell's ``&`` ignores SIGINT, which would orphan Dagster's.
    """
    received: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        child.send_signal(signal.SIGINT)

    with _child(command) as child:
        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            _wait_until(lambda: child.poll() is not None or bool(received) or gateway.poll() is not None)
            gateway_died = child.returncode is None and not received
            if gateway_died:
                child.send_signal(signal.SIGINT)
            _wait_until(lambda: child.poll() is not None, STOP_SECONDS)
        finally:
            _end_session(child.pid)
            for number, handler in before.items():
                signal.signal(number, handler)
    if received:
        return 128 + received[0]
    if gateway_died:
        terminal.complain(
            f"the gateway ended by itself ({gateway.returncode}): the lines above say why; Dagster was ended too"
        )
        return 1
    # `dagster dev` ends with 0 when its daemon or webserver died: it only logs that.
    terminal.complain("Dagster ended by itself: the lines above say what died; nothing is scheduled any more")
    return 1


def _wait_until(is_over: Callable[[], bool], seconds: float = math.inf) -> None:
    end = time.monotonic() + seconds
    while not is_over() and time.monotonic() <= end:
        time.sleep(_POLL_SECONDS)


def _end_session(leader: int) -> None:
    """Terminates what is left of the tree, then kills it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(leader, number)
        _wait_until(lambda: _is_gone(leader), STOP_SECONDS)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False
