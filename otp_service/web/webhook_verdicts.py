"""How many of the carrier's webhooks lately had a good signature, and how many a bad one.

If none was good, the configured key is not the one that signs.
"""

from collections import Counter
from collections.abc import Callable

from ..telnyx.signatures import Verdict

PERIOD_S = 300
"""Lately: this period and the one before."""


class WebhookVerdicts:
    """Counts in this process. Safe for many threads: a lost count changes no judgement. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts: Counter[tuple[int, bool]] = Counter()

    def count(self, verdict: Verdict) -> None:
        """One more. Requests without a signature say nothing about the key."""
        if verdict in (Verdict.OK, Verdict.STALE, Verdict.BAD_SIGNATURE):
            period = self._period()
            self._counts[period, verdict is not Verdict.BAD_SIGNATURE] += 1
            for old in [key for key in list(self._counts) if key[0] < period - 1]:
                self._counts.pop(old, None)

    def lately(self) -> tuple[int, int]:
        """Good and bad ones of the last five to ten minutes."""
        period = self._period()
        good, bad = (sum(self._counts[at, is_good] for at in (period - 1, period)) for is_good in (True, False))
        return good, bad

    def _period(self) -> int:
        return int(self._monotonic() // PERIOD_S)
