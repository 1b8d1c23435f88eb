"""How a delivery's loop is closed: by the next sender in time, by the end of waiting, by the person's own word."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from otp_service.domain.delivery import LIMITED, Accepted, Action, NotSent, Receipt, Refused, Unknown
from otp_service.domain.operation import Denial, Due, Job, OptOut
from otp_service.domain.policy import App
from otp_service.domain.verification import Reference

from .house import BACKUP, BANK, CODE, POOL, SHOP, TWIN, UNCAPPED, House, at_once, fresh_number, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ALONE = App("shop", "Acme", (POOL,))
TRIO = App("shop", "Acme", (POOL, TWIN, BACKUP))


def come(house: House, ref: Reference, kind: str, ordinal: int = 1) -> Due:
    """Make a timer that is set come now."""
    shard, timer = house.keys.shard(ref.number_hash), f"{kind}:{ref.delivery_id(ordinal)}"
    assert timer in house.timers(ref)
    house.raw.zadd(house.keys.timers(shard), {timer: 1})
    return Due(shard, kind, ref, ordinal)


def fall(house: House, ref: Reference, ordinal: int = 1) -> str | None:
    """The time to be sent in is over."""
    return house.outbox.fall_over(come(house, ref, "f", ordinal))


def wait_on(house: House, ref: Reference, kind: str, ordinal: int = 1) -> float | None:
    """How long a timer still takes, in milliseconds; None if it is not set."""
    at = house.timers(ref).get(f"{kind}:{ref.delivery_id(ordinal)}")
    return None if at is None else at - house.now()


def deliveries(house: House, ref: Reference) -> list[tuple[str, str]]:
    """Sender and status of each."""
    record = house.record(ref)
    return [(record[f"{n}:snd"], record[f"{n}:st"]) for n in range(1, int(record["dn"]) + 1)]


def detail(house: House, ref: Reference, event: str) -> list[dict[str, object]]:
    """What the timeline says of each such event."""
    return [dict(entry.detail) for entry in house.verifications.timeline(ref) if entry.event == event]


def begun(house: House, app: App = SHOP) -> tuple[Reference, Job]:
    """A verification whose first try is written down."""
    ref = house.start(fresh_number(), app).reference
    job = house.take(ref)
    house.must_begin(job, app)
    return ref, job


# ---- in time ------------------------------------------------------------------------------------------------------


def test_what_was_never_tried_fails_and_the_next_sender_has_it(house: House) -> None:
    """A queue that is too long ends with `not_sent_in_time`; nothing of the first sender's leaves after that."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    assert wait_on(house, ref, "f") == pytest.approx(SHOP.sent_within_ms, abs=2_000)
    house.outbox.wait_turn(job, 60_000)
    assert fall(house, ref) is None
    assert deliveries(house, ref) == [("pool", "failed"), ("backup", "queued")]
    record = house.record(ref)
    assert record["1:ec"] == "not_sent_in_time"
    assert detail(house, ref, "delivery.fell_back") == [{"to": ref.delivery_id(2), "reason": "not_sent_in_time"}]
    assert house.begin(job) is None
    assert wait_on(house, ref, "c") is None
    # The last of the route has nobody behind it, so nothing waits for its time.
    assert wait_on(house, ref, "f", 2) is None


def test_a_sender_is_not_to_blame_for_a_worker_that_was_away(house: House) -> None:
    """What nobody has looked at stays with its sender; its time begins anew, and comes."""
    ref = house.start(fresh_number()).reference
    for _ in range(2):
        assert fall(house, ref) is None
        assert deliveries(house, ref) == [("pool", "queued")]
        assert wait_on(house, ref, "f") == pytest.approx(SHOP.sent_within_ms, abs=2_000)
    house.outbox.retry_later(house.take(ref), 60_000, NotSent("connection refused"))
    fall(house, ref)
    assert deliveries(house, ref) == [("pool", "failed"), ("backup", "queued")]


