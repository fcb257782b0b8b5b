"""The two views this project reads: how each is asked for, and which of its columns become which fields.

Whatever is not listed never leaves the reader: geometry, and the free text of planned units
(``VEGUNIT_ASSNOTE``, ``VEGUNIT_PARCELCOMMENTS``) with landowners' names and telephone numbers.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from circuit_sync.domain.circuit_fields import API_DATA_COLUMNS
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import API_STATUSES
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
    """A view of WorkStudio: its filter, and the frame's columns by heading; ``required`` ones must exist.

    ``captions``: the filter's caption by its value, ``caption`` that of any other value.
    """

    title: str
    filter_name: str
    fields: Mapping[str, str]
    required: tuple[str, ...]
    caption: str = ""
    captions: Mapping[str, str] = field(default_factory=dict)

    def describe(self, value: str) -> str:
        """How errors and logs name a call for this view."""
        return f"GETVIEWDATA {self.title}, {self.filter_name} = {one_line(value, 60)}"

    def request(self, guid: str, value: str) -> dict[str, object]:
        """The body of a ``GETVIEWDATA`` call for the rows where the filter has ``value``."""
        return {
            "Protocol": "GETVIEWDATA",
            "ViewDefinitionGuid": guid,
            "ViewFilter": {
                "ClassName": "TViewFilter",
                "PersistFilter": True,
                "FilterName": self.filter_name,
                "FilterValue": value,
                "FilterCaption": self.captions.get(value, self.caption),
            },
            "ResultFormat": "DDOTable",
        }

    def with_headings(self, headings: Mapping[str, str], setting: str) -> Self:
        """The view with the columns' headings of an installation. ``headings``: usual heading → the one there.

        Raises ``UsageError``, which names ``setting``, for a column that we do not read or a heading given twice.
        """
        if unknown := [heading for heading in headings if heading not in self.fields]:
            allowed = ", ".join(self.fields)
            raise UsageError(f"{setting}: {', '.join(unknown)} is not a column that is read: allowed are {allowed}")
        there = [headings.get(heading, heading) for heading in self.fields]
        if repeated := [heading for heading, number in Counter(there).items() if number > 1]:
            raise UsageError(f"{setting}: two columns would be headed {', '.join(repeated)}")
        return replace(
            self,
            fields=dict(zip(there, self.fields.values(), strict=True)),
            required=tuple(headings.get(heading, heading) for heading in self.required),
        )


CIRCUITS = View(
    title="vegetation assessments",
    filter_name="By Job Status",
    fields=CIRCUIT_FIELDS | {column: column for column in API_DATA_COLUMNS},
    required=("SS_JOBGUID", "SS_WO", "WSREQ_STATUS"),
    captions={status.code: status.caption for status in API_STATUSES},
)
PLANNED_UNITS = View(
    title="planned units",
    filter_name="WO#",
    caption="WO Number",
    fields=UNIT_FIELDS,
    required=tuple(heading for heading, field in UNIT_FIELDS.items() if field not in ("forester", "assessed")),
)
