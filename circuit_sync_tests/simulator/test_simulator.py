"""The bundled WorkStudio keeps to what docs/workstudio.md says of a real one, moves on, breaks when asked to."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import httpx
import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import API_STATUSES, STATUS_CODES
from circuit_sync.simulator import (
    CIRCUIT_HEADING,
    CIRCUITS_VIEW,
    FREE_TEXT_MARKER,
    PLANNED_UNITS_VIEW,
    SERVICE_PASSWORD,
    SERVICE_USERNAME,
    UNIT_HEADING,
    Simulator,
    World,
    circuits_table,
    environment,
    units_table,
)
from circuit_sync.simulator.faults import KINDS, parse_fault
from circuit_sync.simulator.invention import (
    PLANNERS,
    UNKNOWN_UNIT_TYPE,
    default_accounts,
    unit_types,
)
from circuit_sync.simulator.planned_units import UTILITY_APPROVAL
from circuit_sync.simulator.ticks import MOST_TICKS
from circuit_sync_tests.scenery import PATIENCE, get, post

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CAPTIONS = {status.code: status.caption for status in API_STATUSES}
Row = dict[str, Any]


class Client:
    """A plain WorkStudio client: what it sends can be changed key by key."""

    def __init__(self, simulator: Simulator, user: str = SERVICE_USERNAME, password: str = SERVICE_PASSWORD):
        self.root = simulator.base_url.removesuffix("DDOProtocol/")
        self.http = httpx.Client(auth=(user, password), timeout=PATIENCE, verify=False)

    def post(self, value: str, path: str = "DDOProtocol/GETVIEWDATA", **changes: Any) -> httpx.Response:
        of_circuits = value in (*STATUS_CODES, "NOSUCH")
        view_filter = {
            "ClassName": "TViewFilter",
            "PersistFilter": True,
            "FilterName": "By Job Status" if of_circuits else "WO#",
            "FilterValue": value,
            "FilterCaption": CAPTIONS.get(value, "") if of_circuits else "WO Number",
        }
        body = {
            "Protocol": "GETVIEWDATA",
            "ViewDefinitionGuid": CIRCUITS_VIEW if of_circuits else PLANNED_UNITS_VIEW,
            "ViewFilter": view_filter,
            "ResultFormat": "DDOTable",
        }
        return self.http.post(self.root + path, json={**body, **changes})

    def rows(self, value: str) -> list[Row]:
        return rows_of(self.post(value).json())


def rows_of(answer: Any) -> list[Row]:
    table = answer["DataSet"]
    return [dict(zip(table["Heading"], row, strict=True)) for row in table["Data"]]


def everything(world: World) -> list[Any]:
    statuses = [world.circuits_answer(code) for code in STATUS_CODES]
    return statuses + [world.units_answer(work_order) for work_order in world.work_orders]


def advance(world: World, ticks: int) -> None:
    for number in range(ticks):
        world.circuits_answer("REWRK", AT + timedelta(hours=number))


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(World(seed=3, circuits=120), advance=False) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.clear()
    return running


@pytest.fixture
def client(simulator: Simulator) -> Client:
    return Client(simulator)


# --- the protocol ---------------------------------------------------------------------------------------


def test_health_answers_200_without_credentials(simulator: Simulator, client: Client) -> None:
    assert get(client.root).status_code == 200
    assert [call.view for call in simulator.calls] == ["health"]


@pytest.mark.parametrize(
    ("user", "password"),
    [(SERVICE_USERNAME, "wrong"), ("CONTRACTOR\\nobody", SERVICE_PASSWORD), ("", "")],
)
def test_wrong_credentials_get_401_with_an_html_body(simulator: Simulator, user: str, password: str) -> None:
    answer = Client(simulator, user, password).post("ACTIV")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic !!!", "Basic Y29sb25sZXNz"])
def test_a_call_that_does_not_sign_in_gets_401(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert post(client.root + "DDOProtocol/GETVIEWDATA", headers=headers).status_code == 401


def test_every_planner_signs_in_with_a_password_of_his_own(simulator: Simulator) -> None:
    for user, password in default_accounts().items():
        assert Client(simulator, user, password).post("QC").status_code == 200
    assert [call.user for call in simulator.calls] == list(default_accounts())


def test_an_account_can_change_its_password_while_the_server_is_up(simulator: Simulator) -> None:
    simulator.accounts["CONTRACTOR\\temp"] = "before"
    assert Client(simulator, "contractor\\TEMP", "before").post("QC").status_code == 200
    simulator.accounts["CONTRACTOR\\temp"] = "after"
    assert Client(simulator, "CONTRACTOR\\temp", "before").post("QC").status_code == 401
    del simulator.accounts["CONTRACTOR\\temp"]


@pytest.mark.parametrize("path", ["DDOProtocol/GETVIEWDATA", "ddoprotocol/getviewdata"])
def test_either_case_of_the_path_is_met(client: Client, path: str) -> None:
    assert client.post("ACTIV", path=path).json()["Protocol"] == "DATASET"


@pytest.mark.parametrize(
    "changes",
    [
        {"Protocol": "GETDATA"},
        {"ViewDefinitionGuid": "{00000000-0000-0000-0000-000000000000}"},
        {"ViewDefinitionGuid": PLANNED_UNITS_VIEW},
        {"ViewFilter": None},
        {"ViewFilter": {"ClassName": "TViewFilter", "FilterName": "By Region", "FilterValue": "ACTIV"}},
        {"ViewFilter": {"ClassName": "TViewFilter", "FilterName": "By Job Status", "FilterValue": 3}},
        {"ResultFormat": "XML"},
    ],
)
def test_a_request_it_does_not_understand_gets_200_and_an_error(client: Client, changes: dict[str, Any]) -> None:
    answer = client.post("ACTIV", **changes)
    assert answer.status_code == 200
    assert answer.json()["Protocol"] == "ERROR"
    assert answer.json()["errorMessage"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"'])
def test_a_body_that_is_not_a_request_gets_an_error(client: Client, body: bytes) -> None:
    answer = client.http.post(client.root + "DDOProtocol/GETVIEWDATA", content=body)
    assert (answer.status_code, answer.json()["Protocol"]) == (200, "ERROR")


def test_view_guids_are_compared_without_regard_to_case(client: Client) -> None:
    assert client.post("ACTIV", ViewDefinitionGuid=CIRCUITS_VIEW.lower()).json()["Protocol"] == "DATASET"


@pytest.mark.parametrize("value", ["NOSUCH", "1999-0001"])
def test_an_unknown_status_or_work_order_gets_a_table_without_rows(client: Client, value: str) -> None:
    answer = client.post(value).json()
    assert answer["Protocol"] == "DATASET"
    assert answer["DataSet"]["Data"] == []


def test_one_connection_carries_many_calls(simulator: Simulator, client: Client) -> None:
    answers = [client.post("ACTIV") for _ in range(3)]
    streams = {id(answer.extensions["network_stream"]) for answer in answers}
    assert len(streams) == 1
    assert answers[0].http_version == "HTTP/1.1"
    assert int(answers[0].headers["content-length"]) == len(answers[0].content)


# --- the world ------------------------------------------------------------------------------------------


def test_the_circuits_view_has_every_column_and_only_the_status_asked_for(client: Client) -> None:
    for code in STATUS_CODES:
        answer = client.post(code).json()
        assert tuple(answer["DataSet"]["Heading"]) == CIRCUIT_HEADING
        rows = rows_of(answer)
        assert rows
        assert {row["WSREQ_STATUS"] for row in rows} == {code}


def test_the_planned_units_view_has_every_column_and_all_extensions_of_the_work_order(
    client: Client,
) -> None:
    rows = [row for code in STATUS_CODES for row in client.rows(code)]
    split = {row["SS_WO"] for row in rows if row["SS_EXT"] == "C_b"}
    assert split
    for work_order in split:
        answer = client.post(work_order).json()
        assert tuple(answer["DataSet"]["Heading"]) == UNIT_HEADING
        assert {row["SS_WO"] for row in rows_of(answer)} == {work_order}
        planned = {row["SS_EXT"] for row in rows if row["SS_WO"] == work_order and row["VEGJOB_LENGTHCOMP"]}
        assert {row["SS_EXT"] for row in rows_of(answer)} - {"@"} == planned - {"@", ""}


def test_splits_share_the_work_order_of_a_main_assessment_that_may_not_be_listed(client: Client) -> None:
    rows = [row for code in STATUS_CODES for row in client.rows(code)]
    mains = {row["SS_WO"] for row in rows if row["SS_EXT"] in ("@", "")}
    splits = [row for row in rows if row["SS_EXT"] not in ("@", "")]
    with_main = [row for row in splits if row["SS_WO"] in mains]
    assert len(splits) * 2 / 3 < len(with_main) < len(splits)
    assert {row["SS_JOBTYPE"] for row in splits} == {"Split_Assessment"}


@pytest.mark.parametrize("seed", range(6))
def test_the_default_world_asks_for_no_more_than_ninety_work_orders(seed: int) -> None:
    world = World(seed)
    rows = {code: rows_of(world.circuits_answer(code)) for code in STATUS_CODES}
    counts = {code: len(rows[code]) for code in rows}
    assert sum(counts.values()) == 180
    assert {code: round(count / 18) for code, count in counts.items()} == {
        "ACTIV": pytest.approx(5.5, abs=0.6),
        "QC": pytest.approx(1, abs=0.6),
        "REWRK": pytest.approx(0.5, abs=0.6),
        "CLOSE": pytest.approx(3, abs=0.6),
    }
    assert len({row["SS_WO"] for code in ("ACTIV", "QC", "REWRK") for row in rows[code]}) <= 90
    assert any(str(row["VEGJOB_PRCENT"]) == "100" for row in rows["ACTIV"])


def test_values_come_as_untidily_as_from_a_real_server() -> None:
    rows = rows_of(World(circuits=400).circuits_answer("ACTIV"))
    taken_by = {row["SS_TAKENBY"] for row in rows}
    assert {"", "CONTRACTOR\\jlarch"} <= taken_by
    assert any(text in PLANNERS for text in taken_by)
    assert any(text != text.strip() for text in taken_by)
    assert any(isinstance(row["VEGJOB_LENGTH"], str) for row in rows)
    assert {"/Date(1899-12-30)/", None, ""} <= {row["WPStartDate_Assessment_Xrefs_WP_STARTDATE"] for row in rows}
    assert {row["SS_EDITDATE"][:6] for row in rows} >= {"/Date(", "2025-1"}
    assert any(row["SS_JOBGUID"] != row["SS_JOBGUID"].upper() for row in rows)
    assert rows[0]["WSREQ_BOUNDSGEOM"]["@sourceFormat"] == "DataObjectGeometry"


def test_a_tidy_world_has_no_row_to_reject_and_a_dirty_one_two() -> None:
    tidy = rows_of(World(circuits=40).circuits_answer("ACTIV"))
    dirty = rows_of(World(circuits=40, dirty=True).circuits_answer("ACTIV"))
    assert len(dirty) == len(tidy) + 2
    assert [row["SS_JOBGUID"] == "" for row in dirty].count(True) == 1
    assert [row["VEGJOB_LENGTH"] == "see map" for row in dirty].count(True) == 1
    assert any("\x00" in row["SS_TITLE"] for row in dirty)
    assert not any("\x00" in row["SS_TITLE"] for row in tidy)


def test_units_have_every_type_every_permission_and_a_repeat() -> None:
    world = World()
    units = [row for work_order in world.work_orders for row in rows_of(world.units_answer(work_order))]
    codes = Counter(row["VEGUNIT_UNIT"] for row in units)
    assert set(codes) == {kind.code for kind in unit_types()} | {UNKNOWN_UNIT_TYPE}
    assert codes[UNKNOWN_UNIT_TYPE] < len(units) / 50
    permissions = {"Approved", "Refused", "Pending", "", None, "No Contact", "Deferred", UTILITY_APPROVAL}
    assert permissions <= {row["VEGUNIT_PERMSTAT"] for row in units}
    assert {"", None} <= {row["VEGUNIT_FORESTER"] for row in units}
    identities = Counter((row["SS_EXT"], row["SSUNITS_OBJECTID"]) for row in units)
    assert set(identities.values()) == {1, 2}


def test_a_unit_measures_what_its_type_measures() -> None:
    world = World(circuits=60)
    columns = {
        "linear_ft": "JOBVEGETATIONUNITS_LENGTHWRK",
        "acres": "JOBVEGETATIONUNITS_ACRES",
        "tree_count": "JOBVEGETATIONUNITS_NUMTREES",
    }
    measured_by = {kind.code: columns.get(kind.measurement) for kind in unit_types()}
    for work_order in world.work_orders:
        for row in rows_of(world.units_answer(work_order)):
            for column in columns.values():
                assert bool(row[column]) == (column == measured_by.get(row["VEGUNIT_UNIT"]))


def test_every_free_text_of_a_unit_carries_the_marker() -> None:
    world = World(circuits=60)
    texts = [
        row[column]
        for work_order in world.work_orders
        for row in rows_of(world.units_answer(work_order))
        for column in ("VEGUNIT_ASSNOTE", "VEGUNIT_PARCELCOMMENTS")
        if row[column]
    ]
    assert texts
    assert all(FREE_TEXT_MARKER in text and "555-01" in text for text in texts)
    assert not any(FREE_TEXT_MARKER in json.dumps(world.circuits_answer(code)) for code in STATUS_CODES)


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    one, same, other = World(5, 40), World(5, 40), World(6, 40)
    for world in (one, same, other):
        advance(world, 30)
    assert everything(one) == everything(same)
    assert everything(one) != everything(other)


def test_whether_units_were_asked_for_early_or_late_makes_no_difference() -> None:
    early, late = World(5, 40), World(5, 40)
    everything(early)
    for world in (early, late):
        advance(world, 60)
    assert everything(early) == everything(late)


@pytest.mark.parametrize("circuits", [0, -1, 20_001])
def test_a_world_of_a_wrong_size_is_refused_by_name(circuits: int) -> None:
    with pytest.raises(UsageError, match="circuits must be 1 to 20000"):
        World(circuits=circuits)


@pytest.mark.parametrize("circuits", [1, 2, 5])
def test_a_tiny_world_lives_too(circuits: int) -> None:
    world = World(circuits=circuits, dirty=True)
    advance(world, 100)
    assert everything(world)


# --- ticks ----------------------------------------------------------------------------------------------


def guids(world: World, status: str) -> set[str]:
    return {row["SS_JOBGUID"] for row in rows_of(world.circuits_answer(status))}


def test_a_frozen_world_stands_still(client: Client) -> None:
    assert client.rows("ACTIV") == client.rows("ACTIV")


def test_a_call_for_a_status_moves_the_world_on_at_its_instant() -> None:
    with Simulator(World(circuits=40), clock=lambda: AT) as simulator:
        before = {row["SS_JOBGUID"]: row for row in rows_of(simulator.world.circuits_answer("ACTIV"))}
        after = {row["SS_JOBGUID"]: row for row in Client(simulator).rows("ACTIV")}
        moved = {guid for guid in after if after[guid] != before.get(guid)}
        assert moved
        assert {after[guid]["SS_EDITDATE"].strip("/Date()") for guid in moved} == {"2026-03-02T09:30:00.000Z"}
        assert len(simulator.world.ticks) == 1


def test_a_call_for_units_or_an_unknown_status_or_one_that_fails_moves_nothing() -> None:
    with Simulator(World(circuits=40)) as simulator:
        client = Client(simulator)
        simulator.fault("status", times=1)
        for value in ("ACTIV", "NOSUCH", simulator.world.work_orders[0]):
            client.post(value)
        assert simulator.world.ticks == ()


def test_circuits_leave_one_status_and_appear_in_another() -> None:
    world = World(circuits=60)
    moves = set()
    held = {code: guids(world, code) for code in STATUS_CODES}
    for _ in range(40):
        advance(world, 3)
        now = {code: guids(world, code) for code in STATUS_CODES}
        assert sum(map(len, now.values())) == len(set().union(*now.values()))
        moves |= {(a, b) for a in STATUS_CODES for b in STATUS_CODES if a != b and held[a] & now[b]}
        held = now
    assert moves >= {("ACTIV", "QC"), ("QC", "CLOSE"), ("QC", "REWRK"), ("REWRK", "QC")}


def test_units_are_added_and_permissions_change_but_a_unit_stays_itself_whoever_holds_it() -> None:
    world = World(circuits=40)
    before = {row["SSUNITS_OBJECTID"]: row for wo in world.work_orders for row in rows_of(world.units_answer(wo))}
    advance(world, 60)
    after = {row["SSUNITS_OBJECTID"]: row for wo in world.work_orders for row in rows_of(world.units_answer(wo))}
    may_change = {"VEGUNIT_PERMSTAT": None, "SS_EXT": None}
    assert any(after[one]["SS_EXT"] != before[one]["SS_EXT"] for one in before)
    assert len(after) > len(before)
    assert any(after[one]["VEGUNIT_PERMSTAT"] != before[one]["VEGUNIT_PERMSTAT"] for one in before)
    for one, row in before.items():
        assert {**after[one], **may_change} == {**row, **may_change}


def test_a_permission_may_change_without_a_new_edit_date() -> None:
    world = World(circuits=20)

    def permissions() -> dict[str, Any]:
        found: dict[str, list[Any]] = {}
        for work_order in world.work_orders:
            for row in rows_of(world.units_answer(work_order)):
                found.setdefault(f"{work_order}{row['SS_EXT']}", []).append(row["VEGUNIT_PERMSTAT"])
        return found

    def edited() -> dict[str, str]:
        rows = [row for code in STATUS_CODES for row in rows_of(world.circuits_answer(code))]
        return {f"{row['SS_WO']}{row['SS_EXT'] or '@'}": row["SS_EDITDATE"] for row in rows}

    unmarked = 0
    for number in range(10):
        old_permissions, old_edited = permissions(), edited()
        world.circuits_answer("REWRK", AT + timedelta(hours=number))
        new_permissions, new_edited = permissions(), edited()
        unmarked += sum(
            new_permissions.get(one) != old and new_edited[one] == old_edited[one]
            for one, old in old_permissions.items()
        )
    assert unmarked


def test_a_world_goes_on_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "made" / "world.json"
    first = World(5, 40, state=state)
    advance(first, 25)
    again = World(5, 40, state=state)
    assert again.notice is None
    assert everything(again) == everything(first)
    assert json.loads(state.read_text()).keys() == {"seed", "circuits", "ticks"}


def test_two_simulators_over_one_state_file_agree(tmp_path: Path) -> None:
    state = tmp_path / "world.json"
    one, other = World(5, 40, state=state), World(5, 40, state=state)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda world: world.circuits_answer("QC", AT), [one, other] * 20))
    assert everything(one) == everything(other)
    assert len(one.ticks) == 40


def test_the_state_file_wins_over_another_seed_or_size_and_says_so(tmp_path: Path) -> None:
    state = tmp_path / "world.json"
    first = World(5, 40, state=state)
    other = World(6, 50, state=state)
    assert (other.seed, other.circuits) == (5, 40)
    assert other.notice
    assert "seed 5 and 40 circuits" in other.notice
    assert everything(other) == everything(first)


def test_a_deleted_state_file_begins_the_world_anew(tmp_path: Path) -> None:
    state = tmp_path / "world.json"
    world = World(5, 40, state=state)
    advance(world, 5)
    state.unlink()
    assert everything(world) == everything(World(5, 40))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"seed": 1, "circuits": 5, "ticks": ["noon"]}'])
def test_what_is_not_a_state_file_is_named(tmp_path: Path, content: str) -> None:
    state = tmp_path / "world.json"
    state.write_text(content)
    with pytest.raises(UsageError, match=r"world\.json is not a simulator state"):
        World(state=state)


def test_a_world_that_was_called_often_stops_growing() -> None:
    world = World(circuits=30)
    advance(world, MOST_TICKS + 5)
    assert len(world.ticks) == MOST_TICKS
    assert sum(len(guids(world, code)) for code in STATUS_CODES) <= 60


# --- exact answers --------------------------------------------------------------------------------------


def test_an_exact_answer_stands_until_it_is_taken_back(simulator: Simulator, client: Client) -> None:
    usual = client.rows("ACTIV")
    simulator.answer("ACTIV", circuits_table([{"SS_TITLE": "THE ONE"}]))
    assert [row["SS_TITLE"] for row in client.rows("ACTIV")] == ["THE ONE"]
    simulator.answer("ACTIV", None)
    assert client.rows("ACTIV") == usual


@pytest.mark.parametrize(("answer", "body"), [([1], b"[1]"), (b"\x00raw", b"\x00raw"), ("text", b'"text"')])
def test_an_exact_answer_may_be_any_json_or_raw_bytes(
    simulator: Simulator, client: Client, answer: Any, body: bytes
) -> None:
    simulator.answer("2026-0101", answer)
    assert client.post("2026-0101").content == body


def test_built_rows_state_only_what_matters() -> None:
    rows = rows_of(circuits_table([{"SS_WO": "2026-0007", "SS_EXT": "A"}, {"WSREQ_STATUS": "QC"}]))
    assert rows[0]["SS_JOBTYPE"] == "Split_Assessment"
    assert rows[0]["WSREQ_JOBGUID"] == rows[0]["SS_JOBGUID"] != rows[1]["SS_JOBGUID"]
    assert (rows[1]["SS_WO"], rows[1]["WSREQ_STATUS"]) == ("2026-0102", "QC")
    units = rows_of(units_table([{}, {"VEGUNIT_UNIT": "REM612"}]))
    assert len({unit["SSUNITS_OBJECTID"] for unit in units}) == 2
    assert units[1]["UNITS_DESCRIPTIO"] == 'Removal 6-12"'


def test_a_heading_of_ones_own_drops_and_adds_columns() -> None:
    [row] = rows_of(circuits_table([{"NEW": 1, "SS_TITLE": "X"}], heading=["NEW", "SS_WO", "OTHER"]))
    assert row == {"NEW": 1, "SS_WO": "2026-0101", "OTHER": None}


def test_a_misspelt_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no such column: SS_TITEL"):
        circuits_table([{"SS_TITEL": "X"}])


# --- faults ---------------------------------------------------------------------------------------------


def test_status_fault_answers_so_often_with_that_code(simulator: Simulator, client: Client) -> None:
    simulator.fault("status", code=503, retry_after=7, times=2, match="ACTIV")
    assert client.post("QC").status_code == 200
    answers = [client.post("ACTIV") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "7"


def test_cut_fault_closes_the_connection_before_any_answer(simulator: Simulator, client: Client) -> None:
    simulator.fault("cut", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post("ACTIV")
    assert client.post("ACTIV").status_code == 200
    assert [(call.status, call.fault) for call in simulator.calls] == [(None, "cut"), (200, None)]


def test_half_fault_sends_half_a_body_of_the_full_length(simulator: Simulator, client: Client) -> None:
    simulator.fault("half", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        client.post("ACTIV")
    assert client.post("ACTIV").status_code == 200


def test_delay_fault_keeps_the_client_waiting(simulator: Simulator, client: Client) -> None:
    simulator.fault("delay", seconds=600, times=1)
    client.http.timeout = httpx.Timeout(PATIENCE, read=0.1)
    with pytest.raises(httpx.ReadTimeout):
        client.post("ACTIV")
    client.http.timeout = httpx.Timeout(PATIENCE)
    assert client.post("2026-0101").status_code == 200


def test_html_fault_answers_a_page_under_200(simulator: Simulator, client: Client) -> None:
    simulator.fault("html", times=1)
    answer = client.post("ACTIV")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_error_faults_answer_the_protocols_error_in_either_case(simulator: Simulator, client: Client) -> None:
    simulator.fault("error", message="no licence", times=1)
    assert client.post("ACTIV").json() == {"Protocol": "ERROR", "errorMessage": "no licence"}
    simulator.fault("error_lower", message="no licence", times=1)
    assert client.post("ACTIV").json() == {"protocol": "ERROR", "errorMessage": "no licence"}


def test_not_json_fault_answers_something_else_under_the_type_of_json(simulator: Simulator, client: Client) -> None:
    simulator.fault("not_json", times=1)
    answer = client.post("ACTIV")
    assert answer.headers["content-type"].startswith("application/json")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_unauthorized_fault_refuses_right_credentials(simulator: Simulator, client: Client) -> None:
    simulator.fault("unauthorized", times=1)
    assert [client.post("ACTIV").status_code for _ in range(2)] == [401, 200]


@pytest.mark.parametrize("exact", [False, True])
def test_faults_of_the_table_spoil_it_as_they_say(simulator: Simulator, client: Client, exact: bool) -> None:
    if exact:
        simulator.answer("ACTIV", circuits_table([{} for _ in range(20)]))
    whole = client.post("ACTIV").json()["DataSet"]

    def spoilt(kind: str, **parameters: Any) -> dict[str, Any]:
        simulator.fault(kind, times=1, **parameters)
        table: dict[str, Any] = client.post("ACTIV").json()["DataSet"]
        assert client.post("ACTIV").json()["DataSet"] == whole
        return table

    assert spoilt("no_heading") == {"Heading": [], "Data": whole["Data"]}
    assert spoilt("empty") == {"Heading": whole["Heading"], "Data": []}
    assert len(spoilt("shrink", fraction=0.1)["Data"]) == -(-len(whole["Data"]) // 10)
    missing = spoilt("missing_column", column="WSREQ_STATUS")
    assert "WSREQ_STATUS" not in missing["Heading"]
    assert {len(row) for row in missing["Data"]} == {len(CIRCUIT_HEADING) - 1}
    short = spoilt("short_row")["Data"]
    assert len(short[0]) < len(CIRCUIT_HEADING) == len(short[1])


def test_every_kind_of_fault_is_known_to_the_tests_above() -> None:
    assert set(KINDS) == {
        *("status", "cut", "half", "delay", "html", "error", "error_lower", "not_json", "unauthorized"),
        *("no_heading", "empty", "shrink", "missing_column", "short_row"),
    }


def test_a_fault_lets_the_calls_pass_that_it_skips(simulator: Simulator, client: Client) -> None:
    simulator.fault("status", skip=2, times=1)
    assert [client.post("ACTIV").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_a_fault_without_times_lasts_until_it_is_cleared(simulator: Simulator, client: Client) -> None:
    simulator.fault("status", code=500)
    assert [client.post("ACTIV").status_code for _ in range(3)] == [500] * 3
    simulator.clear_faults()
    assert client.post("ACTIV").status_code == 200


def test_a_fault_may_apply_to_one_work_order_a_view_or_the_health_check(simulator: Simulator, client: Client) -> None:
    def failing(match: str) -> list[str]:
        simulator.clear_faults()
        simulator.fault("status", match=match)
        answers = {value: client.post(value).status_code for value in ("REWRK", "2026-0101", "2026-0102")}
        answers["health"] = get(client.root).status_code
        return [name for name, status in answers.items() if status == 503]

    assert failing("2026-0102") == ["2026-0102"]
    assert failing("rework") == ["REWRK"]
    assert failing("planned_units") == ["2026-0101", "2026-0102"]
    assert failing("health") == ["health"]


def test_faults_are_asked_for_and_calls_listed_over_http(simulator: Simulator, client: Client) -> None:
    control = client.root + "simulator/"
    assert post(control + "faults", json={"kind": "status", "code": 502, "match": "QC"}).status_code == 200
    assert client.post("QC").status_code == 502
    assert httpx.delete(control + "faults").json() == {"cleared": 1}
    assert client.post("QC").status_code == 200
    calls = get(control + "calls").json()
    assert [(call["view"], call["value"], call["user"], call["fault"]) for call in calls] == [
        ("circuits", "QC", SERVICE_USERNAME, "status"),
        ("circuits", "QC", SERVICE_USERNAME, None),
    ]
    assert datetime.fromisoformat(calls[0]["instant"]) == simulator.calls[0].instant
    assert SERVICE_PASSWORD not in get(control + "calls").text


def test_faults_are_not_for_a_web_page_of_another_name(client: Client) -> None:
    control = client.root + "simulator/faults"
    assert httpx.delete(control, headers={"Host": "evil.example:80"}).status_code == 403


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"kind": "typo"}, "unknown fault 'typo': allowed are status, "),
        ({"kind": "cut", "code": 3}, "fault cut has no 'code'"),
        ({"kind": "status", "code": "x"}, "code must be int"),
        ({"kind": "status", "code": 42}, "code must be 200 to 599"),
        ({"kind": "status", "times": 0}, "times must be 1 or more"),
        ({"kind": "shrink", "fraction": 2}, "fraction must be 0 to 1"),
        ({"kind": "empty", "match": "health"}, "cannot apply to the health check"),
        (3, "a fault is an object"),
    ],
)
def test_what_is_not_a_fault_is_refused_in_one_line(
    simulator: Simulator, client: Client, wish: Any, message: str
) -> None:
    answer = post(client.root + "simulator/faults", json=wish)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert client.post("ACTIV").status_code == 200


def test_the_command_line_has_a_notation_for_faults() -> None:
    fault = parse_fault("status:code=429,times=2,match=ACTIV,retry_after=5,skip=1")
    assert (fault.code, fault.times, fault.match, fault.retry_after, fault.skip) == (429, 2, "ACTIV", "5", 1)
    assert parse_fault("cut").times is None
    with pytest.raises(UsageError, match="expected name=value"):
        parse_fault("status:503")


# --- the server as a process ----------------------------------------------------------------------------


def test_a_stopped_server_refuses_and_comes_back_on_its_port() -> None:
    with Simulator(World(circuits=5), advance=False) as simulator:
        client, address = Client(simulator), simulator.base_url
        assert client.post("ACTIV").status_code == 200
        simulator.stop()
        with pytest.raises(httpx.ConnectError):
            Client(simulator).post("ACTIV")
        with pytest.raises(httpx.TransportError):
            client.post("ACTIV")
        simulator.start()
        assert simulator.base_url == address
        assert client.post("ACTIV").status_code == 200


def test_stopping_does_not_wait_for_a_call_in_a_delay() -> None:
    arrived = Event()

    def clock() -> datetime:
        arrived.set()
        return AT

    world = World(circuits=5)
    with (
        Simulator(world, advance=False, delay=600, clock=clock) as simulator,
        ThreadPoolExecutor(1) as thread,
    ):
        call = thread.submit(Client(simulator).post, "ACTIV")
        assert arrived.wait(PATIENCE)
        simulator.stop()
        assert isinstance(call.exception(PATIENCE), httpx.TransportError)


def test_calls_that_overlap_are_counted() -> None:
    together = Barrier(3)

    def clock() -> datetime:
        together.wait(PATIENCE)
        return AT

    with (
        Simulator(World(circuits=5), advance=False, clock=clock) as simulator,
        ThreadPoolExecutor(3) as threads,
    ):
        list(threads.map(lambda _: Client(simulator).post("ACTIV"), range(3)))
        assert simulator.most_at_once == 3


def test_a_port_in_use_is_one_clear_line(simulator: Simulator) -> None:
    port = httpx.URL(simulator.base_url).port
    assert port
    with pytest.raises(UsageError, match=rf"^port {port} of 127\.0\.0\.1 is in use: name another one"):
        Simulator(World(circuits=5), port=port).start()
    with pytest.raises(UsageError, match="port 70000 is not a port: allowed are 0"):
        Simulator(World(circuits=5), port=70_000).start()


def test_it_listens_on_the_loopback_interface_only(simulator: Simulator) -> None:
    port = httpx.URL(simulator.base_url).port
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))


@pytest.mark.parametrize("how", ["input", "SIGTERM"])
def test_a_child_process_says_where_it_listens_and_ends_with_its_input_or_sigterm(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-m", "circuit_sync.simulator", "--port", "0", "--circuits", "30"]
    command += ["--state", str(tmp_path / "world.json"), "--fault", "status:code=500,match=QC"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        base_url = json.loads(child.stdout.readline())["base_url"]
        child.send_signal(signal.SIGINT)  # what a Ctrl-C at the parent's terminal sends to it too
        auth = (SERVICE_USERNAME, SERVICE_PASSWORD)
        answer = post(base_url + "GETVIEWDATA", auth=auth, json={"Protocol": "?"})
        assert answer.json()["Protocol"] == "ERROR"
        if how == "input":
            child.stdin.close()
        else:
            child.terminate()
        assert child.wait(PATIENCE) == 0


def test_a_child_process_that_cannot_listen_says_why_in_one_line(simulator: Simulator) -> None:
    port = str(httpx.URL(simulator.base_url).port)
    command = [sys.executable, "-m", "circuit_sync.simulator", "--port", port]
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is in use" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_run_announces_lines_to_paste_and_ends_on_a_signal(ending: signal.Signals) -> None:
    script = (
        "from functools import partial\n"
        "from circuit_sync.simulator import run\n"
        "run(0, 20, 1, None, ['cut:match=QC'], partial(print, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(11)]
        process.send_signal(ending)
        assert process.wait(PATIENCE) == 0
    exports = "".join(line for line in lines if line.startswith("export "))
    shell = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f"{exports}\nexec {sys.executable} -c 'import os, json; print(json.dumps(dict(os.environ)))'",
        ],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    pasted = json.loads(shell.stdout)
    assert {name: pasted[name] for name in environment("x")} == environment(pasted["WORKSTUDIO_BASE_URL"])
    assert any(line.startswith("curl -d '{") for line in lines)


def test_importing_it_loads_no_heavy_library() -> None:
    script = (
        "import sys, circuit_sync.simulator\n"
        "print(sorted({'pandas', 'httpx', 'dagster', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
