"""DDOTables from rows that state only what matters; all other columns of a real heading are filled plausibly.

The world answers through these builders, and so do tests that want one exact answer.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from circuit_sync.simulator.headings import CIRCUIT_HEADING, UNIT_HEADING
from circuit_sync.simulator.invention import FREE_TEXT_MARKER, unit_types

_START_DATE = "WPStartDate_Assessment_Xrefs_WP_STARTDATE"
_NAMESPACE = uuid.UUID("5f0c7a1e-52f4-4f8e-9b4b-0f7d5f0a9c11")
_AREA = {
    "@sourceFormat": "DataObjectGeometry",
    "type": "Polygon",
    "coordinates": [[[-76.1, 39.8], [-76.2, 39.8], [-76.2, 39.9], [-76.1, 39.8]]],
}
_SPAN = {
    "@sourceFormat": "DataObjectGeometry",
    "type": "LineString",
    "coordinates": [[-76.151, 39.881], [-76.152, 39.882]],
}
_CIRCUIT_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(CIRCUIT_HEADING, ""),
    "VEGJOB_SERVCOMP": "Distribution",
    "VEGJOB_OPCO": "EXAMPLE",
    "REGION": "Lancaster",
    "SS_READONLY": False,
    _START_DATE: "/Date(2026-01-01)/",
    "SS_EXT": "@",
    "VEGJOB_CYCLETYPE": "Cycle Maintenance - Trim",
    "VEGJOB_LENGTH": 10.0,
    "VEGJOB_LENGTHCOMP": 5.0,
    "VEGJOB_PRCENT": 50,
    "VEGJOB_PROJACRES": 0.51,
    "UNITCOUNTS_LENGTHWRK": 4.05339443882265,
    "UNITCOUNTS_NUMTREES": 32,
    "SS_EDITDATE": "/Date(2026-01-05T21:48:22.216Z)/",
    "VEGJOB_CONTRACTOR": "CONTRACTOR",
    "SS_TAKENBY": "CONTRACTOR\\planner1",
    "SS_ITEMTYPELIST": "UNIT",
    "VEGJOB_COSTMETHOD": "UC",
    "WSREQ_READONLY": False,
    "WSREQ_SYNCHSTATE": False,
    "WSREQ_STATUS": "ACTIV",
    "WSREQ_JOBTYPE": "Assessment Dx",
    "WSREQ_BOUNDSGEOM": _AREA,
    "WSREQ_SKETCHLEFT": -76.2,
    "WSREQ_SKETCHTOP": 39.9,
    "WSREQ_SKETCHBOTM": 39.8,
    "WSREQ_SKETCHRITE": -76.1,
    "WSREQ_COORDSYS": "GPS Latitude/Longitude",
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
_UNIT_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(UNIT_HEADING, ""),
    "VEGJOB_REGION": "Lancaster",
    "VEGJOB_CYCLETYPE": "Cycle Maintenance - Trim",
    _START_DATE: "/Date(2026-01-01)/",
    "SS_WO": "2026-0101",
    "SS_EXT": "@",
    "VEGSTAT_LINENAME": "EXAMPLE CREEK 69/12 KV 01-01 LINE",
    "LineIDLookup_FeederID": "10001",
    "STATIONS_STATNAME": "110",
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
    "VEGUNIT_AUDITDATE": "/Date(1899-12-30)/",
    "VEGUNIT_AUDIT_FAIL_HIST": False,
    "VEGUNIT_PARCELCOMMENTS": f"{FREE_TEXT_MARKER} Pat Example, 555-0100",
    "VEGUNIT_AUDIT_PASS": False,
    "VEGUNIT_UNIT_CLASS": 2,
    "VEGUNIT_ASSLAT": 39.88,
    "VEGUNIT_ASSLONG": 0,
    "VEGUNIT_COSTMETHOD": "UC",
    "SSUNITS_GEOMETRY": _SPAN,
}


def dataset(heading: Sequence[str], data: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """A DDOTable in the envelope of an answer."""
    return {"Protocol": "DATASET", "DataSet": {"Heading": list(heading), "Data": [list(row) for row in data]}}


def guid_of(*parts: object) -> str:
    """A GUID as WorkStudio writes it, always the same for the same parts."""
    return "{" + str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts)))).upper() + "}"


def circuits_table(rows: Iterable[Mapping[str, Any]], heading: Sequence[str] | None = None) -> dict[str, Any]:
    """An answer of the circuits view.

    Unstated, a row is a half-planned main assessment ``2026-0101``, ``2026-0102``, …; its GUID follows from
    work order and extension; the ``WSREQ_…`` doubles follow their ``SS_…`` originals. With a ``heading`` of
    one's own, columns of the usual heading that it lacks are left out and new ones are null unless stated.
    Raises ``ValueError`` on a column that is in neither: a misspelt column would make a test that claims
    nothing.
    """
    columns = tuple(heading) if heading is not None else CIRCUIT_HEADING
    known = {*CIRCUIT_HEADING, *columns}
    data = []
    for number, row in enumerate(rows):
        _refuse_unknown(row, known)
        full = {**_CIRCUIT_DEFAULTS, "SS_WO": f"2026-{101 + number:04d}", **row}
        extension = full["SS_EXT"] or "@"
        if "SS_JOBGUID" not in row:
            full["SS_JOBGUID"] = guid_of(full["SS_WO"], extension)
        if "SS_TITLE" not in row:
            full["SS_TITLE"] = f"EXAMPLE CREEK 69/12 KV {number + 1:02d}-01 LINE"
        if "SS_JOBTYPE" not in row:
            full["SS_JOBTYPE"] = "Assessment Dx" if extension == "@" else "Split_Assessment"
        for double, original in _MIRRORED.items():
            if double not in row:
                full[double] = full[original]
        if "WSREQ_TAKEN" not in row:
            full["WSREQ_TAKEN"] = bool(full["SS_TAKENBY"])
        data.append([full.get(column) for column in columns])
    return dataset(columns, data)


def units_table(rows: Iterable[Mapping[str, Any]], heading: Sequence[str] | None = None) -> dict[str, Any]:
    """An answer of the planned-units view.

    Unstated, a row is an approved ``SPM`` unit of ``2026-0101@`` that measures nothing, assessed by First
    Forester; its object id follows from its place in the table. ``heading`` as in ``circuits_table``.
    """
    columns = tuple(heading) if heading is not None else UNIT_HEADING
    known = {*UNIT_HEADING, *columns}
    names = {kind.code: kind.name for kind in unit_types()}
    data = []
    for number, row in enumerate(rows):
        _refuse_unknown(row, known)
        full = {**_UNIT_DEFAULTS, **row}
        if "SSUNITS_OBJECTID" not in row:
            full["SSUNITS_OBJECTID"] = guid_of("unit", full["SS_WO"], full["SS_EXT"], number)
        if "UNITS_DESCRIPTIO" not in row:
            full["UNITS_DESCRIPTIO"] = names.get(full["VEGUNIT_UNIT"], "")
        data.append([full.get(column) for column in columns])
    return dataset(columns, data)


def _refuse_unknown(row: Mapping[str, Any], known: set[str]) -> None:
    unknown = row.keys() - known
    if unknown:
        raise ValueError(f"no such column: {', '.join(sorted(unknown))}")
