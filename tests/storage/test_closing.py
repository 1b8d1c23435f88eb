"""How a delivery's loop is closed: by the next sender in time, by the end of waiting, by the person's own word."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from otp_service.domain.delivery import LIMITED, Accepted, Action, DeliveryReport, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App

from .harness import BACKUP, BANK, CODE, POOL, SAME_PROFILE, SHOP, UNCAPPED, StoreHarness, at_once, fresh_number, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ALONE = App("shop", "Acme", (POOL,))
TRIO = App("shop", "Acme", (POOL, SAME_PROFILE, BACKUP))


def come(harness: StoreHarness, ref: Reference, kind: str, ordinal: int = 1) -> Timer:
    """Make a timer that is set come now."""
    shard, timer = harness.keys.shard(ref.number_hash), f"{kind}:{ref.delivery_id(ordinal)}"
    assert timer in harness.timers(ref)
    harness.raw.zadd(harness.keys.timers(shard), {timer: 1})
    return Timer(shard, kind, ref, ordinal)


def failover(harness: StoreHarness, ref: Reference, ordinal: int = 1) -> str | None:
    """The time to be sent in is over."""
    return harness.due_deliveries.claim_failover(come(harness, ref, "failover", ordinal))


def wait_on(harness: StoreHarness, ref: Reference, kind: str, ordinal: int = 1) -> float | None:
    """How long a timer still takes, in milliseconds; None if it is not set."""
    at = harness.timers(ref).get(f"{kind}:{ref.delivery_id(ordinal)}")
    return None if at is None else at - harness.now()


def deliveries(harness: StoreHarness, ref: Reference) -> list[tuple[str, str]]:
    """Sender and status of each."""
    record = harness.record(ref)
    return [(record[f"{n}:sender"], record[f"{n}:status"]) for n in range(1, int(record["deliveries"]) + 1)]


def detail(harness: StoreHarness, ref: Reference, event: str) -> list[dict[str, object]]:
    """What the timeline says of each such event."""
    return [dict(entry.detail) for entry in harness.verifications.timeline(ref) if entry.event == event]


def begun(harness: StoreHarness, app: App = SHOP) -> tuple[Reference, Job]:
    """A verification whose first try is written down."""
    ref = harness.start(fresh_number(), app).reference
    job = harness.take(ref)
    harness.must_begin(job, app)
    return ref, job


# ---- in time ------------------------------------------------------------------------------------------------------


def test_what_was_never_tried_fails_and_the_next_sender_has_it(harness: StoreHarness) -> None:
    """A queue that is too long ends with `not_sent_in_time`; nothing of the first sender's leaves after that."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    assert wait_on(harness, ref, "failover") == pytest.approx(SHOP.sent_within_ms, abs=2_000)
    harness.deliveries.record_rate_wait(job, 60_000)
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]
    record = harness.record(ref)
    assert record["1:error_code"] == "not_sent_in_time"
    assert detail(harness, ref, "delivery.fell_back") == [{"to": ref.delivery_id(2), "reason": "not_sent_in_time"}]
    assert harness.begin(job) is None
    assert wait_on(harness, ref, "closing") is None
    # The last of the route has nobody behind it, so nothing waits for its time.
    assert wait_on(harness, ref, "failover", 2) is None


def test_a_sender_is_not_to_blame_for_a_worker_that_was_away(harness: StoreHarness) -> None:
    """What nobody has looked at stays with its sender; its time begins anew, and comes."""
    ref = harness.start(fresh_number()).reference
    for _ in range(2):
        assert failover(harness, ref) is None
        assert deliveries(harness, ref) == [("pool", "queued")]
        assert wait_on(harness, ref, "failover") == pytest.approx(SHOP.sent_within_ms, abs=2_000)
    harness.deliveries.record_retry(harness.take(ref), 60_000, NotSent("connection refused"))
    failover(harness, ref)
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]


