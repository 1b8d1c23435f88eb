"""The senders' rates: evenly spaced slots that all workers share.

In a Cluster the shard that holds a sender's rate may die. Then all workers go on with the next place of the sender,
which is in another slot: they know the same places in the same order. While one worker has noticed it and another has
not, for a second at most, two places are in use. Only where no place answers each process counts alone.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.outbox import LONGEST_SLEEP_MS
from .local_slots import LocalSlots
from .schema import Keys
from .schema.encodings import flag
from .script_files import load
from .scripts import Scripts
from .store import NODE_PAUSE_S, Store

PLACES = 8
"""Of one sender. With so many, one sender in two thousand has all of them on one of three nodes."""

AT_ONCE_MS = 10
"""A slot that comes so soon is taken for a message of which nothing is known yet."""

_log = logging.getLogger("otp.outbox")


class SenderRate:
    """The rates of one store's senders. Safe for many threads."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._local_slots = LocalSlots()
        self._dead_until: dict[str, float] = {}

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int, *, again: bool = False) -> int:
        """Take the sender's next slot: milliseconds to wait, negative if they would be more than `patience_ms`.

        After at most `LONGEST_SLEEP_MS` the message may go. After a longer wait it asks `again`, as one that has
        waited: it may go unless others go at that time, since much of the time may have passed unused.

        Raises StoreUnavailable, but not in a Cluster.
        """
        for key in self._places(sender):
            try:
                return self._take_shared(key, rate_per_s, patience_ms, again=again)
            except StoreUnavailable:
                if not self._store.is_cluster:
                    raise
                self._pause(self._store.node_of(key), sender)
        return 0 if again else round(1000 * self._local_slots.reserve(sender, 1 / rate_per_s, patience_ms / 1000))

    def free_slot(self, sender: str, rate_per_s: float) -> list[Any] | None:
        """The command that takes the sender's next slot if it comes within `AT_ONCE_MS`; None if no place answers.

        It replies as the other one does, and may run together with others. What it takes in vain delays few.
        """
        key, script = next(self._places(sender), None), load("sender/take_rate_slot")
        args = _arguments(rate_per_s, AT_ONCE_MS, again=False)
        return None if key is None else ["EVALSHA", script.sha, 1, key, *script.order_args(args)]

    def _places(self, sender: str) -> Iterator[str]:
        """The keys of the sender's places, without those on nodes that did not answer a moment ago."""
        for place in range(PLACES if self._store.is_cluster else 1):
            key = self._keys.sender_rate(sender, place)
            if time.monotonic() >= self._dead_until.get(self._store.node_of(key), 0.0):
                yield key

    def _pause(self, node: str, sender: str) -> None:
        if node not in self._dead_until:
            _log.warning("a sender's rate is kept in another place", extra={"sender": sender})
        self._dead_until[node] = time.monotonic() + NODE_PAUSE_S

    def _take_shared(self, key: str, rate_per_s: float, patience_ms: int, *, again: bool) -> int:
        args = _arguments(rate_per_s, patience_ms, again=again)
        return int(self._scripts.call("sender/take_rate_slot", {"sender_rate": key}, **args))


def _arguments(rate_per_s: float, patience_ms: int, *, again: bool) -> dict[str, Any]:
    return {
        "messages_per_s": str(rate_per_s),
        "patience_ms": patience_ms,
        "soon_ms": LONGEST_SLEEP_MS,
        "again": flag(again),
    }
