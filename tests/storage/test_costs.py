"""What one step costs in the store: commands, so that nobody adds one without noticing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from otp_service.domain.checking import Wrong
from otp_service.domain.delivery import Accepted
from otp_service.domain.guard.policy import Mode
from otp_service.domain.guarding import Places
from otp_service.domain.phone import Phone
from otp_service.domain.policy import App, Limit, Slot
from otp_service.domain.starting import Started
from otp_service.storage.callers import acting_for, caused_by
from otp_service.storage.deliveries import Deliveries

from .harness import CODE, POOL, WRONG, StoreHarness, fresh_number, word

ALONE = App("shop", "Acme", (POOL,))
COUNTED = replace(ALONE, name="counted")

OURS_NOT = {"evalsha", "eval", "config|resetstat", "info", "hello", "client|setinfo", "script|load"}
"""Commands that carry a script, and those of the measurement."""


def cost(harness: StoreHarness, step: Callable[[], object]) -> tuple[int, int]:
    """How many commands a step ran in the store, inside scripts or beside them, and how many scripts."""
    harness.raw.config_resetstat()
    step()
    stats: Any = harness.raw.info("commandstats")
    ran = {name.removeprefix("cmdstat_"): values["calls"] for name, values in stats.items()}
    commands = sum(calls for name, calls in ran.items() if name not in OURS_NOT)
    return commands, ran.get("evalsha", 0)


@pytest.fixture(scope="module")
def redis_url(own_redis_url: str) -> str:
    """What is counted is what these tests do, and nothing else."""
    return own_redis_url


@pytest.fixture
def loaded(server_harness: StoreHarness) -> StoreHarness:
    """A store that knows the scripts."""
    ref = server_harness.start(fresh_number()).reference
    server_harness.check(ref, WRONG)
    server_harness.check(ref, CODE)
    return server_harness


def test_a_wrong_code_costs_eight_commands(loaded: StoreHarness) -> None:
    """The first of a number in a while two more: the end of what is remembered is moved."""
    ref = loaded.start(fresh_number()).reference
    assert cost(loaded, lambda: loaded.check(ref, WRONG)) == (10, 1)
    assert cost(loaded, lambda: loaded.check(ref, WRONG)) == (8, 1)


def test_a_right_code_costs_eleven_commands(loaded: StoreHarness) -> None:
    """Counting, taking back, ending; the number is known for 90 days from then on."""
    number = fresh_number()
    ref = loaded.start(number).reference
    assert cost(loaded, lambda: loaded.check(ref, CODE)) == (11, 1)
    again = loaded.start(number, purpose="pay").reference
    assert cost(loaded, lambda: loaded.check(again, CODE)) == (10, 1)


def test_a_start_costs_fourteen_commands(loaded: StoreHarness) -> None:
    """Of a number that nothing is known of: one more than for a number whose hash lives long enough."""
    assert cost(loaded, lambda: loaded.start(fresh_number())) == (14, 1)


@pytest.mark.parametrize(("client_ip", "more"), [(None, 6), ("192.0.2.1", 8)])
def test_a_start_that_the_guard_counts_costs_six_commands_more(
    loaded: StoreHarness, client_ip: str | None, more: int
) -> None:
    """The total, the country and the blocks are read and written. The end user's address takes two more.

    The first start in an hour also moves the ends of these hashes.
    """
    unguarded = cost(loaded, lambda: loaded.start(fresh_number(), COUNTED))[0]
    start_counted(loaded, client_ip)
    assert cost(loaded, lambda: start_counted(loaded, client_ip)) == (unguarded + more, 1)


@pytest.mark.parametrize(("client_ip", "more"), [(None, 6), ("192.0.2.1", 8)])
def test_an_approval_gives_back_in_the_same_script(loaded: StoreHarness, client_ip: str | None, more: int) -> None:
    """Three hashes are read and written, with an address four."""
    started = start_counted(loaded, client_ip)
    assert cost(loaded, lambda: loaded.check(started.reference, CODE, COUNTED)) == (11 + more, 1)


def start_counted(harness: StoreHarness, client_ip: str | None) -> Started:
    """Start for a number that the pumping guard counts, at a place where it does not look for old buckets."""
    places = Places(harness.ring.ids.digest)
    while True:
        number = fresh_number()
        place = places.of(COUNTED.name, Phone(number, "US", 1), Mode.MONITOR, client_ip)
        if not any(name.endswith(("0", "8")) for name in (place.block_10k, place.block_1k, place.address)):
            return harness.start(number, COUNTED, guard_place=place, guard="ask")


def test_a_limit_costs_two_commands(loaded: StoreHarness) -> None:
    """Read and written, in one script for each; a third to tell the time. All limits of a start go in one pipeline."""
    limits = [Slot("cost", fresh_number(), Limit(most, 60_000)) for most in (1, 1_000)]
    loaded.limits.acquire(limits)
    others = [Slot("cost", fresh_number(), Limit(most, 60_000)) for most in (1, 1_000)]
    assert cost(loaded, lambda: loaded.limits.acquire(others)) == (6, 2)
    assert cost(loaded, lambda: loaded.limits.look(others)) == (4, 2)


def test_a_send_costs_twenty_seven_commands(loaded: StoreHarness) -> None:
    """Reading the record, the slot of the sender's rate, the permit, and what the carrier answered."""
    loaded.send(loaded.start(fresh_number()).reference, word("msg"))
    ref = loaded.start(fresh_number()).reference
    job = loaded.take(ref)
    assert cost(loaded, lambda: loaded.pending_delivery(job)) == (3, 0)
    assert cost(loaded, lambda: loaded.sender_rate.acquire_rate_slot("pool", 1_000.0, 60_000)) == (3, 1)
    deliveries = Deliveries(loaded.store, loaded.scripts, loaded.keys, [POOL], loaded.sender_rate)
    assert cost(loaded, lambda: deliveries.pending_delivery(job, rate_per_s=1_000.0)) == (6, 1)
    assert cost(loaded, lambda: loaded.must_begin(job)) == (9, 1)
    accepted = Accepted(word("msg"), "queued", 0.0)
    assert cost(loaded, lambda: loaded.deliveries.record_accepted(job, accepted)) == (12, 1)


