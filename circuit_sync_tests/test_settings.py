"""Settings: the documented defaults, and one clear line for whatever is wrong, without the value that may be secret."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import Settings, load_settings
from circuit_sync.workstudio.server import Server


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine, no .env of the checkout."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_need_be_set() -> None:
    settings = load_settings()

    expected: dict[str, Any] = {
        "circuit_sync_database_url": None,
        "circuit_sync_secret_key": None,
        "circuit_sync_state_dir": Path(".circuit_sync"),
        "circuit_sync_retry_delays": (15, 30),
        "circuit_sync_webhooks": (),
        "circuit_sync_event_retention_days": 90,
        "circuit_sync_owners": (),
        "workstudio_base_url": None,
        "workstudio_connect_timeout": 10,
        "workstudio_timeout": 60,
        "workstudio_max_attempts": 5,
        "workstudio_backoff_base": 1.0,
        "workstudio_calls_before_delay": 5,
        "workstudio_rate_limit_delay": 0.5,
        "workstudio_concurrency": 1,
        "workstudio_statuses": ("ACTIV", "QC", "REWRK", "CLOSE"),
        "workstudio_ca_bundle": None,
    }
    assert {name: getattr(settings, name) for name in expected} == expected


def test_the_environment_wins_over_the_file_and_a_blank_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WORKSTUDIO_TIMEOUT=7\nWORKSTUDIO_CONCURRENCY=2\nWORKSTUDIO_MAX_ATTEMPTS=\n")
    monkeypatch.setenv("WORKSTUDIO_CONCURRENCY", "3")
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "")

    settings = load_settings()

    assert (settings.workstudio_timeout, settings.workstudio_concurrency) == (7, 3)
    assert (settings.workstudio_max_attempts, settings.workstudio_base_url) == (5, None)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_RETRY_DELAYS", " 5, 10 ,")
    monkeypatch.setenv("WORKSTUDIO_STATUSES", "close, rework,ACTIV")
    monkeypatch.setenv("CIRCUIT_SYNC_OWNERS", "ann@example.org, team:planning")
    monkeypatch.setenv("CIRCUIT_SYNC_FIRST_SNAPSHOT", "2025-06-02")

    settings = load_settings()

    assert settings.circuit_sync_retry_delays == (5, 10)
    assert settings.workstudio_statuses == ("ACTIV", "REWRK", "CLOSE")
    assert settings.circuit_sync_owners == ("ann@example.org", "team:planning")
    assert settings.circuit_sync_first_snapshot == date(2025, 6, 2)


WRONG = [
    ("WORKSTUDIO_BASE_URL", "workstudio.example.org", "must begin with https://"),
    ("WORKSTUDIO_BASE_URL", "ftp://workstudio.example.org/", "must begin with https://"),
    ("WORKSTUDIO_BASE_URL", "https:///DDOProtocol/", "then a host"),
    ("WORKSTUDIO_BASE_URL", "https://ho st/", "then a host"),
    ("WORKSTUDIO_BASE_URL", "https://[abc/", "then a host"),
    ("WORKSTUDIO_BASE_URL", "https://host:99999/", "a port up to 65535"),
    ("WORKSTUDIO_BASE_URL", "https://host:0/", "a port up to 65535"),
    ("WORKSTUDIO_CONNECT_TIMEOUT", "0", "greater than 0"),
    ("WORKSTUDIO_CONNECT_TIMEOUT", "soon", "valid number"),
    ("WORKSTUDIO_TIMEOUT", "-1", "greater than 0"),
    ("WORKSTUDIO_TIMEOUT", "nan", "finite number"),
    ("WORKSTUDIO_MAX_ATTEMPTS", "6", "less than or equal to 5"),
    ("WORKSTUDIO_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
    ("WORKSTUDIO_BACKOFF_BASE", "0", "greater than 0"),
    ("WORKSTUDIO_CALLS_BEFORE_DELAY", "0", "greater than or equal to 1"),
    ("WORKSTUDIO_RATE_LIMIT_DELAY", "-0.5", "greater than or equal to 0"),
    ("WORKSTUDIO_CONCURRENCY", "6", "less than or equal to 5"),
    ("WORKSTUDIO_CONCURRENCY", "1.5", "valid integer"),
    ("WORKSTUDIO_STATUSES", "ACTIV,OPEN", "unknown status 'OPEN': allowed are ACTIV, QC, REWRK, CLOSE"),
    ("CIRCUIT_SYNC_RETRY_DELAYS", "15,soon", "valid integer"),
    ("CIRCUIT_SYNC_RETRY_DELAYS", "-15", "greater than or equal to 0"),
    ("CIRCUIT_SYNC_RETRY_DELAYS", "15,10081", "less than or equal to 10080"),
    ("CIRCUIT_SYNC_FIRST_SNAPSHOT", "yesterday", "valid date"),
    ("CIRCUIT_SYNC_EVENT_RETENTION_DAYS", "0", "greater than or equal to 1"),
    ("CIRCUIT_SYNC_EVENT_RETENTION_DAYS", "3651", "less than or equal to 3650"),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_a_wrong_setting_gets_one_line_that_names_it_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as refusal:
        load_settings()

    line = str(refusal.value)
    assert line.startswith("wrong setting: ")
    assert f"{name}: " in line
    assert told in line
    assert "\n" not in line


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, _ in WRONG:
        monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as refusal:
        load_settings()

    assert all(name in str(refusal.value) for name, *_ in WRONG)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://HOST",
        "http://10.0.0.5:8080/DDOProtocol/",
        "https://[::1]:8443/",
        "https://[fe80::1%25eth0]/",
        "https://ws_1.example.org./a",
        " https://h ",
    ],
)
def test_a_server_is_named_by_host_or_address_with_or_without_a_port(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", url)

    assert load_settings().workstudio_base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://[abc/T0SECRET",
        "https://host:port/T0SECRET",
        "slack+https://host:99999/T0SECRET",
        f"https://{'a' * 64}.example.com/T0SECRET",
        "https://a..b/T0SECRET",
        "https://h%/T0SECRET",
        "https:///T0SECRET",
        "https://host/T0 SECRET",
        "mail+https://host/T0SECRET",
    ],
)
def test_a_webhook_that_nobody_can_ask_is_named_by_its_place_only(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CIRCUIT_SYNC_WEBHOOKS", f"https://good.example.com/x,{url}")

    with pytest.raises(UsageError, match=r"^wrong setting: CIRCUIT_SYNC_WEBHOOKS: number 2 is no URL; .+$") as refusal:
        load_settings()
    assert "SECRET" not in f"{refusal.value}{refusal.value.__cause__}"


def test_a_file_of_another_encoding_gets_one_line() -> None:
    Path(".env").write_bytes("CIRCUIT_SYNC_OWNERS=café\n".encode("latin-1"))

    with pytest.raises(UsageError, match=r"^wrong setting: the file \.env is no UTF-8 text.*$"):
        load_settings()


SECRETS = {
    "CIRCUIT_SYNC_DATABASE_URL": "postgresql://user:SECRET-1@host/db",
    "CIRCUIT_SYNC_SECRET_KEY": "SECRET-2",
    "WORKSTUDIO_SERVICE_PASSWORD": "SECRET-3",
}


def test_no_secret_is_in_a_refusal_or_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert "SECRET" not in repr(load_settings())

    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "user:SECRET-4@host")
    monkeypatch.setenv("WORKSTUDIO_TIMEOUT", "SECRET-5")
    with pytest.raises(UsageError) as refusal:
        load_settings()
    assert "SECRET" not in f"{refusal.value}{refusal.value.__cause__}"


def test_every_setting_is_in_the_example(request: pytest.FixtureRequest) -> None:
    example = (request.config.rootpath / ".env.example").read_text()
    written = {line.lstrip("#").split("=")[0] for line in example.splitlines() if "=" in line}

    assert {name.upper() for name in Settings.model_fields} - {"CIRCUIT_SYNC_BUNDLED_SIMULATOR"} <= written


def test_what_a_base_url_holds_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "https://user:SECRET@host:8443/DDOProtocol/?token=SECRET")
    settings = load_settings(workstudio_circuits_view="1", workstudio_planned_units_view="2")
    assert "SECRET" not in repr(settings)
    assert "SECRET" not in repr(Server.from_settings(settings))
