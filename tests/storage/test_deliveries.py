"""A worker's write-downs: who may send, with which bytes, and what each answer of the carrier makes of a delivery."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.operation import Due, OptOut
from otp_service.domain.policy import App
from otp_service.domain.verification import Reference
from otp_service.storage.outbox import FIRST_POLL_MS, GROUP, LAST_POLL_MS, POLL_WAITS_MS, STALE_MS
from tests.conftest import wait_until

from .house import BACKUP, CODE, POOL, SHOP, TWIN, WRONG, House, Twice, at_once, fresh_number, limited, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Authentication failed", Action.STOP_ALL)
BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ALONE = App("shop", "Acme", (POOL,))


def pending(house: House, ref: Reference) -> int:
    """Entries in workers' hands on the reference's shard."""
    return int(house.raw.xpending(house.keys.outbox(house.keys.shard(ref.number_hash)), GROUP)["pending"])


def queued(house: House, ref: Reference) -> list[str]:
    """The deliveries in the outbox, taken or not."""
    entries = house.raw.xrange(house.keys.outbox(house.keys.shard(ref.number_hash)))
    return [fields["dlv"] for _, fields in entries]


def backdate(house: House, ref: Reference, timer: str) -> None:
    """Make a timer due."""
    assert timer in house.timers(ref)
    house.raw.zadd(house.keys.timers(house.keys.shard(ref.number_hash)), {timer: 1})


# ---- taking -------------------------------------------------------------------------------------------------------


def test_an_entry_is_in_one_workers_hands(house: House) -> None:
    """Two workers that take at the same time share the entries and never get the same one."""
    refs = [house.start(fresh_number()).reference for _ in range(20)]
    other = house.other_worker()
    mine, theirs = [], []
    for lane in house.outbox.reading_lanes():
        mine += house.outbox.take(lane, 1, 0.001)
        theirs += other.take(lane, 100, 0.001)
    taken = [job.reference for job in (*mine, *theirs)]
    assert sorted(taken, key=str) == sorted(refs, key=str)


def test_what_a_dead_worker_held_is_taken_over(house: House) -> None:
    """Untouched entries go to another worker after `STALE_MS`; touched ones do not."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    other = house.other_worker()
    assert other.take_over(job.shard, 10) == []
    stream = house.keys.outbox(job.shard)
    house.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    house.outbox.touch([job])
    assert other.take_over(job.shard, 10) == []
    house.raw.xclaim(stream, GROUP, "dead", 0, [job.entry], idle=STALE_MS + 1)
    assert other.take_over(job.shard, 10) == [job]


def test_touching_what_is_settled_brings_nothing_back(house: House) -> None:
    """A pulse that comes late makes no new pending entry."""
    ref = house.start(fresh_number()).reference
    job = house.send(ref)
    house.outbox.touch([job])
    assert pending(house, ref) == 0
    assert house.waiting(ref) == 0


def test_an_unreadable_entry_is_buried_and_its_neighbours_live(house: House) -> None:
    """Poison goes to the dead letters once, and does not hold up what is behind it."""
    ref = house.start(fresh_number()).reference
    shard = house.keys.shard(ref.number_hash)
    elsewhere = house.order(fresh_number()).reference
    while house.keys.shard(elsewhere.number_hash) == shard:
        elsewhere = house.order(fresh_number()).reference
    for poison in ({"dlv": "nonsense"}, {"other": "x"}, {"dlv": elsewhere.delivery_id(1)}):
        house.raw.xadd(house.keys.outbox(shard), poison)
    assert [job.reference for job in house.jobs(ref)] == [ref]
    assert house.raw.xlen(house.keys.dead(shard)) == 3
    assert house.waiting(ref) == 1
    assert house.outbox.depth() == 1


