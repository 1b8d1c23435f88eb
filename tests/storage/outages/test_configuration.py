"""A store that cannot be used is refused before anything is written to it."""

import math
import time
from functools import partial

import pytest

from otp_service.domain.errors import ConfigError, NotReady, StoreUnavailable
from otp_service.storage import connect, readiness
from otp_service.storage.memory import DAY_MS, Memory, days_left, fullest, oldest_event_age_ms
from otp_service.storage.schema import Keys

from ..harness import StoreHarness, at_once, fresh_number


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"])
def test_a_store_that_forgets_under_pressure_is_not_ready(harness: StoreHarness, policy: str) -> None:
    """Any policy but noeviction is refused, and the refusal names it."""
    readiness.require_no_eviction(harness.store)
    harness.raw.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(NotReady, match=policy):
            readiness.require_no_eviction(harness.store)
    finally:
        harness.raw.config_set("maxmemory-policy", "noeviction")


def test_the_number_of_shards_never_changes(harness: StoreHarness) -> None:
    """The first start fixes it; another number would give every person a second budget."""
    at_once([partial(readiness.fix_shards, harness.store, harness.keys)] * 5)
    readiness.fix_shards(harness.store, harness.keys)
    with pytest.raises(NotReady, match="16 shards"):
        readiness.fix_shards(harness.store, Keys(8))
    readiness.fix_shards(harness.store, harness.keys)
    assert abs(readiness.clock_ms(harness.store) - time.time() * 1000) < 5_000


def test_a_store_that_is_nearly_full_says_so(harness: StoreHarness) -> None:
    """From 80 % of `maxmemory` on; without a limit there is nothing to say."""
    assert fullest(harness.store) is None
    used = max(int(info["used_memory"]) for info in infos(harness))
    try:
        harness.raw.config_set("maxmemory", int(used / 0.4))
        memory = fullest(harness.store)
        assert memory is not None
        assert memory.warning is None
        harness.raw.config_set("maxmemory", int(used / 0.9))
        memory = fullest(harness.store)
        assert memory is not None
        assert "of the store's maxmemory" in (memory.warning or "")
    finally:
        harness.raw.config_set("maxmemory", 0)


def infos(harness: StoreHarness) -> list[dict[str, int]]:
    """What each server says of its memory."""
    return readiness.server_info(harness.store, "memory")


def test_growth_is_judged_since_the_oldest_event(harness: StoreHarness) -> None:
    """Days until it is full; none where events are dropped before that, or where too little time has passed."""
    assert oldest_event_age_ms(harness.store, harness.keys) == 0
    harness.raw.xadd(harness.keys.audit(3), {"about": "x"}, id=f"{harness.now() - 10 * DAY_MS}-0")
    harness.start(fresh_number())
    age_ms = oldest_event_age_ms(harness.store, harness.keys)
    assert 10 * DAY_MS <= age_ms < 10.1 * DAY_MS
    memory = Memory(used=600, at_start=100, most=1_100)
    assert days_left(memory, 10 * DAY_MS, 90 * DAY_MS) == pytest.approx(10)
    assert days_left(memory, 10 * DAY_MS, 20 * DAY_MS) == math.inf
    assert days_left(memory, 60_000, 90 * DAY_MS) == math.inf
    assert days_left(Memory(100, 100, 1_000), 10 * DAY_MS, 90 * DAY_MS) == math.inf


@pytest.mark.parametrize("written", ["16", "16|1", "16|2", "|", "x"])
def test_a_store_of_another_layout_is_refused(harness: StoreHarness, written: str) -> None:
    """Read by this version, its API keys would lose their ends."""
    harness.raw.set(harness.keys.shard_count(), written)
    with pytest.raises(NotReady, match=r"another version|shards"):
        readiness.fix_shards(harness.store, harness.keys)
    assert harness.raw.get(harness.keys.shard_count()) == written


@pytest.mark.parametrize(
    "url", ["redis+sentinel://127.0.0.1:26379", "redis://127.0.0.1:notaport", "redis+cluster://127.0.0.1:x"]
)
def test_an_unusable_url_is_a_mistake_of_configuration(url: str) -> None:
    """The sentence names the variable."""
    with pytest.raises(ConfigError, match="OTP_REDIS_URL"):
        connect.connect(url)


def test_a_urls_password_is_not_for_people() -> None:
    """User, password and query values are left out where the URL is shown."""
    shown = connect.masked("rediss://user:secret@store.example:6380/0?password=secret2")
    assert "secret" not in shown
    assert "user" not in shown
    assert "store.example:6380" in shown


def test_a_sentinel_url_is_opened_lazily() -> None:
    """A Sentinel that is not there is an outage of the store, found when it is needed."""
    store = connect.connect("redis+sentinel://me:pw@127.0.0.1:1,127.0.0.1:2/main/0")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        readiness.ping(store)
    assert time.monotonic() - began < 10 * connect.TIMEOUT_S
    store.close()