def test_a_code_that_has_arrived_is_not_sent_by_the_next_sender_too(house: House) -> None:
    """The first sender's message comes late, after the fall-over and before the second one's: one SMS is enough."""
    ref = house.start(fresh_number()).reference
    house.send(ref, "msg-1")
    assert fall(house, ref) == "msg-1"
    house.tell(ref, Receipt("msg-1", "+1", "queued"))
    assert fall(house, ref) is None
    assert deliveries(house, ref) == [("pool", "sent"), ("backup", "queued")]
    job = house.take(ref)
    house.apply(ref, "delivered", "msg-1")
    assert house.begin(job) is None
    assert deliveries(house, ref) == [("pool", "delivered"), ("backup", "suppressed")]
    assert house.record(ref)["2:ec"] == "already_delivered"
    assert house.record(ref)["sends"] == "1"


def test_what_stood_in_the_way_is_told(house: House) -> None:
    """The reason of a delivery that was not sent in time names the last hindrance."""
    ref, job = begun(house)
    house.outbox.retry_later(job, 60_000, NotSent("connection refused"))
    house.raw.hset(house.keys.record(ref), "1:u", "1")
    fall(house, ref)
    assert house.record(ref)["1:et"] == "It could not be sent in time: connection refused."


def test_a_carrier_that_asks_for_patience_again_and_again_does_not_hold_a_code(house: House) -> None:
    """Tries that all came back at once are none under way: however fresh the last is, the next sender has the code."""
    ref, job = begun(house)
    house.outbox.retry_later(job, 1_000, NotSent(LIMITED, retry_after_s=1.0))
    assert fall(house, ref) is None
    assert deliveries(house, ref) == [("pool", "failed"), ("backup", "queued")]


def test_a_lost_answer_gives_way_and_is_not_repeated(house: House) -> None:
    """The next sender has it with the reason; of the first no further try leaves, and its late word still counts."""
    ref, job = begun(house)
    house.outbox.unknown(job, 2_000, Unknown("read timeout"))
    fall(house, ref)
    assert deliveries(house, ref) == [("pool", "unknown"), ("backup", "queued")]
    assert detail(house, ref, "delivery.fell_back") == [{"to": ref.delivery_id(2), "reason": "answer_lost"}]
    house.outbox.requeue(come(house, ref, "r"))
    (again,) = [each for each in house.jobs(ref) if each.reference == ref and each.ordinal == 1]
    assert house.begin(again) is None
    assert house.record(ref)["1:try"] == "1"
    assert house.apply(ref, "delivered") == "moved"
    assert deliveries(house, ref) == [("pool", "delivered"), ("backup", "queued")]


def test_a_request_under_way_is_waited_for(house: House) -> None:
    """Until it has an answer or can have none any more; then it counts as lost."""
    ref, _ = begun(house)
    assert fall(house, ref) is None
    assert deliveries(house, ref) == [("pool", "sending")]
    assert wait_on(house, ref, "f") == pytest.approx(10_000, abs=2_000)
    house.raw.hset(house.keys.record(ref), "1:u", house.now() - 10_001)
    fall(house, ref)
    assert deliveries(house, ref) == [("pool", "sending"), ("backup", "queued")]


@pytest.mark.parametrize(
    ("answer", "falls"),
    [("queued", True), ("scheduled", True), ("sending", True), ("sent", False), ("delivered", False), (None, False)],
)
def test_a_message_that_the_carrier_took_is_asked_about_first(house: House, answer: str | None, falls: bool) -> None:
    """Only the carrier's own word that it still lies there leaves it behind; without a word it is asked again."""
    ref = house.start(fresh_number()).reference
    house.send(ref, "msg-5")
    assert fall(house, ref) == "msg-5"
    assert deliveries(house, ref) == [("pool", "sent")]
    assert wait_on(house, ref, "f") == pytest.approx(3_000, abs=2_000)
    if answer is not None:
        house.tell(ref, Receipt("msg-5", "+1", answer))
    if answer != "delivered":
        assert fall(house, ref) == (None if answer else "msg-5")
    if answer is None:
        assert wait_on(house, ref, "f") == pytest.approx(6_000, abs=2_000)
    assert int(house.record(ref)["dn"]) == 1 + falls
    reasons = [each["reason"] for each in detail(house, ref, "delivery.fell_back")]
    assert reasons == ["carrier_queue"] * falls


def _opt_out(house: House, ref: Reference) -> None:
    house.optouts.put(ref.number_hash, "+1", OptOut("profile-b", True, 1, "STOP", "inbound"), None)


