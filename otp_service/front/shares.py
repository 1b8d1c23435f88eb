"""Which of many owners has most: found at once, so that a crowd of owners does not make each of them dearer."""

from collections.abc import Callable


class Largest:
    """The owners in the order of what they have. Say what one `has` when it is more, and `forget` who has nothing.

    That an owner has less is only looked at when the largest is looked for.
    """

    def __init__(self) -> None:
        self._noted: dict[str, int] = {}
        """The most that each had since it was looked at."""
        self._levels: dict[int, dict[str, None]] = {}
        """Who is noted with so much, the first that came there first."""
        self._top = 0
        """No level is higher."""

    def has(self, owner: str, amount: int) -> None:
        """It has so much now."""
        noted = self._noted.get(owner, 0)
        if amount > noted:
            self._move(owner, noted, amount)

    def forget(self, owner: str) -> None:
        """It has nothing any more."""
        noted = self._noted.pop(owner, 0)
        if noted:
            self._leave(owner, noted)

    def find(self, amount_of: Callable[[str], int]) -> str | None:
        """Who has most, by what `amount_of` says of each; None if nobody has anything."""
        while self._top:
            owner = next(iter(self._levels.get(self._top, ())), None)
            if owner is None:
                self._top -= 1
            elif (amount := amount_of(owner)) >= self._top:
                return owner
            elif amount:
                self._move(owner, self._top, amount)
            else:
                self.forget(owner)
        return None

    def _move(self, owner: str, before: int, amount: int) -> None:
        if before:
            self._leave(owner, before)
        self._noted[owner] = amount
        self._levels.setdefault(amount, {})[owner] = None
        self._top = max(self._top, amount)

    def _leave(self, owner: str, level: int) -> None:
        owners = self._levels[level]
        del owners[owner]
        if not owners:
            del self._levels[level]
