"""How many entries of the audit streams are not in the ledger yet. With too many of them nothing is started any more:
an event that the store could not keep would be lost.

A process looks every few seconds, in the background. The exporter says how many entries are in the ledger; a stream
says how many it ever had.
"""

import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from .answering import answering, answers
from .schema import Keys
from .store import Store

LOOK_S = 5.0


class KnownBacklog:
    """What a process knows of it: whether it is too great."""

    def __init__(self) -> None:
        self.is_full = False


class AuditBacklog:
    """Looks at the streams of one store. `most`: so many entries may wait."""

    def __init__(
        self, store: Store, keys: Keys, known: KnownBacklog, most: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._keys = keys
        self._known = known
        self._most = most
        self._monotonic = monotonic
        self._due = 0.0

    def look(self) -> None:
        """Look, unless that was done lately. Raises StoreUnavailable; then what was known before stands."""
        if self._monotonic() >= self._due:
            self._due = self._monotonic() + LOOK_S
            self._known.is_full = self.waiting() > self._most

    def waiting(self) -> int:
        """How many entries of the shards that answer are not in the ledger. Raises StoreUnavailable."""
        with answering():
            exported: Any = self._store.client.hgetall(self._keys.exported())
        about = [("XINFO STREAM", self._keys.audit(shard)) for shard in range(self._keys.shards)]
        streams = answers([None if isinstance(reply, ResponseError) else reply for reply in self._store.gather(about)])
        return sum(_waiting(stream, exported.get(str(shard))) for shard, stream in enumerate(streams) if stream)


def _waiting(stream: Any, exported: str | None) -> int:
    """Of one stream; all that it has if no ledger has told of it."""
    length, added = int(stream["length"]), int(stream["entries-added"])
    return length if exported is None else max(0, min(length, added - int(exported)))
