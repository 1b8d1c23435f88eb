"""Taking entries of the outbox: one worker has each, and what a dead worker held is taken over."""

import contextlib

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.outbox import Timer, TimerKind
from otp_service.storage.dead_letters import DeadLetters
from otp_service.storage.outbox import GROUP, STALE_MS

from .deliveries import pending
from .harness import StoreHarness, fresh_number


def test_an_entry_is_claimed_by_one_worker(harness: StoreHarness) -> None:
    """Two workers that take at the same time share the entries and never get the same one."""
    refs = [harness.start(fresh_number()).reference for _ in range(20)]
    other = harness.other_worker()
    mine, theirs = [], []
    for group in harness.outbox.shard_groups():
        mine += harness.outbox.read_new(group, 1, 0.001)
        theirs += other.read_new(group, 100, 0.001)
    taken = [job.reference for job in (*mine, *theirs)]
    assert sorted(taken, key=str) == sorted(refs, key=str)


def test_what_a_dead_worker_held_is_taken_over(harness: StoreHarness) -> None:
    """Untouched entries go to another worker after `STALE_MS`; touched ones do not."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    other = harness.other_worker()
    assert other.claim_stale([job.shard], 10) == []
    stream = harness.keys.outbox(job.shard)
    harness.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    harness.outbox.keep_claimed([job])
    assert other.claim_stale([job.shard], 10) == []
    harness.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    assert other.claim_stale([job.shard], 10) == [job]


def test_what_was_handed_back_is_anothers_at_once(harness: StoreHarness) -> None:
    """But for what it keeps, and for what is another's already; nothing is lost with its name."""
    kept, left = (harness.take(harness.start(fresh_number()).reference) for _ in range(2))
    other, third = harness.other_worker(), harness.other_worker()
    others = harness.start(fresh_number()).reference
    (taken,) = [job for group in other.shard_groups() for job in other.read_new(group, 10, 0.001)]
    every = range(harness.keys.shards)
    for group in harness.outbox.shard_groups():
        harness.outbox.hand_back(group, [kept])
    assert taken.reference == others
    assert third.claim_stale(every, 10) == [left]
    for group in harness.outbox.shard_groups():
        harness.outbox.hand_back(group, [])
    assert third.claim_stale(every, 10) == [kept]


def test_a_heartbeat_for_settled_entries_brings_nothing_back(harness: StoreHarness) -> None:
    """A late heartbeat makes no new pending entry."""
    ref = harness.start(fresh_number()).reference
    job = harness.send(ref)
    harness.outbox.keep_claimed([job])
    assert pending(harness, ref) == 0
    assert harness.waiting(ref) == 0


