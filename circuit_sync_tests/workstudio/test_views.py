"""An installation names its filters and columns: settings say how."""

from pathlib import Path
from typing import Any

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import Settings, load_settings
from circuit_sync.workstudio.client import WorkStudio
from circuit_sync.workstudio.server import Server

from .scripted_client import SERVICE
from .scripted_server import Reply, serving, table


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKSTUDIO_CIRCUITS_VIEW", "a")
    monkeypatch.setenv("WORKSTUDIO_PLANNED_UNITS_VIEW", "b")
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "https://host/")


def configured(url: str) -> Server:
    return Server.from_settings(load_settings(workstudio_base_url=url))


def asked_filter(request: Any) -> tuple[str, str, str]:
    names = ("FilterName", "FilterValue", "FilterCaption")
    return tuple(request.json["ViewFilter"][name] for name in names)  # type: ignore[return-value]


def test_circuits_are_asked_for_and_read_as_the_installation_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTUDIO_CIRCUITS_FILTER", "Job Status")
    monkeypatch.setenv("WORKSTUDIO_CIRCUITS_CAPTIONS", "rework = Again, QC=Quality")
    monkeypatch.setenv("WORKSTUDIO_CIRCUITS_COLUMNS", "SS_WO=WO #, REGION=VEGJOB_REGION, VEGJOB_OPCO=COMPANY")
    answer = table(
        ["SS_JOBGUID", "WO #", "WSREQ_STATUS", "VEGJOB_REGION", "COMPANY"], ["{A}", "1", "QC", "Lehigh", "X"]
    )
    with serving(Reply(answer)) as server, WorkStudio(configured(server.url), SERVICE) as workstudio:
        frame = workstudio.fetch_circuits("REWRK").frame
        workstudio.fetch_circuits("ACTIV")
        headings = workstudio.circuit_headings

    assert [asked_filter(request) for request in server.requests] == [
        ("Job Status", "REWRK", "Again"),
        ("Job Status", "ACTIV", "In Progress"),
    ]
    assert frame[["work_order", "region", "VEGJOB_OPCO"]].to_numpy().tolist() == [["1", "Lehigh", "X"]]
    assert (headings["region"], headings["title"]) == ("VEGJOB_REGION", "SS_TITLE")


def test_planned_units_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTUDIO_PLANNED_UNITS_FILTER", "WO #")
    monkeypatch.setenv("WORKSTUDIO_PLANNED_UNITS_CAPTION", "Work order")
    monkeypatch.setenv("WORKSTUDIO_PLANNED_UNITS_COLUMNS", "SS_WO=SS_EXT,SS_EXT=SS_WO")
    fields = configured("https://host").planned_units.fields
    with (
        serving(Reply(table(list(fields), ["x"] * len(fields)))) as server,
        WorkStudio(configured(server.url), SERVICE) as workstudio,
    ):
        workstudio.fetch_planned_units("7")

    assert asked_filter(server.requests[0]) == ("WO #", "7", "Work order")
    assert (fields["SS_EXT"], fields["SS_WO"]) == ("work_order", "extension")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WORKSTUDIO_CIRCUITS_COLUMNS", "SS_WOX=A", "SS_WOX is not a column that is read: allowed are SS_JOBGUID, "),
        ("WORKSTUDIO_CIRCUITS_COLUMNS", "SS_WO=REGION", "two columns would be headed REGION"),
        ("WORKSTUDIO_PLANNED_UNITS_COLUMNS", "REGION=A", "REGION is not a column that is read"),
    ],
)
def test_a_wrong_column_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(UsageError, match=f"^{name}: {message}"):
        configured("https://host")
