"""``report``: a week's progress as a page to forward."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.dates import parse_date
from circuit_sync.cli.people import at_the_database
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import printable_lines


def report(
    week: Annotated[
        str | None, typer.Option("--week", metavar="D", help="any date of the week, YYYY-MM-DD. Default: this week")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="'-' is standard output")
    ] = None,
) -> None:
    """A week's progress by region and planner, as one HTML page with plots that needs nothing else."""
    from circuit_sync.sync.progress.report import report_page, week_progress

    day = parse_date(week)
    with at_the_database() as session:
        progress = week_progress(session, day)
    page = printable_lines(report_page(progress))
    if output == Path("-"):
        sys.stdout.write(page)
        return
    file = output or Path(f"progress-{progress.friday}.html")
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    terminal.say(f"{file}: the week ending {progress.friday}, snapshots to {progress.last_date}")
