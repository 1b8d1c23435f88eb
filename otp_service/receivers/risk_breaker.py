"""When a receiver of questions is left alone: after failures in a row, and longer after each try in vain.

For one process and many threads. While it is left alone, one question after each pause is asked all the same.
"""

import threading
from collections.abc import Callable

FAILURES = 5
"""In a row, after which the pauses begin."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0


class RiskBreaker:
    """The breaker of one receiver. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._next_s = 0.0

    def passes(self) -> bool:
        """Whether a question may be asked now."""
        with self._lock:
            if self._failures < FAILURES:
                return True
            if self._monotonic() < self._next_s:
                return False
            self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
            self._next_s = self._monotonic() + self._pause_s
            return True

    def record(self, *, answered: bool) -> bool:
        """How a question ended; whether the pauses begin with it."""
        with self._lock:
            if answered:
                self._failures = 0
                return False
            self._failures += 1
            begins = self._failures == FAILURES
            if begins:
                self._pause_s = FIRST_PAUSE_S
                self._next_s = self._monotonic() + self._pause_s
            return begins
