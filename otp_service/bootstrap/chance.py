"""Where random values come from: the system, unless a test compares two servers that draw the same ones."""

import os
import secrets
import threading
from typing import Protocol

PORTION = 1024
"""Bytes that are drawn at once. Each request needs a few dozen, and asking the system for them costs 1 µs each time."""


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


class _Drawn(threading.local):
    """What a thread has drawn and not given out."""

    def __init__(self) -> None:
        self.portion = b""
        self.given = 0


class SystemChance:
    """The system's random bytes: those of ids in portions, codes each for itself.

    No byte is given out twice: each thread has a portion of its own, and a process that was forked draws anew.
    """

    token_urlsafe = staticmethod(secrets.token_urlsafe)
    randbelow = staticmethod(secrets.randbelow)

    def __init__(self) -> None:
        self._drawn = _Drawn()
        os.register_at_fork(after_in_child=self._draw_anew)

    def _draw_anew(self) -> None:
        self._drawn = _Drawn()

    def token_bytes(self, nbytes: int, /) -> bytes:
        """So many random bytes."""
        drawn = self._drawn
        begin = drawn.given
        if begin + nbytes > len(drawn.portion):
            drawn.portion, begin = os.urandom(max(PORTION, nbytes)), 0
        drawn.given = begin + nbytes
        return drawn.portion[begin : drawn.given]

    def token_hex(self, nbytes: int, /) -> str:
        """So many random bytes in hex."""
        return self.token_bytes(nbytes).hex()


SYSTEM: Chance = SystemChance()
