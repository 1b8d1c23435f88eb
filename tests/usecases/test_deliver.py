"""What a worker does with one entry: pace, write down, call, write down again; in this order and for every answer."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from otp_service.domain.circuit import BreakerDecision
from otp_service.domain.delivery import (
    MARGIN_MS,
    Accepted,
    Action,
    DeliveryReport,
    NotSent,
    Refused,
    SendOutcome,
    Unknown,
)
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.outbox import Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from otp_service.domain.policy import App, Limit, Policy, Sender, SenderKind, Template
from otp_service.keyring import Keyring, create, parse, rotate
from otp_service.usecases.deliver import LONGEST_SLEEP_MS, Deliver
from tests.fakes import FakeCarrier, FakeDeliveryReports, FakeOutbox, FakeSenderHealth, FakeVerifications, Log

RAW = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
RING = parse(RAW)
NUMBER, CODE = "+12025550143", "314159"
REF = RING.ids.new(RING.ids.number_hash(NUMBER), bytes(10))
JOB = Job(3, "1-0", REF, 1)
ID = REF.delivery_id(1)
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 20.0)
APP = App("shop", "Acme", (POOL,), wrong_codes_per_number=(Limit(7, 1_000),))
POLICY = Policy(MappingProxyType({"shop": APP}), MappingProxyType({"pool": POOL}))


def box(**changes: Any) -> str:
    """The sealed box of a verification."""
    return RING.seal(json.dumps({"v": REF.token, "to": NUMBER, "code": CODE, "context": {}, **changes}).encode())


DRAFT = PendingDelivery("shop", "pool", "sms", "en", "", 300_000, 0, box(), False, False)


class Scenario:
    """Outbox, carrier and store, which keep the order of what is asked of them in one log."""

    def __init__(
        self,
        pending: PendingDelivery | None = DRAFT,
        *,
        outcome: SendOutcome | None = None,
        permit: Callable[[str], SendPermit | None] = lambda body: SendPermit(body, 1, 300_000),
        report: DeliveryReport | None = None,
        late_s: float = 0.0,
        down_at: str = "",
        **outbox: Any,
    ) -> None:
        self.log: Log = []
        self.late_s = late_s
        self.left: list[str] = []
        self.outbox = FakeOutbox(pending, permit, log=self.log, down_at=down_at, **outbox)
        self.reports = FakeDeliveryReports(log=self.log)
        self.store = FakeVerifications(log=self.log)
        self.carrier = FakeCarrier(outcome or Accepted("m1", "queued"), report, self.log, down_at=down_at)

    def steps(self) -> list[str]:
        """The names of what was asked, in order."""
        return [entry[0] for entry in self.log]


def use_case(
    scenario: Scenario, policy: Policy = POLICY, ring: Keyring = RING, sender_health: FakeSenderHealth | None = None
) -> Deliver:
    """The use case of one process; half of every jitter, no real sleep."""
    clock = iter((100.0, 100.0 + scenario.late_s))
    return Deliver(
        deliveries=scenario.outbox,
        due=scenario.outbox,
        rate=scenario.outbox,
        reports=scenario.reports,
        store=scenario.store,
        carrier=scenario.carrier,
        vault=ring,
        policy=policy,
        public_url="https://otp.example",
        sleep=lambda seconds: scenario.log.append(("sleep", seconds)),
        monotonic=lambda: next(clock),
        random=lambda: 0.5,
        count=lambda sender, outcome: scenario.log.append(("count", sender, outcome)),
        left=scenario.left.append,
        sender_health=sender_health or FakeSenderHealth(),
    )


def test_a_code_goes_out_in_the_right_order() -> None:
    """The turn, the bytes, the write-down, the call, the write-down; the bytes sealed in between."""
    scenario = Scenario()
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "compose", "begin_send", "send", "count", "record_accepted"]
    (begun,) = [entry for entry in scenario.log if entry[0] == "begin_send"]
    assert CODE not in begun[2]
    assert NUMBER not in begun[2]
    assert begun[3:] == (APP.wrong_codes_per_number, POLICY.per_number.wrong_codes)
    (composed, key) = scenario.carrier.sent[0]
    assert key == ID
    assert composed == RING.open(begun[2])
    parts = json.loads(composed)
    assert parts["to"] == NUMBER
    assert parts["code"] == CODE
    assert parts["text"].startswith(CODE)
    assert "Acme" in parts["text"]
    assert parts["webhook_url"] == f"https://otp.example/webhooks/telnyx/{ID}"


def test_every_further_try_sends_the_bytes_of_the_first() -> None:
    """A delivery that has a body composes nothing; what the store kept is sent under the same key."""
    kept = RING.seal(b"the first bytes")
    scenario = Scenario(pending=replace(DRAFT, has_body=True, box=None), permit=lambda _: SendPermit(kept, 4, 1_000))
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "begin_send", "send", "count", "record_accepted"]
    assert scenario.carrier.sent == [(b"the first bytes", ID)]


NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (Accepted("m1", "queued"), ("record_accepted", Accepted("m1", "queued"))),
        (NEXT, ("record_refused", NEXT)),
        (NotSent("connect"), ("record_retry", 500, NotSent("connect"))),
        (NotSent("429", retry_after_s=7.0), ("record_retry", 7_000, NotSent("429", retry_after_s=7.0))),
        (NotSent("429", retry_after_s=0.0), ("record_retry", 500, NotSent("429", retry_after_s=0.0))),
        (Unknown("read timeout"), ("record_unknown", 2_000, Unknown("read timeout"))),
    ],
)
def test_each_answer_is_written_down_as_what_it_is(outcome: SendOutcome, written: tuple[Any, ...]) -> None:
    """Accepted, refused, not sent, lost: four ends; a wait that the carrier asks for is kept, but for "at once"."""
    scenario = Scenario(outcome=outcome)
    use_case(scenario).send(JOB)
    assert scenario.log[-1] == written
    assert ("count", "pool", type(outcome).__name__.lower()) in scenario.log


@pytest.mark.parametrize("outcome", [NotSent("connect"), Unknown("timeout")])
def test_waits_grow_and_are_bounded(outcome: SendOutcome) -> None:
    """Each further try waits at least as long, up to a bound."""
    waits = []
    for attempt in (1, 2, 3, 5, 8, 100):
        scenario = Scenario(outcome=outcome, permit=lambda body, attempt=attempt: SendPermit(body, attempt, 1))  # type: ignore[misc]
        use_case(scenario).send(JOB)
        waits.append(scenario.log[-1][1])
    assert waits == sorted(waits)
    assert waits[0] < waits[2] < waits[-1] == waits[-2] or waits[-1] <= 40_000
    assert waits[-1] <= 40_000


@pytest.mark.parametrize("outcome", [Accepted("m1"), NEXT, NotSent("connect"), Unknown("timeout")])
def test_sender_health_learns_from_every_answer(outcome: SendOutcome) -> None:
    """With the sender and the breaker decision of the message, so a probe's answer is known as one."""
    sender_health = FakeSenderHealth(decision=BreakerDecision(True, probe=True))
    use_case(Scenario(outcome=outcome), sender_health=sender_health).send(JOB)
    assert sender_health.learned == [(POOL, outcome, BreakerDecision(True, probe=True))]
    assert sender_health.numbers == {REF.number_hash}


