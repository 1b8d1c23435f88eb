"""Recording a send: what each response of the carrier makes of a delivery."""

import json
from functools import partial

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import App
from otp_service.storage.schema.fields import Secrets

from .deliveries import backdate, pending, queued
from .harness import BACKUP, CODE, POOL, SAME_PROFILE, StoreHarness, at_once, fresh_number, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Authentication failed", Action.STOP_ALL)
BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)


def test_accepted_is_sent_and_will_be_asked_about(harness: StoreHarness) -> None:
    """The message id is kept and found again, a poll is set, the entry is gone."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job, body="of several pieces " * 20)
    harness.deliveries.record_accepted(job, Accepted("msg-9", "queued"))
    assert not [name for name in harness.raw.hkeys(harness.keys.secrets(ref)) if name.startswith(Secrets.BODY)]
    assert json.loads(harness.audited(ref)[-1]["detail"]) == {"carrier_status": "queued", "message_id": "msg-9"}
    record = harness.record(ref)
    assert (record["1:status"], record["1:message_id"], record["1:carrier_status"]) == ("sent", "msg-9", "queued")
    assert harness.reports.find_message(ref.number_hash, "msg-9") == (ref, 1)
    assert harness.reports.find_message(ref.number_hash, "msg-8") is None
    assert f"poll:{ref.delivery_id(1)}" in harness.timers(ref)
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)


def test_a_refusal_goes_to_the_next_sender_once(harness: StoreHarness) -> None:
    """However often the refusal is written down, the route's next sender is claimed once."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    answers = at_once([partial(harness.deliveries.record_refused, job, NEXT)] * 10)
    assert sorted(answers).count("failed_over") == 1
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"], record["1:error_title"]) == (
        "failed",
        "40002",
        "Blocked as spam",
    )
    assert (record["2:status"], record["2:sender"], record["deliveries"]) == ("queued", "backup", "2")
    assert queued(harness, ref) == [ref.delivery_id(2)]
    assert harness.events(ref)[-3:] == ["delivery.failed", "delivery.fell_back", "delivery.queued"]


def test_a_refusal_that_no_sender_helps_against_stops(harness: StoreHarness) -> None:
    """An account that may not send at all does not try its other senders."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    assert harness.deliveries.record_refused(job, STOP) == "failed"
    assert harness.record(ref)["deliveries"] == "1"


def test_the_carriers_block_list_becomes_an_opt_out(harness: StoreHarness) -> None:
    """40300: suppressed, remembered for the whole profile, and only another profile may try."""
    app = App("shop", "Acme", (POOL, SAME_PROFILE, BACKUP))
    ref = harness.start(fresh_number(), app).reference
    job = harness.take(ref)
    harness.must_begin(job)
    assert harness.deliveries.record_refused(job, BLOCKED) == "failed_over"
    record = harness.record(ref)
    assert (record["1:status"], record["2:sender"]) == ("suppressed", "backup")
    entries = {entry.messaging_profile_id: entry for entry in harness.optouts.of_number(ref.number_hash)}
    assert list(entries) == ["profile-a"]
    assert (entries["profile-a"].opted_out, entries["profile-a"].source) == (True, "carrier")


def test_not_sent_waits_and_comes_back_once(harness: StoreHarness) -> None:
    """The wait is spent in the store; of many workers one puts the delivery back."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    assert harness.deliveries.record_retry(job, 60_000, NotSent("connect")) == "waiting"
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)
    due = Timer(job.shard, "retry", ref, 1)
    assert not harness.due_deliveries.requeue(due)
    backdate(harness, ref, f"retry:{ref.delivery_id(1)}")
    assert due in harness.due_timers.due(100)
    assert sum(at_once([partial(harness.due_deliveries.requeue, due)] * 10)) == 1
    assert harness.must_begin(harness.take(ref)).attempt == 2