def test_a_code_that_has_arrived_is_not_sent_by_the_next_sender_too(harness: StoreHarness) -> None:
    """The first sender's message comes late, after the failover and before the second one's: one SMS is enough."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref, "msg-1")
    assert failover(harness, ref) == "msg-1"
    harness.tell(ref, DeliveryReport("msg-1", "+1", "queued"))
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "sent"), ("backup", "queued")]
    job = harness.take(ref)
    harness.apply(ref, "delivered", "msg-1")
    assert harness.begin(job) is None
    assert deliveries(harness, ref) == [("pool", "delivered"), ("backup", "suppressed")]
    assert harness.record(ref)["2:error_code"] == "already_delivered"
    assert harness.record(ref)["sends"] == "1"


def test_what_stood_in_the_way_is_told(harness: StoreHarness) -> None:
    """The reason of a delivery that was not sent in time names the last hindrance."""
    ref, job = begun(harness)
    harness.deliveries.record_retry(job, 60_000, NotSent("connection refused"))
    harness.raw.hset(harness.keys.record(ref), "1:updated_ms", "1")
    failover(harness, ref)
    assert harness.record(ref)["1:error_title"] == "It could not be sent in time: connection refused."


def test_a_carrier_that_asks_for_patience_again_and_again_does_not_hold_a_code(harness: StoreHarness) -> None:
    """Tries that all came back at once are none under way: however fresh the last is, the next sender has the code."""
    ref, job = begun(harness)
    harness.deliveries.record_retry(job, 1_000, NotSent(LIMITED, retry_after_s=1.0))
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]


def test_a_lost_answer_gives_way_and_is_not_repeated(harness: StoreHarness) -> None:
    """The next sender has it with the reason; of the first no further try leaves, and its late word still counts."""
    ref, job = begun(harness)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    failover(harness, ref)
    assert deliveries(harness, ref) == [("pool", "unknown"), ("backup", "queued")]
    assert detail(harness, ref, "delivery.fell_back") == [{"to": ref.delivery_id(2), "reason": "answer_lost"}]
    harness.due_deliveries.requeue(come(harness, ref, "retry"))
    (again,) = [each for each in harness.jobs(ref) if each.reference == ref and each.ordinal == 1]
    assert harness.begin(again) is None
    assert harness.record(ref)["1:tries"] == "1"
    assert harness.apply(ref, "delivered") == "moved"
    assert deliveries(harness, ref) == [("pool", "delivered"), ("backup", "queued")]


def test_a_request_under_way_is_waited_for(harness: StoreHarness) -> None:
    """Until it has an answer or can have none any more; then it counts as lost."""
    ref, _ = begun(harness)
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "sending")]
    assert wait_on(harness, ref, "failover") == pytest.approx(10_000, abs=2_000)
    harness.raw.hset(harness.keys.record(ref), "1:updated_ms", harness.now() - 10_001)
    failover(harness, ref)
    assert deliveries(harness, ref) == [("pool", "sending"), ("backup", "queued")]


@pytest.mark.parametrize(
    ("answer", "fails_over"),
    [("queued", True), ("scheduled", True), ("sending", True), ("sent", False), ("delivered", False), (None, False)],
)
def test_a_message_that_the_carrier_took_is_asked_about_first(
    harness: StoreHarness, answer: str | None, fails_over: bool
) -> None:
    """Only if the carrier reports it as still queued is there a failover; without an answer it is asked again."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref, "msg-5")
    assert failover(harness, ref) == "msg-5"
    assert deliveries(harness, ref) == [("pool", "sent")]
    assert wait_on(harness, ref, "failover") == pytest.approx(3_000, abs=2_000)
    if answer is not None:
        harness.tell(ref, DeliveryReport("msg-5", "+1", answer))
    if answer != "delivered":
        assert failover(harness, ref) == (None if answer else "msg-5")
    if answer is None:
        assert wait_on(harness, ref, "failover") == pytest.approx(6_000, abs=2_000)
    assert int(harness.record(ref)["deliveries"]) == 1 + fails_over
    reasons = [each["reason"] for each in detail(harness, ref, "delivery.fell_back")]
    assert reasons == ["carrier_queue"] * fails_over


