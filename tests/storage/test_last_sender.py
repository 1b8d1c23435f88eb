"""The sender that got through permits first in the next start."""

from typing import Any

from otp_service.domain.delivery import Accepted, Action, Refused
from otp_service.domain.ids import Reference

from .harness import UNCAPPED, StoreHarness, fresh_number, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)


def test_the_sender_that_got_through_goes_first_while_it_is_well(harness: StoreHarness) -> None:
    """Remembered per channel, app and person; a failure forgets it, and one that is not well waits for its turn."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_refused(job, NEXT)
    second = harness.take(ref)
    harness.must_begin(second)
    harness.deliveries.record_accepted(second, Accepted("msg-2", "queued"))
    harness.apply(ref, "delivered", "msg-2", 2)

    def first(**changes: Any) -> tuple[str, Reference]:
        again = harness.start(number, purpose=word("p"), per_number=UNCAPPED, **changes).reference
        return harness.record(again)["1:sender"], again

    assert first()[0] == "backup"
    assert first(healthy=("pool",))[0] == "pool"
    assert first(healthy=())[0] == "pool"
    assert harness.raw.hgetall(harness.keys.sticky(harness.hash_of(number))) == {"sms:shop": "backup"}
    name, again = first()
    (mine,) = [each for each in harness.jobs(again) if each.reference == again]
    harness.must_begin(mine)
    harness.deliveries.record_accepted(mine, Accepted("msg-3", "queued"))
    harness.apply(again, "delivery_failed", "msg-3")
    assert (name, first()[0]) == ("backup", "pool")


def test_another_senders_failure_forgets_nothing(harness: StoreHarness) -> None:
    """Only the one that is remembered can lose its place."""
    number = fresh_number()
    harness.raw.hset(harness.keys.sticky(harness.hash_of(number)), "sms:shop", "backup")
    ref = harness.start(number, healthy=("pool",)).reference
    harness.send(ref)
    harness.apply(ref, "delivery_failed")
    assert harness.raw.hget(harness.keys.sticky(harness.hash_of(number)), "sms:shop") == "backup"
