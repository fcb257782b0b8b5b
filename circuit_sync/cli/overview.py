"""What is in the database: for ``status`` and ``demo``."""

from circuit_sync.cli import terminal
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.sync.log.overview import overview
from circuit_sync.sync.session import Session

_WORDS = {"circuit_list": "circuits"}
_COUNTS = ("processed", "created", "updated", "unchanged", "rejected", "aggregates")


def show_overview(session: Session) -> None:
    """One table for each part of the overview that holds anything. Times are Eastern Time."""
    found = overview(session)
    terminal.table("circuits by status and stage", found.circuits_by_status)
    terminal.table("units and permissions by region", found.units_by_region, total=True)
    terminal.table("circuits that need units", found.due)
    last_good = [dict(line) | {"last_good": line["last_good"] or "never"} for line in found.last_good_syncs]
    terminal.table("last good sync of each status", _without_empty_columns(last_good))
    terminal.table("sync log", _without_empty_columns(list(map(_sync, found.latest_syncs))))
    messages = [f"sync {line['id']}: {line['message']}" for line in found.latest_syncs if line["message"]]
    for message in [*messages, ""] if messages else ():
        terminal.say(message)
    terminal.table("rows rejected by the latest syncs", found.rejected)
    terminal.table("departed circuits", found.departed)
    terminal.table("planners who are not users", found.unlinked)
    terminal.say("times are Eastern Time")


def _sync(line: Line) -> Line:
    what, statuses = _WORDS.get(line["sync_type"], line["sync_type"]), line["statuses"]
    if number := line["work_orders"]:
        what, statuses = f"{what} of {number} work order{'' if number == 1 else 's'}", None
    return {
        "id": line["id"],
        "what": what,
        "statuses": "all" if statuses == ",".join(STATUS_CODES) else statuses,
        "result": line["sync_status"],
        "trigger": line["trigger"],
        "started": line["started_at"],
        "seconds": line["seconds"],
        "retry of": line["retry_of"],
        "retry at": line["retry_at"],
        "did": ", ".join(f"{line[name]} {name}" for name in _COUNTS if line[name]),
    }


def _without_empty_columns(lines: Lines) -> Lines:
    names = [name for name in lines[0] if any(line[name] is not None for line in lines)] if lines else []
    return [{name: line[name] for name in names} for line in lines]
