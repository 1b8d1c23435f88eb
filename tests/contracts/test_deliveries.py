"""One delivery and its timers: what every implementation promises."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from otp_service.domain.ids import Reference, shard_of
from otp_service.domain.outbox import Job, SendPermit, Timer
from otp_service.domain.policy import App

from ..storage.harness import BACKUP, EVERYWHERE, POOL, SAME_PROFILE, SHARDS, SHOP, WHATSAPP, StoreHarness, fresh_number
from .memory import come, failed_over

ALONE, ONE_PROFILE = replace(SHOP, route=(POOL,)), replace(SHOP, route=(POOL, SAME_PROFILE))
BY_WHATSAPP_TOO = replace(SHOP, route=(POOL, BACKUP, WHATSAPP))
NEXT = Refused("40002", "Blocked as spam", Action.NEXT_SENDER)
DEAD = Refused("40001", "No route", Action.STOP_PERSON)
COUNTRY = Refused("40309", "The country is not allowed", Action.STOP_PERSON)
STOPPED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ACCEPTED = Accepted("msg-1", "queued")


@dataclass
class Delivery:
    """The first delivery of a verification, and the entry by which it was taken."""

    stores: StoreHarness
    ref: Reference
    job: Job

    @property
    def status(self) -> str:
        """Where it stands."""
        return self.stores.status(self.ref)

    @property
    def failed_over(self) -> bool:
        """Whether the next sender has its code."""
        return failed_over(self.stores, self.ref)

    def begin(self, body: str = "first") -> SendPermit | None:
        """Begin a try."""
        limits = SHOP.wrong_codes_per_number
        return self.stores.deliveries.begin_send(self.job, "shop", body, limits, EVERYWHERE.wrong_codes)

    def fails(self, outcome: NotSent | Unknown) -> None:
        """A try without an answer; the entry that follows it is taken."""
        assert self.begin() is not None
        deliveries = self.stores.deliveries
        record = deliveries.record_retry if isinstance(outcome, NotSent) else deliveries.record_unknown
        assert record(self.job, 500, outcome) == "waiting"  # type: ignore[arg-type]
        self.job = self.stores.requeue(self.ref)

    def come(self, kind: str) -> Timer:
        """One of its timers comes."""
        return come(self.stores, self.ref, kind)


@pytest.fixture
def make(stores: StoreHarness) -> Callable[..., Delivery]:
    """Starts a verification and takes its first delivery."""

    def make(app: App = SHOP) -> Delivery:
        ref = stores.start(fresh_number(), app).reference
        return Delivery(stores, ref, stores.take(ref))

    return make


@pytest.fixture
def delivery(make: Callable[..., Delivery]) -> Delivery:
    """One with another sender behind the first."""
    return make()


@pytest.fixture
def gone(stores: StoreHarness) -> Job:
    """The entry of a verification that the store does not know."""
    ref = stores.start_command(fresh_number()).reference
    return Job(shard_of(ref.number_hash, SHARDS), "9-9", ref, 1)


# ---- beginning ----------------------------------------------------------------------------------------------------


def test_a_pending_delivery_says_what_to_send(delivery: Delivery) -> None:
    """And by whom; with a body it needs no box any more."""
    pending = delivery.stores.pending_delivery(delivery.job)
    assert (pending.app, pending.sender, pending.channel, pending.locale, pending.autofill) == (
        "shop",
        "pool",
        "sms",
        "en",
        "",
    )
    assert 290_000 < pending.expires_ms - pending.now_ms <= 300_000
    assert (pending.has_body, pending.rate_limited, pending.next_senders) == (False, False, ("backup",))
    assert pending.sealed_by == delivery.stores.ring.active_kid
    assert pending.box is not None
    delivery.begin("other:body")
    pending = delivery.stores.pending_delivery(delivery.job)
    assert (pending.has_body, pending.sealed_by) == (True, "other")


def test_every_try_has_the_bytes_of_the_first(delivery: Delivery) -> None:
    """And counts; what is left of the code's life is the time to send it in."""
    for attempt, body in enumerate(("first", "second", ""), 1):
        permit = delivery.begin(body)
        assert permit is not None
        assert (permit.sealed_body, permit.attempt) == ("first", attempt)
        assert 0 < permit.left_ms <= 300_000
        assert delivery.status == "sending"
        assert delivery.stores.deliveries.record_retry(delivery.job, 500, NotSent("connect")) == "waiting"
        delivery.job = delivery.stores.requeue(delivery.ref)


