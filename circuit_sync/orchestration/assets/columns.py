"""The columns of aggregates, snapshots and roll-ups, for the catalogue. A test compares them with the database."""

import dagster as dg

_CIRCUIT = {
    "region_id": ("bigint", "the region; none where WorkStudio names none"),
    "taken_by": ("text", "the planner who holds the circuit, as WorkStudio names them; none: nobody"),
}
_UNITS = {
    "total_units": ("bigint", "planned units, by the latest aggregate at the time"),
    "total_trees": ("bigint", "trees of these units"),
    "units_approved": ("bigint", "units whose owner gave permission"),
    "units_refused": ("bigint", "units whose owner refused"),
    "units_pending": ("bigint", "units whose owner has not answered"),
    "total_linear_ft": ("numeric", "feet of these units"),
}
_MILES = {
    "total_miles": ("numeric", "miles there are to plan"),
    "miles_planned": ("numeric", "miles planned so far: a level, never to be added up over dates"),
}
_ROLLED_UP = (
    _MILES
    | {"miles_remaining": ("numeric", "total_miles - miles_planned")}
    | _UNITS
    | {
        "units_pending_over_14_days": ("bigint", "of the pending units those assessed over 14 days before the date"),
        "oldest_pending_on": ("date", "when the pending unit that has waited longest was assessed"),
        "total_trees_change": ("bigint", "trees added in this period"),
        "miles_planned_change": ("numeric", "miles planned in this period; a correction is negative"),
        "total_units_change": ("bigint", "units added in this period"),
        "units_approved_change": ("bigint", "units approved in this period"),
        "units_refused_change": ("bigint", "units refused in this period"),
        "units_pending_change": ("bigint", "units that became pending in this period"),
    }
)
_CIRCUITS = {
    "circuits": ("integer", "circuits that are not closed, not excluded and not departed"),
    "circuits_activ": ("integer", "of these in progress (ACTIV)"),
    "circuits_qc": ("integer", "of these in quality control (QC)"),
    "circuits_rewrk": ("integer", "of these in rework (REWRK)"),
    "stage_active": ("integer", "of these in the stage active"),
    "stage_pending_permissions": ("integer", "of these planned to the end, permissions outstanding"),
    "stage_qc": ("integer", "of these in the stage qc"),
    "stage_rework": ("integer", "of these in the stage rework"),
    "stage_closed": ("integer", "of these that a person closed before WorkStudio did"),
}
_PLANNER = {
    "taken_by": ("text", "the planner as WorkStudio names them; none: circuits that nobody holds"),
    "region_id": _CIRCUIT["region_id"],
    "circuits": ("integer", "circuits the planner holds"),
}
_DATE = {"snapshot_date": ("date", "the weekday, in Eastern Time")}
_WEEK = {
    "week_ending": ("date", "the Friday of the week"),
    "last_snapshot_date": ("date", "the week's last date that has snapshots: levels are of its end"),
}
_SEASON = {
    "region_id": _CIRCUIT["region_id"],
    "season": ("integer", "the year the circuits begin in (start_date); none: unknown"),
    "circuits": ("integer", "circuits of the season, closed and departed ones too, excluded ones not"),
    "circuits_closed": ("integer", "of these closed, at their last state"),
    "circuits_departed": ("integer", "of these departed, at their last state"),
    "circuits_with_units": ("integer", "of these those whose units were ever fetched"),
    "total_miles": ("numeric", "own miles of all"),
    "miles_planned": ("numeric", "own miles planned of all"),
    "miles_remaining": ("numeric", "own miles not planned of those that are not closed"),
    "miles_closed_unplanned": ("numeric", "own miles not planned of those that are closed"),
    **{name: told for name, told in _UNITS.items() if name != "total_linear_ft"},
    "id": ("bigint", "key of the row"),
}
_COMPUTED = {"computed_at": ("timestamp with time zone", "when the row was computed")}

