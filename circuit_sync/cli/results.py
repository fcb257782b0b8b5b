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


def show_circuits(statuses: Sequence[str], outcome: Outcome) -> None:
    """Counts by status, then what was rejected."""
    terminal.table(
        _title("circuits", outcome), _by_partition("status", statuses, outcome, CIRCUIT_COUNTS), total=len(statuses) > 1
    )
    _show_rest(outcome)


def show_aggregates(statuses: Sequence[str], outcome: Outcome) -> None:
    """What was done for all statuses together, then what failed."""
    told = _shared(outcome)
    counts = {name: told.get(name, 0) for name in AGGREGATE_COUNTS}
    terminal.table(_title("aggregates", outcome), [{"statuses": ", ".join(statuses)} | counts])
    _show_rest(outcome)


def show_work_orders(outcome: Outcome) -> None:
    """The same, for single work orders."""
    told = _shared(outcome)
    terminal.table(_title("aggregates", outcome), [{name: told.get(name, 0) for name in AGGREGATE_COUNTS}])
    _show_rest(outcome)


def show_snapshots(dates: Sequence[str], outcome: Outcome) -> None:
    """Counts by date; the imported ones among the snapshots if there are any, as no sync replaces those."""
    names = {"snapshots": "snapshots"}
    if any("imported" in told for told in outcome.metadata.values()):
        names["imported, left alone"] = "imported"
    records = _by_partition("date", dates, outcome, names)
    if len(records) > 2 * FEW:
        terminal.table(
            f"{_title('snapshots', outcome)} (the last {2 * FEW} of {len(records)} dates)", records[-2 * FEW :]
        )
    else:
        terminal.table(_title("snapshots", outcome), records)
    _show_rest(outcome)


def show_preview(outcome: Outcome) -> None:
    """What would change, line by line."""
    told = _shared(outcome)
    terminal.table("preview: nothing was stored", told.get("per_status", []), total=True)
    terminal.difference(told.get("changes", []))
    _show_rest(outcome)


def _show_rest(outcome: Outcome) -> None:
    told = _shared(outcome)
    for title in ("rejected_rows", "failures"):
        records: Lines = told.get(title, [])
        terminal.table(title.replace("_", " "), records[:FEW])
        if len(records) > FEW:
            terminal.say(f"… and {len(records) - FEW} more: see the run in the UI")
    for name in ("departed", "returned", "withheld"):
        if told.get(name):
            terminal.say(f"{name}: {told[name]}")
    if told.get("message"):
        terminal.say(f"warning: {told['message']}" if told.get("sync_status") == "warning" else told["message"])


def _title(what: str, outcome: Outcome) -> str:
    told = _shared(outcome)
    return f"{what}: sync {told.get('sync_log_id')} {told.get('sync_status')}"


def _shared(outcome: Outcome) -> Line:
    """What holds for the whole sync is the same on each partition."""
    return next(iter(outcome.metadata.values()), {})


def _by_partition(heading: str, partitions: Sequence[str], outcome: Outcome, names: Mapping[str, str]) -> Lines:
    return [
        {heading: key} | {shown: outcome.metadata.get(key, {}).get(name, 0) for shown, name in names.items()}
        for key in partitions
    ]