def test_a_store_emptied_underneath_gets_its_groups_again(house: House) -> None:
    """NOGROUP is healed by the reader itself; opening twice is no error."""
    shard = 3
    house.raw.delete(house.keys.outbox(shard))
    assert house.outbox.take([shard], 1, 0.001) == []
    house.raw.delete(house.keys.outbox(shard))
    assert house.outbox.take_over(shard, 1) == []
    house.outbox.open()
    house.raw.set(house.keys.outbox(4), "not a stream")
    with pytest.raises(StoreUnavailable):
        house.outbox.take([4], 1, 0.001)


def test_lanes_are_slots(house: House) -> None:
    """On one server one read waits on all shards, in a Cluster each shard has its own."""
    lanes = house.outbox.reading_lanes()
    assert sorted(shard for lane in lanes for shard in lane) == list(range(16))
    assert len(lanes) == (16 if house.store.is_cluster else 1)


# ---- beginning ----------------------------------------------------------------------------------------------------


def test_every_try_uses_the_first_ones_bytes(house: House) -> None:
    """Whatever body a later try brings, what was kept is sent; the tries are counted."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    draft = house.draft(job)
    assert (draft.app, draft.sender, draft.channel, draft.has_body, draft.paced) == (
        "shop",
        "pool",
        "sms",
        False,
        False,
    )
    first = house.must_begin(job, body="first")
    assert (first.sealed_body, first.attempt) == ("first", 1)
    assert 299_000 < first.left_ms <= 300_000
    assert house.draft(job).has_body
    second = house.must_begin(job, body="second")
    assert (second.sealed_body, second.attempt) == ("first", 2)
    assert house.events(ref)[-2:] == ["delivery.sending", "delivery.retried"]


def test_workers_that_begin_at_once_send_the_same(house: House) -> None:
    """Should an entry be in two hands, both send the same bytes."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    goes = at_once([partial(house.begin, job, SHOP, f"body-{n}") for n in range(10)])
    assert len({go.sealed_body for go in goes if go is not None}) == 1
    assert sorted(go.attempt for go in goes if go is not None) == list(range(1, 11))


def test_a_lost_reply_begins_one_try(house: House, store_url: str) -> None:
    """The same begin run twice, as after a lost reply, is one try in count and in the story."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    unlucky = House.open(store_url, Twice)
    assert unlucky.must_begin(job).attempt == 1
    unlucky.outbox.retry_later(job, 1, NotSent("connect"))
    unlucky.close()
    assert house.must_begin(house.requeue(ref)).attempt == 2
    assert house.record(ref)["1:home"] == "1"
    assert house.events(ref).count("delivery.sending") == 1
    assert house.events(ref).count("delivery.retried") == 1


def test_without_bytes_nothing_is_begun(house: House) -> None:
    """No body kept and none given: nothing is sent and the entry stays."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    assert house.begin(job, body="") is None
    assert pending(house, ref) == 1
    assert house.status(ref) == "queued"
    assert house.must_begin(job).attempt == 1


@pytest.mark.parametrize("end", ["approved", "canceled", "exhausted"])
def test_an_ended_verifications_code_is_not_sent(house: House, end: str) -> None:
    """What ended before the send is suppressed with the reason, and its entry is done."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    if end == "approved":
        house.check(ref, CODE)
    elif end == "canceled":
        house.verifications.cancel(word(), ref, "shop")
    else:
        for _ in range(5):
            house.check(ref, WRONG)
    assert house.begin(job) is None
    record = house.record(ref)
    assert (record["1:st"], record["1:ec"]) == ("suppressed", f"verification_{end}")
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)
    assert "1:fo" not in record


@pytest.mark.parametrize("left_ms", [-1, 200])
def test_an_expired_code_is_never_sent(house: House, left_ms: int) -> None:
    """Nor one that will have expired when it leaves the house."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.age(ref, 300_000 - left_ms)
    assert house.begin(job) is None
    assert house.status(ref) == "expired"
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)