def test_without_bytes_nothing_begins(delivery: Delivery) -> None:
    """Nor ends: whoever has them may still send."""
    assert delivery.begin("") is None
    assert delivery.status == "queued"
    assert delivery.begin("first") is not None


def test_of_what_is_gone_nothing_is_sent(stores: StoreHarness, gone: Job) -> None:
    """Whatever is recorded of it comes too late."""
    assert stores.deliveries.pending_delivery(gone) is None
    assert stores.begin(gone) is None
    assert stores.deliveries.record_accepted(gone, ACCEPTED) == "late"
    assert stores.deliveries.record_refused(gone, NEXT) == "late"


@pytest.mark.parametrize(("lost", "status"), [(None, "expired"), (NotSent("x"), "expired"), (Unknown("x"), "unknown")])
def test_an_expired_code_is_not_sent(delivery: Delivery, lost: NotSent | Unknown | None, status: str) -> None:
    """What may have been sent is not called unsent."""
    if lost is not None:
        delivery.fails(lost)
    delivery.stores.age(delivery.ref, 300_000)
    assert delivery.begin() is None
    assert delivery.status == status
    assert not delivery.failed_over


# ---- what became of a try -----------------------------------------------------------------------------------------


def test_an_accepted_message_is_sent_once(delivery: Delivery) -> None:
    """Nothing that is recorded later changes that."""
    delivery.begin()
    deliveries, job = delivery.stores.deliveries, delivery.job
    assert deliveries.record_accepted(job, ACCEPTED) == "accepted"
    assert delivery.status == "sent"
    late = [
        deliveries.record_accepted(job, ACCEPTED),
        deliveries.record_refused(job, NEXT),
        deliveries.record_retry(job, 500, NotSent("x")),
        deliveries.record_unknown(job, 500, Unknown("x")),
        deliveries.record_impossible(job, "x", "x"),
        deliveries.record_rate_wait(job, 500),
        deliveries.return_to_queue(job, "x", 500, may_fail_over=True),
        deliveries.record_held(job, "x", "x", 500),
    ]
    assert late == ["late"] * len(late)
    assert deliveries.pass_to_next_sender(job, "x", "x", ["backup"])
    assert delivery.begin() is None
    assert (delivery.status, delivery.failed_over) == ("sent", False)


@pytest.mark.parametrize(
    ("app", "wait_s", "state"), [(SHOP, 299, "accepted"), (SHOP, 301, "failed_over"), (ALONE, 301, "accepted")]
)
def test_a_message_that_the_carrier_holds_for_too_long_goes_to_the_next_sender(
    make: Callable[..., Delivery], app: App, wait_s: float, state: str
) -> None:
    """If there is one, and only if the code ends before."""
    delivery = make(app)
    delivery.begin()
    held = replace(ACCEPTED, wait_s=wait_s - 10 * (wait_s < 300))
    assert delivery.stores.deliveries.record_accepted(delivery.job, held) == state
    assert (delivery.status, delivery.failed_over) == ("sent", state == "failed_over")


@pytest.mark.parametrize(
    ("app", "refused", "state", "status"),
    [
        (SHOP, NEXT, "failed_over", "failed"),
        (SHOP, DEAD, "failed", "failed"),
        (BY_WHATSAPP_TOO, DEAD, "failed_over", "failed"),
        (SHOP, COUNTRY, "failed_over", "failed"),
        (ONE_PROFILE, COUNTRY, "failed", "failed"),
        (SHOP, STOPPED, "failed_over", "suppressed"),
        (ALONE, NEXT, "failed", "failed"),
        (ALONE, STOPPED, "failed", "suppressed"),
    ],
)
def test_a_refused_message_goes_to_the_next_sender_where_that_can_help(
    make: Callable[..., Delivery], app: App, refused: Refused, state: str, status: str
) -> None:
    """Not where the person cannot be reached, or where no other sender differs in what is to blame."""
    delivery = make(app)
    delivery.begin()
    assert delivery.stores.deliveries.record_refused(delivery.job, refused) == state
    assert (delivery.status, delivery.failed_over) == (status, state == "failed_over")


