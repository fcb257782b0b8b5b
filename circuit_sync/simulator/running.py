"""The simulator as a program that serves until a signal."""

import os
import shlex
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from circuit_sync.simulator.faults import parse_fault
from circuit_sync.simulator.invention import SERVICE_PASSWORD, SERVICE_USERNAME
from circuit_sync.simulator.server import Simulator
from circuit_sync.simulator.view_requests import CIRCUITS_VIEW, PLANNED_UNITS_VIEW
from circuit_sync.simulator.world import World


def run(
    port: int, circuits: int, seed: int, state: Path | None, faults: list[str], announce: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; ``announce`` gets lines on how to reach the server and how to break it.

    For the main thread only. Raises ``UsageError`` on a port that is taken, a wrong size, an unknown fault.
    """
    with serving(port, circuits, seed, state, faults, until=(signal.SIGINT, signal.SIGTERM)) as simulator:
        if simulator.world.notice:
            announce(f"# {simulator.world.notice}")
        for line in _instructions(simulator.base_url):
            announce(line)


@contextmanager
def serving(
    port: int, circuits: int, seed: int, state: Path | None, faults: list[str], *, until: Collection[signal.Signals]
) -> Iterator[Simulator]:
    """The command line's simulator: a dirty world that moves on, bundled accounts, faults as text.

    It serves until one of the signals comes after the block; enter it before any thread begins.
    """
    wanted = [parse_fault(text) for text in faults]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, until)
    try:
        with Simulator(World(seed, circuits, dirty=True, state=state), port=port) as simulator:
            for fault in wanted:
                simulator.add_fault(fault)
            yield simulator
            signal.sigwait(until)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def environment(base_url: str) -> dict[str, str]:
    """The settings with which circuit_sync reaches this server."""
    return {
        "WORKSTUDIO_BASE_URL": base_url,
        "WORKSTUDIO_SERVICE_USERNAME": SERVICE_USERNAME,
        "WORKSTUDIO_SERVICE_PASSWORD": SERVICE_PASSWORD,
        "WORKSTUDIO_CIRCUITS_VIEW": CIRCUITS_VIEW,
        "WORKSTUDIO_PLANNED_UNITS_VIEW": PLANNED_UNITS_VIEW,
    }


def _instructions(base_url: str) -> list[str]:
    """Lines to paste into a shell."""
    root = base_url.removesuffix("DDOProtocol/")
    wish = shlex.quote('{"kind": "status", "code": 503, "times": 2, "match": "ACTIV"}')
    return [
        f"# WorkStudio simulator on {base_url}: every call for a status moves its world on. Ctrl-C ends it.",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment(base_url).items()),
        "# planners sign in too, such as CONTRACTOR\\jlarch with jlarch-simulator",
        "# ask for a fault, forget all faults, list the calls:",
        f"curl -d {wish} {root}simulator/faults",
        f"curl -X DELETE {root}simulator/faults",
        f"curl {root}simulator/calls",
    ]


def end_with_input(descriptor: int) -> None:
    """Send this process SIGTERM when its input ends: its parent is gone, however it went."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(descriptor, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="input", daemon=True).start()
