"""What a run did, as tables: the same metadata that the UI shows on each partition."""

from collections.abc import Mapping, Sequence

from circuit_sync.cli import terminal
from circuit_sync.domain.printable import Line, Lines
from circuit_sync.orchestration.terminal.execution import Outcome

CIRCUIT_COUNTS = {
    "received": "rows_received",
    "processed": "processed",
    "created": "created",
    "updated": "updated",
    "unchanged": "unchanged",
    "rejected": "rows_rejected",
    "duplicate": "rows_duplicate",
}
AGGREGATE_COUNTS = ("work_orders", "circuits", "stored", "unchanged", "failed", "units")
FEW = 10
MOST_DATES = 20


def show_circuits(statuses: Sequence[str], outcome: Outcome) -> None:
    """Counts by status, then what was rejected."""
    records = _by_partition("status", statuses, outcome, CIRCUIT_COUNTS)
    terminal.table(_title("circuits", outcome), records, total=len(statuses) > 1)
    _show_rest(outcome)


def show_aggregates(statuses: Sequence[str], outcome: Outcome) -> None:
    """What was done for all statuses together, or for single work orders, which name none; then what failed."""
    shared = _shared(outcome)
    named = {"statuses": ", ".join(statuses)} if statuses else {}
    terminal.table(_title("aggregates", outcome), [named | {name: shared.get(name, 0) for name in AGGREGATE_COUNTS}])
    _show_rest(outcome)


def show_snapshots(dates: Sequence[str], outcome: Outcome) -> None:
    """Counts by date; the imported ones among the snapshots if there are any, as no sync replaces those."""
    names = {"snapshots": "snapshots"}
    if any("imported" in metadata for metadata in outcome.metadata.values()):
        names["imported, left alone"] = "imported"
    records, title = _by_partition("date", dates, outcome, names), _title("snapshots", outcome)
    if len(records) > MOST_DATES:
        title += f" (the last {MOST_DATES} of {len(records)} dates)"
    terminal.table(title, records[-MOST_DATES:])
    _show_rest(outcome)


def show_preview(outcome: Outcome) -> None:
    """What would change, line by line."""
    shared = _shared(outcome)
    terminal.table("preview: nothing was stored", shared.get("per_status", []), total=True)
    terminal.difference(shared.get("changes", []))
    _show_rest(outcome)


def _show_rest(outcome: Outcome) -> None:
    shared = _shared(outcome)
    for title in ("rejected_rows", "failures"):
        records: Lines = shared.get(title, [])
        terminal.table(title.replace("_", " "), records[:FEW])
        if len(records) > FEW:
            terminal.say(f"… and {len(records) - FEW} more: see the run in the UI")
    for name in ("departed", "returned", "withheld"):
        if shared.get(name):
            terminal.say(f"{name}: {shared[name]}")
    if message := shared.get("message"):
        terminal.say(f"warning: {message}" if shared.get("sync_status") == "warning" else message)


def _title(what: str, outcome: Outcome) -> str:
    shared = _shared(outcome)
    return f"{what}: sync {shared.get('sync_log_id')} {shared.get('sync_status')}"


def _shared(outcome: Outcome) -> Line:
    """The metadata of the whole sync, which is the same on each partition."""
    return next(iter(outcome.metadata.values()), {})


def _by_partition(heading: str, partitions: Sequence[str], outcome: Outcome, names: Mapping[str, str]) -> Lines:
    return [
        {heading: key} | {shown: outcome.metadata.get(key, {}).get(name, 0) for shown, name in names.items()}
        for key in partitions
    ]
