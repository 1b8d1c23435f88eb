"""Where random values come from: `secrets`, unless a test compares two servers that draw the same ones."""

import secrets
from typing import Protocol


class Chance(Protocol):
    """As the module `secrets`."""

    def token_bytes(self, nbytes: int, /) -> bytes:
        """So many random bytes."""
        ...

    def token_hex(self, nbytes: int, /) -> str:
        """So many random bytes in hex."""
        ...

    def token_urlsafe(self, nbytes: int, /) -> str:
        """So many random bytes in base64url."""
        ...

    def randbelow(self, exclusive_upper_bound: int, /) -> int:
        """A number from 0 to below this one, all equally likely."""
        ...


SYSTEM: Chance = secrets
