"""The hash of what an app spends does not outlive what is shown of it."""

from collections.abc import Callable, Iterator

import pytest

from otp_service.domain.guard.policy import DAY_MS
from otp_service.domain.prices import ExpectedCost, Settlement

from .guard import CLOCK, Clocked
from .harness import StoreHarness
from .spending import CHEAP, LIMIT, PRICE, SpendingApp


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[SpendingApp]:
    """The app, by a clock that stands."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, harness.now())
    yield SpendingApp(harness)
    harness.close()


def test_the_first_change_of_the_hash_gives_it_a_time_to_live(app: SpendingApp) -> None:
    """Whichever script makes it: a process that dies then leaves nothing for ever."""
    key, raw = app.harness.keys.spend("shop"), app.harness.raw
    unsettled = Settlement("shop", "", 0, None)
    first: list[Callable[[], object]] = [
        app.take,
        lambda: app.take(2 * LIMIT),
        lambda: app.table.settle(unsettled, "US", CHEAP, "USD"),
        lambda: app.table.settle(unsettled, "US", CHEAP, "EUR"),
    ]
    for change in first:
        raw.delete(key)
        change()
        assert 0 < raw.pttl(key) <= 16 * DAY_MS
    app.outer.give_back([app.take()])
    assert raw.pttl(key) > 0
    raw.delete(key)
    app.outer.give_back([app.outer.look([ExpectedCost("shop", "US", PRICE, LIMIT)])[0]])
    assert not raw.exists(key)
