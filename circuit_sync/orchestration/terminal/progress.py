"""A logger that hands a run's lines to the command line instead of the console."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import dagster as dg

RUN_CONFIG: Mapping[str, Any] = {"loggers": {"progress": {}}}
_LOGGER = "circuit_sync.progress"


class Listener(Protocol):
    """Who watches a run of this process."""

    def line(self, text: str) -> None:
        """A line that a step logs."""

    def tick(self, done: int, total: int) -> None:
        """How far a step is."""


@dg.logger({}, description="Lines for the command line's progress display; silent without a listener")
def progress_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """A run that names this logger in its configuration prints nothing itself."""
    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return logger


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Meanwhile ``listener`` gets what the runs of this process log."""
    handler = _Lines(listener) if listener else logging.NullHandler()
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def report_progress(done: int, total: int) -> None:
    """For listeners only: the event log would fill with it."""
    for handler in logging.getLogger(_LOGGER).handlers:
        if isinstance(handler, _Lines):
            handler.listener.tick(done, total)


@contextmanager
def hidden_retries() -> Iterator[None]:
    """Hides the four lines that Dagster's storage writes to the root logger at each attempt to connect."""
    root = logging.getLogger()
    root.addFilter(_is_no_retry)
    try:
        yield
    finally:
        root.removeFilter(_is_no_retry)


def _is_no_retry(record: logging.LogRecord) -> bool:
    return record.funcName != "retry_pg_connection_fn"


class _Lines(logging.Handler):
    """Hands on the line as the step wrote it, without run id and step name; none for Dagster's own events."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.INFO)
        self.listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        ours = record.levelno == logging.INFO and meta.get("dagster_event") is None
        if ours and isinstance(text := meta.get("orig_message"), str):
            self.listener.line(text)
