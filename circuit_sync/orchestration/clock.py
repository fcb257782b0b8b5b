"""What time it is for schedules and sensors; the use cases are handed theirs."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant in UTC."""
    return datetime.now(UTC)
