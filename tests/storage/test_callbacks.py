"""The queues of callbacks and the consumer that fills them: nothing lost, claimed twice or without a bound.

Nothing sleeps until a lease or a wait is over: a slow machine would find it over too early. What is stored moves.
"""

import threading
import time
from dataclasses import replace

from otp_service.domain.audit import Event
from otp_service.domain.callback import Callback
from otp_service.storage.audit_consumer import GROUP, AuditConsumer
from otp_service.storage.callbacks import ANNOUNCED_MS, LEASE_MS, MOST_AT_ONCE, Callbacks
from tests.conftest import wait_until

from .harness import WRONG, StoreHarness, at_once, fresh_number


def queues(harness: StoreHarness, *, most_waiting: int = 10_000, most_dead: int = 1_000) -> Callbacks:
    """The queues as one process sees them."""
    return Callbacks(harness.store, harness.scripts, harness.keys, most_waiting=most_waiting, most_dead=most_dead)


def let_come(harness: StoreHarness, callback_id: str, within_ms: int, app: str = "shop") -> None:
    """Let one that waits come now: its lease, or its wait, which is no longer than this, is over."""
    due, now = harness.keys.callbacks_due(app), harness.now()
    assert now < harness.raw.zscore(due, callback_id) <= now + within_ms
    harness.raw.zadd(due, {callback_id: now})


def callback(number: int = 1, app: str = "shop") -> Callback:
    """The n-th callback."""
    return Callback(f"evt_00-{number}-0", app, "verification.approved", "vrf_x", f'{{"n":{number}}}')


def ids(queue: Callbacks, *, dead: bool = False, app: str = "shop") -> list[str]:
    """What waits, or what is dead, in order."""
    return [one.id for one in queue.list(app, dead=dead)]


def must_claim(queue: Callbacks, app: str = "shop") -> Callback:
    """Claim, and fail if there is nothing."""
    found = queue.claim(app)
    assert found is not None
    return found


