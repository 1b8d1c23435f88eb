"""What a send took in limits on other shards: kept with the send, and given back if no carrier ever accepted it."""

from dataclasses import replace

import pytest

from otp_service.domain.delivery import Accepted, Action, Refused
from otp_service.domain.ids import Reference
from otp_service.domain.policy import Limit, Slot

from .harness import SHOP, StoreHarness, fresh_number, word

APP = replace(SHOP, route=SHOP.route[:1], resend_after_ms=(0, 0))
STOP = Refused("40310", "Invalid number", Action.STOP_PERSON)


def slot() -> Slot:
    """A slot in a limit of three, which only this test uses."""
    return Slot("accounts", word(), Limit(3, 60_000), of_send=True)


def started(harness: StoreHarness, number: str, *slots: Slot) -> Reference:
    """The verification of a start that has taken these."""
    return harness.start(number, APP, send_slots=harness.limits.outer.take(slots)).reference


def free(harness: StoreHarness, one: Slot) -> int:
    """How many are free."""
    answers = harness.limits.outer.take([one] * one.limit.limit)
    harness.limits.outer.give_back(answers)
    return sum(not answer.wait_ms for answer in answers)


def returns(harness: StoreHarness, ref: Reference) -> list[int]:
    """The deliveries whose slots a worker is to give back, which it does."""
    due = [timer for timer in harness.due_timers.due(100) if (timer.kind, timer.reference) == ("return", ref)]
    for timer in due:
        harness.limits.outer.give_back(harness.due_deliveries.claim_slots(timer))
        assert harness.due_deliveries.claim_slots(timer) == []
    return [timer.ordinal for timer in due]


@pytest.fixture(autouse=True)
def opened(harness: StoreHarness) -> None:
    """Workers read the outbox."""
    harness.outbox.open()


def test_a_send_that_no_carrier_accepted_gives_its_slots_back(harness: StoreHarness) -> None:
    """All that it took, once; a send that was accepted keeps what it took."""
    one, other, number = slot(), slot(), fresh_number()
    ref = started(harness, number, one, one, other)
    job = harness.take(ref)
    harness.must_begin(job, APP)
    harness.deliveries.record_refused(job, STOP)
    assert (free(harness, one), free(harness, other)) == (1, 2)
    assert returns(harness, ref) == [1]
    assert returns(harness, ref) == []
    assert (free(harness, one), free(harness, other)) == (3, 3)


def test_each_send_of_a_verification_has_its_own(harness: StoreHarness) -> None:
    """The first was accepted and keeps its slot; the second was refused; the third, which takes its place, is sent."""
    one, number = slot(), fresh_number()
    ref = started(harness, number, one)
    harness.send(ref)
    for ordinal in (2, 3):
        assert started(harness, number, one) == ref
        job = harness.take(ref)
        harness.must_begin(job, APP)
        if ordinal == 2:
            harness.deliveries.record_refused(job, STOP)
        else:
            harness.deliveries.record_accepted(job, Accepted("msg-3", "queued"))
    assert free(harness, one) == 0
    assert returns(harness, ref) == [2]
    assert free(harness, one) == 1
    harness.apply(ref, "delivery_failed")
    assert returns(harness, ref) == []
