"""The guard's safe list: what an operator has listed, as each process knows it after a moment."""

import time
from collections.abc import Mapping
from typing import Any

from ..domain.errors import StoreUnavailable
from .answering import answering
from .schema import Keys
from .schema.encodings import SafeEntry
from .store import Store

READ_S = 2.0
"""So often the list is read in the background."""

KNOWN_FOR_S = 10.0
"""A list that is older is read by whoever needs it."""


class KnownSafeList:
    """The list as this process knows it: shared by its threads and its event loop."""

    def __init__(self) -> None:
        self.entries: frozenset[str] = frozenset()
        self.read_at = -KNOWN_FOR_S


class SafeListTable:
    """The safe list of one store."""

    def __init__(self, store: Store, keys: Keys, known: KnownSafeList) -> None:
        self._client = store.client
        self._store = store
        self._keys = keys
        self._known = known

    def entries(self) -> frozenset[str]:
        """The names of the entries. Never raises: where the store does not answer, as they were last read."""
        self._refresh(KNOWN_FOR_S)
        return self._known.entries

    def refresh(self) -> None:
        """Read the list again, if it is time. Never raises."""
        self._refresh(READ_S)

    def _refresh(self, older_than_s: float) -> None:
        known, now = self._known, time.monotonic()
        if now - known.read_at < older_than_s:
            return
        try:
            known.entries, known.read_at = frozenset(self.all()), now
        except StoreUnavailable:
            known.read_at = now - older_than_s + 1.0

    def all(self) -> Mapping[str, tuple[int, str]]:
        """When each entry was made, and why. Raises StoreUnavailable."""
        with answering():
            found: Any = self._client.hgetall(self._keys.safe_list())
        entries = {name: SafeEntry.parse(text) for name, text in found.items()}
        return {name: (int(at_ms), reason) for name, (at_ms, reason) in entries.items()}

    def add(self, name: str, reason: str) -> bool:
        """Add an entry; False if it was there, and then nothing changes. Raises StoreUnavailable."""
        now_ms = self._store.time_ms(self._keys.safe_list())
        with answering():
            return bool(self._client.hsetnx(self._keys.safe_list(), name, SafeEntry.pack(now_ms, reason)))

    def remove(self, name: str) -> bool:
        """Take an entry out; False if there was none. Raises StoreUnavailable."""
        with answering():
            return bool(self._client.hdel(self._keys.safe_list(), name))
