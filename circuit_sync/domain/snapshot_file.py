"""Snapshots from another system, as a CSV file: what each line may hold (docs/rollups.md lists the columns)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from circuit_sync.domain.circuit_fields import CLEANERS as CIRCUIT
from circuit_sync.domain.circuit_fields import planner_of
from circuit_sync.domain.eastern import is_weekday
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.folding import fold
from circuit_sync.domain.statuses import API_STATUSES, WORKFLOW_STAGES, parse_status
from circuit_sync.domain.values import BadValue, clean_guid, clean_name, clean_number

_OPEN = tuple(status.code for status in API_STATUSES if status.code != "CLOSE")
_STAGES = {status.code: status.stage for status in API_STATUSES}
_MOST_UNITS = Decimal(2**31 - 1)
_MOST_FEET = Decimal("9999999999.9999")


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise BadValue("is not a date: it looks like 2026-03-31") from None


def _status(value: Any) -> str:
    try:
        code = parse_status(str(value))
    except UsageError:
        code = ""
    if code not in _OPEN:
        raise BadValue(f"is not one of {', '.join(_OPEN)} (a snapshot holds circuits that are not closed)")
    return code


def _stage(value: Any) -> str | None:
    text = clean_name(value)
    if text is not None and text not in WORKFLOW_STAGES:
        raise BadValue(f"is not one of {', '.join(WORKFLOW_STAGES)}")
    return text


def _planner(value: Any) -> str | None:
    text = clean_name(value)
    if text is not None and planner_of(text) is None:
        raise BadValue("is not a planner's name: it looks like CONTRACTOR\\user")
    return text


def _count(value: Any) -> int:
    """A count is never rounded: a part of one is a mistake of the file, such as a shifted column."""
    number = clean_number(value, places=8, low=Decimal(0), high=_MOST_UNITS)
    if number != number.to_integral_value():
        raise BadValue("not a whole number")
    return int(number)


CLEANERS: Mapping[str, Callable[[Any], Any]] = {
    "snapshot_date": _day,
    "job_guid": clean_guid,
    "work_order": clean_name,
    "extension": CIRCUIT["extension"],
    "region": CIRCUIT["region"],
    "taken_by": _planner,
    "api_status": _status,
    "workflow_stage": _stage,
    "total_miles": CIRCUIT["total_miles"],
    "miles_planned": CIRCUIT["miles_planned"],
    "percent_complete": CIRCUIT["percent_complete"],
    "total_acres": CIRCUIT["total_acres"],
    "total_units": _count,
    "total_linear_ft": partial(clean_number, places=4, low=-_MOST_FEET, high=_MOST_FEET),
    "total_trees": _count,
    "units_approved": _count,
    "units_refused": _count,
    "units_pending": _count,
}
REQUIRED = ("snapshot_date", "api_status", "total_miles", "miles_planned")


@dataclass(frozen=True)
class ImportContext:
    """What lines may refer to: dates ``before`` one, circuits by GUID and work order, regions by folded name."""

    before: date
    guids: Mapping[str, int]
    work_orders: Mapping[tuple[str, str], list[int]]
    regions: Mapping[str, int]


class UnknownCircuit(BadValue):
    """The line names a circuit that no sync has brought."""


def check_heading(names: Iterable[str] | None) -> list[str]:
    """What is wrong with the first line of the file."""
    heading = [name.strip() for name in names or ()]
    if not heading:
        return ["line 1: the file is empty; its first line names the columns"]
    faults = [f"line 1: column {name!r} is missing" for name in REQUIRED if name not in heading]
    if "job_guid" not in heading and "work_order" not in heading:
        faults.append("line 1: column 'work_order' (or 'job_guid') is missing")
    faults += [
        f"line 1: unknown column {name!r}: allowed are {', '.join(CLEANERS)}"
        for name in heading
        if name not in CLEANERS
    ]
    return faults + [f"line 1: column {name!r} comes twice" for name in sorted(set(heading)) if heading.count(name) > 1]


def read_line(cells: Mapping[str, Any], context: ImportContext) -> dict[str, Any]:
    """The snapshot of a line: ``circuit_id``, ``region_id`` and values fit for the table. Raises ``BadValue``."""
    if None in cells:
        raise BadValue("has more cells than the first line has columns")
    values: dict[str, Any] = {}
    for name, clean in CLEANERS.items():
        cell = cells.get(name)
        if name in REQUIRED and not (cell or "").strip():
            raise BadValue(f"{name}: is empty")
        try:
            values[name] = clean(cell) if cell is not None or name not in REQUIRED else None
        except BadValue as bad:
            raise BadValue(f"{name}: {bad}") from None
        if isinstance(values[name], Decimal) and values[name] < 0:
            raise BadValue(f"{name}: is negative")
    _check_date(values["snapshot_date"], context.before)
    values["circuit_id"] = _circuit(values, context)
    values["region_id"] = _region(values.pop("region"), context)
    values["workflow_stage"] = values["workflow_stage"] or _usual_stage(values)
    return values


def _check_date(day: date, before: date) -> None:
    if not is_weekday(day):
        raise BadValue(f"snapshot_date {day} is a {day:%A}: snapshots are of weekdays")
    if day >= before:
        raise BadValue(f"snapshot_date {day} is not before {before}, the first date of our own")


def _circuit(values: dict[str, Any], context: ImportContext) -> int:
    guid, work_order, extension = values.pop("job_guid"), values.pop("work_order"), values.pop("extension")
    if guid is not None:
        if guid not in context.guids:
            raise UnknownCircuit(f"no circuit has job_guid {guid}")
        return context.guids[guid]
    if work_order is None:
        raise BadValue("neither job_guid nor work_order names a circuit")
    found = context.work_orders.get((work_order, extension), [])
    if not found:
        raise UnknownCircuit(f"no circuit has work_order {work_order} {extension}")
    if len(found) > 1:
        raise BadValue(f"work_order {work_order} {extension} is that of {len(found)} circuits: name its job_guid")
    return found[0]


def _region(name: str | None, context: ImportContext) -> int | None:
    if name is None:
        return None
    if fold(name) not in context.regions:
        raise BadValue(f"region {name!r} is unknown")
    return context.regions[fold(name)]


def _usual_stage(values: Mapping[str, Any]) -> str:
    status: str = values["api_status"]
    is_planned = status == "ACTIV" and values["percent_complete"] >= 100
    return "pending_permissions" if is_planned else _STAGES[status]