def _opt_out(harness: StoreHarness, ref: Reference) -> None:
    harness.optouts.record(ref.number_hash, "+1", OptOut("profile-b", True, 1, "STOP", "inbound"), None)


def _newer(harness: StoreHarness, ref: Reference) -> None:
    harness.raw.hset(harness.keys.record(ref), "sends", "2")


@pytest.mark.parametrize(
    "hindrance",
    [
        _opt_out,
        _newer,
        lambda harness, ref: harness.verifications.cancel(word(), ref, "shop"),
        lambda harness, ref: harness.check(ref, CODE),
        lambda harness, ref: harness.age(ref, 300_000),
    ],
    ids=["opted out", "newer send", "canceled", "approved", "expired"],
)
def test_where_nobody_else_can_help_nothing_falls(
    harness: StoreHarness, hindrance: Callable[[StoreHarness, Reference], object]
) -> None:
    """The rest opted out, a newer send, an ended verification: the first keeps its chance and nobody is claimed."""
    ref = harness.start(fresh_number()).reference
    hindrance(harness, ref)
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "queued")]
    assert "1:error_code" not in harness.record(ref)


def test_a_route_of_one_has_no_such_timer(harness: StoreHarness) -> None:
    """There is no other sender."""
    ref = harness.start(fresh_number(), ALONE).reference
    assert wait_on(harness, ref, "failover") is None
    assert harness.due_deliveries.claim_failover(Timer(harness.keys.shard(ref.number_hash), "failover", ref, 1)) is None
    assert deliveries(harness, ref) == [("pool", "queued")]


def test_eight_workers_claim_the_next_sender_once(harness: StoreHarness) -> None:
    """One timer, eight that attend to it."""
    for _ in range(5):
        ref = harness.start(fresh_number(), TRIO).reference
        harness.deliveries.record_rate_wait(harness.take(ref), 60_000)
        at_once([partial(harness.due_deliveries.claim_failover, come(harness, ref, "failover"))] * 8)
        assert deliveries(harness, ref) == [("pool", "failed"), ("same_profile", "queued")]
        assert harness.events(ref).count("delivery.fell_back") == 1


def test_a_refusal_a_receipt_and_the_timer_claim_one(harness: StoreHarness) -> None:
    """Whichever is first."""
    for _ in range(5):
        ref, job = begun(harness, TRIO)
        harness.raw.hset(harness.keys.record(ref), "1:updated_ms", "1")
        due = come(harness, ref, "failover")
        jobs: list[Callable[[], object]] = [
            partial(harness.due_deliveries.claim_failover, due),
            partial(harness.deliveries.record_refused, job, NEXT),
            partial(harness.apply, ref, "delivery_failed"),
        ]
        at_once(jobs * 2)
        assert harness.record(ref)["deliveries"] == "2"
        assert harness.events(ref).count("delivery.fell_back") == 1


# ---- at the end ---------------------------------------------------------------------------------------------------


def _nothing(harness: StoreHarness, ref: Reference) -> None:
    pass


def _retried(harness: StoreHarness, ref: Reference) -> None:
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    harness.deliveries.record_retry(job, 60_000, NotSent("connection refused"))


def _crashed(harness: StoreHarness, ref: Reference) -> None:
    harness.must_begin(harness.take(ref), ALONE)


def _lost(harness: StoreHarness, ref: Reference) -> None:
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))


def _sent(harness: StoreHarness, ref: Reference) -> None:
    harness.send(ref)


CLOSED = [
    (_nothing, "expired", "code_expired"),
    (_retried, "expired", "code_expired"),
    (_crashed, "unconfirmed", "answer_lost"),
    (_lost, "unconfirmed", "answer_lost"),
    (_sent, "unconfirmed", "no_receipt"),
]


