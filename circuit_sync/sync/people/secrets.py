"""The keys that planners' passwords are encrypted with at rest (ADR 6)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from circuit_sync.domain.errors import PermanentError, UsageError

SETTING = "CIRCUIT_SYNC_SECRET_KEY"
MAKE_A_KEY = '.venv/bin/python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class CannotDecrypt(PermanentError):
    """None of the keys fits what is stored."""


@dataclass(frozen=True, eq=False, repr=False)
class SecretKeys:
    """Fernet keys: the first encrypts, all of them decrypt. In no repr and no pickle; false if there is none."""

    _fernets: tuple[Fernet, ...] = field(default=())

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The keys of a comma-separated list; ``UsageError`` says which one is malformed and how to make one."""
        keys = [key.strip() for key in (text or "").split(",") if key.strip()]
        fernets = []
        for place, key in enumerate(keys, start=1):
            try:
                fernets.append(Fernet(key))
            except ValueError:
                raise UsageError(
                    f"{SETTING}: key {place} of {len(keys)} is not a Fernet key; make one with: {MAKE_A_KEY}"
                ) from None
        return cls(tuple(fernets))

    def required(self) -> Self:
        """These keys; ``UsageError`` if there is none."""
        if not self:
            raise UsageError(
                f"{SETTING} is not set: passwords are stored encrypted only; make a key with: {MAKE_A_KEY}"
            )
        return self

    def encrypt(self, secret: str) -> str:
        return self._all().encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Raises ``CannotDecrypt``."""
        return self._decrypted(self._all().decrypt, token)

    def rotate(self, token: str) -> str:
        """The same secret, encrypted with the first key. Raises ``CannotDecrypt``."""
        return self._decrypted(self._all().rotate, token)

    def _all(self) -> MultiFernet:
        return MultiFernet(self.required()._fernets)

    def _decrypted(self, decrypt: Callable[[str], bytes], token: str) -> str:
        try:
            return decrypt(token).decode()
        except InvalidToken:
            raise CannotDecrypt(
                f"no key of {SETTING} ({len(self._fernets)} set) fits: add the one it was encrypted with behind them, "
                "or store the password anew (circuit-sync credentials set)"
            ) from None

    def __bool__(self) -> bool:
        return bool(self._fernets)

    def __repr__(self) -> str:
        return f"SecretKeys({len(self._fernets)} set)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret keys are never pickled: read them from the settings where they are used")