def test_a_request_has_the_rest_of_the_codes_life_to_leave() -> None:
    """Counted from before the write-down, by the process's own clock: what passed since is taken off."""
    scenario = Scenario(permit=lambda body: SendPermit(body, 1, 2_000), late_s=1.5)
    use_case(scenario).send(JOB)
    assert scenario.carrier.within_s == pytest.approx(0.5)


def test_what_may_not_be_sent_is_not_called() -> None:
    """Where the store says that nothing is to be done, nobody calls the carrier."""
    scenario = Scenario(permit=lambda _: None)
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "compose", "begin_send"]


def test_a_vanished_record_is_settled() -> None:
    """The store is told once, so that the entry does not come back for ever."""
    scenario = Scenario(pending=None)
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["begin_send"]


def test_an_ended_verification_is_settled_without_words() -> None:
    """Without the box there is nothing to compose; the store decides."""
    scenario = Scenario(pending=replace(DRAFT, box=None), permit=lambda _: None)
    use_case(scenario).send(JOB)
    assert scenario.log[-1][:3] == ("begin_send", "shop", "")


NEWER = parse(rotate(RAW, lambda n: b"\x05" * n, "2026-02-01T00:00:00Z"))
UNKNOWN = [
    (replace(DRAFT, sender="gone"), "sender_unknown", True),
    (replace(DRAFT, app="gone"), "app_unknown", False),
    (replace(DRAFT, box=NEWER.seal(b"{}"), sealed_by=NEWER.active_kid), "key_unknown", False),
    (replace(DRAFT, has_body=True, sealed_by=NEWER.active_kid), "key_unknown", False),
]