@pytest.mark.parametrize(("act", "status", "code"), CLOSED)
def test_every_delivery_ends_and_with_a_reason(
    harness: StoreHarness, act: Callable[[StoreHarness, Reference], None], status: str, code: str
) -> None:
    """Half a minute after the code's end; what may have been sent is never called unsent. A late receipt still wins."""
    ref = harness.start(fresh_number(), ALONE).reference
    act(harness, ref)
    assert wait_on(harness, ref, "closing") == pytest.approx(ALONE.code_ttl_ms + 30_000, abs=2_000)
    harness.age(ref, 330_001)
    due = come(harness, ref, "closing")
    answers = at_once([partial(harness.due_deliveries.close_delivery, due)] * 8)
    assert [answer for answer in answers if answer] == [status]
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"]) == (status, code)
    assert record["1:error_title"]
    assert ("connection refused" in record["1:error_title"]) is (act is _retried)
    assert [each["reason"] for each in detail(harness, ref, f"delivery.{status}")] == [code]
    assert not [timer for timer in harness.timers(ref) if ref.token in timer and not timer.startswith("expiry:")]
    assert harness.apply(ref, "delivery_failed") == "moved"
    assert harness.apply(ref, "delivered") == "moved"
    assert harness.record(ref)["deliveries"] == "1"


@pytest.mark.parametrize("word_", ["delivered", "delivery_failed", "delivery_unconfirmed"])
def test_what_has_ended_is_not_closed_again(harness: StoreHarness, word_: str) -> None:
    """A receipt took the timer with it; should one be left, it changes nothing."""
    ref = harness.start(fresh_number(), ALONE).reference
    harness.send(ref)
    harness.apply(ref, word_)
    assert wait_on(harness, ref, "closing") is None
    harness.age(ref, 400_000)
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
    before = harness.record(ref)
    assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) is None
    assert harness.record(ref) == before
    assert wait_on(harness, ref, "closing") is None


def test_a_repeat_gives_the_first_delivery_more_time(harness: StoreHarness) -> None:
    """The code lives longer, so the word of the first message may come later too."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.send(ref)
    harness.age(ref, 200_000)
    harness.cool(ref)
    harness.start(number)
    assert harness.due_deliveries.close_delivery(come(harness, ref, "closing")) is None
    assert harness.status(ref) == "sent"
    assert wait_on(harness, ref, "closing") == pytest.approx(SHOP.code_ttl_ms + 30_000, abs=2_000)


# ---- "that wasn't me" ---------------------------------------------------------------------------------------------


def denial(harness: StoreHarness, **changes: object) -> Denial:
    """A person's answer to the pool, now."""
    made = Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now(), harness.now())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_answer_ends_the_verification_once(harness: StoreHarness) -> None:
    """Denied, with the delivery that it answers; the code is worthless and gone; a replay says so."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    said = denial(harness)
    answers = at_once([partial(harness.verifications.deny, ref, said)] * 8)
    assert sorted(set(answers)) == ["denied", "no"]
    assert answers.count("denied") == 1
    assert harness.record(ref)["status"] == "denied"
    assert not harness.raw.exists(harness.keys.secrets(ref))
    timeline = harness.verifications.timeline(ref)
    assert (timeline[-1].event, timeline[-1].delivery_id) == ("verification.denied", ref.delivery_id(1))


@pytest.mark.parametrize(
    "changes", [{"apps": frozenset({"bank"})}, {"senders": frozenset({"backup"})}, {"senders": frozenset()}]
)
def test_a_word_to_somebody_else_ends_nothing(harness: StoreHarness, changes: dict[str, object]) -> None:
    """Another app's word, another sender's number."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    assert harness.verifications.deny(ref, denial(harness, **changes)) == "no"
    assert harness.record(ref)["status"] == "pending"


def test_a_word_from_before_the_code_ends_nothing(harness: StoreHarness) -> None:
    """Nor one to a code that was never tried to be sent; clocks a few seconds apart do not matter."""
    ref = harness.start(fresh_number()).reference
    assert harness.verifications.deny(ref, denial(harness)) == "no"
    harness.send(ref)
    assert harness.verifications.deny(ref, denial(harness, at_ms=harness.now() - 6_000)) == "no"
    assert harness.verifications.deny(ref, denial(harness, at_ms=harness.now() - 3_000)) == "denied"


