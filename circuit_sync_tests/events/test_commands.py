"""The commands around the gateway: wrong use gets one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import load_settings
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import tell


def run(place: Place, folder: Path, *arguments: str) -> tuple[int, str, str]:
    surroundings = os.environ | {"CIRCUIT_SYNC_DATABASE_URL": place.database.url}
    command = [sys.executable, "-m", "circuit_sync.cli", *arguments]
    done = subprocess.run(command, check=False, env=surroundings, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_users_token_prints_a_token_and_revokes(place: Place, tmp_path: Path) -> None:
    status, token, note = run(place, tmp_path, "users", "token", "pat@example.com")
    assert status == 0
    assert token.startswith("cst_")
    assert token.strip() not in note
    status, line, _ = run(place, tmp_path, "users", "token", "pat@example.com", "--revoke")
    assert (status, line) == (0, "2 tokens of pat@example.com revoked; open streams end within a minute\n")
    status, _, complaint = run(place, tmp_path, "users", "token", "nobody@example.com")
    assert (status, complaint.count("\n")) == (2, 1)


def test_an_unknown_channel_is_refused_in_one_line(place: Place, tmp_path: Path) -> None:
    status, _, complaint = run(place, tmp_path, "events", "tail", "--channel", "circuit.x")
    assert (status, complaint.count("\n")) == (2, 1)
    assert "circuit.ID" in complaint


def test_following_ends_when_nobody_reads_any_more(place: Place, tmp_path: Path) -> None:
    tell(place.database, [1])
    command = [sys.executable, "-m", "circuit_sync.cli", "events", "tail", "--from", "1"]
    surroundings = os.environ | {"CIRCUIT_SYNC_DATABASE_URL": place.database.url}
    with subprocess.Popen(command, env=surroundings, cwd=tmp_path, stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        assert b'"number": 1' in tail.stdout.readline()
        tail.stdout.close()
        tell(place.database, [2])
        assert tail.wait(60) == 0


def test_a_port_in_use_is_refused_in_one_line(place: Place, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, complaint = run(place, tmp_path, "gateway", "--port", str(taken.getsockname()[1]))
    assert (status, complaint.count("\n")) == (2, 1)
    assert "--port" in complaint


@pytest.mark.parametrize("wrong", ["*", "progress.example.com", "https://a.example.com/path", "ftp://a.example.com"])
def test_an_origin_is_scheme_and_host(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_GATEWAY_ORIGINS", f"https://good.example.com,{wrong}")
    with pytest.raises(UsageError, match="CIRCUIT_SYNC_GATEWAY_ORIGINS"):
        load_settings()
