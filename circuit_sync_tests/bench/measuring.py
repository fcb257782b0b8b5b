"""How the benchmarks measure: what is compared takes turns, and medians are compared, so that load hits all alike."""

import statistics
import time
from collections.abc import Callable, Sequence

TIMES = 3


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(*measures: Callable[[], float], times: int = TIMES) -> list[float]:
    """The median of each measure, all of them taken ``times`` times in turns."""
    return medians([[measure() for measure in measures] for _ in range(times)])


def medians(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column."""
    return [statistics.median(column) for column in zip(*rounds, strict=True)]
