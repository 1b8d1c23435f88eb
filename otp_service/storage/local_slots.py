"""Slots in time that one process counts alone, while the shard of a Cluster that keeps the shared count is dead.

Each process then lets through what all of them together may: more than configured, but never without a bound.
"""

import threading
import time

_MOST = 10_000


class LocalSlots:
    """Evenly spaced slots for each name. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def reserve(self, name: str, interval_s: float, most_s: float) -> float:
        """The seconds until the slot that was reserved, or minus as many if they are more than `most_s`."""
        with self._lock:
            now = time.monotonic()
            at = max(self._next.get(name, now), now)
            if at - now > most_s:
                return now - at
            if len(self._next) >= _MOST:
                self._next = {other: then for other, then in self._next.items() if then > now}
            self._next[name] = at + interval_s
            return at - now