def test_a_repeated_send_is_one_script(loaded: StoreHarness) -> None:
    """The process that started it knows which verification is the number's latest."""
    number = fresh_number()
    ref = loaded.start(number).reference
    loaded.cool(ref)
    commands, scripts = cost(loaded, lambda: loaded.start(number))
    assert (commands <= 16, scripts) == (True, 1)


def test_a_check_by_number_is_one_round_trip(loaded: StoreHarness) -> None:
    """In a process that did not start it, too: the script finds the latest itself."""
    number = fresh_number()
    loaded.check(loaded.start(number).reference, WRONG)

    def by_number() -> None:
        judged = loaded.check_latest(loaded.hash_of(number), WRONG)
        assert judged is not None
        assert judged.answer == Wrong(3)

    assert cost(loaded, by_number) == (8, 1)


def test_a_pending_verification_has_three_keys(loaded: StoreHarness) -> None:
    """The record, the secrets, and what belongs to the number."""
    before = set(loaded.all_keys())
    ref = loaded.start(fresh_number()).reference
    keys = loaded.keys
    made = {keys.record(ref), keys.secrets(ref), keys.number(ref.number_hash)}
    shard = keys.shard(ref.number_hash)
    shared = {keys.outbox(shard), keys.timers(shard), keys.audit(shard)}
    assert set(loaded.all_keys()) - before - shared == made


def test_a_pending_verification_is_small(loaded: StoreHarness) -> None:
    """Three compact keys of a kilobyte together, and one timer."""
    before = {shard: loaded.raw.zcard(loaded.keys.timers(shard)) for shard in range(loaded.keys.shards)}
    ref = loaded.start(fresh_number(), ALONE).reference
    keys, shard = loaded.keys, loaded.keys.shard(ref.number_hash)
    own = (keys.record(ref), keys.secrets(ref), keys.number(ref.number_hash))
    assert {loaded.raw.object("encoding", key) for key in own} <= {"listpack", "ziplist"}
    assert not [name for name in loaded.raw.hkeys(own[0]) if name.startswith(("timeline:", "detail:"))]
    assert sum(loaded.raw.memory_usage(key, samples=0) for key in own) <= 1_050
    assert loaded.raw.zcard(keys.timers(shard)) - before[shard] == 1


