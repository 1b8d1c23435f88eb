"""The store's clock is set back: what was to come after a wait comes after that wait."""

from typing import Any, cast

import pytest

from otp_service.domain.delivery import NotSent
from otp_service.storage.timers import CLOCK_PLAY_MS, Timers

from .deliveries import wait_on
from .harness import StoreHarness, fresh_number


class Clock:
    """The store, whose clock was so much ahead before it was set back."""

    def __init__(self, harness: StoreHarness) -> None:
        self._store: Any = harness.store
        self.ahead_ms = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def times_ms(self, near: list[str]) -> list[int | None]:
        """As the worker sees it."""
        return [None if at is None else at + self.ahead_ms for at in self._store.times_ms(near)]


def worker(harness: StoreHarness) -> tuple[Timers, Clock]:
    """The timers as one process sees them."""
    clock = Clock(harness)
    return Timers(cast("Any", clock), harness.scripts, harness.keys, harness.ring.ids), clock


@pytest.mark.parametrize("back_ms", [60_000, 86_400_000])
def test_timers_follow_a_clock_that_is_set_back(harness: StoreHarness, back_ms: int) -> None:
    """Once, however many workers see it; a second step is followed too."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 20_000, NotSent("connect"))
    workers = [worker(harness) for _ in range(3)]
    for _ in range(2):
        key = harness.keys.timers(harness.keys.shard(ref.number_hash))
        for member, at_ms in harness.timers(ref).items():
            harness.raw.zadd(key, {member: at_ms + back_ms})
        harness.raw.delete(harness.keys.clock_step(harness.keys.shard(ref.number_hash)))
        for ahead_ms in (back_ms, 0):
            for timers, clock in workers:
                clock.ahead_ms = ahead_ms
                timers.due(1)
        assert 0 < (wait_on(harness, ref, "retry") or 0) <= 20_000
        assert harness.timers(ref)[f"expiry:{ref.token}"] - harness.now() > 200_000


@pytest.mark.parametrize("back_ms", [CLOCK_PLAY_MS - 1, -60_000])
def test_a_clock_that_is_not_set_back_moves_no_timer(harness: StoreHarness, back_ms: int) -> None:
    """It plays a little, or was set forward: what is due then comes by itself."""
    ref = harness.start(fresh_number()).reference
    before = harness.timers(ref)
    timers, clock = worker(harness)
    for ahead_ms in (back_ms, 0):
        clock.ahead_ms = ahead_ms
        timers.due(1)
    assert harness.timers(ref) == before