def test_an_opt_out_after_the_start_stops_the_send(house: House) -> None:
    """The registry is asked again just before sending; the next sender with another profile takes over."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.optouts.put(ref.number_hash, "+1", OptOut("profile-a", True, 1, "STOP", "inbound"), None)
    assert house.begin(job) is None
    record = house.record(ref)
    assert (record["1:st"], record["1:ec"], record["2:snd"]) == ("suppressed", "opted_out", "backup")
    assert queued(house, ref) == [ref.delivery_id(2)]
    house.optouts.put(ref.number_hash, "+1", OptOut("profile-b", True, 1, "STOP", "inbound"), None)
    assert house.begin(house.take(ref)) is None
    assert house.status(ref, 2) == "suppressed"
    assert house.waiting(ref) == 0


def test_a_spent_budget_stops_the_send(house: House) -> None:
    """A number whose wrong codes are used up is not sent another code."""
    app, number = limited((2, 60_000)), fresh_number()
    ref = house.start(number, app).reference
    other = house.start(number, app, purpose="pay").reference
    jobs = house.jobs(ref)
    for _ in range(2):
        house.check(other, WRONG, app)
    for job in jobs:
        assert house.begin(job, app) is None
        assert house.record(job.reference)["1:ec"] == "too_many_wrong_codes"


def test_a_vanished_verifications_entry_is_settled(house: House) -> None:
    """With the record gone there is nothing to send and nothing is made anew."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.raw.delete(house.keys.record(ref), house.keys.secrets(ref), house.keys.timeline(ref))
    assert house.outbox.draft(job) is None
    assert house.begin(job) is None
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)
    assert not house.raw.exists(house.keys.record(ref))


# ---- settling -----------------------------------------------------------------------------------------------------


def test_accepted_is_sent_and_will_be_asked_about(house: House) -> None:
    """The message id is kept and found again, a poll is set, the entry is gone."""
    ref = house.start(fresh_number()).reference
    house.send(ref, "msg-9")
    record = house.record(ref)
    assert (record["1:st"], record["1:mid"], record["1:cs"]) == ("sent", "msg-9", "queued")
    assert house.outbox.find_message(ref.number_hash, "msg-9") == (ref, 1)
    assert house.outbox.find_message(ref.number_hash, "msg-8") is None
    assert f"p:{ref.delivery_id(1)}" in house.timers(ref)
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)


def test_a_refusal_goes_to_the_next_sender_once(house: House) -> None:
    """However often the refusal is written down, the route's next sender is claimed once."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    answers = at_once([partial(house.outbox.refused, job, NEXT)] * 10)
    assert sorted(answers).count("fell_back") == 1
    record = house.record(ref)
    assert (record["1:st"], record["1:ec"], record["1:et"]) == ("failed", "40002", "Blocked as spam")
    assert (record["2:st"], record["2:snd"], record["dn"]) == ("queued", "backup", "2")
    assert queued(house, ref) == [ref.delivery_id(2)]
    assert house.events(ref)[-3:] == ["delivery.failed", "delivery.fell_back", "delivery.queued"]


def test_a_refusal_that_no_sender_helps_against_stops(house: House) -> None:
    """An account that may not send at all does not try its other senders."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    assert house.outbox.refused(job, STOP) == "failed"
    assert house.record(ref)["dn"] == "1"


def test_the_carriers_block_list_becomes_an_opt_out(house: House) -> None:
    """40300: suppressed, remembered for the whole profile, and only another profile may try."""
    app = App("shop", "Acme", (POOL, TWIN, BACKUP))
    ref = house.start(fresh_number(), app).reference
    job = house.take(ref)
    house.must_begin(job)
    assert house.outbox.refused(job, BLOCKED) == "fell_back"
    record = house.record(ref)
    assert (record["1:st"], record["2:snd"]) == ("suppressed", "backup")
    entries = {entry.messaging_profile_id: entry for entry in house.optouts.of(ref.number_hash)}
    assert list(entries) == ["profile-a"]
    assert (entries["profile-a"].opted_out, entries["profile-a"].source) == (True, "carrier")


