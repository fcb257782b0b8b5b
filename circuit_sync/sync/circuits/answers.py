"""What WorkStudio answered for the statuses of a circuit sync: fetched, normalised, and staged until it is stored."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from circuit_sync.database.circuits.staging import STAGED_COLUMNS, analyze_staged, stage_circuits
from circuit_sync.database.connection import Connection
from circuit_sync.database.log import sync_logs
from circuit_sync.domain.circuits import CircuitAnswer, settle_duplicates, transform_collection
from circuit_sync.domain.sync_log import AnswerCounts, ErrorDetails, SyncContext
from circuit_sync.sync.people.credentials import open_rotation
from circuit_sync.sync.session import Session

_STAGED_FIELDS = ("row", *STAGED_COLUMNS[4:])


@dataclass(frozen=True)
class CircuitAnswers:
    """The answers for all statuses, of a circuit that is in several only the row that wins; and what the log is to say.

    In ``context`` ``is_another_account``: another account than that of the person who asked for it was used.
    """

    answers: Sequence[CircuitAnswer]
    context: SyncContext
    details: ErrorDetails


def fetch_answers(session: Session, statuses: Sequence[str], person: int | None) -> CircuitAnswers:
    """Asks for each status as ``person`` (a user's id), if that user has a working account, else as service."""
    begun = time.monotonic()
    answers = []
    rotation = open_rotation(session, session.secret_keys)
    with session.workstudio() as workstudio:
        for status in statuses:
            table = rotation.fetch_circuits(workstudio, status, person)
            session.log(f"{status}: {table.received} circuits received")
            answers.append(
                transform_collection(
                    table.frame,
                    status=status,
                    columns=workstudio.circuit_headings,
                    misshapen=table.misshapen,
                    absent=table.absent,
                )
            )
        calls = workstudio.statistics.rounded()
    rotation.record_uses()
    settled, duplicates = settle_duplicates(answers)
    counts: dict[str, AnswerCounts] = {
        answer.status: {
            "received": answer.received,
            "accepted": len(answer.circuits),
            "rejected": len(answer.rejected),
            "absent": list(answer.absent),
        }
        for answer in settled
    }
    context: SyncContext = {
        "answers": counts,
        "calls": calls,
        "credentials": rotation.used(),
        "seconds_fetching": round(time.monotonic() - begun, 3),
        "is_another_account": person is not None and not rotation.served(person),
    }
    rejected = [vars(row) for answer in settled for row in answer.rejected]
    return CircuitAnswers(settled, context, {"rejected": rejected, "duplicates": duplicates})


def stage_answers(connection: Connection, sync_id: int, fetched: CircuitAnswers) -> None:
    """Stages the accepted rows; what else the store needs to know of the answers goes to the sync log."""
    for answer in fetched.answers:
        columns = [answer.circuits[name].tolist() for name in _STAGED_FIELDS]
        stage_circuits(connection, sync_id, answer.status, columns)
    analyze_staged(connection)
    sync_logs.remember(connection, sync_id, fetched.context, fetched.details)
