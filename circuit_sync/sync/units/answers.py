"""The planned units of many work orders, one call each: failures counted, empty answers asked for twice.

An answer is cut down to the work order that was asked for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from circuit_sync.domain.circuit_fields import MAIN_EXTENSION
from circuit_sync.domain.errors import CircuitSyncError, PermanentError, TransientError
from circuit_sync.domain.values import BadValue, clean_text
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.ddotable import Table
from circuit_sync.workstudio.errors import Unauthorized

FAILURES_IN_A_ROW = 3
_UNREADABLE = " "  # no clean text is this
_KEPT = "what was stored stays, the rest is still due"


@dataclass
class UnitAnswers:
    """What WorkStudio answers for each work order of a run.

    ``fetch`` asks for one work order, with whatever credentials. ``had_units``: the extensions of each work order that
    had units the last time. ``now_empty``: those that have none any more, asked twice; ``asked``: when each answer was
    first asked for; ``of_others``: how many of its rows were another work order's.
    """

    session: Session
    workstudio: WorkStudio
    fetch: Callable[[str], Table]
    had_units: Mapping[str, Collection[str]]
    now_empty: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, datetime] = field(default_factory=dict)
    of_others: dict[str, int] = field(default_factory=dict)

    def of(self, work_orders: Sequence[str]) -> Iterator[tuple[str, Table | CircuitSyncError]]:
        """Work order and answer, or why there is none, as the calls end.

        Raises ``TransientError`` when ``FAILURES_IN_A_ROW`` calls in a row failed for a transient reason, and
        ``Unauthorized`` at once if the server knows none of our credentials.
        """
        failed_in_a_row = 0
        with closing(self.workstudio.fetch_many(work_orders, self._ask)) as answers:
            for done, (work_order, answer) in enumerate(answers, start=1):
                if isinstance(answer, Unauthorized):
                    raise Unauthorized(f"{answer}; {_KEPT}")
                yield work_order, answer
                is_transient = isinstance(answer, CircuitSyncError) and answer.transient
                failed_in_a_row = failed_in_a_row + 1 if is_transient else 0
                if failed_in_a_row == FAILURES_IN_A_ROW:
                    raise TransientError(
                        f"{FAILURES_IN_A_ROW} work orders failed one after another, the last: {answer}; {_KEPT}"
                    )
                # Whoever cancels here finds the answer handed on: it is finished work.
                self.session.progress(done, len(work_orders))

    def _ask(self, work_order: str) -> Table:
        """The answer, asked for once more if it has no units for a circuit that had some the last time.

        Both calls run in one worker's thread, so that no more of them overlap than may.
        """
        self.asked[work_order] = self.session.now()
        answer = self._own(work_order)
        lost = self._lost(work_order, answer)
        if not lost:
            return answer
        self.session.log(f"work order {work_order}: no units where there were some; asking once more")
        again = self._own(work_order)
        lost_again = self._lost(work_order, again)
        if lost_again - lost:
            raise PermanentError(
                f"two answers for the units of {work_order} contradict each other: each lacks an extension that the "
                "other has, and that had units before"
            )
        self.now_empty[work_order] = sorted(lost_again)
        return again

    def _own(self, work_order: str) -> Table:
        table, self.of_others[work_order] = own_rows(self.fetch(work_order), work_order)
        return table

    def _lost(self, work_order: str, table: Table) -> set[str]:
        """Extensions of the work order that had units and are not in ``table``."""
        return set(self.had_units.get(work_order, ())) - set(map(_extension, table.frame["extension"].unique()))


def own_rows(table: Table, work_order: str) -> tuple[Table, int]:
    """The rows of the work order in the answer for it, under the name that we know it by; how many are another's.

    Raises ``PermanentError`` if there are rows, and none of it. A row whose work order cannot be read stays, to be
    rejected later.
    """
    names = table.frame["work_order"].map(_folded)
    is_own = names == _folded(work_order)
    if len(names) and not is_own.any():
        raise PermanentError(
            f"the answer for work order {work_order} has {len(names)} rows, but none of this work order: check the "
            "filter of the planned-units view (WORKSTUDIO_PLANNED_UNITS_FILTER)"
        )
    own = table.frame[is_own | (names == _UNREADABLE)]
    of_others = int((~is_own & (names != _UNREADABLE)).sum())
    return replace(table, frame=own.assign(work_order=own["work_order"].mask(is_own, work_order))), of_others


def _folded(value: object) -> str:
    try:
        return (clean_text(value) or "").casefold()
    except BadValue:
        return _UNREADABLE


def _extension(value: object) -> str:
    try:
        return clean_text(value) or MAIN_EXTENSION
    except BadValue:
        return ""
