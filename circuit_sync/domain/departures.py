"""When an answer is too small to be believed."""

FEWEST_TO_JUDGE = 10


def is_shrunken(*, held: int, received: int) -> bool:
    """Whether an answer of ``received`` rows is suspiciously small for a status that held ``held`` circuits.

    Fewer than half of ten or more; and nothing at all where there was anything.
    """
    if held == 0:
        return False
    return received == 0 or (held >= FEWEST_TO_JUDGE and received * 2 < held)
