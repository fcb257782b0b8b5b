"""``circuit-sync check``: what is wrong, with its cure; nothing is stored, and no value of a row is told."""

import json
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuit_sync.database.connection import Database
from circuit_sync.domain.installation import kind_of, listed
from circuit_sync.domain.printable import is_printable
from circuit_sync.simulator import Simulator, circuits_table
from circuit_sync_tests import test_cli
from circuit_sync_tests.database.databases import execute, made, rows
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.test_cli import Command
from circuit_sync_tests.workstudio import conftest as workstudio
from circuit_sync_tests.workstudio.scripted_server import Reply, serving

configured, circuit_sync = test_cli.configured, test_cli.circuit_sync
certificate, tls = workstudio.certificate, workstudio.tls

SECRET = "T0SECRET"
FREE_TEXT = "Mrs Dale, 555-0100, dog bites"
Checked = Callable[..., tuple[int, dict[str, dict[str, str]], Any]]


@pytest.fixture
def checked(configured: dict[str, str], circuit_sync: Command, monkeypatch: pytest.MonkeyPatch) -> Checked:
    """Runs ``check --json`` with more settings; returns exit status, lines by part and check, and the whole."""

    def run(**settings: str) -> tuple[int, dict[str, dict[str, str]], Any]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        status, out, _ = circuit_sync("check", "--json")
        told = json.loads(out)
        assert out.count("\n") == 1
        assert told["ok"] == (status == 0)
        return status, {f"{line['part']}: {line['check']}": line for line in told["checks"]}, told

    return run


def wrong(lines: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: line["found"] for name, line in lines.items() if line["result"] == "wrong"}


def unseen(lines: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, line in lines.items() if line["result"] == "not looked at"}


def test_an_installation_that_works_is_told_to_work(checked: Checked, simulator: Simulator) -> None:
    status, lines, told = checked()

    assert (status, wrong(lines), unseen(lines)) == (0, {}, set())
    assert lines["database: encoding"]["found"] == "UTF8"
    assert lines["database: version"]["found"].startswith("PostgreSQL 1")
    assert {"database: rights", "database: sessions", "Dagster's storage: schema"} <= lines.keys()
    assert "28 of 28 columns found" in lines["WorkStudio: circuits view"]["found"]
    assert "VEGUNIT_ASSNOTE" in lines["WorkStudio: planned-units view"]["found"]
    columns = {(column["view"], column["column"]): column for column in told["columns"]}
    assert set(columns["circuits view", "SS_JOBGUID"]["values"]) == {"GUID"}
    assert set(columns["planned-units view", "JOBVEGETATIONUNITS_LENGTHWRK"]["values"]) <= {"number", "empty"}
    assert len(simulator.calls) <= 6


def test_the_terminal_shows_a_line_for_each_and_the_columns(configured: dict[str, str], circuit_sync: Command) -> None:
    status, out, err = circuit_sync("check")
    assert (status, "error" in err) == (0, False)
    assert "nothing is wrong" in out
    assert [line.split()[0] for line in out.splitlines() if "VEGJOB_LENGTHCOMP" in line] == ["circuits"]


def test_what_is_wrong_is_a_line_of_its_own(
    configured: dict[str, str], circuit_sync: Command, simulator: Simulator
) -> None:
    simulator.fault("missing_column", column="SS_WO", times=None)
    status, _, err = circuit_sync("check")
    assert status == 1
    (line,) = [line for line in err.splitlines() if line.startswith("error: WorkStudio, circuits view: ")]
    assert "missing and required: SS_WO" in line
    assert "WORKSTUDIO_CIRCUITS_COLUMNS" in line


def test_nothing_is_stored_migrated_or_claimed(checked: Checked, postgres_server: str, database: Database) -> None:
    before = rows(database, "SELECT name FROM database_settings")
    assert checked()[0] == 0
    assert rows(database, "SELECT name FROM database_settings") == before
    assert rows(database, "SELECT 1 FROM sync_logs") == []
    with made(postgres_server) as empty:
        status, lines, _ = checked(CIRCUIT_SYNC_DATABASE_URL=empty.url)
        assert status == 0
        assert "not made yet" in lines["database: tables"]["found"]
        assert rows(empty, "SELECT 1 FROM pg_tables WHERE schemaname !~ '^pg_|^information'") == []
        assert rows(empty, "SELECT to_regnamespace('dagster') IS NULL") == [(True,)]


