"""Nothing vanishes: a circuit missing from its status' answer is marked; a shrunken answer is not believed at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from circuit_sync.database.connection import Connection
from circuit_sync.database.departures import circuits_held, mark_departed, missing_circuits
from circuit_sync.database.sync_logs import SyncLog, shrunken_before
from circuit_sync.domain.departures import is_shrunken

ANSWERS_THAT_AGREE = 3


@dataclass(frozen=True)
class Departures:
    """``shrunken``: for each disbelieved status the ids of the circuits it lacks; ``warnings``: a line for each."""

    shrunken: Mapping[str, list[int]]
    warnings: Sequence[str]


def settle_departures(connection: Connection, log: SyncLog, now: datetime) -> Departures:
    """Marks the circuits that left their status; of a shrunken answer only those that three answers in a row lack."""
    answers: Mapping[str, Mapping[str, Any]] = log.context["answers"]
    held = circuits_held(connection, log.id, list(answers))
    shrunken: dict[str, list[int]] = {}
    warnings = []
    for status in log.context["statuses"]:
        answer = answers[status]
        missing = _without_rejected(missing_circuits(connection, log.id, status), log.error_details.get("rejected", ()))
        was_held, moved = held.get(status, (0, 0))
        if missing and is_shrunken(held=was_held - moved, received=answer["received"]):
            shrunken[status] = missing
            if not log.context["accept_departures"]:
                earlier = shrunken_before(connection, log.id, status, ANSWERS_THAT_AGREE - 1)
                warnings.append(_warning(status, was_held - moved, answer["received"], len(earlier) + 1))
                missing = _lacked_by_all(missing, earlier)
        mark_departed(connection, missing, now)
    return Departures(shrunken, warnings)


def _without_rejected(missing: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]) -> list[int]:
    """Ids of the missing circuits that no rejected row stood for: a row that cannot be stored was still there."""
    guids = {row["job_guid"] for row in rejected if row["job_guid"]}
    places = {(row["work_order"], row["extension"]) for row in rejected if row["work_order"]}
    return [
        circuit["id"]
        for circuit in missing
        if circuit["job_guid"] not in guids and (circuit["work_order"], circuit["extension"]) not in places
    ]


def _lacked_by_all(missing: Sequence[int], earlier: Sequence[Sequence[int]]) -> list[int]:
    if len(earlier) < ANSWERS_THAT_AGREE - 1:
        return []
    return [circuit for circuit in missing if all(circuit in lacked for lacked in earlier)]


def _warning(status: str, held: int, received: int, in_a_row: int) -> str:
    if in_a_row >= ANSWERS_THAT_AGREE:
        return (
            f"{status}: {received} of {held} circuits came, for the third time in a row; the missing ones are departed"
        )
    return (
        f"{status}: only {received} of {held} circuits came, so nobody is marked departed (answer {in_a_row} of "
        f"{ANSWERS_THAT_AGREE}); if they are really gone, sync with --accept-departures"
    )
