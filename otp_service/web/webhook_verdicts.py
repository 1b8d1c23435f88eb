"""How many of the carrier's webhooks lately had a good signature, one of another time, and a bad one.

If none was good, the configured key is not the one that signs, or the clock is wrong.
"""

from collections import Counter
from collections.abc import Callable

from ..telnyx.signatures import Verdict

PERIOD_S = 300
"""Lately: this period and the one before."""

_COUNTED = (Verdict.OK, Verdict.STALE, Verdict.BAD_SIGNATURE)


class WebhookVerdicts:
    """Counts in this process. Safe for many threads: a lost count changes no judgement. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts: Counter[tuple[int, Verdict]] = Counter()

    def count(self, verdict: Verdict) -> None:
        """One more. Requests without a signature say nothing about the key."""
        if verdict in _COUNTED:
            period = self._period()
            self._counts[period, verdict] += 1
            for old in [key for key in list(self._counts) if key[0] < period - 1]:
                self._counts.pop(old, None)

    def lately(self) -> tuple[int, int, int]:
        """Good ones, those of another time, and bad ones of the last five to ten minutes."""
        period = self._period()
        good, stale, bad = (sum(self._counts[at, verdict] for at in (period - 1, period)) for verdict in _COUNTED)
        return good, stale, bad

    def _period(self) -> int:
        return int(self._monotonic() // PERIOD_S)