def test_with_nothing_configured_it_says_what_would_be_used(
    circuit_sync: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("CIRCUIT_SYNC_", "WORKSTUDIO_"))]:
        monkeypatch.delenv(name)
    status, out, _ = circuit_sync("check", "--json")
    told = {line["part"]: line["found"] for line in json.loads(out)["checks"]}
    assert status == 0
    assert "embedded PostgreSQL" in told["database"]
    assert "simulator" in told["WorkStudio"]
    assert list(tmp_path.iterdir()) == []


# Databases.


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_wrong_encoding_is_told_and_the_rest_looked_at(checked: Checked, postgres_server: str, encoding: str) -> None:
    with made(postgres_server, f"ENCODING '{encoding}' LOCALE 'C'") as database:
        status, lines, _ = checked(CIRCUIT_SYNC_DATABASE_URL=database.url)
    assert status == 1
    assert list(wrong(lines)) == ["database: encoding"]
    assert "ENCODING 'UTF8'" in wrong(lines)["database: encoding"]
    assert unseen(lines) == set()


def test_missing_rights_are_told_with_the_statements_that_give_them(checked: Checked, postgres_server: str) -> None:
    with made(postgres_server) as database:
        ((name, role),) = rows(database, "SELECT current_database(), current_user")
        execute(
            database,
            "REVOKE CREATE ON SCHEMA public FROM pg_database_owner",
            f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC, {role}",
            f"REVOKE CREATE ON DATABASE {name} FROM {role}",
        )
        status, lines, _ = checked(CIRCUIT_SYNC_DATABASE_URL=database.url)
    assert status == 1
    assert f"GRANT CREATE ON SCHEMA public TO {role}" in wrong(lines)["database: rights"]
    assert f"GRANT TEMPORARY ON DATABASE {name} TO {role}" in wrong(lines)["database: rights"]
    assert f"CREATE SCHEMA dagster AUTHORIZATION {role}" in wrong(lines)["Dagster's storage: schema"]
    assert unseen(lines) == set()


