"""What is on record, and what the budgets of an app may not have seen yet when they judged a start.

An approval is on record on its number's shard, and a moment later the budgets get back what the sends took. A start
says how many of such changes they had seen (`Turns`), so the replay applies as many before it judges that start.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from ..domain.guard.record import Turns

LOST_MS = 60_000
"""What the budgets have not seen after this time they never will: a process died."""

Apply = Callable[[int], object]


class Change(IntEnum):
    """What changes the budgets beside a start that they judge: the place of its count in `Turns`."""

    APPROVED = 1
    KNOWN_APPROVED = 2
    KNOWN_START = 3
    UNSENT = 4


class Waiting:
    """The changes of one app, each kind in its order."""

    def __init__(self) -> None:
        self._waiting: dict[Change, deque[tuple[int, Apply]]] = {one: deque() for one in Change}
        self._seen: dict[Change, int] = {}
        self._last_ms = 0

    def add(self, kind: Change, at_ms: int, apply: Apply) -> None:
        """A change that is on record. `apply` does it at a time."""
        self._waiting[kind].append((at_ms, apply))

    def settle(self, turns: Turns, now_ms: int) -> None:
        """Apply what the budgets had seen when they judged a start at this time, in the order of the record."""
        due = [one for kind in Change for one in self._due(kind, turns[kind], now_ms)]
        self._apply(due)
        self._last_ms = max(self._last_ms, now_ms)

    def finish(self) -> None:
        """The record ends: apply what waits."""
        self._apply([one for waiting in self._waiting.values() for one in waiting])

    def _apply(self, due: list[tuple[int, Apply]]) -> None:
        for at_ms, apply in sorted(due, key=lambda one: one[0]):
            apply(max(at_ms, self._last_ms))

    def _due(self, kind: Change, seen: int, now_ms: int) -> list[tuple[int, Apply]]:
        waiting = self._waiting[kind]
        due: list[tuple[int, Apply]] = []
        # The record may begin later than the app: then the first start says where the counts are.
        before = self._seen.setdefault(kind, max(0, seen - len(waiting)))
        while waiting and before + len(due) < seen:
            due.append(waiting.popleft())
        self._seen[kind] = max(seen, before)
        while waiting and waiting[0][0] < now_ms - LOST_MS:
            waiting.popleft()
        return due
