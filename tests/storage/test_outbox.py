"""Taking entries of the outbox: one worker has each, and what a dead worker held is taken over."""

import pytest

from otp_service.domain.errors import StoreUnavailable
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


def test_a_shard_group_is_a_slot(harness: StoreHarness) -> None:
    """On one server one read waits on all shards, in a Cluster each shard has its own."""
    groups = harness.outbox.shard_groups()
    assert sorted(shard for group in groups for shard in group) == list(range(16))
    assert len(groups) == (16 if harness.store.is_cluster else 1)
