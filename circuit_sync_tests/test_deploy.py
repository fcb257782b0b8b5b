"""The files of ``deploy/``: read as their programs read them, and run as plain processes where that can be."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from dagster_postgres.utils import get_conn_string
from psycopg import sql
from sqlalchemy import create_engine, make_url, text

from circuit_sync.database.connection import Database
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.database.urls import dagster_url
from circuit_sync.orchestration.dagster_internals import WorkspaceFileTarget
from circuit_sync.settings import load_settings

PROJECT = Path(__file__).parent.parent
DEPLOY = PROJECT / "deploy"
LISTED = re.findall(r"^#([A-Z_]+)=(.*)", (PROJECT / ".env.example").read_text(), re.MULTILINE)
SETTINGS = {name: f"the value of {name}" for name, _ in LISTED}
"""Every setting that is documented, set."""


def values() -> dict[str, Any]:
    """What Dagster's chart is given."""
    return yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())


def deployments() -> list[dict[str, Any]]:
    return values()["dagster-user-deployments"]["deployments"]


def command(*arguments: str, **environment: str) -> str:
    """What one of our commands prints that has no other environment than this."""
    program = Path(sys.executable).parent / arguments[0]
    whole = {"PATH": "/usr/bin:/bin", **environment}
    ended = subprocess.run([program, *arguments[1:]], env=whole, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


# --- Kubernetes ---


def test_what_the_init_container_makes_is_what_dagsters_chart_connects_to(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chart hands its values on to ``get_conn_string``, which encodes them."""
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP SCHEMA dagster CASCADE")
    place, server = make_url(database_url), values()["postgresql"]
    chart_url = get_conn_string(
        username=str(place.username),
        password=str(place.password),
        hostname=str(place.host),
        port=str(place.port),
        db_name=str(place.database),
        params=server["postgresqlParams"],
        scheme=server["postgresqlScheme"],
    )
    secret = {"CIRCUIT_SYNC_DATABASE_URL": database_url, "CIRCUIT_SYNC_DAGSTER_URL": dagster_url(database_url)}
    (container,) = deployments()[0]["initContainers"]
    assert {variable["name"] for variable in container["env"]} == secret.keys()

    command(*container["command"], **secret)

    with create_engine(chart_url).connect() as connection:
        assert connection.scalar(text("SELECT current_schema()")) == "dagster"
        assert connection.scalar(text("SELECT count(*) FROM runs")) == 0
    assert command("circuit-sync", "db", "url", "--dagster", **secret) == secret["CIRCUIT_SYNC_DAGSTER_URL"]


def test_each_location_on_kubernetes_is_prepared_from_its_own_secret_and_knows_its_name() -> None:
    for deployment in deployments():
        (container,) = deployment["initContainers"]
        image = deployment["image"]
        assert container["image"] == f"{image['repository']}:{image['tag']}"
        for variable in container["env"]:
            key = variable["valueFrom"]["secretKeyRef"]
            assert key == {"name": deployment["name"], "key": variable["name"]}
        assert deployment["env"]["CIRCUIT_SYNC_LOCATION_NAME"] == deployment["name"]


@pytest.mark.parametrize("process", ["dagsterDaemon", "dagsterWebserver"])
def test_on_kubernetes_daemon_and_webserver_wait_for_the_code_server_that_makes_the_storage(process: str) -> None:
    first = deployments()[0]
    (container,) = values()[process]["extraPrependedInitContainers"]
    assert f"grpc-health-check --host {first['name']} --port {first['port']};" in container["command"][-1]


# --- Docker compose ---


def services() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def environment_of(service: dict[str, Any], file: dict[str, str]) -> dict[str, str]:
    """What compose gives to a service, ``circuit_sync.env`` being ``file``; ``environment`` wins over ``env_file``."""
    given = file if service.get("env_file") == "circuit_sync.env" else {}
    return given | {name: _interpolated(str(value), file) for name, value in service.get("environment", {}).items()}


def _interpolated(value: str, file: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)(?::[?-][^}]*)?\}", lambda found: file.get(found[1], ""), value)


def test_every_documented_setting_reaches_composes_code_server() -> None:
    given = environment_of(services()["code"], SETTINGS)
    of_compose = {"CIRCUIT_SYNC_DATABASE_URL", "CIRCUIT_SYNC_DAGSTER_URL"}
    assert {name: given[name] for name in SETTINGS.keys() - of_compose} == {
        name: SETTINGS[name] for name in SETTINGS.keys() - of_compose
    }
    assert all("@postgres:5432/" in given[name] for name in of_compose)


def test_of_the_settings_in_the_file_composes_other_services_get_the_gateways_origins_only() -> None:
    told = {
        name: [setting for setting, value in SETTINGS.items() if value in environment_of(service, SETTINGS).values()]
        for name, service in services().items()
        if name != "code"
    }
    assert told.pop("gateway") == ["CIRCUIT_SYNC_GATEWAY_ORIGINS"]
    assert told == {"postgres": [], "prepare": [], "daemon": [], "webserver": []}


def test_compose_says_what_is_missing_and_where_to_set_it() -> None:
    required = re.findall(r"\$\{(\w+):\?([^}]*)\}", (DEPLOY / "compose.yaml").read_text())
    assert {name for name, _ in required} == {
        "POSTGRES_PASSWORD",
        "WORKSTUDIO_BASE_URL",
        "WORKSTUDIO_CIRCUITS_VIEW",
        "WORKSTUDIO_PLANNED_UNITS_VIEW",
    }
    assert all("deploy/circuit_sync.env" in message for _, message in required)


def test_composes_postgres_password_may_hold_any_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "p@ss/w:rd %41#?&'\"\\$HOME"
    given = environment_of(services()["prepare"], {"POSTGRES_PASSWORD": password})
    with embedded_server(tmp_path, durable=False) as url:
        with psycopg.connect(url) as connection:
            connection.execute(sql.SQL("ALTER ROLE circuit_sync PASSWORD {}").format(sql.Literal(password)))
        ours, dagsters = (
            given[name].replace("@postgres:5432/", f"@127.0.0.1:{make_url(url).port}/")
            for name in ("CIRCUIT_SYNC_DATABASE_URL", "CIRCUIT_SYNC_DAGSTER_URL")
        )
        monkeypatch.setenv("PGPASSWORD", "another")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(ours)
        monkeypatch.setenv("PGPASSWORD", given["PGPASSWORD"])
        with Database(ours) as database, database.transaction() as connection:
            assert connection.scalar(text("SELECT current_user")) == "circuit_sync"
        with create_engine(dagsters).connect() as connection:
            assert connection.scalar(text("SHOW search_path")) == "dagster"


# --- systemd ---


def test_the_example_writes_a_backslash_so_that_dotenv_and_shells_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd reads single quotes as a shell does; unquoted, both drop the backslash."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKSTUDIO_SERVICE_USERNAME", raising=False)
    Path(".env").write_text(f"WORKSTUDIO_SERVICE_USERNAME={dict(LISTED)['WORKSTUDIO_SERVICE_USERNAME']}\n")

    read_by_shell = subprocess.check_output(
        ["sh", "-c", '. ./.env; printf %s "$WORKSTUDIO_SERVICE_USERNAME"'], text=True
    )

    assert (load_settings().workstudio_service_username, read_by_shell) == ("CONTRACTOR\\user",) * 2


def test_only_the_code_servers_unit_reads_the_file_with_workstudios_password() -> None:
    reading = {
        unit.name: re.findall(r"^EnvironmentFile=(.*)", unit.read_text(), re.MULTILINE)
        for unit in (DEPLOY / "systemd").iterdir()
    }
    assert reading == {
        "circuit-sync-code@.service": ["/etc/circuit_sync/%i.env"],
        "circuit-sync-gateway@.service": ["/etc/circuit_sync/%i.gateway.env"],
        "circuit-sync-daemon.service": ["/etc/circuit_sync/dagster.env"],
        "circuit-sync-webserver.service": ["/etc/circuit_sync/dagster.env"],
    }


def test_the_documented_command_makes_a_workspace_that_finds_the_code_server_of_this_machine(tmp_path: Path) -> None:
    (line,) = re.findall(r"^sed .* deploy/workspace\.yaml", (PROJECT / "docs/deploy.md").read_text(), re.MULTILINE)
    made = tmp_path / "workspace.yaml"
    made.write_text(subprocess.check_output(["sh", "-c", line], cwd=PROJECT, text=True))

    (origin,) = WorkspaceFileTarget([str(made)]).create_origins()

    assert (origin.host, origin.port, origin.location_name) == ("127.0.0.1", 4000, "circuit_sync")
