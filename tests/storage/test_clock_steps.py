"""The store's clock is set back: what was to come after a wait comes after that wait."""

from dataclasses import replace
from typing import Any, cast

import pytest

from otp_service.domain.checking import Limited
from otp_service.domain.delivery import NotSent
from otp_service.domain.person import ladder_wait
from otp_service.domain.policy import Limit
from otp_service.storage.timers import CLOCK_PLAY_MS, Timers

from .deliveries import wait_on
from .harness import EVERYWHERE, SHOP, WRONG, StoreHarness, fresh_number
from .sends import cancel


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


@pytest.mark.parametrize("back_ms", [600_000, 86_400_000])
@pytest.mark.parametrize("what", ["ladder", "caps", "starts", "own wrong codes", "all wrong codes"])
def test_a_clock_that_is_set_back_keeps_nobody_out(harness: StoreHarness, what: str, back_ms: int) -> None:
    """What stands in the future counts as that of the first look: the wait is a usual one, and it ends."""
    number = fresh_number()
    ref = harness.start(number).reference
    cancel(harness, ref)
    later = harness.now() + back_ms
    app = SHOP if what == "ladder" else replace(SHOP, resend_after_ms=())
    most = 30_000
    match what:
        case "ladder":
            harness.set_sends(ref.number_hash, [f"{later}\x1fshop\x1flogin"])
        case "caps":
            most = 600_000
            harness.set_sends(ref.number_hash, [f"{later - n}\x1fbank\x1f1" for n in range(5)])
        case "starts":
            app, most = replace(app, starts_per_number=(Limit(1, 60_000),)), 60_000
            harness.set_starts(ref.number_hash, "shop", [later])
        case _:
            own = what.startswith("own")
            most = max(one.per_ms for one in (app.wrong_codes_per_number if own else EVERYWHERE.wrong_codes))
            harness.set_wrong_codes(ref.number_hash, "shop" if own else None, [later - n for n in range(100)])
    assert 0 < harness.refused(number, app).wait_ms <= most
    harness.age_wrong_codes(ref.number_hash, most, SHOP)
    harness.age(ref, most)
    starts = harness.starts(ref.number_hash, "shop")
    harness.set_starts(ref.number_hash, "shop", [at_ms - most for at_ms in starts])
    harness.start(number, app)


def test_a_guess_that_is_refused_leaves_no_wrong_code_in_the_future(harness: StoreHarness) -> None:
    """A number that nobody starts for any more, and that is guessed at."""
    ref = harness.start(fresh_number()).reference
    harness.check(ref, WRONG)
    harness.set_wrong_codes(ref.number_hash, "shop", [harness.now() + 86_400_000] * 100)
    assert isinstance(harness.check(ref, WRONG), Limited)
    assert max(harness.wrong_codes(ref.number_hash, "shop")) <= harness.now()


def test_explain_says_the_same_wait() -> None:
    """The rules in Python take a send of the future as one of now."""
    assert ladder_wait([90_000_000], [30_000, 60_000], 1_000_000) == 30_000
