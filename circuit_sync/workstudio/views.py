"""The two views this project reads: how each is asked for, and which of its columns become which fields.

Whatever is not listed never leaves the reader: geometry, and the free text of planned units
(``VEGUNIT_ASSNOTE``, ``VEGUNIT_PARCELCOMMENTS``) with landowners' names and telephone numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from circuit_sync.domain.circuits import API_DATA_COLUMNS
from circuit_sync.workstudio.errors import one_line

CIRCUIT_FIELDS = {
    "SS_JOBGUID": "job_guid",
    "SS_WO": "work_order",
    "SS_EXT": "extension",
    "WSREQ_STATUS": "api_status",
    "REGION": "region",
    "SS_TITLE": "title",
    "SS_JOBTYPE": "job_type",
    "VEGJOB_CYCLETYPE": "cycle_type",
    "VEGJOB_CONTRACTOR": "contractor",
    "VEGJOB_LENGTH": "total_miles",
    "VEGJOB_LENGTHCOMP": "miles_planned",
    "VEGJOB_PRCENT": "percent_complete",
    "VEGJOB_PROJACRES": "total_acres",
    "WPStartDate_Assessment_Xrefs_WP_STARTDATE": "start_date",
    "SS_EDITDATE": "api_modified_at",
    "SS_TAKENBY": "taken_by",
}
UNIT_FIELDS = {
    "SSUNITS_OBJECTID": "object_id",
    "SS_WO": "work_order",
    "SS_EXT": "extension",
    "VEGUNIT_UNIT": "unit",
    "VEGUNIT_PERMSTAT": "permission",
    "VEGUNIT_FORESTER": "forester",
    "VEGUNIT_ASSDDATE": "assessed",
    "JOBVEGETATIONUNITS_LENGTHWRK": "linear_ft",
    "JOBVEGETATIONUNITS_ACRES": "acres",
    "JOBVEGETATIONUNITS_NUMTREES": "trees",
}


@dataclass(frozen=True)
class View:
    """A view of WorkStudio: its filter, and the frame's columns by heading; ``required`` ones must exist."""

    title: str
    filter_name: str
    fields: Mapping[str, str]
    required: tuple[str, ...]

    def describe(self, value: str) -> str:
        """How errors and logs name a call for this view."""
        return f"GETVIEWDATA {self.title}, {self.filter_name} = {one_line(value, 60)}"

    def request(self, guid: str, value: str, caption: str) -> dict[str, object]:
        """The body of a ``GETVIEWDATA`` call for the rows where the filter has ``value``."""
        return {
            "Protocol": "GETVIEWDATA",
            "ViewDefinitionGuid": guid,
            "ViewFilter": {
                "ClassName": "TViewFilter",
                "PersistFilter": True,
                "FilterName": self.filter_name,
                "FilterValue": value,
                "FilterCaption": caption,
            },
            "ResultFormat": "DDOTable",
        }


CIRCUITS = View(
    title="vegetation assessments",
    filter_name="By Job Status",
    fields=CIRCUIT_FIELDS | {column: column for column in API_DATA_COLUMNS},
    required=("SS_JOBGUID", "SS_WO", "WSREQ_STATUS"),
)
PLANNED_UNITS = View(
    title="planned units",
    filter_name="WO#",
    fields=UNIT_FIELDS,
    required=(
        "SSUNITS_OBJECTID",
        "SS_WO",
        "SS_EXT",
        "VEGUNIT_UNIT",
        "VEGUNIT_PERMSTAT",
        "JOBVEGETATIONUNITS_LENGTHWRK",
        "JOBVEGETATIONUNITS_ACRES",
        "JOBVEGETATIONUNITS_NUMTREES",
    ),
)