def test_not_sent_waits_and_comes_back_once(house: House) -> None:
    """The wait is spent in the store; of many workers one puts the delivery back."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    assert house.outbox.retry_later(job, 60_000, NotSent("connect")) == "waiting"
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)
    due = Due(job.shard, "r", ref, 1)
    assert not house.outbox.requeue(due)
    backdate(house, ref, f"r:{ref.delivery_id(1)}")
    assert due in house.outbox.due(100)
    assert sum(at_once([partial(house.outbox.requeue, due)] * 10)) == 1
    assert house.must_begin(house.take(ref)).attempt == 2


def test_no_wait_reaches_beyond_the_codes_end(house: House) -> None:
    """A retry that would come too late comes at the end, to say `expired`."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.outbox.retry_later(job, 10_000_000, NotSent("told to wait"))
    assert house.timers(ref)[f"r:{ref.delivery_id(1)}"] == int(house.record(ref)["expires"])
    house.age(ref, 300_000)
    assert house.begin(house.requeue(ref)) is None
    assert house.status(ref) == "expired"


def test_a_lost_answer_is_unknown_until_something_settles_it(house: House) -> None:
    """Unknown, then the same bytes again; the repeat's answer makes it sent."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job, body="the bytes")
    assert house.outbox.unknown(job, 2_000, Unknown("read timeout")) == "waiting"
    assert house.status(ref) == "unknown"
    again = house.requeue(ref)
    go = house.must_begin(again, body="others")
    assert (go.sealed_body, go.attempt) == ("the bytes", 2)
    house.outbox.accepted(again, Accepted("msg-1", "queued"))
    assert house.status(ref) == "sent"


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
def test_what_may_have_been_sent_is_never_called_unsent(house: House, stop: str) -> None:
    """After a lost answer a delivery that may go no further stays `unknown`, and no other sender repeats it."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.outbox.unknown(job, 2_000, Unknown("read timeout"))
    again = house.requeue(ref)
    _stop(house, ref, stop)
    assert house.begin(again) is None
    assert house.status(ref) == "unknown"
    assert house.record(ref)["dn"] == "1"
    assert house.apply(ref, "delivered") == "moved"
    assert house.status(ref) == "delivered"


def _stop(house: House, ref: Reference, how: str) -> None:
    if how == "expired":
        house.age(ref, 300_000)
    elif how == "canceled":
        house.verifications.cancel(word(), ref, "shop")
    else:
        house.optouts.put(ref.number_hash, "+1", OptOut("profile-a", True, 1, "STOP", "inbound"), None)


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
@pytest.mark.parametrize("first", ["unknown", "crash"])
def test_a_try_that_did_not_leave_does_not_unsay_one_that_may_have(house: House, first: str, stop: str) -> None:
    """Lost answer (or a worker killed while sending), then a refused connection: the first may still have arrived."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    if first == "unknown":
        house.outbox.unknown(job, 2_000, Unknown("read timeout"))
        job = house.requeue(ref)
    house.must_begin(job)
    house.outbox.retry_later(job, 500, NotSent("connect"))
    again = house.requeue(ref)
    _stop(house, ref, stop)
    assert house.begin(again) is None
    assert house.status(ref) == "unknown"
    assert house.record(ref)["dn"] == "1"


@pytest.mark.parametrize("stop", ["expired", "canceled", "opted_out"])
def test_tries_that_all_stayed_at_home_end_with_a_reason(house: House, stop: str) -> None:
    """Where every try is known not to have left, the delivery ends as unsent, and the next sender may be used."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    for _ in range(3):
        house.must_begin(job)
        house.outbox.retry_later(job, 500, NotSent("connect"))
        job = house.requeue(ref)
    _stop(house, ref, stop)
    assert house.begin(job) is None
    assert house.status(ref) == ("expired" if stop == "expired" else "suppressed")
    assert house.record(ref)["dn"] == ("2" if stop == "opted_out" else "1")


