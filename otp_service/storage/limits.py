"""Limits that do not belong to one number: the end user's address, the app. Each is a key on a shard of its own.

They are taken before the start script and given back if it refuses for another reason; a crash in between costs one
place for at most one window. The number's own budgets are not here: they are judged inside the scripts.
"""

import hashlib
import ipaddress
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.errors import StoreUnavailable
from ..domain.policy import Limit
from .places import OwnPlaces
from .schema import Keys
from .scripts import Scripts

_log = logging.getLogger("otp.limits")


@dataclass(frozen=True, slots=True)
class Place:
    """One place in one limit: `name` says which limit, `subject` whose."""

    name: str
    subject: str
    limit: Limit


class Limits:
    """Takes places in limits and gives them back.

    While the shard of a limit is dead in a Cluster, each process counts by itself, and gives nothing back.
    """

    def __init__(self, scripts: Scripts, keys: Keys, *, is_cluster: bool = False) -> None:
        self._scripts = scripts
        self._keys = keys
        self._is_cluster = is_cluster
        self._own = OwnPlaces()

    def acquire(self, places: Sequence[Place]) -> int:
        """Take all places or none. Returns 0, or the milliseconds until the refusing limit lets one through.

        Raises StoreUnavailable.
        """
        for index, place in enumerate(places):
            wait = self._run(place, 1)
            if wait > 0:
                self.release(places[:index])
                return wait
        return 0

    def release(self, places: Sequence[Place]) -> None:
        """Undo `take`. Raises StoreUnavailable."""
        for place in places:
            self._run(place, -1)

    def _run(self, place: Place, slots: int) -> int:
        subject = hashlib.sha256(place.subject.encode()).hexdigest()[:32]
        key = self._keys.limit(f"{place.name}:{place.limit.limit}:{place.limit.per_ms}", subject)
        try:
            # Taken twice after a lost reply a place is only lost; given back twice it would be one too many.
            reply = self._scripts.call(
                "limit/take_slot",
                {"limit": key},
                repeat=slots > 0,
                events=place.limit.limit,
                window_ms=place.limit.per_ms,
                slots=slots,
            )
            return int(reply)
        except StoreUnavailable:
            if not self._is_cluster:
                raise
            _log.warning("each process counts a limit alone", extra={"reason": place.name})
            return self._alone(key, place.limit) if slots > 0 else 0

    def _alone(self, key: str, limit: Limit) -> int:
        every_s = limit.per_ms / limit.limit / 1000
        wait_s = self._own.reserve(key, every_s, limit.per_ms / 1000 - every_s)
        return math.ceil((-wait_s - limit.per_ms / 1000 + every_s) * 1000) if wait_s < 0 else 0


def network(address: str) -> str:
    """What a limit counts as one end user: an IPv4 address, or an IPv6 /64, since one user has a whole /64."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
