"""DDOTables from rows that state only what matters; all other columns of a real view are filled plausibly.

The world answers through these builders, and so do tests that want one exact answer.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from circuit_sync.simulator.invention import FREE_TEXT_MARKER, unit_types

_NAMESPACE = uuid.UUID("5f0c7a1e-52f4-4f8e-9b4b-0f7d5f0a9c11")
_GEOMETRY = {"@sourceFormat": "DataObjectGeometry"}
POLYGON = _GEOMETRY | {
    "type": "Polygon",
    "coordinates": [[[-76.1, 39.8], [-76.2, 39.8], [-76.2, 39.9], [-76.1, 39.8]]],
}
_LINE = _GEOMETRY | {"type": "LineString", "coordinates": [[-76.151, 39.881], [-76.152, 39.882]]}
_CIRCUIT: dict[str, Any] = {
    "VEGJOB_SERVCOMP": "Distribution",
    "VEGJOB_OPCO": "EXAMPLE",
    "REGION": "Lancaster",
    "SS_READONLY": False,
    "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "/Date(2026-01-01)/",
    "SS_WO": "",
    "SS_EXT": "@",
    "SS_TITLE": "",
    "VEGJOB_CYCLETYPE": "Cycle Maintenance - Trim",
    "SS_JOBTYPE": "",
    "VEGJOB_LINENAME": "",
    "VEGJOB_LENGTH": 10.0,
    "VEGJOB_LENGTHCOMP": 5.0,
    "VEGJOB_PRCENT": 50,
    "VEGJOB_PROJACRES": 0.51,
    "UNITCOUNTS_LENGTHWRK": 4.05339443882265,
    "UNITCOUNTS_NUMTREES": 32,
    "SS_EDITDATE": "/Date(2026-01-05T21:48:22.216Z)/",
    "SS_ASSIGNEDTO": "",
    "VEGJOB_FORESTER": "",
    "VEGJOB_CONTRACTOR": "CONTRACTOR",
    "VEGJOB_GF": "",
    "SS_TAKENBY": "CONTRACTOR\\planner1",
    "VEGJOB_CIRCCOMNTS": "",
    "SS_ITEMTYPELIST": "UNIT",
    "VEGJOB_COSTMETHOD": "UC",
    "SS_JOBGUID": "",
    "WSREQ_READONLY": False,
    "WSREQ_SYNCHSTATE": False,
    "WSREQ_STATUS": "ACTIV",
    "WSREQ_JOBGUID": "",
    "WSREQ_WO": "",
    "WSREQ_EXT": "",
    "WSREQ_JOBTYPE": "Assessment Dx",
    "WSREQ_TAKEN": "",
    "WSREQ_TAKENBY": "",
    "WSREQ_BOUNDSGEOM": POLYGON,
    "WSREQ_SKETCHLEFT": -76.2,
    "WSREQ_SKETCHTOP": 39.9,
    "WSREQ_SKETCHBOTM": 39.8,
    "WSREQ_SKETCHRITE": -76.1,
    "WSREQ_COORDSYS": "GPS Latitude/Longitude",
    "WSREQ_ASSIGNEDTO": "",
    "WSREQ_VERSION": 77,
    "WSREQ_SYNCHVERSN": 68,
    "WSREQ_ESTMINS": 0,
    "WSREQ_MINSLEFT": 0,
    "WSREQ_TRAVELMINS": 0,
}
_MIRRORED = {
    "VEGJOB_LINENAME": "SS_TITLE",
    "WSREQ_JOBGUID": "SS_JOBGUID",
    "WSREQ_WO": "SS_WO",
    "WSREQ_EXT": "SS_EXT",
    "WSREQ_TAKENBY": "SS_TAKENBY",
}
_UNIT: dict[str, Any] = {
    "VEGJOB_REGION": "Lancaster",
    "VEGJOB_CYCLETYPE": "Cycle Maintenance - Trim",
    "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "/Date(2026-01-01)/",
    "SS_WO": "2026-0101",
    "SS_EXT": "@",
    "VEGSTAT_LINENAME": "EXAMPLE CREEK 69/12 KV 01-01 LINE",
    "LineIDLookup_FeederID": "10001",
    "STATIONS_STATNAME": "110",
    "UNITS_DESCRIPTIO": "",
    "VEGUNIT_REMOVCAT": "Maintained",
    "VEGUNIT_FORESTER": "First Forester",
    "VEGUNIT_ASSDDATE": "/Date(2026-01-04)/",
    "VEGUNIT_PERMSTAT": "Approved",
    "VEGJOB_CONTRACTOR": "Contractor",
    "JOBVEGETATIONUNITS_NUMTREES": 0,
    "JOBVEGETATIONUNITS_LENGTHWRK": 0,
    "JOBVEGETATIONUNITS_ACRES": 0,
    "VEGSTAT_FROMSTR": "10001S20001",
    "VEGSTAT_TOSTR": "10002S20002",
    "VEGUNIT_UNIT": "SPM",
    "VEGUNIT_AUDIT_USER": "",
    "VEGUNIT_AUDITOR": "",
    "VEGUNIT_AUDITDATE": "/Date(1899-12-30)/",
    "VEGUNIT_AUDIT_FAIL_HIST": False,
    "VEGUNIT_SPECIES": "",
    "SSUNITS_OBJECTID": "",
    "VEGUNIT_ASSNOTE": "",
    "VEGUNIT_PARCELCOMMENTS": f"{FREE_TEXT_MARKER} Pat Example, 555-0100",
    "VEGUNIT_AUDIT_PASS": False,
    "VEGUNIT_UNIT_CLASS": 2,
    "VEGUNIT_ASSLAT": 39.88,
    "VEGUNIT_ASSLONG": 0,
    "VEGUNIT_COSTMETHOD": "UC",
    "SSUNITS_GEOMETRY": _LINE,
}
CIRCUIT_HEADING, UNIT_HEADING = tuple(_CIRCUIT), tuple(_UNIT)
"""The columns of the two views in their order; the tables above say what an unstated one holds."""


def guid_of(*parts: object) -> str:
    """A GUID as WorkStudio writes it, always the same for the same parts."""
    name = "/".join(map(str, parts)).encode(errors="backslashreplace").decode()
    return "{" + str(uuid.uuid5(_NAMESPACE, name)).upper() + "}"


def circuits_table(rows: Iterable[Mapping[str, Any]], heading: Sequence[str] | None = None) -> dict[str, Any]:
    """An answer of the circuits view.

    Unstated, a row is a half-planned main assessment ``2026-0101``, ``2026-0102``, …; its GUID follows from
    work order and extension; the ``WSREQ_…`` doubles follow their ``SS_…`` originals. With another ``heading``,
    columns of the usual one that it lacks are left out and new ones are null unless stated.
    Raises ``ValueError`` on a column that is in neither: a test with a misspelt column would claim nothing.
    """
    return _table(rows, CIRCUIT_HEADING, heading, _full_circuit)


def units_table(rows: Iterable[Mapping[str, Any]], heading: Sequence[str] | None = None) -> dict[str, Any]:
    """An answer of the planned-units view.

    Unstated, a row is an approved ``SPM`` unit of ``2026-0101@`` that measures nothing, assessed by First
    Forester; its object id follows from its place in the table. ``heading`` as in ``circuits_table``.
    """
    return _table(rows, UNIT_HEADING, heading, _full_unit)


def _table(
    rows: Iterable[Mapping[str, Any]],
    usual: Sequence[str],
    heading: Sequence[str] | None,
    fill: Callable[[int, Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    columns = list(usual if heading is None else heading)
    known = {*usual, *columns}
    data = []
    for number, row in enumerate(rows):
        if unknown := row.keys() - known:
            raise ValueError(f"no such column: {', '.join(sorted(unknown))}")
        full = fill(number, row)
        data.append([full.get(column) for column in columns])
    return {"Protocol": "DATASET", "DataSet": {"Heading": columns, "Data": data}}


def _full_circuit(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    place = {"SS_WO": f"2026-{101 + number:04d}", "SS_TITLE": f"EXAMPLE CREEK 69/12 KV {number + 1:02d}-01 LINE"}
    full = {**_CIRCUIT, **place, **row}
    extension = full["SS_EXT"] or "@"
    derived = {
        "SS_JOBGUID": guid_of(full["SS_WO"], extension),
        "SS_JOBTYPE": "Assessment Dx" if extension == "@" else "Split_Assessment",
        "WSREQ_TAKEN": bool(full["SS_TAKENBY"]),
    }
    full |= {**derived, **row}
    return full | {double: full[original] for double, original in _MIRRORED.items() if double not in row}


def _full_unit(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    full = {**_UNIT, **row}
    derived = {
        "SSUNITS_OBJECTID": guid_of("unit", full["SS_WO"], full["SS_EXT"], number),
        "UNITS_DESCRIPTIO": next((kind.name for kind in unit_types() if kind.code == full["VEGUNIT_UNIT"]), ""),
    }
    return full | {**derived, **row}