class TestQueue:
    """One app's queue."""

    def test_a_callback_waits_until_it_is_sent(self, harness: StoreHarness) -> None:
        """It is handed out with the bytes it had and the number of the try, and is gone when it has arrived."""
        queue = queues(harness)
        assert queue.put(callback()) == "queued"
        assert queue.due(["shop", "bank"]) == {"shop": 1}
        taken = must_claim(queue)
        assert taken == replace(callback(), attempt=1)
        assert queue.claim("shop") is None
        assert queue.record_sent(taken)
        assert (queue.counts(["shop"]), queue.due(["shop"])) == ({"shop": (0, 0)}, {})
        assert not harness.raw.exists(harness.keys.callbacks("shop"))

    def test_an_event_is_queued_once(self, harness: StoreHarness) -> None:
        """Also when it is read again after its callback has arrived, or with another content: the first bytes stay."""
        queue = queues(harness)
        queue.put(callback())
        assert queue.put(replace(callback(), body="other")) == "known"
        taken = must_claim(queue)
        assert taken.body == '{"n":1}'
        queue.record_sent(taken)
        assert queue.put(callback()) == "known"
        assert ids(queue) == []

    def test_a_claim_has_one_winner(self, harness: StoreHarness) -> None:
        """Many workers at the same moment: every callback is claimed exactly once."""
        for number in range(5):
            queues(harness).put(callback(number))
        claims = at_once([lambda: queues(harness).claim("shop")] * 12)
        assert sorted(one.id for one in claims if one is not None) == sorted(ids(queues(harness)))

    def test_a_crash_while_sending_loses_nothing(self, harness: StoreHarness) -> None:
        """What was claimed and never settled comes again when the lease is over, with the same id and bytes."""
        queue = queues(harness)
        queue.put(callback())
        first = must_claim(queue)
        let_come(harness, first.id, LEASE_MS)
        second = must_claim(queue)
        assert (second.id, second.body, second.attempt) == (first.id, first.body, 2)
        assert queue.due(["shop"]) == {}

    def test_a_worker_that_was_overtaken_changes_nothing(self, harness: StoreHarness) -> None:
        """Its failure is not written over the other's try; but what arrived has arrived."""
        queue = queues(harness)
        queue.put(callback())
        slow = must_claim(queue)
        let_come(harness, slow.id, LEASE_MS)
        quick = must_claim(queue)
        assert not queue.schedule_retry(slow, 60_000, 0, "late")
        assert not queue.dead_letter(slow, 0, "late")
        assert [(one.attempts, one.reason, one.dead) for one in queue.list("shop", dead=False)] == [(2, "", False)]
        assert queue.record_sent(slow)
        assert not queue.schedule_retry(quick, 1, 0, "status 500")
        assert queue.counts(["shop"]) == {"shop": (0, 0)}

    def test_a_failed_one_waits_its_time(self, harness: StoreHarness) -> None:
        """Not due before, due after, and a person sees why."""
        queue = queues(harness)
        queue.put(callback())
        assert queue.schedule_retry(must_claim(queue), 60_000, 0, "status 500")
        assert queue.claim("shop") is None
        (waiting,) = queue.list("shop", dead=False)
        assert (waiting.attempts, waiting.reason, waiting.at_ms > harness.now()) == (1, "status 500", True)
        let_come(harness, waiting.id, 60_000)
        assert must_claim(queue).attempt == 2

    def test_an_endpoint_that_asks_for_a_pause_gets_nothing(self, harness: StoreHarness) -> None:
        """Neither this callback nor another, until the time is over; other apps are served."""
        queue = queues(harness)
        for number in (1, 2):
            queue.put(callback(number))
        queue.put(callback(3, "bank"))
        queue.schedule_retry(must_claim(queue), 5, 60_000, "status 429")
        assert queue.claim("shop") is None
        assert queue.due(["shop", "bank"]) == {"bank": 1}
        pause = harness.keys.callbacks_pause("shop")
        assert 0 < harness.raw.pttl(pause) <= 60_000
        harness.raw.pexpire(pause, 1)
        wait_until(lambda: queue.claim("shop"), what="the end of the pause")

    def test_not_too_many_at_once_go_to_one_app(self, harness: StoreHarness) -> None:
        """The bound holds over all workers; another app has its own."""
        queue = queues(harness)
        for number in range(MOST_AT_ONCE + 3):
            queue.put(callback(number))
        queue.put(callback(1, "bank"))
        taken = [queue.claim("shop") for _ in range(MOST_AT_ONCE + 3)]
        assert [one is None for one in taken].count(True) == 3
        assert queue.claim("bank") is not None
        queue.record_sent(next(one for one in taken if one is not None))
        assert queue.claim("shop") is not None

    def test_a_dead_letter_is_kept_and_can_be_replayed(self, harness: StoreHarness) -> None:
        """It is never sent by itself; replayed it has its id, its bytes and all its tries again, also after a 410."""
        queue = queues(harness)
        for number in (1, 2):
            queue.put(callback(number))
        queue.dead_letter(must_claim(queue), 60_000, "status 410")
        assert ids(queue, dead=True) == ["evt_00-1-0"]
        assert queue.counts(["shop"]) == {"shop": (1, 1)}
        assert queue.claim("shop") is None
        assert queue.replay("shop", "evt_00-9-0") == 0
        assert queue.replay("shop", "evt_00-1-0") == 1
        again = {must_claim(queue).id: one for one in (1, 2)}
        assert set(again) == {"evt_00-1-0", "evt_00-2-0"}
        assert queue.replay("shop", None) == 0

    def test_all_dead_letters_are_replayed_at_once(self, harness: StoreHarness) -> None:
        """One that a worker has claimed is left alone."""
        queue = queues(harness)
        for number in range(3):
            queue.put(callback(number))
            queue.dead_letter(must_claim(queue), 0, "status 500")
        queue.put(callback(7))
        held = must_claim(queue)
        assert queue.replay("shop", held.id) == 0
        assert queue.replay("shop", None) == 3
        assert sorted(must_claim(queue).attempt for _ in range(3)) == [1, 1, 1]

    def test_one_that_waits_can_be_sent_at_once(self, harness: StoreHarness) -> None:
        """An operator who has put the receiver right need not wait for hours."""
        queue = queues(harness)
        queue.put(callback())
        queue.schedule_retry(must_claim(queue), 3_600_000, 0, "status 500")
        assert queue.replay("shop", callback().id) == 1
        assert must_claim(queue).attempt == 1

    def test_a_receiver_that_is_down_cannot_fill_the_store(self, harness: StoreHarness) -> None:
        """Where too many wait, the one furthest from its next try dies; where too many are dead, the oldest permits."""
        queue = queues(harness, most_waiting=3, most_dead=2)
        queue.put(callback(0))
        queue.schedule_retry(must_claim(queue), 3_600_000, 0, "status 500")
        for number in (1, 2):
            queue.put(callback(number))
        assert queue.put(callback(3)) == "full"
        assert ids(queue, dead=True) == ["evt_00-0-0"]
        for number in range(4, 8):
            time.sleep(0.002)
            assert queue.put(callback(number)) == "full"
        assert queue.counts(["shop"]) == {"shop": (3, 2)}
        assert harness.raw.hlen(harness.keys.callbacks("shop")) == 5 * 6

    def test_old_dead_letters_go(self, harness: StoreHarness) -> None:
        """After a week, when the next one comes."""
        queue = queues(harness)
        for number in (1, 2):
            queue.put(callback(number))
            queue.dead_letter(must_claim(queue), 0, "status 500")
            harness.raw.zadd(harness.keys.callbacks_dead("shop"), {"evt_00-1-0": 1}, xx=True)
        assert ids(queue, dead=True) == ["evt_00-2-0"]
        assert all(field.startswith("evt_00-2-0") for field in harness.raw.hkeys(harness.keys.callbacks("shop")))