def test_a_lost_answer_is_not_forgotten(delivery: Delivery) -> None:
    """A later try that was certainly none changes nothing about the first."""
    delivery.fails(Unknown("timeout"))
    assert delivery.status == "unknown"
    delivery.fails(NotSent("connect"))
    assert delivery.stores.deliveries.record_impossible(delivery.job, "unreadable", "x") == "unknown"
    assert (delivery.status, delivery.failed_over) == ("unknown", False)


@pytest.mark.parametrize(("app", "state"), [(SHOP, "failed_over"), (ALONE, "failed")])
def test_an_impossible_request_goes_to_the_next_sender(make: Callable[..., Delivery], app: App, state: str) -> None:
    """Where every try was certainly none."""
    delivery = make(app)
    delivery.fails(NotSent("connect"))
    assert delivery.stores.deliveries.record_impossible(delivery.job, "unreadable", "x") == state
    assert (delivery.status, delivery.failed_over) == ("failed", state == "failed_over")


def test_an_expired_code_is_the_reason_whatever_is_impossible(delivery: Delivery) -> None:
    """No other sender has it then."""
    delivery.stores.age(delivery.ref, 300_000)
    assert delivery.stores.deliveries.record_impossible(delivery.job, "sender_busy", "x") == "expired"
    assert (delivery.status, delivery.failed_over) == ("expired", False)


# ---- nothing was tried --------------------------------------------------------------------------------------------


def test_a_slot_in_the_rate_is_kept_until_the_try(delivery: Delivery) -> None:
    """An entry that comes back when its slot has come needs no other; the next try does."""
    assert delivery.stores.deliveries.record_rate_wait(delivery.job, 500) == "waiting"
    delivery.job = delivery.stores.requeue(delivery.ref)
    assert delivery.stores.pending_delivery(delivery.job).rate_limited
    delivery.begin()
    assert not delivery.stores.pending_delivery(delivery.job).rate_limited


@pytest.mark.parametrize("may_fail_over", [True, False])
def test_what_is_returned_to_the_queue_comes_again(delivery: Delivery, may_fail_over: bool) -> None:
    """Untried, by the same sender."""
    returned = delivery.stores.deliveries.return_to_queue(delivery.job, "x", 500, may_fail_over=may_fail_over)
    assert (returned, delivery.status, delivery.failed_over) == ("waiting", "queued", False)
    delivery.job = delivery.stores.requeue(delivery.ref)
    permit = delivery.begin()
    assert permit is not None
    assert permit.attempt == 1


@pytest.mark.parametrize(
    ("app", "may_fail_over", "lost", "state"),
    [
        (SHOP, True, None, "failed_over"),
        (SHOP, True, NotSent("x"), "failed_over"),
        (SHOP, True, Unknown("x"), "waiting"),
        (SHOP, False, None, "waiting"),
        (ALONE, True, None, "waiting"),
    ],
)
def test_a_held_delivery_goes_to_the_next_sender_or_waits(
    make: Callable[..., Delivery], app: App, may_fail_over: bool, lost: NotSent | Unknown | None, state: str
) -> None:
    """It waits where it may have been sent, where the others are held too, and where there is none."""
    delivery = make(app)
    if lost is not None:
        delivery.fails(lost)
    held = delivery.stores.deliveries.record_held(delivery.job, "x", "x", 500, may_fail_over=may_fail_over)
    assert held == state
    assert delivery.failed_over is (state == "failed_over")


@pytest.mark.parametrize(
    ("better", "lost", "passes"),
    [(["third", "backup"], None, True), (["third"], None, False), ([], None, False), (["backup"], Unknown("x"), False)],
)
def test_a_delivery_is_passed_to_a_better_sender(
    delivery: Delivery, better: list[str], lost: Unknown | None, passes: bool
) -> None:
    """If one is left on its route, and it was certainly not sent; otherwise nothing changes."""
    if lost is not None:
        delivery.fails(lost)
    before = delivery.status
    assert delivery.stores.deliveries.pass_to_next_sender(delivery.job, "x", "x", better) is passes
    assert (delivery.status, delivery.failed_over) == ("failed" if passes else before, passes)


# ---- timers -------------------------------------------------------------------------------------------------------


def test_a_wait_ends_once(delivery: Delivery) -> None:
    """Whoever comes second finds it done."""
    delivery.begin()
    delivery.stores.deliveries.record_retry(delivery.job, 500, NotSent("x"))
    due = delivery.come("retry")
    assert [delivery.stores.due_deliveries.requeue(due) for _ in range(2)] == [True, False]


