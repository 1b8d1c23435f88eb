"""The next sender in time: when a delivery is taken from its sender, and that only one delivery follows."""

from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.delivery import LIMITED, Accepted, Action, DeliveryReport, NotSent, Refused, Unknown
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App

from .about import about
from .deliveries import come, deliveries, detail, wait_on
from .harness import BACKUP, CODE, POOL, SAME_PROFILE, SHOP, StoreHarness, at_once, fresh_number, word

NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
ALONE = App("shop", "Acme", (POOL,))
TRIO = App("shop", "Acme", (POOL, SAME_PROFILE, BACKUP))


def failover(harness: StoreHarness, ref: Reference, ordinal: int = 1) -> str | None:
    """The time to be sent in is over."""
    return harness.due_deliveries.claim_failover(come(harness, ref, "failover", ordinal))


def begun(harness: StoreHarness, app: App = SHOP) -> tuple[Reference, Job]:
    """A verification whose first try is written down."""
    ref = harness.start(fresh_number(), app).reference
    job = harness.take(ref)
    harness.must_begin(job, app)
    return ref, job


# ---- in time --------------------------------------------------------------------------------------------------------


def test_what_was_never_tried_fails_and_the_next_sender_has_it(harness: StoreHarness) -> None:
    """A queue that is too long ends with `not_sent_in_time`; nothing of the first sender's leaves after that."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    assert wait_on(harness, ref, "failover") == about(SHOP.sent_within_ms)
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


def test_an_absent_worker_is_no_fault_of_the_sender(harness: StoreHarness) -> None:
    """What nobody has looked at stays with its sender; its time begins anew, and comes."""
    ref = harness.start(fresh_number()).reference
    for _ in range(2):
        assert failover(harness, ref) is None
        assert deliveries(harness, ref) == [("pool", "queued")]
        assert wait_on(harness, ref, "failover") == about(SHOP.sent_within_ms)
    harness.deliveries.record_retry(harness.take(ref), 60_000, NotSent("connection refused"))
    failover(harness, ref)
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]


def test_a_code_that_has_arrived_is_not_sent_by_the_next_sender_too(harness: StoreHarness) -> None:
    """The first sender's message comes late, after the failover and before the second one's: one SMS is enough."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref, "msg-1")
    assert failover(harness, ref) == "msg-1"
    harness.apply_report(ref, DeliveryReport("msg-1", "+1", "queued"))
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "sent"), ("backup", "queued")]
    job = harness.take(ref)
    harness.apply(ref, "delivered", "msg-1")
    assert harness.begin(job) is None
    assert deliveries(harness, ref) == [("pool", "delivered"), ("backup", "suppressed")]
    assert harness.record(ref)["2:error_code"] == "already_delivered"
    assert harness.record(ref)["sends"] == "1"


def test_a_delivery_not_sent_in_time_has_the_last_reason(harness: StoreHarness) -> None:
    """The reason of a delivery that was not sent in time names the last hindrance."""
    ref, job = begun(harness)
    harness.deliveries.record_retry(job, 60_000, NotSent("connection refused"))
    harness.set_record(ref, {"1:updated_ms": "1"})
    failover(harness, ref)
    assert harness.record(ref)["1:error_title"] == "It could not be sent in time: connection refused."


def test_a_carrier_that_keeps_answering_429_does_not_hold_a_code(harness: StoreHarness) -> None:
    """Tries that all came back at once are none under way: however fresh the last is, the next sender has the code."""
    ref, job = begun(harness)
    harness.deliveries.record_retry(job, 1_000, NotSent(LIMITED, retry_after_s=1.0))
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]


def test_after_a_lost_answer_the_next_sender_sends(harness: StoreHarness) -> None:
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


def test_a_request_from_before_the_clock_was_set_back_is_waited_for_no_longer(harness: StoreHarness) -> None:
    """Its worker has died: its answer counts as lost after the time that a request may take."""
    ref, _ = begun(harness)
    harness.raw.hset(harness.keys.record(ref), "1:updated_ms", str(harness.now() + 3_600_000))
    failover(harness, ref)
    assert 0 < (wait_on(harness, ref, "failover") or 0) <= 10_000
    began_ms = int(harness.record(ref)["1:updated_ms"])
    assert began_ms <= harness.now()
    harness.raw.hset(harness.keys.record(ref), "1:updated_ms", str(began_ms - 10_000))
    failover(harness, ref)
    assert deliveries(harness, ref) == [("pool", "sending"), ("backup", "queued")]