def test_no_wait_reaches_beyond_the_codes_end(harness: StoreHarness) -> None:
    """A retry that would come too late comes at the end, to say `expired`."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 10_000_000, NotSent("told to wait"))
    assert harness.timers(ref)[f"retry:{ref.delivery_id(1)}"] == int(harness.record(ref)["expires_ms"])
    harness.age(ref, 300_000)
    assert harness.begin(harness.requeue(ref)) is None
    assert harness.status(ref) == "expired"


def test_a_lost_answer_is_unknown_until_something_settles_it(harness: StoreHarness) -> None:
    """Unknown, then the same bytes again; the repeat's answer makes it sent."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job, body="the bytes")
    assert harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout")) == "waiting"
    assert harness.status(ref) == "unknown"
    again = harness.requeue(ref)
    permit = harness.must_begin(again, body="others")
    assert (permit.sealed_body, permit.attempt) == ("the bytes", 2)
    harness.deliveries.record_accepted(again, Accepted("msg-1", "queued"))
    assert harness.status(ref) == "sent"


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
def test_what_may_have_been_sent_is_never_called_unsent(harness: StoreHarness, stop: str) -> None:
    """After a lost answer a delivery that may go no further stays `unknown`, and no other sender repeats it."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    again = harness.requeue(ref)
    _stop(harness, ref, stop)
    assert harness.begin(again) is None
    assert harness.status(ref) == "unknown"
    assert harness.record(ref)["deliveries"] == "1"
    assert harness.apply(ref, "delivered") == "moved"
    assert harness.status(ref) == "delivered"


def _stop(harness: StoreHarness, ref: Reference, how: str) -> None:
    if how == "expired":
        harness.age(ref, 300_000)
    elif how == "canceled":
        harness.verifications.cancel(word(), ref, "shop")
    else:
        harness.optouts.record(ref.number_hash, "+1", OptOut("profile-a", True, 1, "STOP", "inbound"), None)


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
@pytest.mark.parametrize("first", ["unknown", "crash"])
def test_a_try_that_did_not_leave_does_not_unsay_one_that_may_have(
    harness: StoreHarness, first: str, stop: str
) -> None:
    """Lost answer (or a worker killed while sending), then a refused connection: the first may still have arrived."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    if first == "unknown":
        harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
        job = harness.requeue(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 500, NotSent("connect"))
    again = harness.requeue(ref)
    _stop(harness, ref, stop)
    assert harness.begin(again) is None
    assert harness.status(ref) == "unknown"
    assert harness.record(ref)["deliveries"] == "1"


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
def test_tries_that_were_never_sent_end_with_a_reason(harness: StoreHarness, stop: str) -> None:
    """Where every try is known not to have left, the delivery ends as unsent, and the next sender may be used."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    for _ in range(3):
        harness.must_begin(job)
        harness.deliveries.record_retry(job, 500, NotSent("connect"))
        job = harness.requeue(ref)
    _stop(harness, ref, stop)
    assert harness.begin(job) is None
    assert harness.status(ref) == ("expired" if stop == "expired" else "suppressed")
    assert harness.record(ref)["deliveries"] == ("2" if stop == "opted_out" else "1")


def test_an_impossible_request_after_a_lost_answer_stays_unknown(harness: StoreHarness) -> None:
    """A sender that vanished from the configuration meanwhile does not make a second message of another sender."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    assert harness.deliveries.record_impossible(harness.requeue(ref), "sender_missing", "gone") == "unknown"
    assert harness.status(ref) == "unknown"
    assert harness.record(ref)["deliveries"] == "1"
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)


def test_an_impossible_request_that_was_never_tried_fails_over(harness: StoreHarness) -> None:
    """A sender that is no longer configured gives way to the next one of the route."""
    ref = harness.start(fresh_number()).reference
    assert harness.deliveries.record_impossible(harness.take(ref), "sender_missing", "gone") == "failed_over"
    assert harness.status(ref) == "failed"
    assert harness.record(ref)["2:sender"] == "backup"


def test_after_the_codes_end_no_sender_follows(harness: StoreHarness) -> None:
    """A refusal that comes when the code is no longer usable claims nobody."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.check(ref, CODE)
    assert harness.deliveries.record_refused(job, NEXT) == "failed"
    assert harness.record(ref)["deliveries"] == "1"


def test_a_newer_send_makes_rescue_needless(harness: StoreHarness) -> None:
    """While a later send of the same code is under way, the earlier one's failure claims no further sender."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.cool(ref)
    harness.start(number)
    assert harness.deliveries.record_refused(job, NEXT) == "failed"
    assert harness.record(ref)["deliveries"] == "2"


def test_a_settled_delivery_is_not_settled_again(harness: StoreHarness) -> None:
    """What was accepted stays so, whatever a slow second worker reports."""
    ref = harness.start(fresh_number()).reference
    job = harness.send(ref)
    assert harness.deliveries.record_refused(job, NEXT) == "late"
    assert harness.deliveries.record_unknown(job, 1, Unknown("x")) == "late"
    assert harness.deliveries.record_retry(job, 1, NotSent("x")) == "late"
    assert harness.deliveries.record_impossible(job, "x", "y") == "late"
    assert harness.begin(job) is None
    assert harness.status(ref) == "sent"
    assert f"retry:{ref.delivery_id(1)}" not in harness.timers(ref)


def test_a_reserved_rate_slot_is_waited_for_in_the_store(harness: StoreHarness) -> None:
    """Waiting for the sender's place is no try, and the place is not taken again afterwards."""
    ref = harness.start(fresh_number()).reference
    assert harness.deliveries.record_rate_wait(harness.take(ref), 5_000) == "waiting"
    assert (harness.status(ref), harness.waiting(ref)) == ("queued", 0)
    again = harness.requeue(ref)
    assert harness.pending_delivery(again).rate_limited
    assert harness.must_begin(again).attempt == 1
    assert not harness.pending_delivery(again).rate_limited


def test_settling_what_has_vanished_makes_nothing(harness: StoreHarness) -> None:
    """A late answer to a verification whose tombstone is gone writes no key."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
    before = harness.all_keys()
    assert harness.deliveries.record_accepted(job, Accepted("msg-1", "queued")) == "late"
    assert harness.deliveries.record_refused(job, BLOCKED) == "late"
    assert harness.apply(ref, "delivered") == "foreign"
    assert harness.reports.record_click(ref, 1, "evt") == "unknown"
    assert harness.all_keys() == before
