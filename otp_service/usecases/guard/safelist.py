"""What the guard never counts: numbers, blocks of 1,000 numbers and countries that an operator has listed."""

from collections.abc import Callable

from ...domain.guarding import NO_REGION, Places
from ...domain.guard.rules import blocks
from ...domain.phone import Phone


class SafeList:
    """The list as this process knows it. `entries` gives it without waiting for the store."""

    def __init__(self, places: Places, number_hash: Callable[[str], str], entries: Callable[[], frozenset[str]]) -> None:
        self._places = places
        self._number_hash = number_hash
        self._entries = entries

    def holds(self, to: Phone) -> bool:
        """Whether the number, its block or its country is on the list."""
        entries = self._entries()
        return bool(entries) and not entries.isdisjoint(self.names(to))

    def names(self, to: Phone) -> frozenset[str]:
        """What an entry for this number may be named."""
        country = f"country:{to.region or NO_REGION}"
        return frozenset({self.number(to.e164), self.block(blocks(to.e164)[1]), country})

    def number(self, e164: str) -> str:
        """The entry of a number."""
        return f"number:{self._number_hash(e164)}"

    def block(self, prefix: str) -> str:
        """The entry of a block of 1,000 numbers, by what they begin with."""
        return f"block:{self._places.block(prefix)}"
