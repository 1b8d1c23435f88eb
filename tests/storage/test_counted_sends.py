"""Which sends count against cool-downs and caps, and which are given back."""

from dataclasses import replace

import pytest

from otp_service.domain.checking import Approved
from otp_service.domain.delivery import Action, NotSent, Refused, Unknown
from otp_service.domain.outbox import Timer

from .harness import CODE, EVERYWHERE, POOL, SHOP, WRONG, StoreHarness, Twice, fresh_number
from .sends import ENDS, cancel

DEAD_LINE = Refused("40001", "Landline", Action.STOP_PERSON)
ONE_SENDER = replace(SHOP, route=(POOL,))


def counted(harness: StoreHarness, number: str) -> int:
    """How many sends stand against the number."""
    return len(harness.sends(harness.hash_of(number)))


def test_a_send_that_was_never_accepted_counts_nowhere(harness: StoreHarness) -> None:
    """Refused by the whole route: ladder and caps are as before, also if the verification ended meanwhile."""
    number = fresh_number()
    for end in (None, *ENDS[:-1]):
        ref = harness.start(number, ONE_SENDER).reference
        job = harness.take(ref)
        harness.must_begin(job, ONE_SENDER)
        if end is not None:
            end(harness, ref)
            assert harness.refused(number, ONE_SENDER, purpose="login").code == "resend_too_soon"
        harness.deliveries.record_refused(job, DEAD_LINE)
        assert counted(harness, number) == 0
        if end is None:
            cancel(harness, ref)
        harness.set_wrong_codes(ref.number_hash, "shop", [])


def test_a_send_of_an_approved_verification_is_given_back_to_the_caps(harness: StoreHarness) -> None:
    """The ladder was reset, the caps still count: what the carrier then refuses is taken from them."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    assert isinstance(harness.check(ref, CODE, ONE_SENDER), Approved)
    assert counted(harness, number) == 1
    harness.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 0


def test_an_accepted_send_is_never_given_back(harness: StoreHarness) -> None:
    """A failure that the carrier reports later changes neither ladder nor caps."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    harness.send(ref)
    harness.apply(ref, "delivery_failed")
    cancel(harness, ref)
    assert counted(harness, number) == 1
    assert harness.refused(number, ONE_SENDER).code == "resend_too_soon"


def test_a_send_whose_answer_is_lost_is_never_given_back(harness: StoreHarness) -> None:
    """The person may have it."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    harness.age(ref, 400_000)
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
    assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) == "unconfirmed"
    assert counted(harness, number) == 1


def test_canceling_before_a_worker_sends_gives_nothing_back(harness: StoreHarness) -> None:
    """Or a caller would be let through whenever the worker is slower than the cancellation."""
    number = fresh_number()
    ref = harness.start(number).reference
    cancel(harness, ref)
    assert harness.begin(harness.take(ref)) is None
    assert harness.status(ref) == "suppressed"
    assert counted(harness, number) == 1
    assert harness.refused(number).code == "resend_too_soon"


@pytest.mark.parametrize("how", ["worker", "timer"])
def test_what_no_worker_sent_in_time_is_given_back(harness: StoreHarness, how: str) -> None:
    """A code that ran out unsent costs the person nothing, whether a worker or the closing timer finds it."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.age(ref, 400_000)
    if how == "worker":
        assert harness.begin(harness.take(ref)) is None
    else:
        shard = harness.keys.shard(ref.number_hash)
        harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
        assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) == "expired"
        assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) is None
    assert harness.status(ref) == "expired"
    assert counted(harness, number) == 0


def test_failovers_of_one_send_are_one(harness: StoreHarness) -> None:
    """The next sender's delivery counts neither on the ladder nor in the caps; both refused gives one back."""
    number = fresh_number()
    harness.start(number, purpose="other")
    ref = harness.start(number).reference
    job = next(each for each in harness.jobs(ref) if each.reference == ref)
    harness.must_begin(job)
    assert harness.deliveries.record_refused(job, Refused("40002", "Spam", Action.NEXT_SENDER)) == "failed_over"
    assert counted(harness, number) == 2
    second = harness.take(ref)
    harness.must_begin(second)
    harness.deliveries.record_refused(second, Refused("40002", "Spam", Action.NEXT_SENDER))
    assert counted(harness, number) == 1
    assert harness.refused(number, purpose="other").code == "resend_too_soon"
    harness.start(number)


def test_an_older_sends_failure_gives_its_own_step_back(harness: StoreHarness) -> None:
    """The newer send's wait stands, with one send less on the ladder."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    harness.cool(ref)
    harness.start(number, ONE_SENDER)
    assert harness.refused(number, ONE_SENDER).wait_ms > 50_000
    harness.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 1
    assert 20_000 < harness.refused(number, ONE_SENDER).wait_ms <= 30_000


def test_a_lost_reply_counts_one_send_and_gives_one_back(harness: StoreHarness, store_url: str) -> None:
    """Every script run twice is as if it had run once."""
    twice = StoreHarness.open(store_url, Twice)
    number = fresh_number()
    kept = twice.start(number, purpose="kept").reference
    ref = twice.start(number, ONE_SENDER).reference
    assert counted(harness, number) == 2
    job = next(each for each in twice.jobs(ref) if each.reference == ref)
    twice.deliveries.begin_send(job, "shop", "sealed", SHOP.wrong_codes_per_number, EVERYWHERE.wrong_codes)
    twice.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 1
    twice.check(kept, WRONG)
    assert len(harness.wrong_codes(kept.number_hash)) == 1
    twice.check(kept, CODE)
    assert len(harness.wrong_codes(kept.number_hash)) == 1
    twice.close()


def test_a_request_that_did_not_leave_yet_counts(harness: StoreHarness) -> None:
    """While it is tried again the send stands."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 1_000, NotSent("connect"))
    cancel(harness, ref)
    assert harness.refused(number).code == "resend_too_soon"
    job = harness.requeue(ref) if harness.status(ref) == "sending" else job
    assert counted(harness, number) == 1