def test_an_impossible_request_after_a_lost_answer_stays_unknown(house: House) -> None:
    """A sender that vanished from the configuration meanwhile does not make a second message of another sender."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.outbox.unknown(job, 2_000, Unknown("read timeout"))
    assert house.outbox.impossible(house.requeue(ref), "sender_missing", "gone") == "unknown"
    assert house.status(ref) == "unknown"
    assert house.record(ref)["dn"] == "1"
    assert (pending(house, ref), house.waiting(ref)) == (0, 0)


def test_an_impossible_request_that_was_never_tried_falls_back(house: House) -> None:
    """A sender that is no longer configured gives way to the next one of the route."""
    ref = house.start(fresh_number()).reference
    assert house.outbox.impossible(house.take(ref), "sender_missing", "gone") == "fell_back"
    assert house.status(ref) == "failed"
    assert house.record(ref)["2:snd"] == "backup"


def test_after_the_codes_end_no_sender_follows(house: House) -> None:
    """A refusal that comes when the code is no longer usable claims nobody."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.check(ref, CODE)
    assert house.outbox.refused(job, NEXT) == "failed"
    assert house.record(ref)["dn"] == "1"


def test_a_newer_send_makes_rescue_needless(house: House) -> None:
    """While a later send of the same code is under way, the earlier one's failure claims no further sender."""
    number = fresh_number()
    ref = house.start(number).reference
    job = house.take(ref)
    house.must_begin(job)
    house.cool(ref)
    house.start(number)
    assert house.outbox.refused(job, NEXT) == "failed"
    assert house.record(ref)["dn"] == "2"


def test_a_settled_delivery_is_not_settled_again(house: House) -> None:
    """What was accepted stays so, whatever a slow second worker reports."""
    ref = house.start(fresh_number()).reference
    job = house.send(ref)
    assert house.outbox.refused(job, NEXT) == "late"
    assert house.outbox.unknown(job, 1, Unknown("x")) == "late"
    assert house.outbox.retry_later(job, 1, NotSent("x")) == "late"
    assert house.outbox.impossible(job, "x", "y") == "late"
    assert house.begin(job) is None
    assert house.status(ref) == "sent"
    assert f"r:{ref.delivery_id(1)}" not in house.timers(ref)


def test_a_reserved_turn_is_waited_for_in_the_store(house: House) -> None:
    """Waiting for the sender's place is no try, and the place is not taken again afterwards."""
    ref = house.start(fresh_number()).reference
    assert house.outbox.wait_turn(house.take(ref), 5_000) == "waiting"
    assert house.status(ref) == "queued"
    again = house.requeue(ref)
    assert house.draft(again).paced
    assert house.must_begin(again).attempt == 1
    assert not house.draft(again).paced


def test_settling_what_has_vanished_makes_nothing(house: House) -> None:
    """A late answer to a verification whose tombstone is gone writes no key."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.raw.delete(house.keys.record(ref), house.keys.secrets(ref), house.keys.timeline(ref))
    before = house.all_keys()
    assert house.outbox.accepted(job, Accepted("msg-1", "queued")) == "late"
    assert house.outbox.refused(job, BLOCKED) == "late"
    assert house.apply(ref, "delivered") == "foreign"
    assert house.outbox.note_click(ref, 1, "evt") == "unknown"
    assert house.all_keys() == before


# ---- polling ------------------------------------------------------------------------------------------------------


def test_a_silent_delivery_is_asked_about_by_one_worker(house: House) -> None:
    """The claim sets the next time before the asking, so a crash loses no later poll."""
    ref = house.start(fresh_number()).reference
    house.send(ref, "msg-7")
    due = Due(house.keys.shard(ref.number_hash), "p", ref, 1)
    assert house.outbox.claim_poll(due) is None
    backdate(house, ref, f"p:{ref.delivery_id(1)}")
    answers = at_once([partial(house.outbox.claim_poll, due)] * 10)
    assert [answer for answer in answers if answer] == ["msg-7"]
    wait = house.timers(ref)[f"p:{ref.delivery_id(1)}"] - house.now()
    assert wait == pytest.approx(POLL_WAITS_MS[0], abs=2_000)


def test_polls_thin_out_and_end_after_the_codes_end(house: House) -> None:
    """First after eight seconds, then ever later, once more after the code's end; a receipt ends the asking at once."""
    app = App("shop", "Acme", (POOL,), code_ttl_ms=600_000)
    ref = house.start(fresh_number(), app).reference
    house.send(ref)
    timer = f"p:{ref.delivery_id(1)}"
    due = Due(house.keys.shard(ref.number_hash), "p", ref, 1)
    waits = [house.timers(ref)[timer] - house.now()]
    for _ in range(len(POLL_WAITS_MS) + 2):
        backdate(house, ref, timer)
        assert house.outbox.claim_poll(due) == "msg-1"
        waits.append(house.timers(ref)[timer] - house.now())
    wanted = [FIRST_POLL_MS, *POLL_WAITS_MS, *POLL_WAITS_MS[-1:] * 2]
    assert waits == [pytest.approx(wait, abs=2_000) for wait in wanted]
    house.age(ref, 590_000)
    backdate(house, ref, timer)
    assert house.outbox.claim_poll(due) == "msg-1"
    assert house.timers(ref)[timer] == int(house.record(ref)["expires"]) + LAST_POLL_MS
    house.age(ref, 11_000)
    backdate(house, ref, timer)
    assert house.outbox.claim_poll(due) == "msg-1"
    assert timer not in house.timers(ref)
    assert house.outbox.claim_poll(due) is None
    other = house.start(fresh_number()).reference
    house.send(other)
    house.apply(other, "delivered")
    assert f"p:{other.delivery_id(1)}" not in house.timers(other)