@pytest.mark.parametrize(("draft", "code", "may_fail_over"), UNKNOWN)
def test_what_this_worker_does_not_know_another_may(draft: PendingDelivery, code: str, may_fail_over: bool) -> None:
    """Handed back before anything is done about it: no turn is used up, no try counted, and nothing is final.

    Only where the sender is to blame may the next one have it when time is short.
    """
    scenario = Scenario(pending=draft)
    use_case(scenario).send(JOB)
    ((step, title, *rest),) = scenario.log
    assert (step, rest, scenario.left) == ("return_to_queue", [1_500, may_fail_over], [code])
    assert str(title).startswith("no running worker has the ")


@pytest.mark.parametrize(("draft", "code", "may_fail_over"), UNKNOWN)
def test_at_the_codes_end_it_is_the_store_that_ends_it(draft: PendingDelivery, code: str, may_fail_over: bool) -> None:
    """What nobody could send until then is not handed back for ever: the store writes `expired`, and why."""
    scenario = Scenario(pending=replace(draft, now_ms=300_000), permit=lambda _: None)
    use_case(scenario).send(JOB)
    assert scenario.log == [("begin_send", draft.app, "", (), ())]


def test_bytes_of_a_newer_worker_are_left_to_it() -> None:
    """Composed by another between our look and our try: nothing left the process, and it is not final."""
    scenario = Scenario(permit=lambda _: SendPermit(NEWER.seal(b"bytes"), 2, 1))
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.steps()[-2:] == ["begin_send", "record_retry"]


def test_a_text_that_no_longer_fits_is_not_cut() -> None:
    """Of a brand that has grown since the start: the delivery says so, and what is confirmed is never shortened."""
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    scenario = Scenario(pending=replace(DRAFT, autofill=android, box=box(context={"payee": "x" * 128})))
    use_case(scenario).send(JOB)
    assert scenario.log[1:] == [("record_impossible", "text_too_long")]
    assert scenario.carrier.sent == []


def test_a_template_needs_no_text() -> None:
    """A code that goes by WhatsApp is not stopped by words that would not fit into an SMS."""
    meta = Sender("meta", SenderKind.WHATSAPP, "profile-c", "+18445550001", 5.0, Template("login"))
    policy = replace(POLICY, senders={**POLICY.senders, "meta": meta})
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    draft = replace(DRAFT, sender="meta", channel="whatsapp", autofill=android, box=box(context={"payee": "x" * 128}))
    scenario = Scenario(pending=draft)
    use_case(scenario, policy=policy).send(JOB)
    assert len(scenario.carrier.sent) == 1


PAUSED = BreakerDecision(False, 700, "sender_down", "connect")
HELD = BreakerDecision(False, 700, "40333", "spent", is_hold=True)
PROBE = BreakerDecision(True, probe=True)


@pytest.mark.parametrize("has_body", [False, True])
@pytest.mark.parametrize(("rest", "written"), [(("other",), ()), ((), ("stays",)), (("third",), ("stays",))])
def test_a_pause_is_waited_for(has_body: bool, rest: tuple[str, ...], written: tuple[str, ...]) -> None:
    """Nothing is sent; another sender may have it, unless those that are left are held."""
    scenario = Scenario(pending=replace(DRAFT, has_body=has_body, next_senders=rest))
    sender_health = FakeSenderHealth(decision=PAUSED, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("record_held", "sender_down", 700, *written)]
    assert (scenario.carrier.sent, sender_health.learned) == ([], [])


def test_a_held_sender_gives_way_to_a_better_one() -> None:
    """Nothing is sent by it."""
    scenario = Scenario(pending=replace(DRAFT, next_senders=("third", "other")))
    sender_health = FakeSenderHealth(decision=HELD, held_too=PROBE, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("pass_to_next_sender", "40333", ("other",))]
    assert (scenario.carrier.sent, sender_health.learned) == ([], [])