def test_an_unreadable_entry_is_set_aside_and_the_others_are_read(harness: StoreHarness) -> None:
    """Poison permits to the dead letters once, and does not hold up what is behind it."""
    ref = harness.start(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    elsewhere = harness.start_command(fresh_number()).reference
    while harness.keys.shard(elsewhere.number_hash) == shard:
        elsewhere = harness.start_command(fresh_number()).reference
    for poison in ({"delivery": "nonsense"}, {"other": "x"}, {"delivery": elsewhere.delivery_id(1)}):
        harness.raw.xadd(harness.keys.outbox(shard), poison)
    assert [job.reference for job in harness.jobs(ref)] == [ref]
    assert harness.raw.xlen(harness.keys.dead(shard)) == 3
    assert harness.waiting(ref) == 1
    assert harness.outbox.depth() == 1


def test_a_store_emptied_underneath_gets_its_groups_again(harness: StoreHarness) -> None:
    """NOGROUP is healed by the reader itself; opening twice is no error."""
    shard = 3
    harness.raw.delete(harness.keys.outbox(shard))
    assert harness.outbox.read_new([shard], 1, 0.001) == []
    harness.raw.delete(harness.keys.outbox(shard))
    assert harness.outbox.claim_stale([shard], 1) == []
    harness.outbox.open()
    harness.raw.set(harness.keys.outbox(4), "not a stream")
    with pytest.raises(StoreUnavailable):
        harness.outbox.read_new([4], 1, 0.001)


def test_an_outbox_of_a_wrong_type_stops_no_other_shard(harness: StoreHarness) -> None:
    """Its shard is left out; what the others hold is read, taken over and counted, and its timers lose nothing."""
    ref = harness.start(fresh_number()).reference
    wrong = (harness.keys.shard(ref.number_hash) + 1) % harness.keys.shards
    harness.raw.set(harness.keys.outbox(wrong), "not a stream")
    taken = []
    for _ in range(2):
        for group in harness.outbox.shard_groups():
            with contextlib.suppress(StoreUnavailable):
                taken += harness.outbox.read_new(group, 10, 0.001)
    assert [job.reference for job in taken] == [ref]
    stream = harness.keys.outbox(taken[0].shard)
    harness.raw.xclaim(stream, GROUP, "dead", 0, [taken[0].entry], idle=STALE_MS + 1)
    assert harness.outbox.claim_stale(range(harness.keys.shards), 10) == taken
    assert harness.outbox.depth() == 1


def test_a_retry_stays_where_its_outbox_takes_nothing(harness: StoreHarness) -> None:
    """A timer goes only when its entry is made."""
    ref = harness.start(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    timer = Timer(shard, TimerKind.RETRY, ref, 1)
    name = f"{TimerKind.RETRY}:{ref.delivery_id(1)}"
    harness.raw.zadd(harness.keys.timers(shard), {name: 1})
    harness.raw.delete(harness.keys.outbox(shard))
    harness.raw.set(harness.keys.outbox(shard), "not a stream")
    with pytest.raises(StoreUnavailable):
        harness.due_deliveries.requeue(timer)
    assert name in harness.timers(ref)
    harness.raw.delete(harness.keys.outbox(shard))
    assert harness.due_deliveries.requeue(timer)
    assert name not in harness.timers(ref)


def test_what_cannot_be_set_aside_stays_and_delays_nothing(harness: StoreHarness) -> None:
    """Where the dead letters take nothing, neither an entry nor a timer is lost, and what can be read is."""
    ref = harness.start(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    poison = harness.raw.xadd(harness.keys.outbox(shard), {"delivery": "nonsense"})
    harness.raw.zadd(harness.keys.timers(shard), {"nonsense": 1, f"{TimerKind.CLOSING}:{ref.delivery_id(1)}": 1})
    harness.raw.set(harness.keys.dead(shard), "not a stream")
    assert [job.reference for job in harness.jobs(ref)] == [ref]
    assert [timer.reference for timer in harness.due_timers.due(10)] == [ref]
    harness.raw.delete(harness.keys.dead(shard))
    harness.raw.xclaim(harness.keys.outbox(shard), GROUP, "dead", 0, [poison], idle=STALE_MS + 1)
    harness.outbox.claim_stale([shard], 10)
    assert harness.due_timers.due(10)
    letters = DeadLetters(harness.store, harness.scripts, harness.keys, harness.ring.ids)
    found = letters.list()
    assert sorted((one.kind, one.text) for one in found) == [("entry", "delivery=nonsense"), ("timer", "nonsense")]
    # Given back, what cannot be read is set aside again, and the rest is worked on.
    harness.raw.xadd(harness.keys.dead(shard), {"entry": "1-1", "delivery": ref.delivery_id(1)})
    assert letters.replay(letters.list()) == 3
    assert letters.list() == []
    (job,) = harness.outbox.read_new([shard], 10, 0.001)
    assert job.reference == ref
    assert harness.raw.zscore(harness.keys.timers(shard), "nonsense") == 1.0
    harness.due_timers.due(10)
    assert {one.text for one in letters.list()} == {"delivery=nonsense", "nonsense"}
    assert letters.replay(found) == 0


def test_a_shard_group_is_a_slot(harness: StoreHarness) -> None:
    """On one server one read waits on all shards, in a Cluster each shard has its own."""
    groups = harness.outbox.shard_groups()
    assert sorted(shard for group in groups for shard in group) == list(range(16))
    assert len(groups) == (16 if harness.store.is_cluster else 1)
