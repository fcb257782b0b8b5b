"""What is in the database: for ``status`` and ``demo``."""

from dataclasses import fields

from circuit_sync.cli import terminal
from circuit_sync.sync.overview import overview
from circuit_sync.sync.session import Session


def show_overview(session: Session) -> None:
    """One table for each part of the overview that holds anything."""
    found = overview(session)
    for part in fields(found):
        terminal.table(part.name.replace("_", " "), getattr(found, part.name))
