"""What the guard never counts: numbers, blocks of 1,000 numbers and countries that an operator has listed."""

from collections.abc import Callable

from ...domain.guard.rules import blocks
from ...domain.guarding import NO_REGION, Places
from ...domain.phone import Phone
from .. import ports

_NUMBER = "number:"


def number_in(entry: str) -> str:
    """The keyed hash of the number that an entry names; "" for a block or a country."""
    return entry.removeprefix(_NUMBER) if entry.startswith(_NUMBER) else ""


class SafeList:
    """The list as this process knows it. `hash_of`: the keyed hash of a number."""

    def __init__(self, places: Places, hash_of: Callable[[str], str], table: ports.SafeListTable) -> None:
        self._places = places
        self._hash_of = hash_of
        self._table = table

    def holds(self, to: Phone) -> bool:
        """Whether the number, its block or its country is on the list. Never waits for long, and never raises."""
        entries = self._table.entries()
        return bool(entries) and not entries.isdisjoint(self._names(to))

    def refresh(self) -> None:
        """Read it again, if it is time."""
        self._table.refresh()

    def _names(self, to: Phone) -> tuple[str, ...]:
        country = f"country:{to.region or NO_REGION}"
        return self.number(to.e164), self.block(blocks(to.e164)[1]), country

    def number(self, e164: str) -> str:
        """The entry of a number."""
        return f"{_NUMBER}{self._hash_of(e164)}"

    def block(self, prefix: str) -> str:
        """The entry of a block of 1,000 numbers, by what they begin with."""
        return f"block:{self._places.block(prefix)}"
