"""Targets of seasons: by when the circuits that begin in a year are to be planned."""

from datetime import date

from circuit_sync.database.progress import targets as store
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.progress import percent
from circuit_sync.domain.seasons import YEARS, verdict
from circuit_sync.sync.people.users import find_region
from circuit_sync.sync.session import Session

EVERY_REGION = "every region without a target of its own"
_LONGEST = 10
"""Years that a season may take: a date further away is a slip."""


def set_target(session: Session, season: int, finish_on: date, region: str | None = None) -> str:
    """Sets or moves the target of a season in ``region``, or in every region without one of its own; returns whose.

    Raises ``UsageError`` for a year or date that no season can have, and for an unknown region.
    """
    _check_season(season)
    if not season <= finish_on.year <= season + _LONGEST:
        allowed = f"allowed are {season}-01-01 to {season + _LONGEST}-12-31"
        raise UsageError(f"season {season} cannot be finished on {finish_on}: {allowed}")
    with session.database.transaction() as connection:
        name, region_id = (EVERY_REGION, None) if region is None else find_region(connection, region)
        store.set_target(connection, season, region_id, finish_on)
    return name


def remove_target(session: Session, season: int, region: str | None = None) -> str:
    """Removes the target of a season; returns whose it was. Raises ``UsageError`` if there is none."""
    _check_season(season)
    with session.database.transaction() as connection:
        name, region_id = (EVERY_REGION, None) if region is None else find_region(connection, region)
        if store.remove_target(connection, season, region_id) is None:
            raise UsageError(f"season {season} of {name} has no target: look at `circuit-sync targets list`")
    return name


def targets(session: Session) -> Lines:
    """Every target, with the progress of each region that it holds for."""
    with session.database.transaction() as connection:
        return [_readable(line) for line in store.targets(connection)]


def _check_season(season: int) -> None:
    if season not in YEARS:
        raise UsageError(f"{season} is not a season: it is a year, {YEARS[0]} to {YEARS[-1]}, such as 2026")


def _readable(line: Line) -> Line:
    known = line["snapshot_date"] is not None
    share = percent(line["miles_planned"], line["total_miles"]) if known else None
    return {
        "season": str(line["season"]),
        "target_of": line["target_of"],
        "finish_on": line["finish_on"],
        "region": line["region"],
        "percent": None if share is None else round(share, 1),
        "remaining": line["miles_remaining"],
        "a_week": line["miles_per_week"],
        "needed": line["needed_miles_per_week"],
        "projected_end": line["projected_end"],
        "stands": verdict(line) if known else "not under way",
        "as_of": line["snapshot_date"],
    }
