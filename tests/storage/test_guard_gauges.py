"""The gauges of the guard's budgets: those of countries one by one, of blocks and addresses how many refuse."""

from collections.abc import Iterator

import pytest

from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, GuardPolicy
from otp_service.domain.starting import StartRefused
from otp_service.storage.guard_full import FullBudgets

from .guard import CLOCK, Clocked, GuardedApp
from .harness import StoreHarness


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[GuardedApp]:
    """An app whose guard refuses from the first start."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, harness.now() + DAY_MS)
    yield GuardedApp(harness, GuardPolicy(monitor_approvals=0, block_1k_in_6h=1, address_an_hour=1))
    harness.close()


def test_blocks_and_addresses_that_refuse_are_counted(app: GuardedApp) -> None:
    """Over all countries, for an hour after the last refusal; what has room is not counted."""
    small = FullBudgets(app.harness.store, app.harness.keys)
    assert small.count("shop") == {"block": 0, "address": 0}
    for block, region in ((1, "US"), (2, "CA"), (3, "US")):
        for line in range(3):
            app.start(f"+1202555{block}00{line}", region)
    app.start("+12025554000", "US", "192.0.2.1")
    assert isinstance(app.start("+12025556000", "US", "192.0.2.1"), StartRefused)
    # The clock of the test is ahead of the server's, by which the gauges go.
    assert small.count("shop") == {"block": 3, "address": 1}
    for key in app.harness.raw.scan_iter("*blocks:US"):
        moved = {name: text.rpartition("|")[0] + "|1" for name, text in app.harness.raw.hgetall(key).items()}
        app.harness.raw.hset(key, mapping=moved)
    assert small.count("shop") == {"block": 1, "address": 1}


def test_a_refusal_is_old_after_an_hour(app: GuardedApp) -> None:
    """By the server's clock."""
    app.harness.raw.set(CLOCK, app.harness.now() - HOUR_MS - 60_000)
    for line in range(3):
        app.start(f"+1202555100{line}")
    assert FullBudgets(app.harness.store, app.harness.keys).count("shop")["block"] == 0