def test_a_pending_verification_takes_1500_bytes_with_its_share(loaded: StoreHarness) -> None:
    """With all of it: counted by the pumping guard, its share of timers, outbox and audit record, and who caused it."""
    places, counted = Places(loaded.ring.ids.digest), replace(ALONE, name="default")
    caused = f"{0:016x}|{0:012x}|req_{0:024x}|abcde|"

    def start(count: int) -> None:
        for _ in range(count):
            number = fresh_number()
            place = places.of(counted.name, Phone(number, "US", 1), Mode.MONITOR)
            loaded.start(number, counted, operation_id=f"{int(number[1:]):016x}", guard_place=place, guard="ask")

    with acting_for(caused):
        start(100)  # so that what all of them share is there
        before, count = usage(loaded), 400
        start(count)
    took = (usage(loaded) - before) / count
    assert took <= 1_500, took


def usage(harness: StoreHarness) -> int:
    """The bytes of all keys."""
    return sum(harness.raw.memory_usage(key, samples=0) or 0 for key in harness.all_keys())


def test_a_delivered_code_stays_small(loaded: StoreHarness) -> None:
    """Sent by the first of two senders, reported, and not yet checked: one key more, for the sender that reached them.

    The body of the request is forgotten with the carrier's answer, and reports leave no marks of their own.
    """
    before = set(loaded.all_keys())
    ref = loaded.start(fresh_number()).reference
    loaded.send(ref, "4368269d-0297-4541-882f-9fc0da3e6de2")
    for status in ("sent", "delivered"):
        assert loaded.apply(ref, status, "4368269d-0297-4541-882f-9fc0da3e6de2") in {"moved", "same"}
    keys, shard = loaded.keys, loaded.keys.shard(ref.number_hash)
    own = {keys.record(ref), keys.secrets(ref), keys.number(ref.number_hash), keys.sticky(ref.number_hash)}
    assert set(loaded.all_keys()) - before - {keys.outbox(shard), keys.timers(shard), keys.audit(shard)} == own
    assert {loaded.raw.object("encoding", key) for key in own} <= {"listpack", "ziplist"}
    assert set(loaded.raw.hkeys(keys.secrets(ref))) <= {"digest", "box", "box:2", "box:3"}
    assert sum(loaded.raw.memory_usage(key, samples=0) for key in own) <= 1_600


def test_a_webhook_is_kept_for_two_commands(loaded: StoreHarness) -> None:
    """Beside the stream, so that it goes as soon as it is in the ledger. A repeat keeps nothing."""
    ref = loaded.start(fresh_number()).reference
    loaded.send(ref)
    other = loaded.start(fresh_number()).reference
    loaded.send(other)
    bare = cost(loaded, lambda: loaded.apply(other, "delivered"))
    with caused_by("sha256:" + "0" * 64, "k1:" + "A" * 1_000):
        assert cost(loaded, lambda: loaded.apply(ref, "delivered")) == (bare[0] + 2, bare[1])
        loaded.apply(ref, "delivered")
    shard = loaded.keys.shard(ref.number_hash)
    assert loaded.raw.hlen(loaded.keys.webhooks(shard)) == 1
    assert all(len(value) < 300 for value in loaded.raw.xrevrange(loaded.keys.audit(shard), count=1)[0][1].values())
    loaded.raw.delete(loaded.keys.webhooks(shard))


def test_the_last_messages_of_a_number_are_found(loaded: StoreHarness) -> None:
    """By their ids alone; no more of them than ten, so that the number's hash does not grow."""
    number, refs = fresh_number(), []
    for message in range(12):
        refs.append(loaded.start(number, ALONE, purpose=f"p{message}").reference)
        loaded.send(refs[-1], f"msg-{message}")
        # The caps of a number would refuse the sixth.
        loaded.raw.hdel(loaded.keys.number(refs[-1].number_hash), "sends")
    found = [loaded.reports.find_message(refs[0].number_hash, f"msg-{message}") for message in range(12)]
    assert found == [None, None, *((ref, 1) for ref in refs[2:])]
