"""Who the assets belong to."""

from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import load_settings


def owners() -> list[str]:
    """The owners from the settings, as Dagster takes them: an e-mail address or ``team:NAME``."""
    named = load_settings().circuit_sync_owners
    for owner in named:
        if not owner.startswith("team:") and "@" not in owner:
            raise UsageError(f"CIRCUIT_SYNC_OWNERS: {owner!r} is no owner; an e-mail address or team:NAME is allowed")
    return list(named)
