"""When an answer is not to be believed: too few of the circuits held, or another server's altogether."""

FEWEST_TO_JUDGE = 10


def is_shrunken(*, held: int, came: int, rows: int) -> bool:
    """Whether an answer of ``rows`` rows that names ``came`` of the ``held`` circuits of its status is doubtful.

    Fewer than half of ten or more; and no row at all where there was anything.
    """
    if held == 0:
        return False
    return rows == 0 or (held >= FEWEST_TO_JUDGE and came * 2 < held)


def is_foreign(*, missing: int, new: int) -> bool:
    """Whether a shrunken answer is another view's or another server's: as many circuits nobody knew as are missing."""
    return 0 < missing <= new