def _newer(house: House, ref: Reference) -> None:
    house.raw.hset(house.keys.record(ref), "sends", "2")


@pytest.mark.parametrize(
    "hindrance",
    [
        _opt_out,
        _newer,
        lambda house, ref: house.verifications.cancel(word(), ref, "shop"),
        lambda house, ref: house.check(ref, CODE),
        lambda house, ref: house.age(ref, 300_000),
    ],
    ids=["opted out", "newer send", "canceled", "approved", "expired"],
)
def test_where_nobody_else_can_help_nothing_falls(
    house: House, hindrance: Callable[[House, Reference], object]
) -> None:
    """The rest opted out, a newer send, an ended verification: the first keeps its chance and nobody is claimed."""
    ref = house.start(fresh_number()).reference
    hindrance(house, ref)
    assert fall(house, ref) is None
    assert deliveries(house, ref) == [("pool", "queued")]
    assert "1:ec" not in house.record(ref)


def test_a_route_of_one_has_no_such_timer(house: House) -> None:
    """There is nobody to fall to."""
    ref = house.start(fresh_number(), ALONE).reference
    assert wait_on(house, ref, "f") is None
    assert house.outbox.fall_over(Due(house.keys.shard(ref.number_hash), "f", ref, 1)) is None
    assert deliveries(house, ref) == [("pool", "queued")]


def test_eight_workers_claim_the_next_sender_once(house: House) -> None:
    """One timer, eight that attend to it."""
    for _ in range(5):
        ref = house.start(fresh_number(), TRIO).reference
        house.outbox.wait_turn(house.take(ref), 60_000)
        at_once([partial(house.outbox.fall_over, come(house, ref, "f"))] * 8)
        assert deliveries(house, ref) == [("pool", "failed"), ("twin", "queued")]
        assert house.events(ref).count("delivery.fell_back") == 1


def test_a_refusal_a_receipt_and_the_timer_claim_one(house: House) -> None:
    """Whichever is first."""
    for _ in range(5):
        ref, job = begun(house, TRIO)
        house.raw.hset(house.keys.record(ref), "1:u", "1")
        due = come(house, ref, "f")
        jobs: list[Callable[[], object]] = [
            partial(house.outbox.fall_over, due),
            partial(house.outbox.refused, job, NEXT),
            partial(house.apply, ref, "delivery_failed"),
        ]
        at_once(jobs * 2)
        assert house.record(ref)["dn"] == "2"
        assert house.events(ref).count("delivery.fell_back") == 1


# ---- at the end ---------------------------------------------------------------------------------------------------


def _nothing(house: House, ref: Reference) -> None:
    pass


def _retried(house: House, ref: Reference) -> None:
    job = house.take(ref)
    house.must_begin(job, ALONE)
    house.outbox.retry_later(job, 60_000, NotSent("connection refused"))


def _crashed(house: House, ref: Reference) -> None:
    house.must_begin(house.take(ref), ALONE)


def _lost(house: House, ref: Reference) -> None:
    job = house.take(ref)
    house.must_begin(job, ALONE)
    house.outbox.unknown(job, 2_000, Unknown("read timeout"))


def _sent(house: House, ref: Reference) -> None:
    house.send(ref)


CLOSED = [
    (_nothing, "expired", "code_expired"),
    (_retried, "expired", "code_expired"),
    (_crashed, "unconfirmed", "answer_lost"),
    (_lost, "unconfirmed", "answer_lost"),
    (_sent, "unconfirmed", "no_receipt"),
]


@pytest.mark.parametrize(("story", "status", "code"), CLOSED)
def test_every_delivery_ends_and_with_a_reason(
    house: House, story: Callable[[House, Reference], None], status: str, code: str
) -> None:
    """Half a minute after the code's end; what may have been sent is never called unsent. A late receipt still wins."""
    ref = house.start(fresh_number(), ALONE).reference
    story(house, ref)
    assert wait_on(house, ref, "c") == pytest.approx(ALONE.code_ttl_ms + 30_000, abs=2_000)
    house.age(ref, 330_001)
    due = come(house, ref, "c")
    answers = at_once([partial(house.outbox.close, due)] * 8)
    assert [answer for answer in answers if answer] == [status]
    record = house.record(ref)
    assert (record["1:st"], record["1:ec"]) == (status, code)
    assert record["1:et"]
    assert ("connection refused" in record["1:et"]) is (story is _retried)
    assert [each["reason"] for each in detail(house, ref, f"delivery.{status}")] == [code]
    assert not [timer for timer in house.timers(ref) if ref.body in timer and not timer.startswith("x:")]
    assert house.apply(ref, "delivery_failed") == "moved"
    assert house.apply(ref, "delivered") == "moved"
    assert house.record(ref)["dn"] == "1"


