"""Beginning a send: who may send, and with which bytes."""

from functools import partial

import pytest

from otp_service.domain.delivery import NotSent
from otp_service.domain.optout_list import OptOut
from otp_service.storage.schema.fields import Record

from .deliveries import pending, queued
from .harness import CODE, SHOP, WRONG, StoreHarness, Twice, at_once, fresh_number, limited, word


def test_every_try_uses_the_first_ones_bytes(harness: StoreHarness) -> None:
    """Whatever body a later try brings, what was kept is sent; the tries are counted."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    pending = harness.pending_delivery(job)
    assert (pending.app, pending.sender, pending.channel, pending.has_body, pending.rate_limited) == (
        "shop",
        "pool",
        "sms",
        False,
        False,
    )
    first = harness.must_begin(job, body="first")
    assert (first.sealed_body, first.attempt) == ("first", 1)
    assert 285_000 < first.left_ms <= 300_000
    assert harness.pending_delivery(job).has_body
    second = harness.must_begin(job, body="second")
    assert (second.sealed_body, second.attempt) == ("first", 2)
    assert harness.events(ref)[-2:] == ["delivery.sending", "delivery.retried"]


def test_workers_that_begin_at_once_send_the_same(harness: StoreHarness) -> None:
    """If two workers have an entry, both send the same bytes."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    permits = at_once([partial(harness.begin, job, SHOP, f"body-{n}") for n in range(10)])
    assert len({permit.sealed_body for permit in permits if permit is not None}) == 1
    assert sorted(permit.attempt for permit in permits if permit is not None) == list(range(1, 11))


def test_a_lost_reply_begins_one_try(harness: StoreHarness, store_url: str) -> None:
    """The same begin run twice, as after a lost reply, is one try in the count and in the timeline."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    unlucky = StoreHarness.open(store_url, Twice)
    assert unlucky.must_begin(job).attempt == 1
    unlucky.deliveries.record_retry(job, 1, NotSent("connect"))
    unlucky.close()
    assert harness.must_begin(harness.requeue(ref)).attempt == 2
    assert harness.record(ref)["1:unsent_tries"] == "1"
    assert harness.events(ref).count("delivery.sending") == 1
    assert harness.events(ref).count("delivery.retried") == 1


def test_without_bytes_nothing_is_begun(harness: StoreHarness) -> None:
    """No body kept and none given: nothing is sent and the entry stays."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    assert harness.begin(job, body="") is None
    assert pending(harness, ref) == 1
    assert harness.status(ref) == "queued"
    assert harness.must_begin(job).attempt == 1


@pytest.mark.parametrize("end", ["approved", "canceled", "exhausted"])
def test_an_ended_verifications_code_is_not_sent(harness: StoreHarness, end: str) -> None:
    """What ended before the send is suppressed with the reason, and its entry is done."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    if end == "approved":
        harness.check(ref, CODE)
    elif end == "canceled":
        harness.verifications.cancel(word(), ref, "shop")
    else:
        for _ in range(5):
            harness.check(ref, WRONG)
    assert harness.begin(job) is None
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"]) == ("suppressed", f"verification_{end}")
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)
    assert "1:failed_over" not in record


@pytest.mark.parametrize("left_ms", [-1, 200])
def test_an_expired_code_is_never_sent(harness: StoreHarness, left_ms: int) -> None:
    """Nor one that will have expired when it is sent."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.age(ref, 300_000 - left_ms)
    assert harness.begin(job) is None
    assert harness.status(ref) == "expired"
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)


def test_an_opt_out_after_the_start_stops_the_send(harness: StoreHarness) -> None:
    """The registry is asked again just before sending; the next sender with another profile takes over."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.optouts.record(ref.number_hash, "+1", OptOut("profile-a", True, 1, "STOP", "inbound"), None)
    assert harness.begin(job) is None
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"], record["2:sender"]) == ("suppressed", "opted_out", "backup")
    assert queued(harness, ref) == [ref.delivery_id(2)]
    harness.optouts.record(ref.number_hash, "+1", OptOut("profile-b", True, 1, "STOP", "inbound"), None)
    assert harness.begin(harness.take(ref)) is None
    assert harness.status(ref, 2) == "suppressed"
    assert harness.waiting(ref) == 0


def test_a_spent_budget_stops_the_send(harness: StoreHarness) -> None:
    """A number whose wrong codes are used up is not sent another code."""
    app, number = limited((2, 60_000)), fresh_number()
    ref = harness.start(number, app).reference
    other = harness.start(number, app, purpose="pay").reference
    jobs = harness.jobs(ref)
    for _ in range(2):
        harness.check(other, WRONG, app)
    for job in jobs:
        assert harness.begin(job, app) is None
        assert harness.record(job.reference)["1:error_code"] == "too_many_wrong_codes"
    assert harness.sends(ref.number_hash) == [], "what was never sent does not count"


def test_a_vanished_verifications_entry_is_settled(harness: StoreHarness) -> None:
    """With the record gone there is nothing to send and nothing is made anew."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
    assert harness.deliveries.pending_delivery(job) is None
    assert harness.begin(job) is None
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)
    assert not harness.raw.exists(harness.keys.record(ref))


def test_what_a_restart_ended_says_so(harness: StoreHarness) -> None:
    """The code had time left, and a worker took it up: neither is why nothing was sent."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.raw.hset(harness.keys.record(ref), Record.RUN, "0123456789ab")
    assert harness.begin(job) is None
    record = harness.record(ref)
    assert record["1:status"] == "expired"
    view = harness.verifications.view(ref, "shop")
    assert view is not None
    assert "restarted or failed over" in str(view.deliveries[0].error)
