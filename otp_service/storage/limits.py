"""Limits that do not belong to one number: the end user's address, the app. Each is a key on a shard of its own.

They are taken before the start script and given back if it refuses for another reason; a crash in between costs one
slot for at most one window. The number's own budgets are not here: they are judged inside the scripts.
"""

import hashlib
import ipaddress
import logging
import math
from collections.abc import Sequence

from ..domain.errors import StoreUnavailable
from ..domain.policy import Limit, Slot
from .local_slots import LocalSlots
from .schema import Keys
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
        """Take all slots or none. Returns 0, or the milliseconds until the refusing limit lets one through.

        Raises StoreUnavailable.
        """
        for index, slot in enumerate(slots):
            wait = self._run(slot, 1)
            if wait > 0:
                self.release(slots[:index])
                return wait
        return 0

    def release(self, slots: Sequence[Slot]) -> None:
        """Undo `acquire`. Raises StoreUnavailable."""
        for slot in slots:
            self._run(slot, -1)

    def _run(self, slot: Slot, count: int) -> int:
        subject = hashlib.sha256(slot.subject.encode()).hexdigest()[:32]
        key = self._keys.limit(slot.name, slot.limit.limit, slot.limit.per_ms, subject)
        try:
            # Taken twice after a lost reply a slot is only lost; given back twice it would be one too many.
            reply = self._scripts.call(
                "limit/take_slot",
                {"limit": key},
                repeat=count > 0,
                events=slot.limit.limit,
                window_ms=slot.limit.per_ms,
                slots=count,
            )
            return int(reply)
        except StoreUnavailable:
            if not self._is_cluster:
                raise
            _log.warning("each process counts a limit alone", extra={"reason": slot.name})
            return self._alone(key, slot.limit) if count > 0 else 0

    def _alone(self, key: str, limit: Limit) -> int:
        every_s = limit.per_ms / limit.limit / 1000
        wait_s = self._local_slots.reserve(key, every_s, limit.per_ms / 1000 - every_s)
        return math.ceil((-wait_s - limit.per_ms / 1000 + every_s) * 1000) if wait_s < 0 else 0


def network(address: str) -> str:
    """What a limit counts as one end user: an IPv4 address, or an IPv6 /64, since one user has a whole /64."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
