"""``circuits …``: one circuit, shown and edited."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.people import at_the_database
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import Line, Lines

if TYPE_CHECKING:
    from circuit_sync.sync.circuits.edits import EditedCircuit

app = typer.Typer(help="One circuit: show it, change it in a person's name.", no_args_is_help=True)

WorkOrder = Annotated[str, typer.Argument(metavar="WORK_ORDER", help="such as 2025-1930, or the circuit's GUID")]
Extension = Annotated[str | None, typer.Argument(metavar="EXT", help="a split's letter; default @, the main one")]
Person = Annotated[str, typer.Option("--as", metavar="USER", help="whose edit it is: e-mail, WorkStudio name or name")]


@app.command()
def show(work_order: WorkOrder, extension: Extension = None) -> None:
    """Fields, stage, links, latest aggregates, and what people changed. Free text is not shown."""
    from circuit_sync.sync.circuits.edits import show_circuit

    with at_the_database() as session:
        circuit = show_circuit(session, work_order, extension)
    terminal.table(f"circuit {circuit.work_order} {circuit.extension}", _readable(circuit.fields))
    terminal.table("changed by people", _readable(circuit.edits))
    terminal.table("linked users", circuit.links)
    terminal.table("latest aggregates", circuit.aggregates)


@app.command(name="set")
def edit(
    work_order: WorkOrder,
    person: Person,
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="[EXT] FIELD=VALUE", help="an empty value is none")
    ] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option("--reset", metavar="FIELD", help="give a field back to WorkStudio; repeatable"),
    ] = None,
) -> None:
    """Set fields of a circuit: they keep their values whatever WorkStudio says, until they are given back.

    --reset puts back what WorkStudio said when the field was first set; the next sync brings what it says by then.
    """
    from circuit_sync.sync.circuits.edits import edit_circuit

    extension, values = _assignments(assignments or [])
    if not values and not reset:
        raise UsageError("nothing to set: name FIELD=VALUE, such as total_miles=12.5, or --reset FIELD")
    with at_the_database() as session:
        edited = edit_circuit(session, work_order, extension, person=person, values=values, give_back=reset or ())
    kept = "; what was set is kept from syncs" if values else ""
    _show_edit(edited, f"nothing changed its value{kept}")


@app.command()
def stage(
    work_order: WorkOrder,
    extension_and_stage: Annotated[
        list[str], typer.Argument(metavar="[EXT] STAGE", help="active, pending_permissions, qc, rework or closed")
    ],
    person: Person,
) -> None:
    """Set the workflow stage of a circuit; it stays until the circuit's API status changes next."""
    from circuit_sync.sync.circuits.edits import set_stage

    if len(extension_and_stage) > 2:
        raise UsageError("one stage is set at a time: circuits stage WORK_ORDER [EXT] STAGE --as USER")
    *extension, wanted = extension_and_stage
    with at_the_database() as session:
        edited = set_stage(session, work_order, next(iter(extension), None), wanted, person=person)
    _show_edit(edited, f"it is at {wanted} already; it stays there until its API status changes")


def _assignments(words: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The extension, if the first word is one, and the fields to set."""
    extension = words[0] if words and "=" not in words[0] else None
    values: dict[str, str] = {}
    for word in words[0 if extension is None else 1 :]:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not FIELD=VALUE")
        if name in values:
            raise UsageError(f"{name} is set twice")
        values[name] = value
    return extension, values


def _show_edit(edited: "EditedCircuit", otherwise: str) -> None:
    line = {"work_order": edited.work_order, "extension": edited.extension}
    changes: list[Line] = [
        {**line, "what": "changed", "field": name, **{when: _yes_no(value) for when, value in change.items()}}
        for name, change in edited.changed.items()
    ]
    if edited.stage:
        old, new = edited.stage
        changes.append({**line, "what": "stage", "field": "workflow_stage", "old": old, "new": new})
    terminal.difference(changes)
    if not changes:
        terminal.say(f"{edited.work_order} {edited.extension}: {otherwise}")


def _readable(lines: Lines) -> Lines:
    return [{name: _yes_no(cell) for name, cell in line.items()} for line in lines]


def _yes_no(value: Any) -> Any:
    return value if not isinstance(value, bool) else "yes" if value else "no"
