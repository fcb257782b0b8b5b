"""``targets …``: by when a season is to be planned, and how it stands."""

from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.dates import parse_date
from circuit_sync.cli.people import at_the_database
from circuit_sync.domain.errors import UsageError

app = typer.Typer(help="Seasons' target dates, and how the seasons stand.", no_args_is_help=True)


@app.command(name="set")
def set_target(
    season: Annotated[str, typer.Argument(metavar="SEASON", help="the year its circuits begin in")],
    finish_on: Annotated[
        str | None, typer.Argument(metavar="FINISH_ON", help="the date, YYYY-MM-DD, by which all is to be planned")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="R", help="of one region. Default: every region without a target of its own"),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="remove the target instead")] = False,
) -> None:
    """Set or move the target of a season. A region's own target goes before that of every region."""
    from circuit_sync.sync.progress import targets

    year = _year(season)
    day = parse_date(finish_on)
    if (day is None) is not none:
        raise UsageError("name either FINISH_ON, the date by which the season is to be planned, or --none")
    with at_the_database() as session:
        if day is None:
            whose = targets.remove_target(session, year, region)
        else:
            whose = targets.set_target(session, year, day, region)
    terminal.say(f"season {year} of {whose} " + ("has no target now" if day is None else f"is to be planned by {day}"))


@app.command(name="list")
def list_targets() -> None:
    """All targets with the progress of each region: pace of the last four weeks, pace needed, projected end."""
    from circuit_sync.sync.progress.targets import targets

    with at_the_database() as session:
        found = targets(session)
    as_of = next((line["as_of"] for line in found if line["as_of"]), None)
    shown = [{name: value for name, value in line.items() if name != "as_of"} for line in found]
    terminal.table(f"targets, as of {as_of}" if as_of else "targets", shown)
    if not found:
        terminal.say("there is no target yet: circuit-sync targets set SEASON FINISH_ON [--region R]")


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4):
        raise UsageError(f"{text!r} is no season: it is a year, such as 2026")
    return int(text)
