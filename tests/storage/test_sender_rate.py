"""A sender's rate holds after whatever stood still: what comes back too late is spread, and none of it starves.

Time passes here by moving what is stored into the past; nothing sleeps, and a slow machine changes nothing.
"""

import heapq
import random
from collections.abc import Callable

import pytest

from otp_service.domain.outbox import LONGEST_SLEEP_MS

from .harness import StoreHarness, word

MOST_ASKS = 4


class Line:
    """Messages of one sender that wait for its rate. `ready` gives the time at which a message is looked at again."""

    def __init__(self, harness: StoreHarness, rate_per_s: float, ready: Callable[[float], float]) -> None:
        self._harness = harness
        self._sender = word("sender")
        self._rate_per_s = rate_per_s
        self._ready = ready
        self._passed_ms = 0.0
        self._began_ms: float | None = None
        self.sent_ms: list[float] = []
        self.asks: dict[int, int] = {}

    def _now_ms(self) -> float:
        """The store's time of the last question, as if all that passed had been waited for; 0 is the first one's."""
        us = float(self._harness.raw.get(self._harness.keys.sender_rate(self._sender)).split("|")[-1])
        at_ms = us / 1_000 + self._passed_ms
        self._began_ms = self._began_ms if self._began_ms is not None else at_ms
        return at_ms - self._began_ms

    def _pass_until(self, at_ms: float) -> None:
        key, gap_ms = self._harness.keys.sender_rate(self._sender), at_ms - self._now_ms()
        if gap_ms > 0:
            moments = self._harness.raw.get(key).split("|")
            self._harness.raw.set(key, "|".join(str(int(us) - int(gap_ms * 1_000)) for us in moments))
            self._passed_ms += int(gap_ms * 1_000) / 1_000

    def run(self, count: int) -> None:
        """So many messages come at once; until each is sent."""
        waiting: list[tuple[float, int, bool]] = [(0.0, n, False) for n in range(count)]
        while waiting:
            due_ms, n, again = heapq.heappop(waiting)
            if again:
                self._pass_until(due_ms)
            wait_ms = self._harness.sender_rate.acquire_rate_slot(self._sender, self._rate_per_s, 600_000, again=again)
            self.asks[n] = self.asks.get(n, 0) + 1
            at_ms = self._now_ms() + wait_ms
            if wait_ms <= LONGEST_SLEEP_MS:
                self.sent_ms.append(at_ms)
            else:
                heapq.heappush(waiting, (self._ready(at_ms), n, True))


def stalled(from_ms: float, until_ms: float) -> Callable[[float], float]:
    """Nobody looks in this time."""
    return lambda at_ms: until_ms if from_ms < at_ms < until_ms else at_ms


def late(most_ms: float) -> Callable[[float], float]:
    """Each is looked at by chance a little later."""
    chance = random.Random(7)
    return lambda at_ms: at_ms + chance.random() * most_ms


@pytest.mark.parametrize(
    ("rate_per_s", "count", "ready", "done_ms"),
    [
        (4.0, 55, stalled(0, 60_000), 60_000 + 55 * 250),  # a worker that was stopped for a minute
        (4.0, 100, stalled(2_000, 12_000), 10_000 + 100 * 250),  # a short stall in a long line
        (50.0, 150, late(300), 150 * 20 + 1_000),  # heartbeats
        (4.0, 40, late(5_000), 40 * 250 + 25_000),  # threads that are busy with another sender
    ],
)
def test_the_rate_holds_whatever_stood_still(
    harness: StoreHarness, rate_per_s: float, count: int, ready: Callable[[float], float], done_ms: float
) -> None:
    """Never two closer than an interval; all go, in about the time that the rate takes, after a few looks each."""
    line = Line(harness, rate_per_s, ready)
    line.run(count)
    assert len(line.sent_ms) == count
    gaps = [after - before for before, after in zip(sorted(line.sent_ms), sorted(line.sent_ms)[1:], strict=False)]
    assert min(gaps) >= 1_000 / rate_per_s - 2
    assert sum(line.asks.values()) <= MOST_ASKS * count
    # What the machine takes for its questions is time as well.
    assert max(line.sent_ms) <= done_ms + 30_000
