"""Every setting, typed and validated; the only reader of the environment.

``.env.example`` lists them all. A wrong value raises ``UsageError`` with one line that names the variable; values that
may be secret never appear in it.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.printable import is_printable
from circuit_sync.domain.statuses import STATUS_CODES, parse_status, parse_statuses

_Item = TypeVar("_Item")
Commas = Annotated[tuple[_Item, ...], NoDecode]
"""Written with commas between."""
Pairs = Annotated[dict[str, str], NoDecode]
"""Written ``NAME=VALUE``, with commas between."""
Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
UpToAWeek = Annotated[int, Field(ge=0, le=7 * 24 * 60)]
"""Minutes."""
UpToAnHour = Annotated[float, Field(le=3600, allow_inf_nan=False)]
"""Seconds."""
OTHERS = frozenset({"CIRCUIT_SYNC_DAGSTER_DIR"})
"""Variables with our prefixes that others read: ``dagster.yaml``."""

_OURS = re.compile("(CIRCUIT_SYNC|WORKSTUDIO)_.+")
_OF_KUBERNETES = re.compile(r".+_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")


class Settings(BaseSettings):
    """The settings of one installation: one WorkStudio server and one database."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    circuit_sync_database_url: SecretStr | None = None
    circuit_sync_dagster_url: SecretStr | None = None
    circuit_sync_secret_key: SecretStr | None = None
    circuit_sync_state_dir: Path = Path(".circuit_sync")
    circuit_sync_retry_delays: Commas[UpToAWeek] = (15, 30)
    circuit_sync_first_snapshot: date = Field(date(2026, 1, 1), ge=date(2000, 1, 1), le=date(2100, 12, 31))
    circuit_sync_webhooks: Commas[SecretStr] = Field((), max_length=50)
    circuit_sync_event_retention_days: int = Field(90, ge=1, le=3650)
    circuit_sync_gateway_origins: Commas[str] = ()
    circuit_sync_owners: Commas[str] = ()
    circuit_sync_location_name: str = "circuit_sync"
    circuit_sync_asset_prefix: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$")
    circuit_sync_bundled_simulator: bool = Field(
        False, description="set by `dev` and `demo` for the processes they start"
    )

    workstudio_base_url: str | None = Field(
        None, repr=False, description="may hold a user's password, which is not used"
    )
    workstudio_service_username: str | None = None
    workstudio_service_password: SecretStr | None = None
    workstudio_circuits_view: str | None = None
    workstudio_planned_units_view: str | None = None
    workstudio_circuits_filter: Name | None = None
    workstudio_circuits_captions: Pairs = {}
    workstudio_circuits_columns: Pairs = {}
    workstudio_planned_units_filter: Name | None = None
    workstudio_planned_units_caption: Name | None = None
    workstudio_planned_units_columns: Pairs = {}
    workstudio_connect_timeout: UpToAnHour = Field(10.0, gt=0)
    workstudio_timeout: UpToAnHour = Field(60.0, gt=0)
    workstudio_call_deadline: float = Field(600.0, gt=0, le=86_400, allow_inf_nan=False)
    workstudio_max_answer_mb: float = Field(256.0, gt=0, le=16_384, allow_inf_nan=False)
    workstudio_max_attempts: int = Field(5, ge=1, le=5)
    workstudio_backoff_base: float = Field(1.0, gt=0, le=30)
    workstudio_calls_before_delay: int = Field(5, ge=1, le=1000)
    workstudio_rate_limit_delay: UpToAnHour = Field(0.5, ge=0)
    workstudio_concurrency: int = Field(1, ge=1, le=5)
    workstudio_statuses: Commas[str] = STATUS_CODES
    workstudio_mains_contain_splits: Literal["auto", "yes", "no"] = "auto"
    workstudio_ca_bundle: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones, with ``.env`` as it is written."""
        return init_settings, env_settings, _AsWritten(settings_cls), file_secret_settings

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        kind = get_origin(cls.model_fields[str(info.field_name)].annotation)
        if kind is dict:
            return _pairs(value)
        if kind is tuple:
            return tuple(_plain_text(part.strip()) for part in value.split(",") if part.strip())
        return _plain_text(value)

    @field_validator("workstudio_circuits_captions", "workstudio_statuses")
    @classmethod
    def _known_statuses(cls, value: dict[str, str] | tuple[str, ...]) -> dict[str, str] | tuple[str, ...]:
        try:
            if isinstance(value, dict):
                return {parse_status(status): caption for status, caption in value.items()}
            return parse_statuses(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("circuit_sync_owners")
    @classmethod
    def _owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not _EMAIL.fullmatch(owner) and not re.fullmatch("team:.+", owner):
                raise ValueError(f"{owner!r} is not an owner; an e-mail address or team:NAME is allowed")
        return value

    @field_validator("circuit_sync_gateway_origins")
    @classmethod
    def _web_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://[^/\s*]+", origin) for origin in value):
            raise ValueError("each must be an origin such as https://progress.example.com, without a path")
        return value

    @field_validator("circuit_sync_webhooks")
    @classmethod
    def _webhook_urls(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for place, url in enumerate(value, start=1):
            if not _is_web_url(url.get_secret_value().removeprefix("slack+")):
                raise ValueError(
                    f"number {place} is not a URL; each looks like https://HOST/PATH or slack+https://HOST/PATH"
                )
        return value

    @field_validator("workstudio_base_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not _is_web_url(value.strip()):
            raise ValueError(
                "must begin with https:// (or http://), then a host and perhaps a port up to 65535: "
                "https://HOST:PORT/DDOProtocol/"
            )
        return value


def load_settings(**overrides: Any) -> Settings:
    """The settings from the environment and ``.env``; ``overrides`` win.

    Raises ``UsageError``, one line for all that is wrong, without the offending values (one may be a secret). A name
    that is nearly one of ours is wrong too: the default would hold unnoticed.
    """
    settings, faults = read_settings(**overrides)
    if faults:
        raise UsageError(f"wrong setting: {'; '.join(fault for _, fault in faults)}")
    return settings


def read_settings(**overrides: Any) -> tuple[Settings, list[tuple[str, str]]]:
    """The settings, with the default for each that is wrong, and the faults: the name of the setting meant, one line.

    Raises ``UsageError`` if ``.env`` cannot be read.
    """
    try:
        faults = list(_misspelt([*os.environ, *_written(Path(".env"))]))
        try:
            settings = Settings(**overrides)
        except ValidationError as error:
            wrong = [(str(e["loc"][0]).upper(), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
            faults += [(name, f"{name}: {said}") for name, said in wrong]
            usual = {name.lower(): Settings.model_fields[name.lower()].get_default() for name, _ in wrong}
            settings = Settings(**overrides | usual)
    except UnicodeDecodeError:
        raise UsageError("wrong setting: the file .env is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"wrong setting: the file .env cannot be read: {error.strerror}") from None
    return settings, faults


def _plain_text(value: str) -> str:
    """A file's last line break is not part of a secret; a blank value is a mistake."""
    text = value.rstrip("\r\n")
    if not text.strip():
        raise ValueError("is blank: give it a value, or leave it out")
    if not is_printable(text):
        raise ValueError("holds a control character, or is not UTF-8 text")
    return text


