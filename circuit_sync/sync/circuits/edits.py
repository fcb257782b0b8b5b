"""What a person changes of a circuit: it wins over WorkStudio until it is given back.

``circuits.user_modified_fields`` holds an ``Edit`` for each field that people set. Giving a field back puts its
``api_value`` in its place at once; the next sync brings what WorkStudio says by then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from circuit_sync.database.circuits import edits
from circuit_sync.database.circuits.edits import Edit, FoundCircuit, StoredCircuit
from circuit_sync.database.connection import Connection
from circuit_sync.database.log.sync_logs import resolve_user
from circuit_sync.database.people.planners import link_planners
from circuit_sync.database.people.users import users_by_id
from circuit_sync.database.progress.history import record_history
from circuit_sync.domain.circuit_fields import CLEANERS, FREE_TEXT_COLUMNS, MAIN_EXTENSION
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Lines
from circuit_sync.domain.statuses import WORKFLOW_STAGES
from circuit_sync.domain.values import BadValue
from circuit_sync.events.catalogue import Change, CircuitUpdated, CircuitWorkflowChanged
from circuit_sync.events.outbox import emit
from circuit_sync.sync.people.users import find_region
from circuit_sync.sync.session import Session

WORKSTUDIOS_OWN = ("api_status", "job_guid", "work_order", "extension", "api_modified_at")
"""Fields that only WorkStudio sets: identity, status, and when it was edited there."""
_NOT_SHOWN = {"id", "region_id", "parent_circuit_id", "api_data", "content_hash", "user_modified_fields"}
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _switch(value: Any) -> bool:
    answer = _SWITCHES.get(str(value).strip().lower())
    if answer is None:
        raise BadValue("neither yes nor no")
    return answer


_PARSERS: dict[str, Callable[[Any], Any]] = {
    **{name: clean for name, clean in CLEANERS.items() if name not in WORKSTUDIOS_OWN},
    "is_excluded": _switch,
    "planned_units_sync_enabled": _switch,
}
EDITABLE_FIELDS = tuple(_PARSERS)


@dataclass(frozen=True)
class EditedCircuit:
    """What an edit did, by field; ``stage``: the stages it moved from and to, if it did."""

    work_order: str
    extension: str
    changed: Mapping[str, Change] = field(default_factory=dict)
    stage: tuple[str, str] | None = None


@dataclass(frozen=True)
class CircuitInFull:
    """A circuit for people's eyes, without free text."""

    work_order: str
    extension: str
    fields: Lines
    edits: Lines
    links: Lines
    aggregates: Lines


def edit_circuit(
    session: Session,
    work_order: str,
    extension: str | None = None,
    *,
    person: str,
    values: Mapping[str, str] | None = None,
    give_back: Sequence[str] = (),
) -> EditedCircuit:
    """Sets fields of a circuit (``values``, as people write them) or gives them back to WorkStudio.

    ``person`` names a user. A field set to what it holds already is withheld from syncs too. Raises ``UsageError``.
    """
    wanted = {name: _meant(name, text) for name, text in (values or {}).items()}
    for name in give_back:
        _check_editable(name)
        if name in wanted:
            raise UsageError(f"{name} cannot be both set and given back")
    with session.database.transaction() as connection:
        now = session.now()
        user = resolve_user(connection, person)
        circuit = edits.lock_circuit(connection, _find(connection, work_order, extension).id, now)
        marks = _marks(circuit)
        for name in wanted:
            before = marks.get(name, {}).get("api_value", _plain(circuit.values[name]))
            marks[name] = {"by": user, "at": now.isoformat(), "api_value": before}
        for name in give_back:
            if name not in marks:
                raise UsageError(f"nobody has set {name} of {_name(circuit)}: there is nothing to give back")
            mark = marks.pop(name)
            if "api_value" in mark:
                wanted[name] = _parsed(name, mark["api_value"])
        columns = dict(wanted)
        if "region" in wanted:
            name = columns.pop("region")
            wanted["region"], columns["region_id"] = (None, None) if name is None else find_region(connection, name)
        edits.write_edit(connection, circuit.id, columns, marks, now)
        new = {name: value for name, value in wanted.items() if circuit.values[name] != value}
        return _settle(connection, circuit, new, now)


def set_stage(session: Session, work_order: str, extension: str | None, stage: str, *, person: str) -> EditedCircuit:
    """Sets the workflow stage of a circuit in a person's name; it stays until the circuit's API status changes next."""
    wanted = stage.strip().lower()
    if wanted not in WORKFLOW_STAGES:
        raise UsageError(f"unknown stage {stage!r}: allowed are {', '.join(WORKFLOW_STAGES)}")
    with session.database.transaction() as connection:
        now = session.now()
        user = resolve_user(connection, person)
        assert user is not None
        circuit = edits.lock_circuit(connection, _find(connection, work_order, extension).id, now)
        # The e-mail is one person's alone, and never the word that marks the sync.
        email = users_by_id(connection, [user])[user].email
        edits.write_stage(connection, circuit.id, wanted, email, now)
        record_history(connection, now)
        old = circuit.values["workflow_stage"]
        if old != wanted:
            emit(connection, [CircuitWorkflowChanged(circuit.id, None, old, wanted, email)], now)
    return EditedCircuit(circuit.work_order, circuit.extension, stage=None if old == wanted else (old, wanted))


