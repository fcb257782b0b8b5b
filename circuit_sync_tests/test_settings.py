"""Settings: the documented defaults, and one clear line for whatever is wrong, without the value that may be secret."""

import subprocess
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from circuit_sync.database.connection import Database
from circuit_sync.domain.eastern import monday_of
from circuit_sync.domain.errors import UsageError
from circuit_sync.environment import storage_url
from circuit_sync.events.webhooks import Webhook
from circuit_sync.settings import Settings, load_settings
from circuit_sync.sync.people.secrets import SecretKeys
from circuit_sync.workstudio.server import Server
from circuit_sync_tests.scenery import examples


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
        "workstudio_call_deadline": 600,
        "workstudio_max_answer_mb": 256,
        "workstudio_circuits_columns": {},
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
    ("WORKSTUDIO_TIMEOUT", "1e308", "less than or equal to 3600"),
    ("WORKSTUDIO_CONNECT_TIMEOUT", "1e9", "less than or equal to 3600"),
    ("WORKSTUDIO_CALL_DEADLINE", "0", "greater than 0"),
    ("WORKSTUDIO_CALL_DEADLINE", "inf", "finite number"),
    ("WORKSTUDIO_CALL_DEADLINE", "1e9", "less than or equal to 86400"),
    ("WORKSTUDIO_MAX_ANSWER_MB", "-1", "greater than 0"),
    ("WORKSTUDIO_MAX_ANSWER_MB", "1e6", "less than or equal to 16384"),
    ("WORKSTUDIO_CIRCUITS_COLUMNS", "REGION", "NAME=VALUE"),
    ("WORKSTUDIO_CIRCUITS_COLUMNS", "REGION=A,REGION=B", "no name twice"),
    ("WORKSTUDIO_PLANNED_UNITS_COLUMNS", "SS_WO=", "NAME=VALUE"),
    ("WORKSTUDIO_CIRCUITS_CAPTIONS", "OPEN=Open", "unknown status 'OPEN'"),
    ("WORKSTUDIO_PLANNED_UNITS_FILTER", "WO\x1b#", "holds a control character"),
    ("WORKSTUDIO_CIRCUITS_FILTER", "x" * 201, "at most 200 characters"),
    ("WORKSTUDIO_MAX_ATTEMPTS", "6", "less than or equal to 5"),
    ("WORKSTUDIO_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
    ("WORKSTUDIO_BACKOFF_BASE", "0", "greater than 0"),
    ("WORKSTUDIO_CALLS_BEFORE_DELAY", "0", "greater than or equal to 1"),
    ("WORKSTUDIO_CALLS_BEFORE_DELAY", "1001", "less than or equal to 1000"),
    ("WORKSTUDIO_RATE_LIMIT_DELAY", "1e9", "less than or equal to 3600"),
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

    with pytest.raises(
        UsageError, match=r"^wrong setting: CIRCUIT_SYNC_WEBHOOKS: number 2 is not a URL; .+$"
    ) as refusal:
        load_settings()
    assert "SECRET" not in f"{refusal.value}{refusal.value.__cause__}"


def test_a_file_of_another_encoding_gets_one_line() -> None:
    Path(".env").write_bytes("CIRCUIT_SYNC_OWNERS=café\n".encode("latin-1"))

    with pytest.raises(UsageError, match=r"^wrong setting: the file \.env is not UTF-8 text.*$"):
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


ABSURD = [
    ("WORKSTUDIO_RATE_LIMIT_DELAY", "1e9", "less than or equal to 3600"),
    ("WORKSTUDIO_RATE_LIMIT_DELAY", "nan", "finite number"),
    ("WORKSTUDIO_CONNECT_TIMEOUT", "inf", "finite number"),
    ("WORKSTUDIO_TIMEOUT", "1e300", "less than or equal to 3600"),
    ("WORKSTUDIO_CALLS_BEFORE_DELAY", "9" * 5000, "exceeded maximum size"),
    ("CIRCUIT_SYNC_FIRST_SNAPSHOT", "0001-01-01", "greater than or equal to 2000-01-01"),
    ("CIRCUIT_SYNC_FIRST_SNAPSHOT", "9999-12-31", "less than or equal to 2100-12-31"),
    ("CIRCUIT_SYNC_RETRY_DELAYS", "inf", "valid integer"),
    ("CIRCUIT_SYNC_WEBHOOKS", ",".join(["https://h/x"] * 51), "at most 50"),
    ("CIRCUIT_SYNC_OWNERS", "@", "is not an owner"),
    ("CIRCUIT_SYNC_OWNERS", "team:", "is not an owner"),
    ("CIRCUIT_SYNC_LOCATION_NAME", " ", "is blank"),
    ("WORKSTUDIO_SERVICE_PASSWORD", "\n", "is blank"),
    ("WORKSTUDIO_SERVICE_PASSWORD", "a\nb", "control character"),
    ("WORKSTUDIO_BASE_URL", "https://host/\x1b[2J", "control character"),
    ("CIRCUIT_SYNC_STATE_DIR", "a\udcff", "not UTF-8 text"),
]


@pytest.mark.parametrize(("name", "value", "told"), ABSURD)
def test_an_absurd_setting_gets_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"^wrong setting: {name}: .*{told}"):
        load_settings()


