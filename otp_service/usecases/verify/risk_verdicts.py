"""What the risk hooks refused lately, so that a caller in a loop does not make the receiver answer again and again.

A process keeps it to itself: no start waits for the store because of it, and each process asks at most once meanwhile.
"""

import threading
from collections.abc import Callable

from ...domain.risk import Decision, RiskAnswer

VERDICT_S = 30.0
"""A refusal answers the same question for so long: the first wait of the usual ladder, which sent codes have."""

MOST = 10_000
"""So many are kept; the oldest goes first."""


class RiskVerdicts:
    """Safe for many threads. A question is known by a keyed hash of all that is asked in it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[bytes, tuple[float, RiskAnswer]] = {}

    def find(self, question: bytes) -> RiskAnswer | None:
        """What refused the same question lately."""
        with self._lock:
            at_s, answer = self._kept.get(question, (0.0, None))
        return answer if self._monotonic() < at_s + VERDICT_S else None

    def keep(self, question: bytes, answer: RiskAnswer) -> None:
        """Keep what refuses. Where nothing was answered there is nothing to keep; what allows is followed by a send."""
        if answer.decision in (None, Decision.ALLOW):
            return
        with self._lock:
            self._kept.pop(question, None)
            self._kept[question] = self._monotonic(), answer
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
