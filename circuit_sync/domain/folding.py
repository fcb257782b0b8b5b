"""Names without regard to case: the one rule by which two spellings are one region, one planner or one user.

In SQL it is the function ``circuit_sync_fold`` (docs/adr/0013-folding-names.md).
"""

import unicodedata


def fold(name: str) -> str:
    """The key of a name, for comparing only: Unicode's canonical caseless match, whatever the locale.

    ``São José``, ``SÃO JOSÉ`` and the same with a combining tilde and acute are one; ``Sao Jose`` is another.
    """
    return unicodedata.normalize("NFD", name).casefold()