def test_a_request_in_flight_is_waited_for(harness: StoreHarness) -> None:
    """Until it has an answer or can have none any more; then it counts as lost."""
    ref, _ = begun(harness)
    assert failover(harness, ref) is None
    assert deliveries(harness, ref) == [("pool", "sending")]
    assert wait_on(harness, ref, "failover") == about(10_000)
    harness.set_record(ref, {"1:updated_ms": harness.now() - 10_001})
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
    assert wait_on(harness, ref, "failover") == about(3_000)
    if answer is not None:
        harness.apply_report(ref, DeliveryReport("msg-5", "+1", answer))
    if answer != "delivered":
        assert failover(harness, ref) == (None if answer else "msg-5")
    if answer is None:
        assert wait_on(harness, ref, "failover") == about(6_000)
    assert int(harness.record(ref)["deliveries"]) == 1 + fails_over
    reasons = [each["reason"] for each in detail(harness, ref, "delivery.fell_back")]
    assert reasons == ["carrier_queue"] * fails_over


def _opt_out(harness: StoreHarness, ref: Reference) -> None:
    harness.optouts.record(ref.number_hash, "+1", OptOut("profile-b", True, 1, "STOP", "inbound"), None)


def _newer(harness: StoreHarness, ref: Reference) -> None:
    harness.set_record(ref, {"sends": "2"})


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
def test_where_no_other_sender_can_help_there_is_no_failover(
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


def test_what_was_followed_is_not_followed_again(harness: StoreHarness) -> None:
    """A report of the first one's failure comes late, and there is a third sender."""
    ref, job = begun(harness, TRIO)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    failover(harness, ref)
    assert harness.apply(ref, "delivery_failed") == "moved"
    assert deliveries(harness, ref) == [("pool", "failed"), ("same_profile", "queued")]


def test_a_refusal_a_report_and_the_timer_claim_one(harness: StoreHarness) -> None:
    """Whichever is first."""
    for _ in range(5):
        ref, job = begun(harness, TRIO)
        harness.set_record(ref, {"1:updated_ms": "1"})
        due = come(harness, ref, "failover")
        jobs: list[Callable[[], object]] = [
            partial(harness.due_deliveries.claim_failover, due),
            partial(harness.deliveries.record_refused, job, NEXT),
            partial(harness.apply, ref, "delivery_failed"),
        ]
        at_once(jobs * 2)
        assert harness.record(ref)["deliveries"] == "2"
        assert harness.events(ref).count("delivery.fell_back") == 1


# ---- reasons --------------------------------------------------------------------------------------------------------


def test_a_message_that_the_carrier_holds_too_long_fails_over(harness: StoreHarness) -> None:
    """Told with the acceptance that it will lie there beyond the code's end: the next sender has it at once."""
    ref, job = begun(harness)
    assert harness.deliveries.record_accepted(job, Accepted("msg-1", "queued", wait_s=400.0)) == "failed_over"
    assert deliveries(harness, ref) == [("pool", "sent"), ("backup", "queued")]
    assert detail(harness, ref, "delivery.sent")[0]["held_ms"] == 400_000
    assert detail(harness, ref, "delivery.fell_back")[0]["reason"] == "carrier_queue"
    other, job = begun(harness)
    assert harness.deliveries.record_accepted(job, Accepted("msg-2", "queued", wait_s=100.0)) == "accepted"
    assert harness.record(other)["deliveries"] == "1"


def test_while_a_sender_is_paused_the_next_one_sends(harness: StoreHarness) -> None:
    """Untried it permits to the next sender; the last of the route waits, and the timeline shows it once."""
    ref = harness.start(fresh_number()).reference
    assert harness.deliveries.record_held(harness.take(ref), "sender_down", "a pause", 2_000) == "failed_over"
    assert harness.record(ref)["1:error_code"] == "sender_down"
    assert harness.deliveries.record_held(harness.take(ref), "sender_down", "a pause", 2_000) == "waiting"
    assert len(detail(harness, ref, "delivery.put_off")) == 1
    assert harness.deliveries.record_held(harness.requeue(ref, 2), "sender_down", "a pause", 2_000) == "waiting"
    assert detail(harness, ref, "delivery.put_off") == [{"reason": "a pause", "wait_ms": 2_000}]
    assert wait_on(harness, ref, "retry", 2) == about(2_000)
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
    told = {"reason": "connect", "wait_ms": 700, "unsent": True}
    assert detail(harness, ref, "delivery.put_off") == [told]