def test_a_line_break_at_the_end_of_a_secret_is_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTUDIO_SERVICE_PASSWORD", " pass word\r\n")
    monkeypatch.setenv("CIRCUIT_SYNC_OWNERS", "team:a,\n  ann@example.org\n")
    settings = load_settings()
    assert settings.workstudio_service_password == SecretStr(" pass word")
    assert settings.circuit_sync_owners == ("team:a", "ann@example.org")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WORKSTUDIO_TIMOUT", "WORKSTUDIO_TIMEOUT"),
        ("CIRCUIT_SYNC_DATABSE_URL", "CIRCUIT_SYNC_DATABASE_URL"),
        ("workstudio_base_uri", "WORKSTUDIO_BASE_URL"),
        ("WORKSTUDIO_PASSWORD", "WORKSTUDIO_SERVICE_PASSWORD"),
        ("CIRCUIT_SYNC_WEBHOOK", "CIRCUIT_SYNC_WEBHOOKS"),
    ],
)
@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_misspelt_setting_is_told_with_the_nearest_right_name(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str, in_a_file: bool
) -> None:
    if in_a_file:
        Path(".env").write_text(f"export {name}='T0SECRET'\n")
    else:
        monkeypatch.setenv(name, "T0SECRET")
    with pytest.raises(UsageError) as refusal:
        load_settings()
    assert str(refusal.value) == f"wrong setting: {name.upper()} is not a setting: {meant} is"


def test_names_that_others_read_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes names the services of a namespace so; compose files and scripts have variables of their own."""
    names = (
        "CIRCUIT_SYNC_SERVICE_HOST",
        "CIRCUIT_SYNC_SERVICE_PORT",
        "CIRCUIT_SYNC_SERVICE_PORT_HTTP",
        "WORKSTUDIO_PORT",
    )
    more = ("CIRCUIT_SYNC_PORT_80_TCP_ADDR", "CIRCUIT_SYNC_DAGSTER_DIR", "CIRCUIT_SYNC_BACKUP_BUCKET", "CIRCUITSYNC_X")
    for name in (*names, *more, "WORKSTUDIO_", "XWORKSTUDIO_TIMOUT"):
        monkeypatch.setenv(name, "x")
    load_settings()


QUOTED = {
    r"'CONTRACTOR\user'": r"CONTRACTOR\user",
    "'pa ss#wo$rd'": "pa ss#wo$rd",
    "'${HOME} $HOME'": "${HOME} $HOME",
    r"'a\nb'": r"a\nb",
    "plain": "plain",
}


@pytest.mark.parametrize(("written", "meant"), QUOTED.items())
def test_single_quotes_keep_a_value_in_env_files_as_in_shells(written: str, meant: str) -> None:
    Path(".env").write_text(f"WORKSTUDIO_SERVICE_USERNAME={written}\n")
    assert load_settings().workstudio_service_username == meant
    shell = subprocess.run(
        ["sh", "-c", '. ./.env && printf %s "$WORKSTUDIO_SERVICE_USERNAME"'], check=True, capture_output=True, text=True
    )
    assert shell.stdout == meant


def test_an_env_file_that_cannot_be_read_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").symlink_to("/proc/self/mem")
    with pytest.raises(UsageError, match=r"^wrong setting: the file \.env cannot be read: "):
        load_settings()


TEXTS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=20).map(lambda raw: raw.decode(errors="surrogateescape")),
    st.sampled_from([value for _, value, _ in (*WRONG, *ABSURD)]),
    st.from_regex(
        r"(slack\+)?(https?|postgresql(\+psycopg)?)://[\w:@%\[\].-]{0,20}(:[0-9]{0,6})?(/[ -~]{0,12})?", fullmatch=True
    ),
    st.floats().map(str),
    st.integers().map(str),
    st.dates().map(str),
)


@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TEXTS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=examples(400))
def test_no_value_of_any_setting_leads_to_anything_but_one_line(given_values: dict[str, str]) -> None:
    surroundings = {name.upper(): value.replace("\0", "") for name, value in given_values.items()}
    with pytest.MonkeyPatch.context() as patch:
        try:
            for name, value in surroundings.items():
                patch.setenv(name, value)
        except UnicodeEncodeError:
            assume(False)
        with suppress(UsageError):
            use(load_settings())


def use(settings: Settings) -> None:
    """As far as a command gets with them before it reaches a database or a server."""
    key = settings.circuit_sync_secret_key
    SecretKeys.parse(key.get_secret_value() if key else None)
    for webhook in Webhook.parse_all([url.get_secret_value() for url in settings.circuit_sync_webhooks]):
        webhook.name.encode()
    if settings.circuit_sync_database_url is not None:
        url = settings.circuit_sync_database_url.get_secret_value()
        with Database(url) as database:
            repr(database)
        storage_url(settings, url)
    if all((settings.workstudio_base_url, settings.workstudio_circuits_view, settings.workstudio_planned_units_view)):
        server = Server.from_settings(settings)
        httpx.Request("POST", server.view_url)
        httpx.Request("GET", server.health_url)
        server.trusted_certificates()
    monday_of(settings.circuit_sync_first_snapshot)
    for delay in settings.circuit_sync_retry_delays:
        timedelta(minutes=delay)


def test_what_a_base_url_holds_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTUDIO_BASE_URL", "https://user:SECRET@host:8443/DDOProtocol/?token=SECRET")
    settings = load_settings(workstudio_circuits_view="1", workstudio_planned_units_view="2")
    assert "SECRET" not in repr(settings)
    assert "SECRET" not in repr(Server.from_settings(settings))
