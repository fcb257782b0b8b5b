"""Every setting, typed and validated; the only reader of the environment.

``.env.example`` lists them all. A wrong value raises ``UsageError`` with one line that names the variable; values that
may be secret never appear in it.
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.statuses import STATUS_CODES, parse_statuses

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
UpToAWeek = Annotated[int, Field(ge=0, le=7 * 24 * 60)]
"""Minutes."""


class Settings(BaseSettings):
    """The settings of one installation: one WorkStudio server and one database."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    circuit_sync_database_url: SecretStr | None = None
    circuit_sync_dagster_url: SecretStr | None = None
    circuit_sync_secret_key: SecretStr | None = None
    circuit_sync_state_dir: Path = Path(".circuit_sync")
    circuit_sync_retry_delays: Annotated[tuple[UpToAWeek, ...], NoDecode] = (15, 30)
    circuit_sync_first_snapshot: date = date(2026, 1, 1)
    circuit_sync_webhooks: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    circuit_sync_event_retention_days: int = Field(90, ge=1, le=3650)
    circuit_sync_gateway_origins: CommaSeparated = ()
    circuit_sync_owners: CommaSeparated = ()
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
    workstudio_connect_timeout: float = Field(10.0, gt=0, allow_inf_nan=False)
    workstudio_timeout: float = Field(60.0, gt=0, allow_inf_nan=False)
    workstudio_max_attempts: int = Field(5, ge=1, le=5)
    workstudio_backoff_base: float = Field(1.0, gt=0, le=30)
    workstudio_calls_before_delay: int = Field(5, ge=1)
    workstudio_rate_limit_delay: float = Field(0.5, ge=0, allow_inf_nan=False)
    workstudio_concurrency: int = Field(1, ge=1, le=5)
    workstudio_statuses: CommaSeparated = STATUS_CODES
    workstudio_ca_bundle: Path | None = None

    @field_validator(
        "circuit_sync_retry_delays",
        "circuit_sync_webhooks",
        "circuit_sync_gateway_origins",
        "circuit_sync_owners",
        "workstudio_statuses",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("workstudio_statuses")
    @classmethod
    def _known_statuses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return parse_statuses(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("circuit_sync_owners")
    @classmethod
    def _owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not owner.startswith("team:") and "@" not in owner:
                raise ValueError(f"{owner!r} is no owner; an e-mail address or team:NAME is allowed")
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
                    f"number {place} is no URL; each looks like https://HOST/PATH or slack+https://HOST/PATH"
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

    Raises ``UsageError``, one line for all that is wrong, without the offending values (one may be a secret).
    """
    try:
        return Settings(**overrides)
    except UnicodeDecodeError:
        raise UsageError("wrong setting: the file .env is no UTF-8 text: save it as UTF-8") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        raise UsageError(f"wrong setting: {faults}") from None


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