@pytest.mark.parametrize("word_", ["delivered", "delivery_failed", "delivery_unconfirmed"])
def test_what_has_ended_is_not_closed_again(house: House, word_: str) -> None:
    """A receipt took the timer with it; should one be left, it changes nothing."""
    ref = house.start(fresh_number(), ALONE).reference
    house.send(ref)
    house.apply(ref, word_)
    assert wait_on(house, ref, "c") is None
    house.age(ref, 400_000)
    shard = house.keys.shard(ref.number_hash)
    house.raw.zadd(house.keys.timers(shard), {f"c:{ref.delivery_id(1)}": 1})
    before = house.record(ref)
    assert house.outbox.close(Due(shard, "c", ref, 1)) is None
    assert house.record(ref) == before
    assert wait_on(house, ref, "c") is None


def test_a_repeat_gives_the_first_delivery_more_time(house: House) -> None:
    """The code lives longer, so the word of the first message may come later too."""
    number = fresh_number()
    ref = house.start(number).reference
    house.send(ref)
    house.age(ref, 200_000)
    house.cool(ref)
    house.start(number)
    assert house.outbox.close(come(house, ref, "c")) is None
    assert house.status(ref) == "sent"
    assert wait_on(house, ref, "c") == pytest.approx(SHOP.code_ttl_ms + 30_000, abs=2_000)


# ---- "that wasn't me" ---------------------------------------------------------------------------------------------


def denial(house: House, **changes: object) -> Denial:
    """A person's answer to the pool, now."""
    made = Denial(frozenset({"shop"}), frozenset({"pool"}), house.now(), house.now())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_answer_ends_the_verification_once(house: House) -> None:
    """Denied, with the delivery that it answers; the code is worthless and gone; a replay says so."""
    ref = house.start(fresh_number()).reference
    house.send(ref)
    said = denial(house)
    answers = at_once([partial(house.verifications.deny, ref, said)] * 8)
    assert sorted(set(answers)) == ["denied", "no"]
    assert answers.count("denied") == 1
    assert house.record(ref)["status"] == "denied"
    assert not house.raw.exists(house.keys.secrets(ref))
    story = house.verifications.timeline(ref)
    assert (story[-1].event, story[-1].delivery_id) == ("verification.denied", ref.delivery_id(1))


@pytest.mark.parametrize(
    "changes", [{"apps": frozenset({"bank"})}, {"senders": frozenset({"backup"})}, {"senders": frozenset()}]
)
def test_a_word_to_somebody_else_ends_nothing(house: House, changes: dict[str, object]) -> None:
    """Another app's word, another sender's number."""
    ref = house.start(fresh_number()).reference
    house.send(ref)
    assert house.verifications.deny(ref, denial(house, **changes)) == "no"
    assert house.record(ref)["status"] == "pending"


def test_a_word_from_before_the_code_ends_nothing(house: House) -> None:
    """Nor one to a code that was never tried to be sent; clocks a few seconds apart do not matter."""
    ref = house.start(fresh_number()).reference
    assert house.verifications.deny(ref, denial(house)) == "no"
    house.send(ref)
    assert house.verifications.deny(ref, denial(house, at_ms=house.now() - 6_000)) == "no"
    assert house.verifications.deny(ref, denial(house, at_ms=house.now() - 3_000)) == "denied"