_AGGREGATE = {
    "id": ("bigint", "key of the row"),
    "circuit_id": ("bigint", "the circuit"),
    "aggregate_date": ("date", "the day it was computed, in Eastern Time: a row only where a value changed"),
    "is_rollup": ("boolean", "on a main assessment: main and splits together, each unit once"),
    "total_units": ("integer", "planned units; one listed under a main assessment and a split is the split's"),
    "total_linear_ft": ("numeric", "feet of the types that count feet"),
    "total_acres": ("numeric", "acres of the types that count acres"),
    "total_trees": ("integer", "trees of the types that count trees"),
    "units_approved": ("integer", "units whose owner gave permission"),
    "units_refused": ("integer", "units whose owner refused"),
    "units_pending": ("integer", "units whose owner has not answered"),
    "unit_counts_by_type": ("jsonb", "total_units by unit type"),
    "linear_ft_by_type": ("jsonb", "total_linear_ft by unit type"),
    "acres_by_type": ("jsonb", "total_acres by unit type"),
    "trees_by_type": ("jsonb", "total_trees by unit type; empty in rows of before there was this column"),
    "pending_by_date": (
        "jsonb",
        "units_pending by the date assessed, 2026-01-31 or unknown; empty in rows of before there was this column",
    ),
    "permission_counts": ("jsonb", "total_units by permission, as WorkStudio writes it"),
    "planner_distribution": ("jsonb", "unit_count, linear_ft, acres and trees by forester"),
    "computed_at": ("timestamp with time zone", "when the row was computed"),
}

COLUMNS = {
    "circuit_aggregates": _AGGREGATE,
    "circuit_snapshots": {
        "id": ("bigint", "key of the row"),
        "circuit_id": ("bigint", "the circuit"),
        **_DATE,
        "snapshot_type": ("text", "daily, status_change (at once when the status changes) or manual (by command)"),
        **_CIRCUIT,
        "api_status": ("text", "ACTIV, QC, REWRK or (status_change only) CLOSE"),
        "workflow_stage": ("text", "active, pending_permissions, qc, rework or closed"),
        **_MILES,
        "percent_complete": ("numeric", "0 to 100, as WorkStudio says"),
        "total_acres": ("numeric", "acres of the circuit"),
        **(_UNITS | {name: ("integer", told) for name, (kind, told) in _UNITS.items() if kind == "bigint"}),
        "as_of": ("timestamp with time zone", "the instant whose state this is"),
        "created_at": ("timestamp with time zone", "when the row was written"),
        "is_imported": ("boolean", "from another system's file, of a date before our history begins"),
        **{
            f"own_{name}": ("numeric", f"{name} less that of its splits, which shows them too; none: what is shown")
            for name in ("total_miles", "miles_planned", "total_acres")
        },
        **{
            f"work_order_{name}": ("numeric", f"{name} of the whole work order, on a main assessment that contains it")
            for name in ("total_miles", "miles_planned", "total_acres")
        },
        "main_circuit_id": ("bigint", "of a split: the main assessment it is a split of"),
        "splits_contained": ("boolean", "whether a main assessment shows its splits too; none: it has no splits"),
        "units_pending_over_14_days": ("integer", "of the pending units those assessed over 14 days before the date"),
        "oldest_pending_on": ("date", "when the pending unit that has waited longest was assessed"),
    },
    "regional_daily": _DATE | {"region_id": _CIRCUIT["region_id"]} | _CIRCUITS | _ROLLED_UP | _COMPUTED,
    "planner_daily": _DATE | _PLANNER | _ROLLED_UP | _COMPUTED,
    "regional_weekly": _WEEK | {"region_id": _CIRCUIT["region_id"]} | _CIRCUITS | _ROLLED_UP,
    "planner_weekly": _WEEK
    | _PLANNER
    | {"user_id": ("bigint", "the user whom the planner is linked to, now")}
    | _ROLLED_UP,
    "season_daily": _DATE | _SEASON | _COMPUTED,
}


def column_schema(table: str) -> dict[str, dg.TableSchema]:
    """The table's columns as an asset's metadata."""
    columns = [dg.TableColumn(name, kind, told) for name, (kind, told) in COLUMNS[table].items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}
