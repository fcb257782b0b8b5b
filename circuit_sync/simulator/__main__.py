"""``python -m circuit_sync.simulator``: the simulator as another program's child.

It prints one JSON line with its ``base_url`` when it listens, and ends with its standard input (a pipe that
the parent holds open) or on SIGTERM. A Ctrl-C at the parent's terminal reaches it too and is left to the
parent.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import orjson

from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator.running import end_with_input, serving
from circuit_sync.simulator.world import DEFAULT_CIRCUITS, DEFAULT_SEED

_STDIN = 0


def main() -> int:
    """The exit status: 0 after a signal or the end of the input, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="python -m circuit_sync.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--circuits", type=int, default=DEFAULT_CIRCUITS, help="splits included")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--state", type=Path, help="file in which the world goes on after a restart")
    parser.add_argument("--fault", action="append", default=[], help="such as status:code=503,times=2,match=QC")
    wanted = parser.parse_args()
    ending = [signal.SIGTERM, signal.SIGINT]
    if not os.isatty(_STDIN):
        ending.remove(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with serving(wanted.port, wanted.circuits, wanted.seed, wanted.state, wanted.fault, until=ending) as simulator:
            if simulator.world.notice:
                sys.stderr.write(f"{simulator.world.notice}\n")
            end_with_input(_STDIN)
            sys.stdout.write(orjson.dumps({"base_url": simulator.base_url}).decode() + "\n")
            sys.stdout.flush()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
