"""What no argument of any command may be."""

from collections.abc import Sequence

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.values import is_unicode


def check_arguments(words: Sequence[str]) -> None:
    """Raises ``UsageError`` for an empty argument, as a shell makes of an unset variable, and for what is no text."""
    before = ""
    for word in words:
        option, value = word.split("=", 1) if word.startswith("--") and "=" in word else (before, word)
        if not value.strip():
            what = option if option.startswith("-") else "an argument"
            raise UsageError(f"{what} is empty: give it a value, or leave it out")
        if not is_unicode(word):
            raise UsageError(f"{word!r} is no UTF-8 text")
        before = word
