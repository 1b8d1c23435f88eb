"""What the store knows of the keyrings that work on it: fingerprints of the index key, ids of the other keys.

With another index key no number would be found again: opt-outs and budgets would be as if there were none. So a store
that has data of numbers and no mark is not taken by whoever starts first: only a person can know whose it is.
"""

from collections.abc import Iterable
from typing import Any

from ..domain.errors import NotReady
from .answering import answering
from .schema import PREFIX, Keys, of_numbers
from .store import Store

FOREIGN = (
    "The store belongs to another keyring: the index key of OTP_KEYRING is {own}, the store knows {known}. With it no "
    "number's opt-outs and budgets would be found; use the keyring that the store was set up with, or an empty store."
)

UNMARKED = (
    "The store has data of telephone numbers, and does not say of which keyring. With another keyring than theirs, "
    "opt-outs and budgets would not be found. If OTP_KEYRING is the right one (index key {own}), run: otp-service "
    "keyring accept; else use the right one, or an empty store."
)
_LOOK = 1_000
"""Keys that one command of the search for data looks at."""


class Keyrings:
    """The keyrings of one store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._client = store.client
        self._keys = keys

    def begin(self, fingerprint: str) -> None:
        """At the start of a process: `claim`, but raise NotReady for a store with data that knows no index key.

        Raises StoreUnavailable.
        """
        if not self.judge(fingerprint):
            self.claim(fingerprint)

    def judge(self, fingerprint: str) -> bool:
        """As `require`, and raise NotReady if the store has data of numbers and knows no index key. Writes nothing.

        Raises StoreUnavailable.
        """
        is_marked = self.require(fingerprint)
        if not is_marked and self._has_data():
            raise NotReady(UNMARKED.format(own=fingerprint))
        return is_marked

    def claim(self, fingerprint: str) -> None:
        """Remember the index key if the store knows none, in one step; raise NotReady if it knows others only.

        For a process that has begun: an emptied store gets its mark again, whatever was written meanwhile. Raises
        StoreUnavailable.
        """
        with answering():
            known: Any = self._client.set(self._keys.index_keys(), fingerprint, nx=True, get=True)
        _require(fingerprint, known)

    def require(self, fingerprint: str) -> bool:
        """Raise NotReady if the store knows other index keys only; whether it knows any. Writes nothing.

        Raises StoreUnavailable.
        """
        with answering():
            known: Any = self._client.get(self._keys.index_keys())
        _require(fingerprint, known)
        return known is not None

    def _has_data(self) -> bool:
        with answering():
            return any(map(of_numbers, self._client.scan_iter(f"{PREFIX}:*", count=_LOOK)))

    def register(self, kids: Iterable[str]) -> None:
        """Remember that some process has these keys. Raises StoreUnavailable."""
        with answering():
            self._client.sadd(self._keys.key_ids(), *kids)

    def known(self, kid: str) -> bool:
        """Whether any process has ever had a key of this id. Raises StoreUnavailable."""
        with answering():
            return bool(self._client.sismember(self._keys.key_ids(), kid))


def _require(fingerprint: str, known: str | None) -> None:
    if known is not None and fingerprint not in known.split():
        raise NotReady(FOREIGN.format(own=fingerprint, known=", ".join(known.split())))