def test_timers_of_the_vanished_go_away(house: House) -> None:
    """A due timer of a verification that is gone is removed and brings nothing back; one that is none is set aside."""
    ref = house.order(fresh_number()).reference
    shard = house.keys.shard(ref.number_hash)
    members = [f"x:{ref.body}", f"r:{ref.delivery_id(1)}", f"p:{ref.delivery_id(1)}"]
    house.raw.zadd(house.keys.timers(shard), dict.fromkeys(members, 1))
    house.raw.zadd(house.keys.timers(shard), {"x:nonsense": 1})
    dues = house.outbox.due(100)
    assert sorted(due.kind for due in dues) == ["p", "r", "x"]
    assert not house.outbox.requeue(Due(shard, "r", ref, 1))
    assert house.outbox.claim_poll(Due(shard, "p", ref, 1)) is None
    assert not house.verifications.expire(ref)
    assert not house.timers(ref)
    assert not house.raw.exists(house.keys.record(ref))


def test_a_blocking_read_wakes_for_a_new_entry(house: House) -> None:
    """A waiting worker gets a code as soon as it is queued."""
    number = fresh_number()
    shard = house.keys.shard(house.hash_of(number))
    jobs: list[Callable[[], object]] = [partial(house.outbox.take, [shard], 1, 2.0), partial(house.start, number)]
    taken = at_once(jobs)[0]
    assert isinstance(taken, list)
    assert len(taken) == 1
    wait_until(lambda: house.outbox.depth() == 1)


def test_the_timeline_tells_the_whole_story(house: House) -> None:
    """Every step stands in the timeline in order, with the delivery and what is known of it, and so in the record."""
    ref = house.start(fresh_number()).reference
    house.send(ref)
    house.apply(ref, "delivered")
    house.check(ref, WRONG)
    house.check(ref, CODE)
    story = house.verifications.timeline(ref)
    assert [entry.event for entry in story] == [
        "verification.started",
        "delivery.queued",
        "delivery.sending",
        "delivery.sent",
        "delivery.delivered",
        "check.failed",
        "verification.approved",
    ]
    assert story[3].delivery_id == ref.delivery_id(1)
    assert story[3].detail == {"message_id": "msg-1", "carrier_status": "queued"}
    assert [entry.at_ms for entry in story] == sorted(entry.at_ms for entry in story)
    audited = house.audited(ref)
    assert [event["type"] for event in audited] == [entry.event for entry in story]
    assert {event["nh"] for event in audited} == {ref.number_hash}
    assert all(isinstance(json.loads(event["detail"]), dict) for event in audited)