def test_a_replayed_word_does_not_end_the_next_verification(harness: StoreHarness) -> None:
    """It was first heard before the new code went out, however well the clocks would let it pass."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.send(ref)
    heard = harness.verifications.first_received(ref.number_hash, "evt-1")
    assert harness.verifications.deny(ref, denial(harness, received_ms=heard)) == "denied"
    time.sleep(0.01)
    harness.cool(ref)
    fresh = harness.start(number).reference
    harness.send(fresh, "msg-2")
    again = harness.verifications.first_received(ref.number_hash, "evt-1")
    assert again == heard
    assert harness.verifications.deny(fresh, denial(harness, received_ms=again)) == "no"
    other = harness.verifications.first_received(ref.number_hash, "evt-2")
    assert harness.verifications.deny(fresh, denial(harness, received_ms=other)) == "denied"


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
    harness: StoreHarness, end: NotSent | Refused | Unknown | Accepted, answer: str
) -> None:
    """A code that never left us, or that the carrier refused, is not what somebody answers to."""
    ref = harness.start(fresh_number(), app=replace(SHOP, route=SHOP.route[:1])).reference
    job = harness.take(ref)
    harness.must_begin(job)
    match end:
        case NotSent():
            harness.deliveries.record_retry(job, 1_000, end)
        case Refused():
            harness.deliveries.record_refused(job, end)
        case Unknown():
            harness.deliveries.record_unknown(job, 1_000, end)
        case Accepted():
            harness.deliveries.record_accepted(job, end)
    assert harness.verifications.deny(ref, denial(harness)) == answer


def test_one_word_ends_all_that_it_can_be_about(harness: StoreHarness) -> None:
    """Two purposes and two apps of one number are told apart by the record, and none shadows another."""
    number = fresh_number()
    refs = [harness.start(number).reference, harness.start(number, purpose="pay").reference]
    refs.append(harness.start(number, BANK).reference)
    for job in [job for job in harness.jobs(refs[0]) if job.reference in refs]:
        harness.begin(job, BANK if job.reference == refs[2] else SHOP)
    assert set(harness.verifications.pending(harness.hash_of(number))) == set(refs)
    said = denial(harness)
    assert [harness.verifications.deny(ref, said) for ref in refs] == ["denied", "denied", "no"]


# ---- what a sender's luck means for the next start ------------------------------------------------------------------


def test_the_sender_that_got_through_goes_first_while_it_is_well(harness: StoreHarness) -> None:
    """Remembered per channel and person; a failure forgets it, and one that is not well waits for its turn."""
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
    assert harness.raw.hgetall(harness.keys.sticky(harness.hash_of(number))) == {"sms": "backup"}
    name, again = first()
    (mine,) = [each for each in harness.jobs(again) if each.reference == again]
    harness.must_begin(mine)
    harness.deliveries.record_accepted(mine, Accepted("msg-3", "queued"))
    harness.apply(again, "delivery_failed", "msg-3")
    assert (name, first()[0]) == ("backup", "pool")


def test_another_senders_failure_forgets_nothing(harness: StoreHarness) -> None:
    """Only the one that is remembered can lose its place."""
    number = fresh_number()
    harness.raw.hset(harness.keys.sticky(harness.hash_of(number)), "sms", "backup")
    ref = harness.start(number, healthy=("pool",)).reference
    harness.send(ref)
    harness.apply(ref, "delivery_failed")
    assert harness.raw.hget(harness.keys.sticky(harness.hash_of(number)), "sms") == "backup"


# ---- reasons ------------------------------------------------------------------------------------------------------


def test_a_message_that_the_carrier_holds_too_long_goes_another_way(harness: StoreHarness) -> None:
    """Told with the acceptance that it will lie there beyond the code's end: the next sender has it at once."""
    ref, job = begun(harness)
    assert harness.deliveries.record_accepted(job, Accepted("msg-1", "queued", wait_s=400.0)) == "failed_over"
    assert deliveries(harness, ref) == [("pool", "sent"), ("backup", "queued")]
    assert detail(harness, ref, "delivery.sent")[0]["held_ms"] == 400_000
    assert detail(harness, ref, "delivery.fell_back")[0]["reason"] == "carrier_queue"
    other, job = begun(harness)
    assert harness.deliveries.record_accepted(job, Accepted("msg-2", "queued", wait_s=100.0)) == "accepted"
    assert harness.record(other)["deliveries"] == "1"