def show_circuit(session: Session, work_order: str, extension: str | None = None) -> CircuitInFull:
    """Everything about one circuit but free text."""
    with session.database.transaction() as connection:
        found = _find(connection, work_order, extension)
        circuit = edits.read_circuit(connection, found.id)
        return CircuitInFull(
            found.work_order,
            found.extension,
            fields=_shown_fields(circuit),
            edits=_shown_edits(connection, circuit),
            links=edits.links(connection, found.id),
            aggregates=edits.latest_aggregates(connection, found.id),
        )


def _settle(connection: Connection, circuit: StoredCircuit, new: Mapping[str, Any], now: datetime) -> EditedCircuit:
    """What follows from new values: links, stage, history, events."""
    if "taken_by" in new:
        link_planners(connection, now)
    moved = edits.settle_stage(connection, circuit.id, now) if "percent_complete" in new else None
    record_history(connection, now)
    changed = {name: Change(old=_plain(circuit.values[name]), new=_plain(value)) for name, value in new.items()}
    if changed:
        emit(connection, [CircuitUpdated(circuit.id, None, changed)], now)
    if moved:
        emit(connection, [CircuitWorkflowChanged(circuit.id, None, *moved, "sync")], now)
    return EditedCircuit(circuit.work_order, circuit.extension, changed, moved)


def _find(connection: Connection, work_order: str, extension: str | None) -> FoundCircuit:
    """The one circuit that is meant: of several under one name, the one that has not departed."""
    found = edits.find_circuits(connection, work_order.strip())
    if not found:
        raise UsageError(
            f"no circuit has the work order {work_order!r}: sync its circuits first, or look at its number"
        )
    wanted = (extension or MAIN_EXTENSION).strip().upper()
    meant = [line for line in found if line.extension.upper() == wanted or line.job_guid == work_order.strip()]
    if not meant:
        extensions = ", ".join(dict.fromkeys(line.extension for line in found))
        raise UsageError(f"{work_order} has no extension {wanted}: there are {extensions}")
    present = [line for line in meant if line.departed_at is None]
    if len(present) > 1:
        guids = ", ".join(line.job_guid for line in present)
        raise UsageError(f"{len(present)} circuits are named {_name(present[0])}: give one of their GUIDs, {guids}")
    return (present or meant)[0]


def _meant(name: str, text: str) -> Any:
    """The value that a person writes: no circuit has less than nothing, whatever WorkStudio may say."""
    value = _parsed(name, text)
    if isinstance(value, Decimal) and value < 0:
        raise UsageError(f"{name}: {text!r}: is negative")
    return value


def _parsed(name: str, value: Any) -> Any:
    """The value as a sync would store it; ``UsageError`` for what the cleaners of an answer drop silently."""
    _check_editable(name)
    try:
        clean = _PARSERS[name](value)
    except BadValue as bad:
        raise UsageError(f"{name}: {value!r}: {bad}") from None
    if clean is None and str(value or "").strip():
        hint = "a planner looks like CONTRACTOR\\user" if name == "taken_by" else "a date is 2010-01-01 or later"
        raise UsageError(f"{name}: {value!r} means nothing to WorkStudio: {hint}; leave it empty for none")
    return clean


def _check_editable(name: str) -> None:
    if name in WORKSTUDIOS_OWN:
        raise UsageError(f"{name} is WorkStudio's alone: a person may set {', '.join(EDITABLE_FIELDS)}")
    if name not in _PARSERS:
        raise UsageError(f"unknown field {name!r}: a person may set {', '.join(EDITABLE_FIELDS)}")


def _marks(circuit: StoredCircuit) -> dict[str, Edit]:
    """Who changed what, by field; also where another program left a list of names, or the column's name."""
    edited = circuit.values["user_modified_fields"]
    entries = edited.items() if isinstance(edited, dict) else [(name, {}) for name in edited]
    return {
        "region" if name == "region_id" else name: cast(Edit, mark) if isinstance(mark, dict) else Edit()
        for name, mark in entries
    }


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def _name(circuit: FoundCircuit | StoredCircuit) -> str:
    return f"{circuit.work_order} {circuit.extension}"


def _shown_fields(circuit: StoredCircuit) -> Lines:
    shown = {name: value for name, value in circuit.values.items() if name not in _NOT_SHOWN}
    shown |= {name: value for name, value in circuit.values["api_data"].items() if name not in FREE_TEXT_COLUMNS}
    return [{"field": name, "value": value} for name, value in shown.items() if value is not None]


def _shown_edits(connection: Connection, circuit: StoredCircuit) -> Lines:
    marks = _marks(circuit)
    people = users_by_id(connection, [by for mark in marks.values() if isinstance(by := mark.get("by"), int)])
    return [
        {
            "field": name,
            "value": circuit.values.get(name),
            "by": people[by].name if (by := mark.get("by")) in people else by,
            "at": _instant(mark.get("at")),
            "WorkStudio's then": mark.get("api_value"),
        }
        for name, mark in sorted(marks.items())
    ]


def _instant(text: Any) -> Any:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text
