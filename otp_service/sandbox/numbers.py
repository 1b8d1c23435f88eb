"""The account's numbers and messaging profiles, and which numbers may send.

A profile's pool has its long codes. Its toll-free numbers are used only if it has no long code, so that a failover
from the pool to a toll-free number of the same profile changes the sender. A pool uses one sender per recipient for
eight days (sticky sender); new recipients get its numbers in turn. Phone numbers and mobile numbers have separate
listings. Ids are opaque digits and the same at every start.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from otp_service.sandbox import regions
from otp_service.sandbox.clock import Clock, rfc3339

STICKY_S = 8 * 24 * 3600
MAX_STICKY = 100_000
# Message parts per second that a sender may send, and the longest wait of its queue.
RATES_PER_S = {"longcode": 0.1, "tollfree": 20.0, "shortcode": 1000.0, "alphanumeric": 0.1}
QUEUE_S = 14_400.0


@dataclass(slots=True)
class Health:
    """Message counts of one number since the start or the last reset."""

    sent: int = 0
    received: int = 0
    finished: int = 0
    delivered: int = 0
    spam: int = 0

    def to_json(self) -> dict[str, Any]:
        """The ratios as in the API; a number without messages counts as healthy."""
        return {
            "message_count": self.sent + self.received,
            "inbound_outbound_ratio": round(self.received / self.sent, 4) if self.sent else 0.0,
            "success_ratio": round(self.delivered / self.finished, 4) if self.finished else 1.0,
            "spam_ratio": round(self.spam / self.finished, 4) if self.finished else 0.0,
        }


@dataclass(slots=True)
class Number:
    """One number of the account; `kind` is longcode, tollfree or shortcode."""

    id: str
    phone_number: str
    kind: str
    created_at: float
    profile_id: str | None = None
    mobile: bool = False
    product: str = "A2P"
    tags: list[str] = field(default_factory=list)
    updated_at: float = 0.0
    health: Health = field(default_factory=Health)

    def to_json(self, organization_id: str) -> dict[str, Any]:
        """The resource; mobile numbers have fewer fields."""
        sms = {"domestic_two_way": True, "international_inbound": True, "international_outbound": True}
        common = {
            "record_type": "messaging_settings",
            "id": self.id,
            "phone_number": self.phone_number,
            "messaging_profile_id": self.profile_id,
            "country_code": "CA" if regions.region(self.phone_number) == "CA" else "US",
            "type": self.kind,
            "messaging_product": self.product,
            "traffic_type": self.product,
            "tags": list(self.tags),
            "organization_id": organization_id,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at or self.created_at),
        }
        if self.mobile:
            return {**common, "features": {"sms": sms}}
        mms = {"domestic_two_way": True, "international_inbound": False, "international_outbound": False}
        return {
            **common,
            "eligible_messaging_products": ["A2P"],
            "features": {"sms": sms, "mms": mms if self.kind != "shortcode" else None},
            "health": self.health.to_json(),
        }


class Numbers:
    """All numbers and profiles of the account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget every number and profile."""
        with self._lock:
            self._by_address: dict[str, Number] = {}
            self._by_id: dict[str, Number] = {}
            self._profiles: set[str] = set()
            self._pools: dict[str, Sequence[Number]] = {}
            self._pool_uses: dict[str, int] = {}
            self._sticky: OrderedDict[tuple[str, str], tuple[Number, float]] = OrderedDict()
            self._free_at: dict[str, float] = {}

    # -- what exists ------------------------------------------------------------------------------------

    def add_profile(self, profile_id: str) -> None:
        """Add a messaging profile."""
        with self._lock:
            self._profiles.add(profile_id)

    def has_profile(self, profile_id: str) -> bool:
        """Whether the messaging profile exists."""
        return profile_id in self._profiles

    def add(self, number: Number) -> None:
        """Add a number."""
        with self._lock:
            self._by_address[number.phone_number] = number
            self._by_id[number.id] = number
            self._pools.clear()

    def get(self, address: str) -> Number | None:
        """The number with this E.164 address or short code."""
        return self._by_address.get(address)

    def find(self, key: str, *, mobile: bool) -> Number | None:
        """The number with this id or address, in the listing of mobile or of other numbers."""
        number = self._by_id.get(key) or self._by_address.get(key)
        return number if number is not None and number.mobile is mobile else None

    def list(self, *, mobile: bool) -> Iterable[Number]:
        """The mobile or the other numbers, in the order of creation."""
        with self._lock:
            return [number for number in self._by_address.values() if number.mobile is mobile]

    # -- changes ----------------------------------------------------------------------------------------

    def assign(self, number: Number, profile_id: str | None) -> None:
        """Assign a number to a profile, or to none."""
        with self._lock:
            number.profile_id = profile_id
            number.updated_at = self._clock.now()
            self._pools.clear()

    def update(self, number: Number, *, product: str | None, tags: Sequence[str] | None) -> None:
        """Change the product and tags that are not None."""
        with self._lock:
            number.product = product or number.product
            number.tags = number.tags if tags is None else [*tags]
            number.updated_at = self._clock.now()

    # -- sending ----------------------------------------------------------------------------------------

    def pick(self, profile_id: str, recipient: str) -> Number | None:
        """The pool's number for this recipient, or None if the pool is empty."""
        now = self._clock.now()
        with self._lock:
            sticky = self._sticky.get((profile_id, recipient))
            if sticky and sticky[1] > now and sticky[0].profile_id == profile_id:
                return sticky[0]
            pool = self._pool(profile_id)
            if not pool:
                return None
            used = self._pool_uses.get(profile_id, 0)
            self._pool_uses[profile_id] = used + 1
            number = pool[used % len(pool)]
            self._sticky[profile_id, recipient] = (number, now + STICKY_S)
            while len(self._sticky) > MAX_STICKY:
                self._sticky.popitem(last=False)
            return number

    def has_pool(self, profile_id: str) -> bool:
        """Whether the profile has a number that its pool could send from."""
        with self._lock:
            return bool(self._pool(profile_id))

    def queue(self, sender: str, kind: str, parts: int) -> float | None:
        """Add `parts` to the sender's queue. Returns their wait in seconds, or None if the queue is full."""
        now, rate = self._clock.now(), RATES_PER_S.get(kind, 0.1)
        with self._lock:
            start = max(now, self._free_at.get(sender, now))
            if start - now > QUEUE_S:
                return None
            self._free_at[sender] = start + parts / rate
            return start - now

    def _pool(self, profile_id: str) -> Sequence[Number]:
        pool = self._pools.get(profile_id)
        if pool is None:
            own = [n for n in self._by_address.values() if n.profile_id == profile_id and not n.mobile]
            pool = [n for n in own if n.kind == "longcode"] or [n for n in own if n.kind == "tollfree"]
            self._pools[profile_id] = pool
        return pool
