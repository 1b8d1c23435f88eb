"""How limits apart from the number stand, for those who support its owner, and forgetting what they counted."""

from collections.abc import Sequence

from ..domain.policy import Slot
from .limits import limit_key
from .schema import Keys
from .scripts import Scripts


class LimitStates:
    """The limits of one store. Methods raise StoreUnavailable."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def read(self, slots: Sequence[Slot]) -> list[tuple[int, int]]:
        """Of each of these: how many are taken, and the milliseconds until one more may be; 0 if it may."""
        return [(self._ask("count", one), self._ask("look", one)) for one in slots]

    def forget(self, slots: Sequence[Slot]) -> None:
        """Forget what these have counted."""
        for one in slots:
            self._ask("forget", one)

    def _ask(self, action: str, slot: Slot) -> int:
        keys = {"limit": limit_key(self._keys, slot)}
        rule = slot.limit
        reply = self._scripts.call(
            "limit/take", keys, action=action, events=rule.limit, window_ms=rule.per_ms, at_ms=""
        )
        return int(reply[0])
