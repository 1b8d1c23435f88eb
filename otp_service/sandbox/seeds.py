"""The profiles and numbers that exist at the start and after every reset.

* messaging profile `abc85f64-5717-4562-b3fc-2c9600000000`
* toll-free `+18445550001`, on that profile
* its pool: the long codes `+17755550100` to `+17755550109`
* short code `12345`, on that profile
* toll-free `+18880000000` to `+18880000009`, on no profile
* mobile `+13127367407`, on no profile

The senders of the service's configuration are added: their profile if it is new, their number if they have one, and
ten pool numbers (from `+17755550110`) for a number pool whose profile has no number.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from otp_service.sandbox import regions
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.numbers import Number, Numbers

PROFILE_ID = "abc85f64-5717-4562-b3fc-2c9600000000"
ORGANIZATION_ID = "b448f9cc-a842-4784-98e9-03c1a5872950"
TOLL_FREE = "+18445550001"
POOL = tuple(f"+1775555{line:04d}" for line in range(100, 110))
SHORT_CODE = "12345"
UNASSIGNED = tuple(f"+1888000{line:04d}" for line in range(10))
MOBILE = "+13127367407"

_FIRST_ID = 1293384261075731499
_NEXT_POOL_LINE = 110
_POOL_SIZE = 10


@dataclass(frozen=True)
class SandboxSender:
    """A sender of the service's configuration.

    `kind` is as configured (long_code, number_pool, short_code, alphanumeric, whatsapp). `phone_number` is the
    sender's address, or its name if it is alphanumeric.
    """

    kind: str
    messaging_profile_id: str | None
    phone_number: str | None


def seed_account(numbers: Numbers, clock: Clock, senders: Sequence[SandboxSender] = ()) -> None:
    """Fill an empty account."""
    seeder = _Seeder(numbers, clock)
    numbers.add_profile(PROFILE_ID)
    seeder.add(TOLL_FREE, PROFILE_ID)
    for address in POOL:
        seeder.add(address, PROFILE_ID)
    seeder.add(SHORT_CODE, PROFILE_ID)
    for address in UNASSIGNED:
        seeder.add(address, None)
    seeder.add(MOBILE, None, mobile=True)
    for sender in senders:
        seeder.add_sender(sender)
    # Pools come last, because a configured long code may already give the profile a number.
    for sender in senders:
        if sender.kind == "number_pool":
            seeder.fill_pool(sender.messaging_profile_id or PROFILE_ID)


class _Seeder:
    """Adds numbers with consecutive ids."""

    def __init__(self, numbers: Numbers, clock: Clock) -> None:
        self._numbers = numbers
        self._created_at = clock.now()
        self._next_id = _FIRST_ID
        self._next_pool_line = _NEXT_POOL_LINE

    def add(self, address: str, profile_id: str | None, *, mobile: bool = False) -> None:
        self._numbers.add(
            Number(
                id=str(self._next_id),
                phone_number=address,
                kind=_kind(address),
                created_at=self._created_at,
                profile_id=profile_id,
                mobile=mobile,
                product="P2P" if mobile else "A2P",
            )
        )
        self._next_id += 1

    def add_sender(self, sender: SandboxSender) -> None:
        profile_id = sender.messaging_profile_id or self._own_profile(sender)
        self._numbers.add_profile(profile_id)
        if sender.phone_number is None or sender.kind in {"alphanumeric", "number_pool"}:
            return
        known = self._numbers.get(sender.phone_number)
        if known is None:
            self.add(sender.phone_number, profile_id)
        elif sender.messaging_profile_id or known.profile_id is None:
            self._numbers.assign(known, profile_id)

    def fill_pool(self, profile_id: str) -> None:
        if self._numbers.has_pool(profile_id):
            return
        for _ in range(_POOL_SIZE):
            self.add(f"+1775555{self._next_pool_line:04d}", profile_id)
            self._next_pool_line += 1

    @staticmethod
    def _own_profile(sender: SandboxSender) -> str:
        """The profile for a sender that is configured without one; the same at every start."""
        if sender.phone_number is None or sender.kind == "number_pool":
            return PROFILE_ID
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{sender.phone_number}"))


def _kind(address: str) -> str:
    if not address.startswith("+"):
        return "shortcode"
    return "tollfree" if regions.is_toll_free(address) else "longcode"