class TestAuditConsumer:
    """The audit streams, read by a group."""

    def test_every_event_from_then_on_is_handed_out_once(self, harness: StoreHarness) -> None:
        """None of before, all of after, however many read."""
        harness.start(fresh_number())
        audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys)
        audit_consumer.open()
        audit_consumer.open()
        refs = [harness.start(fresh_number()).reference for _ in range(6)]
        taken = [
            event
            for batch in at_once([lambda: AuditConsumer(harness.store, harness.scripts, harness.keys).read_new(50)] * 4)
            for event in batch
        ]
        started = [event for event in taken if event.type == "verification.started"]
        assert sorted(event.fields["verification"] for event in started) == sorted(ref.token for ref in refs)
        assert audit_consumer.read_new(50) == []

    def test_what_a_dead_worker_took_is_handed_out_again(self, harness: StoreHarness) -> None:
        """Until it is done; the event has the same name."""
        audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=60_000)
        audit_consumer.open()
        stream = harness.keys.audit(harness.keys.shard(harness.start(fresh_number()).reference.number_hash))
        first = audit_consumer.read_new(50)
        assert audit_consumer.claim_stale(50) == []

        def grow_old() -> None:
            entries = [one["message_id"] for one in harness.raw.xpending_range(stream, GROUP, "-", "+", 50)]
            if entries:
                harness.raw.xclaim(stream, GROUP, "dead", 0, entries, idle=60_001)

        grow_old()
        again = audit_consumer.claim_stale(50)
        assert [event.seq for event in again] == [event.seq for event in first]
        audit_consumer.acknowledge(again)
        grow_old()
        assert audit_consumer.claim_stale(50) == []

    def test_a_store_that_was_emptied_is_read_from_its_beginning(self, harness: StoreHarness) -> None:
        """Whatever stands in it has come since."""
        audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys)
        audit_consumer.open()
        for shard in range(harness.keys.shards):
            harness.raw.delete(harness.keys.audit(shard))
        ref = harness.start(fresh_number()).reference
        found: list[Event] = []
        for _ in range(3):
            found += audit_consumer.read_new(50)
        assert [event.fields["verification"] for event in found if event.type == "verification.started"] == [ref.token]

    def test_a_group_that_was_away_tells_no_history(self, harness: StoreHarness) -> None:
        """Opened again it goes on with the last day, also of what was taken long ago; nothing newer is left out."""
        shard = harness.keys.shard(harness.hash_of(number := fresh_number()))
        stream = harness.keys.audit(shard)
        old = [harness.raw.xadd(stream, {"about": "x"}, id=f"{n}-0") for n in (1, 2)]
        audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=0)
        audit_consumer.open("0")
        harness.raw.xreadgroup(GROUP, "worker", {stream: ">"}, count=1)
        harness.start(number)
        audit_consumer.open()
        assert harness.raw.xpending(stream, GROUP)["pending"] == 0
        assert {event.type for event in audit_consumer.read_new(50)} == {"verification.started", "delivery.queued"}
        assert harness.raw.xrange(stream)[0][0] == old[0]
        audit_consumer.open()
        assert audit_consumer.claim_stale(50)

    def test_an_app_that_nobody_announces_is_forgotten(self, harness: StoreHarness) -> None:
        """The other app of the same processes is not."""
        queue = queues(harness)
        assert queue.announce(["shop", "bank"]) == {"shop", "bank"}
        harness.raw.zadd(harness.keys.callback_apps(), {"bank": harness.now() - ANNOUNCED_MS - 1})
        assert queue.announce(["shop"]) == {"shop"}

    def test_nothing_slips_between_reading_and_writing(self, server_harness: StoreHarness) -> None:
        """Events that are written while others read, take over and die: each is done by somebody."""
        harness = server_harness
        AuditConsumer(harness.store, harness.scripts, harness.keys).open()
        seen: set[str] = set()
        stop = threading.Event()
        lock = threading.Lock()

        def read(reliable: bool) -> None:
            audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=50)
            while not stop.is_set():
                events = audit_consumer.read_new(3) + audit_consumer.claim_stale(3)
                if reliable:
                    audit_consumer.acknowledge(events)
                    with lock:
                        seen.update(event.seq for event in events)

        readers = [threading.Thread(target=read, args=(n != 1,)) for n in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(30):
            harness.check(harness.start(fresh_number()).reference, WRONG)
        time.sleep(0.3)
        stop.set()
        for reader in readers:
            reader.join()
        last = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=0)
        while unread := last.read_new(500):  # on a busy machine they had no time for all
            seen.update(event.seq for event in unread)
        seen.update(event.seq for event in last.claim_stale(500))
        written = sum(len(harness.audited_in(shard)) for shard in range(harness.keys.shards))
        assert len(seen) == written
