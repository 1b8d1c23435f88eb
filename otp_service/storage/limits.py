"""Limits that do not belong to one number: the end user's address, the app. Each is a key on a shard of its own.

They are taken before the start script, all in one round trip, and given back if it refuses for another reason; a
crash in between costs one slot for at most one window. The budgets of the number itself are judged in its scripts.
"""

import hashlib
import logging
import math
from collections.abc import Sequence
from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.policy import Limit, Slot
from .local_slots import LocalSlots
from .schema import Keys
from .script_files import Value
from .scripts import Scripts

_log = logging.getLogger("otp.limits")


class Limits:
    """Takes slots in limits and gives them back.

    While the shard of a limit is dead in a Cluster, each process counts by itself, and gives nothing back.
    """

    def __init__(self, scripts: Scripts, keys: Keys, *, is_cluster: bool = False) -> None:
        self._scripts = scripts
        self._keys = keys
        self._is_cluster = is_cluster
        self._local_slots = LocalSlots()

    def acquire(self, slots: Sequence[Slot]) -> int:
        """Take all slots or none. Returns 0, or the milliseconds until the limits that refuse let one through.

        Raises StoreUnavailable.
        """
        if not slots:
            return 0
        waits = self._run(slots, 1)
        taken = [slot for slot, wait_ms in zip(slots, waits, strict=True) if wait_ms == 0]
        if len(taken) < len(slots):
            self.release(taken)
        return max(waits)

    def look(self, slots: Sequence[Slot]) -> int:
        """What `acquire` would return, and nothing is taken. Raises StoreUnavailable."""
        return max(self._run(slots, 0), default=0)

    def release(self, slots: Sequence[Slot]) -> None:
        """Undo `acquire`. Raises StoreUnavailable."""
        self._run(slots, -1)

    def _run(self, slots: Sequence[Slot], count: int) -> list[int]:
        """Take a slot of each (1), look for one (0) or give one back (-1) in one round trip; the wait of each."""
        if not slots:
            return []
        keys = [self._key(slot) for slot in slots]
        calls = [({"limit": key}, _arguments(slot.limit, count)) for key, slot in zip(keys, slots, strict=True)]
        # Taken twice after a lost reply a slot is only lost; given back twice it would be one too many.
        replies = self._scripts.call_together("limit/take_slot", calls, repeat=count >= 0)
        return [self._wait(*each, count) for each in zip(replies, keys, slots, strict=True)]

    def _key(self, slot: Slot) -> str:
        subject = hashlib.sha256(slot.subject.encode()).hexdigest()[:32]
        return self._keys.limit(slot.name, slot.limit.limit, slot.limit.per_ms, subject)

    def _wait(self, reply: Any, key: str, slot: Slot, count: int) -> int:
        if not isinstance(reply, StoreUnavailable):
            return int(reply)
        if not self._is_cluster:
            raise reply
        _log.warning("each process counts a limit alone", extra={"reason": slot.name})
        return self._alone(key, slot.limit) if count > 0 else 0

    def _alone(self, key: str, limit: Limit) -> int:
        every_s = limit.per_ms / limit.limit / 1000
        wait_s = self._local_slots.reserve(key, every_s, limit.per_ms / 1000 - every_s)
        return math.ceil((-wait_s - limit.per_ms / 1000 + every_s) * 1000) if wait_s < 0 else 0


def _arguments(limit: Limit, count: int) -> dict[str, Value]:
    return {"events": limit.limit, "window_ms": limit.per_ms, "slots": count}
