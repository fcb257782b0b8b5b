"""A logger that hands a run's lines to the command line instead of the console."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

RUN_CONFIG: Mapping[str, Any] = {"loggers": {"progress": {}}}
_LOGGER = "circuit_sync.progress"


@dg.logger({}, description="Lines for the command line's progress display; silent where nobody listens")
def progress_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """A run that names this logger in its configuration prints nothing itself."""
    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return logger


def tell_progress(done: int, total: int) -> None:
    """Says how far a step is; heard by the command line only, as the event log would fill with it."""
    logger = logging.getLogger(_LOGGER)
    if logger.handlers:
        logger.info("%d of %d", done, total)


@contextmanager
def listening(say: Callable[[str], None] | None) -> Iterator[None]:
    """Meanwhile ``say`` gets every line that a step of a run in this process logs."""
    handler = _Lines(say) if say else logging.NullHandler()
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    """Hands on the line as the step wrote it, without run id and step name; none for Dagster's own events."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "dagster_meta", None)
        if told is None:
            self._say(record.getMessage())
        elif told.get("dagster_event") is None and isinstance(text := told.get("orig_message"), str):
            self._say(text)
