"""Reading a GETVIEWDATA request as strictly as WorkStudio does."""

import base64
import hmac
from collections.abc import Mapping

import orjson

CIRCUITS_VIEW = "{6C1F0B52-3D84-4E19-9A77-2B5E08D4C7A1}"
PLANNED_UNITS_VIEW = "{E27A95D3-80B6-4C3F-B1D2-7F4409A6135C}"
CIRCUITS = "circuits"
PLANNED_UNITS = "planned_units"
_VIEWS = {CIRCUITS_VIEW: (CIRCUITS, "By Job Status"), PLANNED_UNITS_VIEW: (PLANNED_UNITS, "WO#")}


class NotUnderstoodError(Exception):
    """The server does not know such a request; its text goes into the answer's ``errorMessage``."""


def read_request(body: bytes) -> tuple[str, str]:
    """Which view is asked for, and the value of its filter: a status code or a work order.

    Raises ``NotUnderstoodError``.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotUnderstoodError("The request is not valid JSON.") from None
    if not isinstance(request, dict):
        raise NotUnderstoodError("The request is not an object.")
    if request.get("Protocol") != "GETVIEWDATA":
        raise NotUnderstoodError("Unknown protocol.")
    guid = str(request.get("ViewDefinitionGuid")).strip().upper()
    if guid not in _VIEWS:
        raise NotUnderstoodError("View definition not found.")
    view, filter_name = _VIEWS[guid]
    view_filter = request.get("ViewFilter")
    if not isinstance(view_filter, dict) or view_filter.get("ClassName") != "TViewFilter":
        raise NotUnderstoodError("ViewFilter must be a TViewFilter.")
    if view_filter.get("FilterName") != filter_name:
        raise NotUnderstoodError(f"The view has no such filter: its filter is '{filter_name}'.")
    value = view_filter.get("FilterValue")
    if not isinstance(value, str):
        raise NotUnderstoodError("FilterValue must be text.")
    if request.get("ResultFormat") != "DDOTable":
        raise NotUnderstoodError("Unknown ResultFormat.")
    return view, value.strip()


def sign_in(accounts: Mapping[str, str], header: str | None) -> tuple[str | None, bool]:
    """The user of a Basic ``Authorization`` header, None if it is not one, and whether the password is right.

    The case of a user's name does not count.
    """
    scheme, _, encoded = (header or "").partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None, False
    if scheme.lower() != "basic" or not colon:
        return None, False
    own = {name.casefold(): secret for name, secret in accounts.items()}.get(user.casefold())
    return user, own is not None and hmac.compare_digest(own.encode(), password.encode())
