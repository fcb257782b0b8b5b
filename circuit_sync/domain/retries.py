"""How much of what a failed sync was asked for later syncs do: what makes its retry needless."""

from collections.abc import Mapping
from typing import Any

Request = Mapping[str, Any]
"""What a sync was asked for, as its log's context tells: dates, or statuses and perhaps work orders; its options."""

_OPTIONS = ("force", "accept_departures")


def parts_of(request: Request) -> frozenset[str]:
    """What a sync was asked for, in parts that can be done one by one: dates, work orders, or statuses."""
    return frozenset(request.get("dates") or request.get("work_orders") or request.get("statuses") or ())


def done_by(later: Request, request: Request) -> frozenset[str]:
    """The parts of ``request`` that a sync of the same type asked for ``later`` does as thoroughly."""
    if any(request.get(option) and not later.get(option) for option in _OPTIONS):
        return frozenset()
    if not request.get("work_orders"):
        return frozenset() if later.get("work_orders") else parts_of(request) & parts_of(later)
    if later.get("work_orders"):
        return parts_of(request) & parts_of(later)
    # What is named is fetched whether it is due or not, and so it is by a forced sync only.
    is_as_thorough = later.get("force") and set(request["statuses"]) <= set(later["statuses"])
    return parts_of(request) if is_as_thorough else frozenset()
