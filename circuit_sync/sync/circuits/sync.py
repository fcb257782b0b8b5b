"""The circuit sync: open the log, fetch every status, store all in one transaction."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from circuit_sync.database.circuits import changes as stored_changes
from circuit_sync.database.circuits import store as circuit_store
from circuit_sync.database.circuits.staging import count_staged, discard_orphans, discard_staged, expect_whole_tables
from circuit_sync.database.circuits.temporary import departed, withheld
from circuit_sync.database.connection import Connection
from circuit_sync.database.log import sync_logs
from circuit_sync.database.people.planners import link_planners
from circuit_sync.database.progress.history import record_history
from circuit_sync.database.progress.snapshots import snapshot_status_changes
from circuit_sync.domain.circuit_fields import RejectedRow
from circuit_sync.domain.eastern import eastern_date
from circuit_sync.domain.errors import TransientError, UsageError
from circuit_sync.domain.printable import Lines
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.domain.statuses import parse_statuses
from circuit_sync.domain.sync_log import AnswerCounts
from circuit_sync.events.outbox import emit, emit_circuit_changes
from circuit_sync.sync.circuits.answers import fetch_answers, stage_answers
from circuit_sync.sync.circuits.departures import settle_departures
from circuit_sync.sync.installation.ownership import check_owner, claim_database, identity_of
from circuit_sync.sync.log.closing import REJECTED_LISTED, closing_on_failure, complete_log
from circuit_sync.sync.log.opening import open_log, start_log
from circuit_sync.sync.session import Session

CHANGES_SHOWN = 50
CHANGES_PREVIEWED = 1000
WITHHELD_LISTED = 1000


@dataclass(frozen=True)
class CircuitSyncResult:
    """What a sync stored, or a preview would store.

    ``counts``: processed, created, updated, unchanged, rows_received, rows_rejected, rows_duplicate, departed,
    returned, withheld; ``per_status``: the first seven for each status; ``changes``: lines of work_order, extension,
    what, field, old, new; ``rejected``: each a ``RejectedRow``.
    """

    sync_id: int
    sync_status: str
    message: str | None
    counts: Mapping[str, int]
    per_status: Mapping[str, Mapping[str, int]]
    changes: Lines
    rejected: Lines
    calls: Mapping[str, float]
    durations: Mapping[str, float] = field(default_factory=dict)


def open_circuit_sync(session: Session, request: CircuitSyncRequest) -> int:
    """Opens the sync log and looks whether WorkStudio is up; returns the log's id."""
    with session.database.transaction() as connection:
        discard_orphans(connection)
        log = open_log(connection, _checked(connection, session, request), session.now())
    with closing_on_failure(session, log.id), session.workstudio() as workstudio:
        session.log(f"sync {log.id}: circuits {', '.join(log.context['statuses'])} from {identity_of(session)}")
        workstudio.check_health()
    return log.id


def fetch_circuits(session: Session, sync_id: int) -> dict[str, int]:
    """Fetches every status, normalises and stages it; returns the rows received for each.

    From here to the end of the store no other run fetches circuits: an older answer never overwrites a newer one.
    """
    with closing_on_failure(session, sync_id):
        with session.database.transaction() as connection:
            log = sync_logs.read(connection, sync_id)
        session.hold_store()
        fetched = fetch_answers(session, log.context["statuses"], log.triggered_by)
        with session.database.transaction() as connection:
            stage_answers(connection, sync_id, fetched)
    return {answer.status: answer.received for answer in fetched.answers}


def store_circuits(session: Session, sync_id: int) -> CircuitSyncResult:
    """Stores what was staged and completes the log, in one transaction."""
    with closing_on_failure(session, sync_id):
        begun = time.monotonic()
        session.confirm_store()
        with session.database.transaction() as connection:
            result = _store(connection, session, sync_id, most=CHANGES_SHOWN)
        session.leave_store()
    durations = {**result.durations, "store": time.monotonic() - begun}
    session.log(
        f"sync {sync_id}: {result.sync_status}; " + ", ".join(f"{n} {name}" for name, n in result.counts.items() if n)
    )
    if result.message:
        session.log(f"sync {sync_id}: {result.message}")
    return replace(result, durations=durations)


def preview_circuits(session: Session, request: CircuitSyncRequest) -> CircuitSyncResult:
    """What ``request`` would store: the same path, rolled back. Leaves no sync log and no event."""
    with session.database.rehearsal() as connection:
        log = start_log(connection, _checked(connection, session, request), session.now())
    fetched = fetch_answers(session, log.context["statuses"], log.triggered_by)
    session.hold_store()
    try:
        with session.database.rehearsal() as connection:
            log = start_log(connection, _checked(connection, session, request), session.now())
            stage_answers(connection, log.id, fetched)
            return _store(connection, session, log.id, most=CHANGES_PREVIEWED)
    finally:
        session.leave_store()