def test_a_pause_of_the_sender_is_the_next_ones_turn(harness: StoreHarness) -> None:
    """Untried it goes to the next sender; the last of the route waits, and the timeline shows it once."""
    ref = harness.start(fresh_number()).reference
    assert harness.deliveries.record_held(harness.take(ref), "sender_down", "a pause", 2_000) == "failed_over"
    assert harness.record(ref)["1:error_code"] == "sender_down"
    assert harness.deliveries.record_held(harness.take(ref), "sender_down", "a pause", 2_000) == "waiting"
    assert harness.deliveries.record_held(harness.requeue(ref, 2), "sender_down", "a pause", 2_000) == "waiting"
    assert detail(harness, ref, "delivery.put_off") == [{"reason": "a pause", "wait_ms": 2_000}]
    assert wait_on(harness, ref, "retry", 2) == pytest.approx(2_000, abs=1_000)
    harness.age(ref, 300_000)
    assert harness.begin(harness.requeue(ref, 2)) is None
    title = harness.record(ref)["2:error_title"]
    assert (harness.record(ref)["2:error_code"], title.endswith("could be sent: a pause.")) == ("code_expired", True)


def test_a_try_that_may_have_left_waits_for_its_own_sender(harness: StoreHarness) -> None:
    """However long the pause: another sender would make a second message of it."""
    ref, job = begun(harness)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    assert harness.deliveries.record_held(harness.requeue(ref), "sender_down", "a pause", 2_000) == "waiting"
    assert deliveries(harness, ref) == [("pool", "unknown")]


def test_a_wait_is_in_the_timeline(harness: StoreHarness) -> None:
    """What did not leave is put off with the reason and the wait, one event a try."""
    ref, job = begun(harness)
    harness.deliveries.record_retry(job, 700, NotSent("connect"))
    harness.deliveries.record_retry(job, 700, NotSent("connect"))
    assert detail(harness, ref, "delivery.put_off") == [{"reason": "connect", "wait_ms": 700}]


def test_a_stop_that_a_receipt_tells_blocks_the_profile(harness: StoreHarness) -> None:
    """40300 after acceptance: every sender of the profile is skipped, another profile's has it, it is on record."""
    ref = harness.start(fresh_number(), TRIO).reference
    harness.send(ref)
    assert (
        harness.tell(ref, DeliveryReport("msg-1", "+1", "delivery_failed", error=BLOCKED), event=word("evt")) == "moved"
    )
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]
    ((entry),) = harness.optouts.of_number(ref.number_hash)
    assert (entry.messaging_profile_id, entry.opted_out, entry.source) == ("profile-a", True, "carrier")
    (added,) = [event for event in harness.audited(ref) if event["type"] == "optout.added"]
    assert json.loads(added["detail"]) == {"messaging_profile_id": "profile-a", "source": "carrier"}


def test_refusals_in_a_loop_do_not_fill_the_record(harness: StoreHarness) -> None:
    """One of a kind in a second, and the next says how many were left out; other kinds have their own."""
    number = fresh_number()
    for profile in ("profile-a", "profile-b"):
        harness.optouts.record(harness.hash_of(number), "+1", OptOut(profile, True, 1, "STOP", "inbound"), None)
    for _ in range(5):
        assert harness.refused(number).code == "opted_out"
    harness.raw.hset(harness.keys.refused(harness.hash_of(number), "shop"), "opted_out", "1")
    harness.refused(number)
    found = harness.audited_of(harness.hash_of(number))
    details = [json.loads(each["detail"]) for each in found if each["type"] == "verification.refused"]
    assert details == [{"code": "opted_out", "skipped": 0}, {"code": "opted_out", "skipped": 4}]
