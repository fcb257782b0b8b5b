"""Which WorkStudio to call and as whom: what the settings say, checked once, before the first call."""

import ssl
from base64 import b64encode
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Self

import httpx

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import Settings
from circuit_sync.workstudio.views import CIRCUITS, PLANNED_UNITS, View

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Credential:
    """One WorkStudio account (``CONTRACTOR\\user``); its password is in no repr and no pickle."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The service account; ``UsageError`` names what is missing."""
        username, password = settings.workstudio_service_username, settings.workstudio_service_password
        if username is None or password is None:
            raise _missing(WORKSTUDIO_SERVICE_USERNAME=username, WORKSTUDIO_SERVICE_PASSWORD=password)
        return cls(username, password.get_secret_value())

    def redact(self, text: str) -> str:
        """``text`` without the password, should a server repeat it, plain or as Basic auth writes it."""
        basic = b64encode(f"{self.username}:{self.password}".encode()).decode()
        for secret in filter(None, (basic, self.password)):
            text = text.replace(secret, "***")
        return text

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is never pickled: pass its user's id and decrypt it where it is used")


@dataclass(frozen=True)
class Server:
    """One WorkStudio installation and how to treat it: timeouts, attempts and pace as its operator asks.

    ``base_url`` is kept with one trailing slash and without user, password, query or fragment; a bare host
    gets the usual path ``/DDOProtocol/``. View GUIDs are kept with braces; ``circuits`` and ``planned_units`` say how
    the views are asked for and read there. Times in seconds, ``max_answer_mb`` in megabytes of a decoded body.
    """

    base_url: str
    circuits_view: str
    planned_units_view: str
    connect_timeout: float = 10.0
    timeout: float = 60.0
    max_attempts: int = 5
    backoff_base: float = 1.0
    calls_before_delay: int = 5
    rate_limit_delay: float = 0.5
    concurrency: int = 1
    ca_bundle: Path | None = None
    call_deadline: float = 600.0
    max_answer_mb: float = 256.0
    circuits: View = CIRCUITS
    planned_units: View = PLANNED_UNITS

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", _normalised_url(self.base_url))
        object.__setattr__(self, "circuits_view", _braced(self.circuits_view))
        object.__setattr__(self, "planned_units_view", _braced(self.planned_units_view))

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The configured installation; ``UsageError`` names every setting that is missing."""
        url = settings.workstudio_base_url
        circuits, units = settings.workstudio_circuits_view, settings.workstudio_planned_units_view
        if url is None or circuits is None or units is None:
            raise _missing(
                WORKSTUDIO_BASE_URL=url, WORKSTUDIO_CIRCUITS_VIEW=circuits, WORKSTUDIO_PLANNED_UNITS_VIEW=units
            )
        return cls(
            url,
            circuits,
            units,
            connect_timeout=settings.workstudio_connect_timeout,
            timeout=settings.workstudio_timeout,
            max_attempts=settings.workstudio_max_attempts,
            backoff_base=settings.workstudio_backoff_base,
            calls_before_delay=settings.workstudio_calls_before_delay,
            rate_limit_delay=settings.workstudio_rate_limit_delay,
            concurrency=settings.workstudio_concurrency,
            ca_bundle=settings.workstudio_ca_bundle,
            call_deadline=settings.workstudio_call_deadline,
            max_answer_mb=settings.workstudio_max_answer_mb,
            circuits=replace(
                CIRCUITS.with_headings(settings.workstudio_circuits_columns, "WORKSTUDIO_CIRCUITS_COLUMNS"),
                filter_name=settings.workstudio_circuits_filter or CIRCUITS.filter_name,
                captions={**CIRCUITS.captions, **settings.workstudio_circuits_captions},
            ),
            planned_units=replace(
                PLANNED_UNITS.with_headings(
                    settings.workstudio_planned_units_columns, "WORKSTUDIO_PLANNED_UNITS_COLUMNS"
                ),
                filter_name=settings.workstudio_planned_units_filter or PLANNED_UNITS.filter_name,
                caption=settings.workstudio_planned_units_caption or PLANNED_UNITS.caption,
            ),
        )

    @property
    def largest_answer(self) -> int:
        """Bytes of a decoded body."""
        return int(self.max_answer_mb * MEGABYTE)

    @property
    def view_url(self) -> str:
        """Where views are asked for."""
        return f"{self.base_url}GETVIEWDATA"

    @property
    def health_url(self) -> str:
        """The base URL less its path."""
        return str(httpx.URL(self.base_url).copy_with(path="/"))

    def trusted_certificates(self) -> ssl.SSLContext | bool:
        """What TLS is verified against: the configured bundle, else the public authorities. Never nothing.

        A plain ``http://`` server needs no authorities, and reading them takes longer than many a call; should TLS
        be spoken all the same, no certificate would do.
        """
        if self.ca_bundle is None:
            return self.base_url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca_bundle.is_dir():
                return ssl.create_default_context(capath=self.ca_bundle)
            return ssl.create_default_context(cafile=self.ca_bundle)
        except OSError:
            raise UsageError(f"WORKSTUDIO_CA_BUNDLE: no certificates can be read from {self.ca_bundle}") from None


def _normalised_url(text: str) -> str:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise UsageError("WORKSTUDIO_BASE_URL is not a URL: expected https://HOST:PORT/DDOProtocol/") from None
    if url.scheme not in ("https", "http") or not url.host:
        raise UsageError("WORKSTUDIO_BASE_URL must be https://HOST:PORT/DDOProtocol/ (or http://…)")
    path = url.path.strip("/") or "DDOProtocol"
    return str(url.copy_with(username="", password="", path=f"/{path}/", query=None, fragment=None))


def _braced(guid: str) -> str:
    return "{" + guid.strip().strip("{}") + "}"


def _missing(**values: object) -> UsageError:
    names = ", ".join(name for name, value in values.items() if value is None)
    return UsageError(f"WorkStudio is not configured: set {names} in the environment or .env (see .env.example)")