def _checked(connection: Connection, session: Session, request: CircuitSyncRequest) -> CircuitSyncRequest:
    """The request with its statuses in order. Raises ``UsageError`` for an unknown one or none."""
    statuses = parse_statuses(request.statuses)
    if not statuses:
        raise UsageError("no status to sync: name at least one, or enable one in WORKSTUDIO_STATUSES")
    check_owner(connection, session)
    return replace(request, statuses=statuses)


def _store(connection: Connection, session: Session, sync_id: int, *, most: int) -> CircuitSyncResult:
    """The statements of one sync, in their order, up to the log's completion."""
    log = sync_logs.read(connection, sync_id)
    now = session.now()
    answers = {status: log.context["answers"][status] for status in log.context["statuses"]}
    if count_staged(connection, sync_id) != sum(answer["accepted"] for answer in answers.values()):
        raise TransientError(f"what sync {sync_id} fetched is gone, as after a crash of the database: sync again")
    if any(answer["accepted"] for answer in answers.values()):
        claim_database(connection, session)
    expect_whole_tables(connection)
    new_regions = circuit_store.add_regions(connection, sync_id)
    circuit_store.lock_differing(connection, sync_id, absent={status: a["absent"] for status, a in answers.items()})
    settle_edits = circuit_store.give_back_edits if log.context["force"] else circuit_store.keep_edits
    settle_edits(connection, sync_id)
    departures = settle_departures(connection, log, now)
    circuit_store.write_circuits(connection, sync_id, now)
    link_planners(connection, now)
    record_history(connection, now)
    snapshot_status_changes(connection, eastern_date(now), now)

    per_status = _per_status(answers, stored_changes.count_stored(connection, sync_id))
    totals = {name: sum(counts[name] for counts in per_status.values()) for name in next(iter(per_status.values()))}
    counts = totals | {
        "departed": stored_changes.count_of(connection, departed),
        "returned": stored_changes.count_returned(connection),
        "withheld": stored_changes.count_of(connection, withheld),
    }
    message = _message(departures.warnings, counts, is_another_account=log.context["is_another_account"])
    # Departures are judged by every rejected row; the log goes on listing the first.
    rejected = log.error_details["rejected"][:REJECTED_LISTED]
    changes = stored_changes.changes_shown(connection, most)
    sync_logs.remember(
        connection,
        sync_id,
        {
            "shrunken": departures.shrunken,
            "departed": counts["departed"],
            "returned": counts["returned"],
            "withheld": counts["withheld"],
            "new_regions": new_regions,
            "per_status": per_status,
        },
        {"rejected": rejected, "withheld": stored_changes.withheld_values(connection, WITHHELD_LISTED)},
    )
    discard_staged(connection, sync_id)
    results = {f"circuits_{name}": counts[name] for name in ("processed", "created", "updated", "unchanged")}
    results |= {name: counts[name] for name in ("rows_received", "rows_rejected", "rows_duplicate")}
    completed = complete_log(connection, sync_id, session.now(), message, results, counts)
    # Events come last: their lock is held to the end, and whoever holds another one may wait for it.
    emit_circuit_changes(connection, sync_id, now)
    emit(connection, [completed], completed.completed_at)
    return CircuitSyncResult(
        sync_id=sync_id,
        sync_status=completed.sync_status,
        message=message,
        counts=counts,
        per_status=per_status,
        changes=changes,
        rejected=[vars(RejectedRow(**line)) for line in rejected],
        calls=log.context["calls"],
        durations={"fetch": log.context["seconds_fetching"]},
    )


def _per_status(
    answers: Mapping[str, AnswerCounts], stored: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    nothing = {"processed": 0, "created": 0, "updated": 0, "unchanged": 0}
    return {
        status: {
            **stored.get(status, nothing),
            "rows_received": answer["received"],
            "rows_rejected": answer["rejected"],
            "rows_duplicate": answer["received"] - answer["rejected"] - answer["accepted"],
        }
        for status, answer in answers.items()
    }


def _message(warnings: Iterable[str], counts: Mapping[str, int], *, is_another_account: bool) -> str | None:
    lines = list(warnings)
    if is_another_account:
        lines.append("the account of the person who asked for it is not verified or was refused: another one was used")
    if rejected := counts["rows_rejected"]:
        lines.append(
            f"{rejected} of {counts['rows_received']} rows were rejected (see error_details); the others are stored"
        )
    return "; ".join(lines) or None
