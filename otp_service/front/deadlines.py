"""One deadline for many: a timer for each would cost more than what it bounds."""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_S = 0.5
"""How often is looked at: something ends up to so much later than its deadline."""


class Deadlines(Generic[T]):
    """What may last `seconds`. `late` is called with what lasts longer. For one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, late: Callable[[T], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._late = late
        self._since: dict[T, float] = {}
        self._looking = False

    def begin(self, one: T) -> None:
        """It begins, if it has not begun already."""
        if one in self._since:
            return
        self._since[one] = self._loop.time()
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_S, self._look)

    def end(self, one: T) -> None:
        """It has ended."""
        self._since.pop(one, None)

    def _look(self) -> None:
        """End what is late: the oldest stands first."""
        late_since = self._loop.time() - self._seconds
        for one, _ in [*takewhile(lambda each: each[1] <= late_since, self._since.items())]:
            del self._since[one]
            self._late(one)
        self._looking = bool(self._since)
        if self._looking:
            self._loop.call_later(LOOK_S, self._look)
