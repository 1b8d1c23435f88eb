"""What known numbers tell the guard. It refuses nobody, so no request waits for it: it is written in the background."""

from collections import Counter, deque
from collections.abc import Mapping

from ...domain.guarding import Converted

MOST = 5_000
"""So many wait; older ones are forgotten. They keep blocks warm, and tell an outage from pumping."""


class Notes:
    """Starts and approvals of known numbers of one process that are not written yet. Safe for many threads."""

    def __init__(self) -> None:
        self._approved: deque[Converted] = deque(maxlen=MOST)
        self._started: deque[tuple[str, str]] = deque(maxlen=MOST)
        self._by_factor: deque[tuple[str, str]] = deque(maxlen=MOST)

    def started(self, app: str, region: str) -> None:
        """A code is sent to a known number."""
        self._started.append((app, region))

    def approved(self, one: Converted) -> None:
        """A known number was approved."""
        self._approved.append(one)

    def factor_approved(self, app: str, number_hash: str) -> None:
        """Another factor was approved of a person to whose number codes were sent."""
        self._by_factor.append((app, number_hash))

    def take_by_factor(self) -> set[tuple[str, str]]:
        """Apps and numbers; they wait no longer."""
        return {self._by_factor.popleft() for _ in range(len(self._by_factor))}

    def take_started(self) -> Mapping[tuple[str, str], int]:
        """How many were started, by app and country; they wait no longer."""
        return Counter([self._started.popleft() for _ in range(len(self._started))])

    def take_approved(self) -> list[Converted]:
        """Those that were approved; they wait no longer."""
        return [self._approved.popleft() for _ in range(len(self._approved))]
