"""A worker's write-downs: who may send, with which bytes, and what each answer of the carrier makes of a delivery."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import App
from otp_service.storage.deliveries import FIRST_POLL_MS
from otp_service.storage.due_deliveries import LAST_POLL_MS, POLL_WAITS_MS
from otp_service.storage.outbox import GROUP, STALE_MS
from tests.conftest import wait_until

from .harness import (
    BACKUP,
    CODE,
    POOL,
    SAME_PROFILE,
    SHOP,
    WRONG,
    StoreHarness,
    Twice,
    at_once,
    fresh_number,
    limited,
    word,
)

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Authentication failed", Action.STOP_ALL)
BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ALONE = App("shop", "Acme", (POOL,))


def pending(harness: StoreHarness, ref: Reference) -> int:
    """Entries that workers have claimed on the reference's shard."""
    return int(harness.raw.xpending(harness.keys.outbox(harness.keys.shard(ref.number_hash)), GROUP)["pending"])


def queued(harness: StoreHarness, ref: Reference) -> list[str]:
    """The deliveries in the outbox, taken or not."""
    entries = harness.raw.xrange(harness.keys.outbox(harness.keys.shard(ref.number_hash)))
    return [fields["delivery"] for _, fields in entries]


def backdate(harness: StoreHarness, ref: Reference, timer: str) -> None:
    """Make a timer due."""
    assert timer in harness.timers(ref)
    harness.raw.zadd(harness.keys.timers(harness.keys.shard(ref.number_hash)), {timer: 1})


# ---- taking -------------------------------------------------------------------------------------------------------


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
    assert other.claim_stale(job.shard, 10) == []
    stream = harness.keys.outbox(job.shard)
    harness.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    harness.outbox.keep_claimed([job])
    assert other.claim_stale(job.shard, 10) == []
    harness.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    assert other.claim_stale(job.shard, 10) == [job]


def test_touching_what_is_settled_brings_nothing_back(harness: StoreHarness) -> None:
    """A late heartbeat makes no new pending entry."""
    ref = harness.start(fresh_number()).reference
    job = harness.send(ref)
    harness.outbox.keep_claimed([job])
    assert pending(harness, ref) == 0
    assert harness.waiting(ref) == 0


def test_an_unreadable_entry_is_set_aside_and_the_others_are_read(harness: StoreHarness) -> None:
    """Poison goes to the dead letters once, and does not hold up what is behind it."""
    ref = harness.start(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    elsewhere = harness.order(fresh_number()).reference
    while harness.keys.shard(elsewhere.number_hash) == shard:
        elsewhere = harness.order(fresh_number()).reference
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
    assert harness.outbox.claim_stale(shard, 1) == []
    harness.outbox.open()
    harness.raw.set(harness.keys.outbox(4), "not a stream")
    with pytest.raises(StoreUnavailable):
        harness.outbox.read_new([4], 1, 0.001)


def test_a_shard_group_is_a_slot(harness: StoreHarness) -> None:
    """On one server one read waits on all shards, in a Cluster each shard has its own."""
    groups = harness.outbox.shard_groups()
    assert sorted(shard for group in groups for shard in group) == list(range(16))
    assert len(groups) == (16 if harness.store.is_cluster else 1)


# ---- beginning ----------------------------------------------------------------------------------------------------


def test_every_try_uses_the_first_ones_bytes(harness: StoreHarness) -> None:
    """Whatever body a later try brings, what was kept is sent; the tries are counted."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    draft = harness.draft(job)
    assert (draft.app, draft.sender, draft.channel, draft.has_body, draft.rate_limited) == (
        "shop",
        "pool",
        "sms",
        False,
        False,
    )
    first = harness.must_begin(job, body="first")
    assert (first.sealed_body, first.attempt) == ("first", 1)
    assert 299_000 < first.left_ms <= 300_000
    assert harness.draft(job).has_body
    second = harness.must_begin(job, body="second")
    assert (second.sealed_body, second.attempt) == ("first", 2)
    assert harness.events(ref)[-2:] == ["delivery.sending", "delivery.retried"]


def test_workers_that_begin_at_once_send_the_same(harness: StoreHarness) -> None:
    """If two workers have an entry, both send the same bytes."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    goes = at_once([partial(harness.begin, job, SHOP, f"body-{n}") for n in range(10)])
    assert len({go.sealed_body for go in goes if go is not None}) == 1
    assert sorted(go.attempt for go in goes if go is not None) == list(range(1, 11))


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


def test_a_vanished_verifications_entry_is_settled(harness: StoreHarness) -> None:
    """With the record gone there is nothing to send and nothing is made anew."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
    assert harness.deliveries.pending_delivery(job) is None
    assert harness.begin(job) is None
    assert (pending(harness, ref), harness.waiting(ref)) == (0, 0)
    assert not harness.raw.exists(harness.keys.record(ref))


# ---- settling -----------------------------------------------------------------------------------------------------


def test_accepted_is_sent_and_will_be_asked_about(harness: StoreHarness) -> None:
    """The message id is kept and found again, a poll is set, the entry is gone."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref, "msg-9")
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
    go = harness.must_begin(again, body="others")
    assert (go.sealed_body, go.attempt) == ("the bytes", 2)
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


def test_an_impossible_request_that_was_never_tried_falls_back(harness: StoreHarness) -> None:
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


def test_a_reserved_turn_is_waited_for_in_the_store(harness: StoreHarness) -> None:
    """Waiting for the sender's place is no try, and the place is not taken again afterwards."""
    ref = harness.start(fresh_number()).reference
    assert harness.deliveries.record_rate_wait(harness.take(ref), 5_000) == "waiting"
    assert harness.status(ref) == "queued"
    again = harness.requeue(ref)
    assert harness.draft(again).rate_limited
    assert harness.must_begin(again).attempt == 1
    assert not harness.draft(again).rate_limited


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


# ---- polling ------------------------------------------------------------------------------------------------------


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
    assert wait == pytest.approx(POLL_WAITS_MS[0], abs=2_000)


def test_polls_become_rarer_and_end_after_the_codes_end(harness: StoreHarness) -> None:
    """First after eight seconds, then ever later, once more after the code's end; a receipt ends the asking at once."""
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
    assert waits == [pytest.approx(wait, abs=2_000) for wait in wanted]
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


def test_timers_of_the_vanished_go_away(harness: StoreHarness) -> None:
    """A due timer of a verification that is gone is removed and brings nothing back; one that is none is set aside."""
    ref = harness.order(fresh_number()).reference
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
    jobs: list[Callable[[], object]] = [
        partial(harness.outbox.read_new, [shard], 1, 2.0),
        partial(harness.start, number),
    ]
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
