"""Nothing vanishes: a circuit missing from its status' answer is marked; a doubtful answer is not believed at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from circuit_sync.database.circuits import departures as store
from circuit_sync.database.connection import Connection
from circuit_sync.database.log.sync_logs import SyncLog, shrunken_before
from circuit_sync.domain.circuit_fields import RejectedRow
from circuit_sync.domain.errors import PermanentError
from circuit_sync.domain.sync_log import AnswerCounts

ANSWERS_THAT_AGREE = 3
FEWEST_TO_JUDGE = 10


@dataclass(frozen=True)
class Departures:
    """``shrunken``: for each doubtful status the ids of the circuits that its answer lacks; ``warnings``: why."""

    shrunken: Mapping[str, list[int]]
    warnings: Sequence[str]


def settle_departures(connection: Connection, log: SyncLog, now: datetime) -> Departures:
    """Marks the circuits that left their status; of a doubtful answer only those that three answers in a row lack.

    An answer is doubtful if it has shrunken, or has a row that cannot be matched to a circuit. Raises
    ``PermanentError`` for one that is another view's or another server's, unless departures are accepted.
    """
    answers = log.context["answers"]
    rejected = [RejectedRow(**line) for line in log.error_details.get("rejected", ())]
    held = store.circuits_held(connection, log.id, list(answers))
    doubted: dict[str, list[int]] = {}
    warnings = []
    for status in log.context["statuses"]:
        missing = _without_rejected(store.missing_circuits(connection, log.id, status), rejected)
        was_held, moved = held.get(status, (0, 0))
        came = was_held - moved - len(missing)
        rows = answers[status]["accepted"] + answers[status]["rejected"]
        shrunken = is_shrunken(held=was_held - moved, came=came, rows=rows)
        doubt = _unidentified(status, answers[status], rejected)
        if shrunken:
            doubt = f"{status}: only {came} of {was_held - moved} circuits came"
        if missing and doubt:
            doubted[status] = missing
            if not log.context["accept_departures"]:
                if shrunken:
                    _refuse_foreign(connection, log.id, status, doubt, len(missing), rejected)
                earlier = shrunken_before(connection, log.id, status, ANSWERS_THAT_AGREE - 1)
                warnings.append(_warning(doubt, len(earlier) + 1))
                missing = _lacked_by_all(missing, earlier)
        store.mark_departed(connection, missing, now)
    return Departures(doubted, warnings)


def is_shrunken(*, held: int, came: int, rows: int) -> bool:
    """Whether an answer of ``rows`` rows that names ``came`` of the ``held`` circuits of its status is doubtful.

    Fewer than half of ten or more; and no row at all where there was anything.
    """
    if held == 0:
        return False
    return rows == 0 or (held >= FEWEST_TO_JUDGE and came * 2 < held)


def is_foreign(*, missing: int, new: int) -> bool:
    """Whether a shrunken answer is another view's or server's: it has as many unknown circuits as are missing."""
    return 0 < missing <= new


def _unidentified(status: str, answer: AnswerCounts, rejected: Sequence[RejectedRow]) -> str | None:
    """Why an answer with a row that may be any circuit's is not believed when it lacks circuits."""
    identified = sum(1 for row in rejected if row.status == status and (row.job_guid or row.work_order))
    number = answer["rejected"] - identified
    return f"{status}: {number} row{'s' * (number > 1)} of the answer cannot be identified" if number else None


def _refuse_foreign(
    connection: Connection, sync_id: int, status: str, doubt: str, missing: int, rejected: Sequence[RejectedRow]
) -> None:
    guids = [row.job_guid for row in rejected if row.status == status and row.job_guid]
    new = store.count_new(connection, sync_id, status, guids)
    if is_foreign(missing=missing, new=new):
        raise PermanentError(
            f"{doubt}, and {new} new ones: this looks like the answer of another view or another WorkStudio, and "
            "nothing was stored; check WORKSTUDIO_BASE_URL and WORKSTUDIO_CIRCUITS_VIEW, or, if it is right, look at "
            "it with --preview --accept-departures and sync with --accept-departures"
        )


def _without_rejected(missing: Sequence[store.MissingCircuit], rejected: Sequence[RejectedRow]) -> list[int]:
    """Ids of the missing circuits that no rejected row stood for: a row that cannot be stored was still there."""
    guids = {row.job_guid for row in rejected if row.job_guid}
    places = {(row.work_order, row.extension) for row in rejected if row.work_order}
    return [
        circuit.id
        for circuit in missing
        if circuit.job_guid not in guids
        and places.isdisjoint(((circuit.work_order, circuit.extension), (circuit.work_order, None)))
    ]


def _lacked_by_all(missing: Sequence[int], earlier: Sequence[Sequence[int]]) -> list[int]:
    if len(earlier) < ANSWERS_THAT_AGREE - 1:
        return []
    return [circuit for circuit in missing if all(circuit in lacked for lacked in earlier)]


def _warning(doubt: str, in_a_row: int) -> str:
    if in_a_row >= ANSWERS_THAT_AGREE:
        return f"{doubt}, for the third time in a row: what all three lacked is departed"
    return (
        f"{doubt}, so nobody is marked departed (answer {in_a_row} of {ANSWERS_THAT_AGREE}); if the missing circuits "
        "are really gone, sync with --accept-departures"
    )
