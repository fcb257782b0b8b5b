"""Events are kept for a while, not for ever."""

from datetime import timedelta

from circuit_sync.events.retention import prune_events
from circuit_sync.sync.session import Session


def prune_old_events(session: Session, days: int) -> int:
    """Deletes the events older than ``days`` days, in small steps; returns how many."""
    pruned = prune_events(session.database, session.now() - timedelta(days=days))
    session.log(f"{pruned} events older than {days} days deleted")
    return pruned
