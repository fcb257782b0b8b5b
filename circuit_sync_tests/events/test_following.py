"""What the programs beside the stream do: log lines, the live page and its numbers, pruning, the terminal."""

import json
import logging
import os
import re
import subprocess
import sys
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.events.catalogue import CircuitWorkflowChanged, SyncCompleted, SyncFailed, SyncStarted
from circuit_sync.events.listeners import LISTENERS, broadcast_sync_status, log_sync_completed, log_sync_started
from circuit_sync.events.outbox import emit, prune_events
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import NOW, gateway_running, tell
from circuit_sync_tests.scenery import PATIENCE, Desk, get, post, until

SYNC = (
    SyncStarted(7, "circuit_list", ("ACTIV",), "manual", NOW),
    SyncCompleted(7, "completed", NOW, {"processed": 3, "created": 1}),
    SyncFailed(8, "WorkStudio did not answer", NOW),
)


def emit_now(database: Database, *events: object) -> None:
    with database.transaction() as connection:
        emit(connection, events, NOW)  # type: ignore[arg-type]


def test_every_event_is_broadcast_and_syncs_are_logged() -> None:
    assert all(broadcast_sync_status in listeners for listeners in LISTENERS.values())
    assert {name for name, listeners in LISTENERS.items() if log_sync_started in listeners} == {"sync.started"}
    assert log_sync_completed in LISTENERS["sync.completed"]
    assert len(LISTENERS) == 6


def test_syncs_are_logged_as_structured_lines_without_free_text(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "circuit_sync.events")
    with gateway_running(place.database):
        emit_now(place.database, *SYNC)
        until(lambda: len(_lines(caplog)) == 3)
    started, completed, failed = _lines(caplog)
    assert started | {"event_id": 0} == {"event": "sync.started", "event_id": 0, "sync_id": 7, "statuses": ["ACTIV"],
        "sync_type": "circuit_list", "trigger": "manual", "started_at": NOW.isoformat()}  # fmt: skip
    assert (completed["sync_id"], completed["circuits_processed"], completed["created"]) == (7, 3, 1)
    assert failed["sync_id"] == 8
    assert "answer" not in str(failed)


def test_what_happened_while_no_gateway_ran_stands_in_the_tables_and_not_in_its_log(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "circuit_sync.events")
    emit_now(place.database, *SYNC)
    with gateway_running(place.database):
        emit_now(place.database, SYNC[0])
        until(lambda: len(_lines(caplog)) == 1)
    with place.database.transaction() as connection:
        stored = connection.scalars(text("SELECT name FROM sync_events ORDER BY id")).all()
    assert stored == ["sync.started", "sync.completed", "sync.failed", "sync.started"]


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.getMessage().startswith("{")]


def test_no_token_ticket_or_password_gets_into_the_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with gateway_running(place.database) as url:
        bearer = {"Authorization": f"Bearer {place.tokens['ada']}"}
        ticket = post(f"{url}/ticket", headers=bearer).json()["ticket"]
        get(f"{url}/events", params={"channel": "none", "ticket": ticket})
        place.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listening'"
                      " AND datname = current_database()")  # fmt: skip
        until(lambda: "was lost" in caplog.text)
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    for secret in (place.tokens["ada"], ticket, place.database.url.split(":")[2].split("@")[0]):
        assert secret not in ours


def test_the_page_may_run_its_own_script_and_style_only(place: Place, url: str) -> None:
    answer = get(url)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"].startswith("text/html")
    for kind in ("script", "style"):
        (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        assert f"{kind}-src 'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert re.findall(r"(?:src|href|action)=(?!\"data:,\")|https?:|\sstyle=|\son\w+=|innerHTML", answer.text) == []


def test_the_state_is_what_the_user_may_see(place: Place, url: str, desk: Desk) -> None:
    desk.sync("QC")
    place.execute("UPDATE sync_logs SET sync_status = 'failed', error_message = 'WorkStudio did not answer'")
    emit_now(place.database, *SYNC, *(CircuitWorkflowChanged(number, 7, "active", "qc", "sync") for number in (1, 2)))
    states = {user: _state(url, place, user) for user in ("ada", "pat")}
    assert [state["channels"] for state in states.values()] == [["dashboard", "sync-status"], ["dashboard"]]
    assert states["ada"]["syncs"][0]["error_message"] == "WorkStudio did not answer"
    assert "did not answer" not in json.dumps(states["pat"])
    assert {sync["status"]: sync["sync_status"] for sync in states["pat"]["syncs"]} == {"QC": "failed"}
    assert [stage["stage"] for stage in states["pat"]["stages"]] == [
        "active",
        "pending_permissions",
        "qc",
        "rework",
        "closed",
    ]
    moved = {
        e["payload"]["circuit_id"]: e["work_order"] for e in states["pat"]["events"] if e["name"].startswith("circuit")
    }
    assert moved == {1: "2026-1", 2: None}
    assert states["pat"]["last_event_id"] == desk.one("SELECT max(id) FROM sync_events")


def _state(url: str, place: Place, user: str) -> dict[str, object]:
    answer = get(f"{url}/state", headers={"Authorization": f"Bearer {place.tokens[user]}"})
    assert answer.status_code == 200
    return answer.json()


def test_pruning_takes_old_events_in_small_steps_and_no_other(place: Place) -> None:
    tell(place.database, range(10))
    with place.database.transaction() as connection:
        connection.execute(text("UPDATE sync_events SET occurred_at = :old WHERE (payload ->> 'number')::int < 7"),
                           {"old": NOW - timedelta(days=91)})  # fmt: skip
    assert prune_events(place.database, NOW - timedelta(days=90), batch=3) == 7
    assert prune_events(place.database, NOW - timedelta(days=90), batch=3) == 0
    with place.database.transaction() as connection:
        left = connection.scalars(text("SELECT (payload ->> 'number')::int FROM sync_events ORDER BY id")).all()
    assert left == [7, 8, 9]


def test_the_terminal_follows_the_table(place: Place, tmp_path: Path) -> None:
    tell(place.database, [1, 2])
    emit_now(place.database, SYNC[2])
    surroundings = os.environ | {"CIRCUIT_SYNC_DATABASE_URL": place.database.url, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "circuit_sync.cli", "events", "tail", "--from", "2", "--channel", "dashboard"]
    with subprocess.Popen(command, env=surroundings, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        lines = [tail.stdout.readline()]
        tell(place.database, [3])
        lines.append(tail.stdout.readline())
        tail.terminate()
        assert tail.wait(PATIENCE) == 143
    assert [re.sub(r"\{.*\}", "{}", line) for line in lines] == [
        "2  2026-03-02 04:30:00  circuit.updated  {}\n",
        "4  2026-03-02 04:30:00  circuit.updated  {}\n",
    ]
