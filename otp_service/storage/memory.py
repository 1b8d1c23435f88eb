"""How full the store is, and how long its memory lasts at the present growth."""

import math
from dataclasses import dataclass

from .answering import answers
from .readiness import server_info
from .schema import Keys
from .store import Store

NEARLY_FULL = 0.8
"""From this share of `maxmemory` on the service warns."""

DAY_MS = 86_400_000
SHORTEST_MS = 3_600_000
"""Growth is not judged over less than this."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the server that is fullest: bytes in use, bytes in use when it was empty, `maxmemory` in bytes."""

    used: int
    at_start: int
    most: int

    @property
    def ratio(self) -> float:
        """How much of `maxmemory` is in use, 0 to 1."""
        return self.used / self.most

    @property
    def warning(self) -> str | None:
        """A sentence for the operator where it is nearly full."""
        if self.ratio < NEARLY_FULL:
            return None
        return (
            f"{self.ratio:.0%} of the store's maxmemory ({self.most / 1e6:.0f} MB) are in use; when it is full nothing "
            "can be started or checked. Raise maxmemory, or shorten [audit] retention."
        )


def fullest(store: Store) -> Memory | None:
    """The server that is fullest; None if none that answers has a `maxmemory`. Raises StoreUnavailable."""
    found = [
        Memory(int(info["used_memory"]), int(info.get("used_memory_startup", 0)), int(info["maxmemory"]))
        for info in server_info(store, "memory")
        if int(info.get("maxmemory", 0))
    ]
    return max(found, key=lambda memory: memory.ratio, default=None)


def oldest_event_age_ms(store: Store, keys: Keys) -> int:
    """How old the oldest audit event is, by the store's clock; 0 if there is none. Raises StoreUnavailable."""
    first = answers(store.gather([("XRANGE", keys.audit(shard), "-", "+", "COUNT", 1) for shard in range(keys.shards)]))
    born = [int(entries[0][0].partition("-")[0]) for entries in first if entries]
    return max(0, store.any_time_ms() - min(born)) if born else 0


def days_left(memory: Memory, age_ms: int, retention_ms: int) -> float:
    """Days until it is full, if it grows as it did since the oldest audit event.

    Infinite where events are dropped as fast as they come, or where nothing can be said yet.
    """
    if not SHORTEST_MS <= age_ms < retention_ms or memory.used <= memory.at_start:
        return math.inf
    per_ms = (memory.used - memory.at_start) / age_ms
    left_ms = max(0, memory.most - memory.used) / per_ms
    return math.inf if age_ms + left_ms >= retention_ms else left_ms / DAY_MS
