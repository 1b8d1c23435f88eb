"""What known numbers tell the guard. It refuses nobody, so no request waits for it: it is written in the background."""

from collections import Counter, deque
from typing import TypeVar

from ...domain.guarding import Converted
from ...domain.policy import Policy
from .. import ports
from .reports import GuardReports

T = TypeVar("T")
MOST = 5_000
"""Approvals that wait; more are forgotten. They only keep blocks warm, and an outage from being seen where there is none."""


class Notes:
    """Starts and approvals of known numbers that are not written yet. Safe for many threads."""

    def __init__(self, budgets: ports.GuardBudgets, reports: GuardReports, policy: Policy) -> None:
        self._budgets = budgets
        self._reports = reports
        self._policy = policy
        self._approved: deque[Converted] = deque(maxlen=MOST)
        self._started: deque[tuple[str, str]] = deque(maxlen=MOST)

    def started(self, app: str, region: str) -> None:
        """A code is sent to a known number."""
        self._started.append((app, region))

    def approved(self, one: Converted) -> None:
        """A known number was approved."""
        self._approved.append(one)

    def write(self) -> None:
        """Write what has come since the last time. Raises StoreUnavailable."""
        starts = Counter(_drained(self._started))
        for (app, region), count in starts.items():
            if app in self._policy.apps:
                policy = self._policy.apps[app].guard
                self._reports.happened(app, self._budgets.count_known(app, region, count, policy))
        for one in _drained(self._approved):
            policy = self._policy.apps[one.app].guard
            self._reports.happened(one.app, self._budgets.give_back(one, policy, approved=True))


def _drained(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]
