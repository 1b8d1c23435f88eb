"""Limits that do not belong to one number: the end user's address, the app. Each is a key on a shard of its own.

The budgets of the number itself are judged in its scripts.
"""

import hashlib
import logging
import math
from typing import Any

from ..domain.admission import OuterAnswer
from ..domain.errors import StoreUnavailable
from ..domain.policy import Limit, Slot
from .local_slots import LocalSlots
from .outer import TAKE
from .schema import Keys
from .script_files import Value
from .scripts import NamedCall

_log = logging.getLogger("otp.limits")


def limit_key(keys: Keys, slot: Slot) -> str:
    """Where the slots of a limit's rule and subject are."""
    subject = hashlib.sha256(slot.subject.encode()).hexdigest()[:32]
    return keys.limit(slot.name, slot.limit.limit, slot.limit.per_ms, subject)


class Limits:
    """How slots in limits are kept (`outer.Kind`).

    While the shard of a limit is dead in a Cluster, each process counts by itself, and gives nothing back.
    """

    def __init__(self, keys: Keys, *, is_cluster: bool = False) -> None:
        self._keys = keys
        self._is_cluster = is_cluster
        self._local_slots = LocalSlots()

    def call(self, slot: Slot, action: str, mark: str) -> NamedCall:
        """Take a slot, look for one, or give one back."""
        args: dict[str, Value] = {
            "action": action,
            "events": slot.limit.limit,
            "window_ms": slot.limit.per_ms,
            "at_ms": mark,
        }
        return "limit/take", {"limit": self._key(slot)}, args

    def answer(self, slot: Slot, action: str, reply: Any) -> OuterAnswer:
        """What the reply says. Raises StoreUnavailable, but in a Cluster."""
        if not isinstance(reply, StoreUnavailable):
            return OuterAnswer(slot, int(reply[0]), str(reply[1]))
        if not self._is_cluster:
            raise reply
        _log.warning("each process counts a limit alone", extra={"reason": slot.name})
        return OuterAnswer(slot, self._alone(self._key(slot), slot.limit) if action == TAKE else 0)

    def _key(self, slot: Slot) -> str:
        return limit_key(self._keys, slot)

    def _alone(self, key: str, limit: Limit) -> int:
        every_s = limit.per_ms / limit.limit / 1000
        wait_s = self._local_slots.reserve(key, every_s, limit.per_ms / 1000 - every_s)
        return math.ceil((-wait_s - limit.per_ms / 1000 + every_s) * 1000) if wait_s < 0 else 0