def test_a_replayed_word_does_not_end_the_next_verification(house: House) -> None:
    """It was first heard before the new code went out, however well the clocks would let it pass."""
    number = fresh_number()
    ref = house.start(number).reference
    house.send(ref)
    heard = house.verifications.first_heard(ref.number_hash, "evt-1")
    assert house.verifications.deny(ref, denial(house, heard_ms=heard)) == "denied"
    time.sleep(0.01)
    house.cool(ref)
    fresh = house.start(number).reference
    house.send(fresh, "msg-2")
    again = house.verifications.first_heard(ref.number_hash, "evt-1")
    assert again == heard
    assert house.verifications.deny(fresh, denial(house, heard_ms=again)) == "no"
    other = house.verifications.first_heard(ref.number_hash, "evt-2")
    assert house.verifications.deny(fresh, denial(house, heard_ms=other)) == "denied"


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        (NotSent("connect"), "no"),
        (Refused("40310", "Invalid number", Action.STOP_PERSON), "no"),
        (Unknown("timeout"), "denied"),
        (Accepted("msg-9", "queued"), "denied"),
    ],
)
def test_only_what_may_have_reached_the_person_can_be_denied(
    house: House, end: NotSent | Refused | Unknown | Accepted, answer: str
) -> None:
    """A code that never left us, or that the carrier refused, is not what somebody answers to."""
    ref = house.start(fresh_number(), app=replace(SHOP, route=SHOP.route[:1])).reference
    job = house.take(ref)
    house.must_begin(job)
    match end:
        case NotSent():
            house.outbox.retry_later(job, 1_000, end)
        case Refused():
            house.outbox.refused(job, end)
        case Unknown():
            house.outbox.unknown(job, 1_000, end)
        case Accepted():
            house.outbox.accepted(job, end)
    assert house.verifications.deny(ref, denial(house)) == answer


def test_one_word_ends_all_that_it_can_be_about(house: House) -> None:
    """Two purposes and two apps of one number are told apart by the record, and none shadows another."""
    number = fresh_number()
    refs = [house.start(number).reference, house.start(number, purpose="pay").reference]
    refs.append(house.start(number, BANK).reference)
    for job in [job for job in house.jobs(refs[0]) if job.reference in refs]:
        house.begin(job, BANK if job.reference == refs[2] else SHOP)
    assert set(house.verifications.pending(house.hash_of(number))) == set(refs)
    said = denial(house)
    assert [house.verifications.deny(ref, said) for ref in refs] == ["denied", "denied", "no"]


# ---- what a sender's luck means for the next start ------------------------------------------------------------------


def test_the_sender_that_got_through_goes_first_while_it_is_well(house: House) -> None:
    """Remembered per channel and person; a failure forgets it, and one that is not well waits for its turn."""
    number = fresh_number()
    ref = house.start(number).reference
    job = house.take(ref)
    house.must_begin(job)
    house.outbox.refused(job, NEXT)
    second = house.take(ref)
    house.must_begin(second)
    house.outbox.accepted(second, Accepted("msg-2", "queued"))
    house.apply(ref, "delivered", "msg-2", 2)

    def first(**changes: Any) -> tuple[str, Reference]:
        again = house.start(number, purpose=word("p"), per_number=UNCAPPED, **changes).reference
        return house.record(again)["1:snd"], again

    assert first()[0] == "backup"
    assert first(healthy=("pool",))[0] == "pool"
    assert first(healthy=())[0] == "pool"
    assert house.raw.hgetall(house.keys.sticky(house.hash_of(number))) == {"sms": "backup"}
    name, again = first()
    (mine,) = [each for each in house.jobs(again) if each.reference == again]
    house.must_begin(mine)
    house.outbox.accepted(mine, Accepted("msg-3", "queued"))
    house.apply(again, "delivery_failed", "msg-3")
    assert (name, first()[0]) == ("backup", "pool")


def test_another_senders_failure_forgets_nothing(house: House) -> None:
    """Only the one that is remembered can lose its place."""
    number = fresh_number()
    house.raw.hset(house.keys.sticky(house.hash_of(number)), "sms", "backup")
    ref = house.start(number, healthy=("pool",)).reference
    house.send(ref)
    house.apply(ref, "delivery_failed")
    assert house.raw.hget(house.keys.sticky(house.hash_of(number)), "sms") == "backup"


# ---- reasons ------------------------------------------------------------------------------------------------------


