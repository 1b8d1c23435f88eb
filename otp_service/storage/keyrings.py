"""What the store knows of the keyrings that work on it: fingerprints of the index key, ids of the other keys.

With another index key no number would be found again: opt-outs and budgets would be as if there were none.
"""

from collections.abc import Iterable
from typing import Any

from ..domain.errors import NotReady
from .answering import answering
from .schema import Keys
from .store import Store

FOREIGN = (
    "The store belongs to another keyring: the index key of OTP_KEYRING is {own}, the store knows {known}. With it no "
    "number's opt-outs and budgets would be found; use the keyring that the store was set up with, or an empty store."
)


class Keyrings:
    """The keyrings of one store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._client = store.client
        self._keys = keys

    def claim(self, fingerprint: str) -> None:
        """Remember the index key at first start, in one step; raise NotReady if the store knows others only.

        Raises StoreUnavailable.
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