def test_what_was_sent_meanwhile_does_not_come_again(delivery: Delivery) -> None:
    """A lost answer that arrived late."""
    delivery.begin()
    delivery.stores.deliveries.record_unknown(delivery.job, 500, Unknown("x"))
    delivery.stores.deliveries.record_accepted(delivery.job, ACCEPTED)
    assert not delivery.stores.due_deliveries.requeue(delivery.come("retry"))


def test_a_sent_message_is_polled_again_and_again(delivery: Delivery) -> None:
    """By one process each time."""
    record(delivery, ACCEPTED)
    for _ in range(2):
        due = delivery.come("poll")
        assert [delivery.stores.due_deliveries.claim_poll(due) for _ in range(2)] == ["msg-1", None]


def record(delivery: Delivery, outcome: SendOutcome | None) -> None:
    """Begin a try that has this outcome; None: it is under way."""
    deliveries, job = delivery.stores.deliveries, delivery.job
    delivery.begin()
    match outcome:
        case Accepted():
            deliveries.record_accepted(job, outcome)
        case NotSent():
            deliveries.record_retry(job, 500, outcome)
        case Unknown():
            deliveries.record_unknown(job, 500, outcome)


@pytest.mark.parametrize(
    ("outcome", "status", "fails_over"),
    [
        (NotSent("x"), "failed", True),
        (Unknown("x"), "unknown", True),
        (None, "sending", False),
    ],
)
def test_what_is_not_sent_in_time_goes_to_the_next_sender(
    delivery: Delivery, outcome: SendOutcome | None, status: str, fails_over: bool
) -> None:
    """Once; a try that is under way is waited for."""
    record(delivery, outcome)
    due = delivery.come("failover")
    assert [delivery.stores.due_deliveries.claim_failover(due) for _ in range(2)] == [None, None]
    assert (delivery.status, delivery.failed_over) == (status, fails_over)
    if fails_over:
        assert delivery.begin() is None


def test_a_delivery_is_followed_once(delivery: Delivery) -> None:
    """A refusal of what the next sender has already claims no other."""
    delivery.fails(Unknown("timeout"))
    delivery.stores.due_deliveries.claim_failover(delivery.come("failover"))
    assert delivery.failed_over
    assert delivery.stores.deliveries.record_refused(delivery.job, NEXT) == "failed"


def test_what_was_handed_back_and_then_tried_goes_to_the_next_sender(delivery: Delivery) -> None:
    """It waits for no other worker any more."""
    delivery.stores.deliveries.return_to_queue(delivery.job, "x", 500, may_fail_over=False)
    delivery.job = delivery.stores.requeue(delivery.ref)
    record(delivery, NotSent("x"))
    delivery.stores.due_deliveries.claim_failover(delivery.come("failover"))
    assert (delivery.status, delivery.failed_over) == ("failed", True)


def test_an_accepted_message_is_asked_about_before_a_failover(delivery: Delivery) -> None:
    """The timer comes again."""
    record(delivery, ACCEPTED)
    for _ in range(2):
        assert delivery.stores.due_deliveries.claim_failover(delivery.come("failover")) == "msg-1"
    assert not delivery.failed_over


@pytest.mark.parametrize("handed_back", [False, True])
def test_what_only_waits_for_a_worker_does_not_fail_over(delivery: Delivery, handed_back: bool) -> None:
    """The next sender's delivery would wait as well; the timer comes again."""
    if handed_back:
        delivery.stores.deliveries.return_to_queue(delivery.job, "x", 500, may_fail_over=False)
    for _ in range(2):
        assert delivery.stores.due_deliveries.claim_failover(delivery.come("failover")) is None
    assert (delivery.status, delivery.failed_over) == ("queued", False)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(ACCEPTED, "unconfirmed"), (Unknown("x"), "unconfirmed"), (None, "unconfirmed"), (NotSent("x"), "expired")],
)
def test_every_delivery_ends(make: Callable[..., Delivery], outcome: SendOutcome | None, status: str) -> None:
    """Some time after its code, not before, and once."""
    delivery = make(ALONE)
    record(delivery, outcome)
    close = delivery.stores.due_deliveries.close_delivery
    assert close(delivery.come("closing")) is None
    delivery.stores.age(delivery.ref, 331_000)
    due = delivery.come("closing")
    assert [close(due), close(due)] == [status, None]
    assert delivery.status == status