def test_a_message_that_the_carrier_holds_too_long_goes_another_way(house: House) -> None:
    """Told with the acceptance that it will lie there beyond the code's end: the next sender has it at once."""
    ref, job = begun(house)
    assert house.outbox.accepted(job, Accepted("msg-1", "queued", wait_s=400.0)) == "fell_back"
    assert deliveries(house, ref) == [("pool", "sent"), ("backup", "queued")]
    assert detail(house, ref, "delivery.sent")[0]["held_ms"] == 400_000
    assert detail(house, ref, "delivery.fell_back")[0]["reason"] == "carrier_queue"
    other, job = begun(house)
    assert house.outbox.accepted(job, Accepted("msg-2", "queued", wait_s=100.0)) == "accepted"
    assert house.record(other)["dn"] == "1"


def test_a_pause_of_the_sender_is_the_next_ones_turn(house: House) -> None:
    """Untried it goes to the next sender; the last of the route waits, and the story says so once."""
    ref = house.start(fresh_number()).reference
    assert house.outbox.held(house.take(ref), "sender_down", "a pause", 2_000) == "fell_back"
    assert house.record(ref)["1:ec"] == "sender_down"
    assert house.outbox.held(house.take(ref), "sender_down", "a pause", 2_000) == "waiting"
    assert house.outbox.held(house.requeue(ref, 2), "sender_down", "a pause", 2_000) == "waiting"
    assert detail(house, ref, "delivery.put_off") == [{"reason": "a pause", "wait_ms": 2_000}]
    assert wait_on(house, ref, "r", 2) == pytest.approx(2_000, abs=1_000)
    house.age(ref, 300_000)
    assert house.begin(house.requeue(ref, 2)) is None
    title = house.record(ref)["2:et"]
    assert (house.record(ref)["2:ec"], title.endswith("could be sent: a pause.")) == ("code_expired", True)


def test_a_try_that_may_have_left_waits_for_its_own_sender(house: House) -> None:
    """However long the pause: another sender would make a second message of it."""
    ref, job = begun(house)
    house.outbox.unknown(job, 2_000, Unknown("read timeout"))
    assert house.outbox.held(house.requeue(ref), "sender_down", "a pause", 2_000) == "waiting"
    assert deliveries(house, ref) == [("pool", "unknown")]


def test_a_wait_is_in_the_story(house: House) -> None:
    """What did not leave is put off with the reason and the wait, one event a try."""
    ref, job = begun(house)
    house.outbox.retry_later(job, 700, NotSent("connect"))
    house.outbox.retry_later(job, 700, NotSent("connect"))
    assert detail(house, ref, "delivery.put_off") == [{"reason": "connect", "wait_ms": 700}]


def test_a_stop_that_a_receipt_tells_blocks_the_profile(house: House) -> None:
    """40300 after acceptance: every sender of the profile is skipped, another profile's has it, it is on record."""
    ref = house.start(fresh_number(), TRIO).reference
    house.send(ref)
    assert house.tell(ref, Receipt("msg-1", "+1", "delivery_failed", error=BLOCKED), event=word("evt")) == "moved"
    assert deliveries(house, ref) == [("pool", "failed"), ("backup", "queued")]
    ((entry),) = house.optouts.of(ref.number_hash)
    assert (entry.messaging_profile_id, entry.opted_out, entry.source) == ("profile-a", True, "carrier")
    (added,) = [event for event in house.audited(ref) if event["type"] == "optout.added"]
    assert json.loads(added["detail"]) == {"messaging_profile_id": "profile-a", "source": "carrier"}


def test_refusals_in_a_loop_do_not_fill_the_record(house: House) -> None:
    """One of a kind in a second, and the next says how many were left out; other kinds have their own."""
    number = fresh_number()
    for profile in ("profile-a", "profile-b"):
        house.optouts.put(house.hash_of(number), "+1", OptOut(profile, True, 1, "STOP", "inbound"), None)
    for _ in range(5):
        assert house.refused(number).code == "opted_out"
    house.raw.hset(house.keys.refused(house.hash_of(number), "shop"), "opted_out", "1")
    house.refused(number)
    shard = house.keys.shard(house.hash_of(number))
    found = [fields for _, fields in house.raw.xrange(house.keys.audit(shard)) if fields["nh"] == house.hash_of(number)]
    details = [json.loads(each["detail"]) for each in found if each["type"] == "verification.refused"]
    assert details == [{"code": "opted_out", "skipped": 0}, {"code": "opted_out", "skipped": 4}]