@pytest.mark.parametrize("rest", [(), ("third",), ("other",)])
def test_a_held_sender_without_a_better_one_is_tried(rest: tuple[str, ...]) -> None:
    """None is left, or all are held for longer, or the store says that none can have it: then this one sends it.

    What its answer teaches is a probe's.
    """
    scenario = Scenario(pending=replace(DRAFT, next_senders=rest), others_left=False)
    sender_health = FakeSenderHealth(decision=HELD, held_too=PROBE, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    asked = ["pass_to_next_sender"] if rest == ("other",) else []
    assert scenario.steps() == [
        "acquire_rate_slot",
        *asked,
        "compose",
        "begin_send",
        "send",
        "count",
        "record_accepted",
    ]
    assert sender_health.learned == [(POOL, scenario.carrier.outcome, PROBE)]


def test_a_held_sender_that_is_paused_too_is_waited_for() -> None:
    """The hold does not stop it, the pause does."""
    scenario = Scenario()
    use_case(scenario, sender_health=FakeSenderHealth(decision=HELD, held_too=PAUSED)).send(JOB)
    assert scenario.log[1:] == [("record_held", "sender_down", 700, "stays")]


@pytest.mark.parametrize("action", list(Action))
def test_a_refusal_that_somebody_has_to_mend_is_an_error_in_the_log(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    """Our requests and texts, senders, profiles, the account; what concerns one person or moment is a warning."""
    with caplog.at_level(logging.WARNING, logger="otp.deliver"):
        use_case(Scenario(outcome=Refused("49999", "x", action))).send(JOB)
    (record,) = [record for record in caplog.records if record.message == "refused by the carrier"]
    ours = {Action.BAD_REQUEST, Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL}
    assert record.levelno == (logging.ERROR if action in ours else logging.WARNING)


@pytest.mark.parametrize(
    "sealed",
    [
        f"{RING.active_kid}:AAAA",
        "nonsense",
        box(v="another verification"),
    ],
    ids=["too short", "no seal", "another's box"],
)
def test_an_unreadable_box_ends_with_a_reason(sealed: str) -> None:
    """Changed, or moved here from another verification: nothing is sent."""
    scenario = Scenario(pending=replace(DRAFT, box=sealed))
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.log[-1] == ("record_impossible", "unreadable")


def test_unreadable_bytes_end_with_a_reason() -> None:
    """Kept bytes that no key opens are not replaced by others."""
    scenario = Scenario(
        pending=replace(DRAFT, has_body=True), permit=lambda _: SendPermit(f"{RING.active_kid}:AAAA", 2, 1)
    )
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.log[-1] == ("record_impossible", "unreadable")


# ---- the sender's turn --------------------------------------------------------------------------------------------


def test_a_short_wait_is_slept_a_long_one_is_spent_in_the_store() -> None:
    """A thread sleeps a quarter of a second at most; longer waits leave the process."""
    short = Scenario(wait_ms=LONGEST_SLEEP_MS)
    use_case(short).send(JOB)
    assert short.steps()[:3] == ["acquire_rate_slot", "sleep", "compose"]
    assert short.log[1] == ("sleep", LONGEST_SLEEP_MS / 1_000)
    long = Scenario(wait_ms=LONGEST_SLEEP_MS + 1)
    use_case(long).send(JOB)
    assert long.log[1:] == [("record_rate_wait", LONGEST_SLEEP_MS + 1)]


def test_a_turn_after_the_codes_end_is_no_turn() -> None:
    """The patience is the code's life; beyond it the next sender is asked."""
    scenario = Scenario(wait_ms=-5_000, pending=replace(DRAFT, now_ms=299_000))
    use_case(scenario).send(JOB)
    assert scenario.log == [("acquire_rate_slot", "pool", 20.0, 1_000), ("record_impossible", "sender_busy")]


@pytest.mark.parametrize("left_ms", [-60_000, -1, 0, MARGIN_MS])
@pytest.mark.parametrize("trouble", ["no turn", "a hold", "no sender", "no app", "an unreadable box"])
def test_what_ran_out_while_it_waited_ends_as_expired(trouble: str, left_ms: int) -> None:
    """Whatever stands in the way now: no turn is reserved, no breaker asked; the store ends it with the last reason."""
    draft = replace(DRAFT, now_ms=DRAFT.expires_ms - left_ms)
    scenario = {
        "no turn": Scenario(wait_ms=-5_000, pending=draft),
        "a hold": Scenario(pending=draft),
        "no sender": Scenario(pending=replace(draft, sender="gone")),
        "no app": Scenario(pending=replace(draft, app="gone")),
        "an unreadable box": Scenario(pending=replace(draft, box="x")),
    }[trouble]
    scenario.outbox.permit = lambda _: None
    assert scenario.outbox.pending is not None
    use_case(scenario, sender_health=FakeSenderHealth(decision=HELD)).send(JOB)
    assert [entry[:3] for entry in scenario.log] == [("begin_send", scenario.outbox.pending.app, "")]


def test_a_reserved_turn_is_not_reserved_again() -> None:
    """An entry that comes back when its place has come goes straight on."""
    scenario = Scenario(pending=replace(DRAFT, rate_limited=True), wait_ms=10_000)
    use_case(scenario).send(JOB)
    assert scenario.steps()[0] == "compose"


# ---- outages and secrets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["acquire_rate_slot", "begin_send", "record_accepted"])
def test_an_outage_leaves_the_entry_to_another_try(step: str) -> None:
    """StoreUnavailable goes up wherever it happens; before the record is written nothing was sent."""
    scenario = Scenario(down_at=step)
    with pytest.raises(StoreUnavailable):
        use_case(scenario).send(JOB)
    assert bool(scenario.carrier.sent) is (step == "record_accepted")


@pytest.mark.parametrize("outcome", [Accepted("m", "queued"), NEXT, NotSent("x"), Unknown("x")])
def test_the_log_holds_neither_code_nor_number(outcome: SendOutcome, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the answer, the lines name the delivery only."""
    with caplog.at_level(logging.DEBUG):
        use_case(Scenario(outcome=outcome)).send(JOB)
        use_case(Scenario(pending=replace(DRAFT, box="x"))).send(JOB)
    text = "".join(repr(record.__dict__) for record in caplog.records)
    assert caplog.records
    assert CODE not in text
    assert NUMBER[1:] not in text


def test_the_words_follow_the_record() -> None:
    """Locale, context, autofill and the life that is left go into the text."""
    draft = replace(
        DRAFT,
        locale="de",
        autofill='{"web_origin": "example.com", "android_hash": null}',
        box=box(context={"amount": "EUR 10", "payee": "Laden"}),
        now_ms=180_000,
    )
    scenario = Scenario(pending=draft)
    use_case(scenario).send(JOB)
    text = json.loads(scenario.carrier.sent[0][0])["text"]
    assert "EUR 10 / Laden" in text
    assert "2 Minuten" in text
    assert text.endswith(f"@example.com #{CODE}")


@pytest.mark.parametrize("kind", [kind for kind in SenderKind if kind is not SenderKind.WHATSAPP])
def test_only_a_sender_that_receives_replies_asks_for_one(kind: SenderKind) -> None:
    """A name (alphanumeric) is no address: nobody can reply STOP to it."""
    sender = Sender("pool", kind, "profile-a", None, 20.0)
    policy = Policy(MappingProxyType({"shop": replace(APP, route=(sender,))}), MappingProxyType({"pool": sender}))
    scenario = Scenario()
    use_case(scenario, policy).send(JOB)
    assert ("STOP" in json.loads(scenario.carrier.sent[0][0])["text"]) is (kind is not SenderKind.ALPHANUMERIC)


# ---- timers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["unconfirmed", None])
def test_each_timer_does_its_own(closed: str | None) -> None:
    """Expiry ends, a retry puts back, closing closes, an unknown kind does nothing."""
    scenario = Scenario(closed=closed)
    deliver = use_case(scenario)
    for kind in ("expiry", "retry", "closing", "?"):
        deliver.timers.run(Timer(3, kind, REF, 1))
    assert scenario.steps() == ["expire", "requeue", "close_delivery"]


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_a_silent_delivery_is_asked_about(kind: str, claim: str) -> None:
    """The carrier's status is applied like a webhook, but is no event; sender health learns it too."""
    receipt, sender_health = DeliveryReport("m1", NUMBER, "delivered"), FakeSenderHealth()
    scenario = Scenario(report=receipt)
    deliver, due = use_case(scenario, sender_health=sender_health), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) == "m1"
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report", "apply_report"]
    assert scenario.log[-1] == ("apply_report", REF, 1, REF.number_hash, receipt, None)
    assert sender_health.reports == [(ReportOutcome("moved", "pool"), receipt)]


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_no_claim_no_question_no_answer_no_change(kind: str, claim: str) -> None:
    """Only the claimer asks, and a carrier that does not know changes nothing."""
    scenario = Scenario(poll=None)
    deliver, due = use_case(scenario), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) is None
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report"]
