"""Asking the carrier about silent deliveries, and timers of what has vanished."""

import json
from collections.abc import Callable
from functools import partial

from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App
from otp_service.storage.deliveries import FIRST_POLL_MS
from otp_service.storage.due_deliveries import LAST_POLL_MS, POLL_WAITS_MS
from tests.conftest import wait_until

from .about import about
from .deliveries import backdate
from .harness import CODE, POOL, WRONG, StoreHarness, at_once, fresh_number


def test_a_silent_delivery_is_asked_about_by_one_worker(harness: StoreHarness) -> None:
    """The claim sets the next time before the asking, so a crash loses no later poll."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref, "msg-7")
    due = Timer(harness.keys.shard(ref.number_hash), "poll", ref, 1)
    assert harness.due_deliveries.claim_poll(due) is None
    backdate(harness, ref, f"poll:{ref.delivery_id(1)}")
    answers = at_once([partial(harness.due_deliveries.claim_poll, due)] * 10)
    assert [answer for answer in answers if answer] == ["msg-7"]
    wait = harness.timers(ref)[f"poll:{ref.delivery_id(1)}"] - harness.now()
    assert wait == about(POLL_WAITS_MS[0])


def test_polls_become_rarer_and_end_after_the_codes_end(harness: StoreHarness) -> None:
    """First after eight seconds, then ever later, once more after the code's end; a report ends the asking at once."""
    app = App("shop", "Acme", (POOL,), code_ttl_ms=600_000)
    ref = harness.start(fresh_number(), app).reference
    harness.send(ref)
    timer = f"poll:{ref.delivery_id(1)}"
    due = Timer(harness.keys.shard(ref.number_hash), "poll", ref, 1)
    waits = [harness.timers(ref)[timer] - harness.now()]
    for _ in range(len(POLL_WAITS_MS) + 2):
        backdate(harness, ref, timer)
        assert harness.due_deliveries.claim_poll(due) == "msg-1"
        waits.append(harness.timers(ref)[timer] - harness.now())
    wanted = [FIRST_POLL_MS, *POLL_WAITS_MS, *POLL_WAITS_MS[-1:] * 2]
    assert waits == [about(wait) for wait in wanted]
    harness.age(ref, 590_000)
    backdate(harness, ref, timer)
    assert harness.due_deliveries.claim_poll(due) == "msg-1"
    assert harness.timers(ref)[timer] == int(harness.record(ref)["expires_ms"]) + LAST_POLL_MS
    harness.age(ref, 11_000)
    backdate(harness, ref, timer)
    assert harness.due_deliveries.claim_poll(due) == "msg-1"
    assert timer not in harness.timers(ref)
    assert harness.due_deliveries.claim_poll(due) is None
    other = harness.start(fresh_number()).reference
    harness.send(other)
    harness.apply(other, "delivered")
    assert f"poll:{other.delivery_id(1)}" not in harness.timers(other)


def test_timers_of_vanished_verifications_are_removed(harness: StoreHarness) -> None:
    """A due timer of a verification that is gone is removed and brings nothing back; one that is none is set aside."""
    ref = harness.start_command(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    members = [f"expiry:{ref.token}", f"retry:{ref.delivery_id(1)}", f"poll:{ref.delivery_id(1)}"]
    harness.raw.zadd(harness.keys.timers(shard), dict.fromkeys(members, 1))
    harness.raw.zadd(harness.keys.timers(shard), {"x:nonsense": 1})
    dues = harness.due_timers.due(100)
    assert sorted(due.kind for due in dues) == ["expiry", "poll", "retry"]
    assert not harness.due_deliveries.requeue(Timer(shard, "retry", ref, 1))
    assert harness.due_deliveries.claim_poll(Timer(shard, "poll", ref, 1)) is None
    assert not harness.verifications.expire(ref)
    assert not harness.timers(ref)
    assert not harness.raw.exists(harness.keys.record(ref))


def test_a_blocking_read_wakes_for_a_new_entry(harness: StoreHarness) -> None:
    """A waiting worker gets a code as soon as it is queued."""
    number = fresh_number()
    shard = harness.keys.shard(harness.hash_of(number))

    def read() -> list[Job]:
        # Again where the other thread needed longer than one read may wait.
        return wait_until(lambda: harness.outbox.read_new([shard], 1, 2.0), 60, "a code")  # type: ignore[no-any-return]

    jobs: list[Callable[[], object]] = [read, partial(harness.start, number)]
    taken = at_once(jobs)[0]
    assert isinstance(taken, list)
    assert len(taken) == 1
    wait_until(lambda: harness.outbox.depth() == 1)


def test_the_timeline_lists_every_step(harness: StoreHarness) -> None:
    """Every step stands in the timeline in order, with the delivery and what is known of it, and so in the record."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    harness.apply(ref, "delivered")
    harness.check(ref, WRONG)
    harness.check(ref, CODE)
    timeline = harness.verifications.timeline(ref)
    assert [entry.event for entry in timeline] == [
        "verification.started",
        "delivery.queued",
        "delivery.sending",
        "delivery.sent",
        "delivery.delivered",
        "check.failed",
        "verification.approved",
    ]
    assert timeline[3].delivery_id == ref.delivery_id(1)
    assert timeline[3].detail == {"message_id": "msg-1", "carrier_status": "queued"}
    assert [entry.at_ms for entry in timeline] == sorted(entry.at_ms for entry in timeline)
    audited = harness.audited(ref)
    assert [event["type"] for event in audited] == [entry.event for entry in timeline]
    assert {event["number_hash"] for event in audited} == {ref.number_hash}
    assert all(isinstance(json.loads(event["detail"]), dict) for event in audited)