def test_a_server_that_takes_no_writes_is_told(checked: Checked, postgres_server: str) -> None:
    with made(postgres_server) as database:
        ((name,),) = rows(database, "SELECT current_database()")
        execute(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        _, lines, _ = checked(CIRCUIT_SYNC_DATABASE_URL=database.url)
    assert list(wrong(lines)) == ["database: writes"]


def test_tables_of_another_program_are_told(checked: Checked, postgres_server: str) -> None:
    with made(postgres_server) as database:
        execute(database, "CREATE TABLE alembic_version AS SELECT '284a732df317' AS version_num")
        _, lines, _ = checked(CIRCUIT_SYNC_DATABASE_URL=database.url)
    assert "another program's" in wrong(lines)["database: tables"]


def test_a_database_that_cannot_be_reached_stops_nothing_else(checked: Checked) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://ann:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/circuits"
        status, lines, told = checked(CIRCUIT_SYNC_DATABASE_URL=url)
    assert status == 1
    assert list(wrong(lines)) == ["database: configuration"]
    assert unseen(lines) == {"Dagster's storage: schema"}
    assert lines["WorkStudio: sign-in"]["result"] == "ok"
    assert SECRET not in json.dumps(told)


def test_a_database_of_another_workstudio_is_told(checked: Checked, desk: Desk) -> None:
    desk.sync()
    with serving(Reply({"Protocol": "ERROR", "errorMessage": "no"})) as other:
        _, lines, _ = checked(WORKSTUDIO_BASE_URL=other.url)
    assert "db adopt" in wrong(lines)["database: WorkStudio"]


@pytest.mark.parametrize(
    ("url", "cure"),
    [("mysql://ann@127.0.0.1/x", "not a URL of Dagster's storage"), ("{ours}", "CIRCUIT_SYNC_DAGSTER_URL")],
)
def test_a_wrong_url_of_dagsters_storage_is_told(checked: Checked, database_url: str, url: str, cure: str) -> None:
    ours = database_url.replace("postgresql://", "postgresql+psycopg2://")
    _, lines, _ = checked(CIRCUIT_SYNC_DAGSTER_URL=url.format(ours=ours))
    assert [name.split(":")[0] for name in wrong(lines)] == ["Dagster's storage"]
    assert cure in "".join(wrong(lines).values())


# WorkStudio.


@pytest.mark.parametrize(
    ("fault", "name", "said", "not_seen"),
    [
        ({"kind": "status", "code": 401}, "sign-in", "401", {"circuits view", "planned-units view"}),
        ({"kind": "status", "code": 403}, "circuits view", "403", set()),
        ({"kind": "status", "code": 503, "match": "ACTIV"}, "circuits view", "503", set()),
        ({"kind": "status", "code": 503, "match": "health"}, "connection and TLS", "503", {"sign-in"}),
        ({"kind": "error"}, "circuits view", "could not be processed", {"sign-in"}),
        ({"kind": "no_heading"}, "circuits view", "without a Heading", set()),
        ({"kind": "missing_column", "column": "SSUNITS_OBJECTID"}, "planned-units view", "SSUNITS_OBJECTID", set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),  # each worker orders sets in its own way
)
def test_what_workstudio_refuses_is_told_where_it_belongs(
    checked: Checked, simulator: Simulator, fault: dict[str, Any], name: str, said: str, not_seen: set[str]
) -> None:
    simulator.fault(times=None, **fault)
    status, lines, _ = checked()
    assert status == 1
    assert said in wrong(lines)[f"WorkStudio: {name}"]
    assert {f"WorkStudio: {check}" for check in not_seen} <= unseen(lines)
    assert not any(line.startswith(("database", "webhooks", "settings", "Dagster")) for line in wrong(lines))


def test_an_account_that_only_one_view_knows_is_refused_once(checked: Checked, simulator: Simulator) -> None:
    simulator.fault("status", code=401, match="planned_units", times=None)
    status, _, told = checked(WORKSTUDIO_STATUSES=",")
    assert status == 1
    assert [line["result"] for line in told["checks"] if line["check"] == "sign-in"] == ["wrong"]


def test_a_missing_column_that_is_not_required_is_a_note(checked: Checked, simulator: Simulator) -> None:
    simulator.fault("missing_column", column="VEGJOB_OPCO", times=None)
    status, lines, told = checked()
    assert status == 0
    assert lines["WorkStudio: circuits view"]["result"] == "note"
    assert "missing: VEGJOB_OPCO" in lines["WorkStudio: circuits view"]["found"]
    assert [column["column"] for column in told["columns"] if column["state"] == "missing"] == ["VEGJOB_OPCO"]


def test_no_text_of_a_row_is_told_and_hostile_headings_are_clean(checked: Checked, simulator: Simulator) -> None:
    row = {
        "SS_WO": "2026-7",
        "WSREQ_STATUS": "ACTIV",
        "VEGJOB_CIRCCOMNTS": FREE_TEXT,
        "SS_TITLE": FREE_TEXT,
        "VEGJOB_PRCENT": FREE_TEXT,
        "REGION": FREE_TEXT,
    }
    answer = circuits_table([row, row | {"VEGJOB_PRCENT": "12.5"}])
    heading = answer["DataSet"]["Heading"]
    heading.append("a\x1b]0;PWNED\x07\nerror: forged" + "x" * 500)
    for line in answer["DataSet"]["Data"]:
        line.append(FREE_TEXT)
    simulator.answer("ACTIV", answer)
    status, lines, told = checked()
    found = lines["WorkStudio: circuits view"]
    assert (status, found["result"]) == (0, "note")
    assert "2 rows of ACTIV" in found["found"]
    assert "1 would be rejected: 1 of VEGJOB_PRCENT: not a number" in found["found"]
    assert ", a ]0;PWNED error: forgedx" in found["found"]
    assert is_printable(found["found"])
    text = json.dumps(told)
    assert all(word not in text for word in ("Dale", "555", "dog", "2026-7", "x" * 100))


def test_a_filter_that_is_not_heeded_is_told(checked: Checked, simulator: Simulator) -> None:
    simulator.answer("ACTIV", circuits_table([{"WSREQ_STATUS": "QC"}, {"WSREQ_STATUS": "CLOSE"}]))
    _, lines, _ = checked()
    assert "WORKSTUDIO_CIRCUITS_FILTER" in wrong(lines)["WorkStudio: circuits view"]


def test_an_unknown_name_ends_the_look_at_workstudio_only(checked: Checked) -> None:
    status, lines, _ = checked(WORKSTUDIO_BASE_URL="https://workstudio.invalid/DDOProtocol/")
    assert status == 1
    assert list(wrong(lines)) == ["WorkStudio: name"]
    assert len(unseen(lines)) == 4


def test_a_certificate_that_does_not_verify_is_told(checked: Checked, tls: ssl.SSLContext, certificate: Path) -> None:
    with serving(Reply("<html>"), tls=tls) as server:
        _, lines, _ = checked(WORKSTUDIO_BASE_URL=server.url)
        assert "WORKSTUDIO_CA_BUNDLE" in wrong(lines)["WorkStudio: connection and TLS"]
        _, lines, _ = checked(WORKSTUDIO_CA_BUNDLE=str(certificate))
    assert lines["WorkStudio: connection and TLS"]["result"] == "ok"


def test_a_database_without_a_workstudio_is_told(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSTUDIO_BASE_URL")
    _, lines, _ = checked()
    assert "WORKSTUDIO_BASE_URL" in wrong(lines)["WorkStudio: configuration"]


# Settings and webhooks.


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("WORKSTUDIO_TIMEOUT", "soon", "WorkStudio"),
        ("WORKSTUDIO_TIMOUT", "5", "WorkStudio"),
        ("CIRCUIT_SYNC_WEBHOOKS", f"https:/{SECRET}", "webhooks"),
        ("CIRCUIT_SYNC_DATABSE_URL", f"postgresql://ann:{SECRET}@db/x", "database"),
    ],
)
def test_a_wrong_setting_stops_what_rests_on_it_only(checked: Checked, name: str, value: str, part: str) -> None:
    status, lines, told = checked(**{name: value})
    assert status == 1
    assert [line.split(":")[0] for line in wrong(lines)] == ["settings"]
    assert f"{part}: all" in unseen(lines)
    assert any(line["result"] == "ok" for line in lines.values() if line["part"] not in ("settings", part))
    assert SECRET not in json.dumps(told)


def test_settings_that_cannot_be_read_are_told(checked: Checked) -> None:
    Path(".env").write_bytes(b"WORKSTUDIO_TIMEOUT=\xff\xfe")
    status, lines, _ = checked()
    assert (status, list(wrong(lines)), len(unseen(lines))) == (1, ["settings: values"], 4)


def test_a_secret_key_that_is_none_is_told(checked: Checked) -> None:
    _, lines, told = checked(CIRCUIT_SYNC_SECRET_KEY=SECRET)
    assert list(wrong(lines)) == ["settings: CIRCUIT_SYNC_SECRET_KEY"]
    assert SECRET not in json.dumps(told)


def test_webhooks_are_reached_without_an_event_and_named_by_their_host(checked: Checked, tls: ssl.SSLContext) -> None:
    with serving(Reply("")) as plain, serving(Reply(""), tls=tls) as untrusted, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        port = refusing.getsockname()[1]
        urls = [
            f"http://127.0.0.1:{plain.port}/{SECRET}",
            f"slack+https://127.0.0.1:{untrusted.port}/{SECRET}",
            f"http://127.0.0.1:{port}/{SECRET}",
            f"https://hooks.invalid/{SECRET}",
            f"https://127.0.0.1:{plain.port}/{SECRET}",
        ]
        status, lines, told = checked(CIRCUIT_SYNC_WEBHOOKS=",".join(urls))
        assert plain.requests == untrusted.requests == []
    assert status == 1
    assert lines["webhooks: webhook 1 (127.0.0.1)"]["result"] == "ok"
    failures = wrong(lines)
    assert "certificate" in failures["webhooks: webhook 2 (127.0.0.1)"]
    assert "no connection" in failures["webhooks: webhook 3 (127.0.0.1)"]
    assert "webhooks: webhook 4 (hooks.invalid)" in failures
    assert "TLS" in failures["webhooks: webhook 5 (127.0.0.1)"]
    assert SECRET not in json.dumps(told)


def test_wrong_use_is_exit_status_2(configured: dict[str, str], circuit_sync: Command) -> None:
    assert circuit_sync("check", "--everything")[0] == 2


# What a column holds, in words.


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "empty"),
        (" \0", "empty"),
        (True, "true or false"),
        (1, "number"),
        (float("nan"), "number"),
        ("57.79", "number as text"),
        ("20260102", "number as text"),
        ("/Date(2026-01-02)/", "date"),
        ("2026-01-02T03:04:05Z", "date"),
        ("/Date(soon)/", "text"),
        ("{8037BB16-E838-4B74-B5C4-9DBF9ED7202E}", "GUID"),
        ("2026-1", "text"),
        ('{"nested": 1}', "text"),
    ],
)
def test_a_value_is_told_by_its_kind(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_no_value_has_no_kind(value: Any) -> None:
    assert kind_of(value) in {"empty", "true or false", "number", "GUID", "number as text", "date", "text"}


@given(st.lists(st.text()))
def test_listed_names_are_one_bounded_line(names: list[str]) -> None:
    told = listed(names)
    assert is_printable(told)
    assert len(told) < 3_000