def _pairs(value: str) -> dict[str, str]:
    parts = [part.partition("=") for part in value.split(",") if part.strip()]
    pairs = {name.strip(): text.strip() for name, _, text in parts}
    if len(pairs) < len(parts) or not all(name and text and text.isprintable() for name, text in pairs.items()):
        raise ValueError("each must be NAME=VALUE, with commas between and no name twice")
    return pairs


class _AsWritten(DotEnvSettingsSource):
    """``.env`` without the replacement of ``${NAME}``, which python-dotenv does within single quotes too."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in _written(file_path).items() if value}


def _written(file: Path) -> Mapping[str, str | None]:
    return dotenv_values(file, interpolate=False, encoding="utf-8") if file.is_file() else {}


def _misspelt(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """For each name that is nearly one of ours: that one, and a line."""
    known = {field.upper() for field in Settings.model_fields} | OTHERS
    for name in sorted({name.upper() for name in names} - known):
        if _OURS.fullmatch(name) and not _OF_KUBERNETES.fullmatch(name):
            for nearest in difflib.get_close_matches(name, known, n=1, cutoff=0.8):
                yield nearest, f"{name} is not a setting: {nearest} is"


def _is_web_url(text: str) -> bool:
    """Whether a client can ask there: a scheme, a host that can be looked up, a port that can be."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        port = parts.port
    except ValueError:
        return False
    is_plain = not re.search(r"[\s\x00-\x1f\x7f]", text)
    can_be_looked_up = re.fullmatch(rb"[\w.-]+|[\w.:%-]*:[\w.:%-]*", host)
    return is_plain and parts.scheme in {"http", "https"} and port != 0 and can_be_looked_up is not None
