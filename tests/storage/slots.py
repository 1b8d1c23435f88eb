"""Slots in limits, taken by hand: all of a list or none, as a start takes them."""

from collections import defaultdict
from collections.abc import Sequence

from otp_service.domain.admission import OuterAnswer
from otp_service.domain.policy import Slot
from otp_service.domain.prices import ExpectedCost
from otp_service.storage.limits import Limits
from otp_service.storage.outer import Outer
from otp_service.storage.schema import Keys
from otp_service.storage.scripts import Scripts
from otp_service.storage.spend import ExpectedCosts
from otp_service.usecases.ports import OuterStore


class Slots:
    """Takes slots and gives them back. What was taken of a slot last is given back first."""

    def __init__(self, outer: OuterStore) -> None:
        self.outer = outer
        self._taken: dict[Slot, list[OuterAnswer]] = defaultdict(list)

    @classmethod
    def over(cls, scripts: Scripts, keys: Keys, *, is_cluster: bool = False) -> "Slots":
        """Slots in a store, as the service has them."""
        limits = Limits(keys, is_cluster=is_cluster)
        return cls(Outer(scripts, {Slot: limits, ExpectedCost: ExpectedCosts(keys)}))

    def acquire(self, slots: Sequence[Slot]) -> int:
        """Take all or none: 0, or the milliseconds until the limits that refuse let one through."""
        answers = self.outer.take(slots)
        wait_ms = max((one.wait_ms for one in answers), default=0)
        if wait_ms:
            self.outer.give_back([one for one in answers if not one.wait_ms])
        else:
            for slot, answer in zip(slots, answers, strict=True):
                self._taken[slot].append(answer)
        return wait_ms

    def look(self, slots: Sequence[Slot]) -> int:
        """What `acquire` would return."""
        return max((one.wait_ms for one in self.outer.look(slots)), default=0)

    def release(self, slots: Sequence[Slot]) -> None:
        """Give one of each back; of what was never taken there is nothing to give."""
        self.outer.give_back([self._taken[slot].pop() if self._taken[slot] else OuterAnswer(slot) for slot in slots])
