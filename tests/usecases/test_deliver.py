"""What a worker does with one entry: pace, write down, call, write down again; in this order and for every answer."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

import pytest

from otp_service.domain.circuit import PASS, BreakerDecision
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


@dataclass
class Scenario:
    """Outbox, carrier, store and book in one, which keep the order of what is asked of them."""

    draft_: PendingDelivery | None = DRAFT
    outcome: SendOutcome = field(default_factory=lambda: Accepted("m1", "queued"))
    wait_ms: int = 0
    go: Callable[[str], SendPermit | None] = lambda body: SendPermit(body, 1, 300_000)
    receipt: DeliveryReport | None = None
    poll: str | None = "m1"
    closed: str | None = "unconfirmed"
    late_s: float = 0.0
    down_at: str = ""
    handed_on: bool = True
    log: list[tuple[Any, ...]] = field(default_factory=list)
    sent: list[tuple[bytes, str]] = field(default_factory=list)
    within_s: float | None = None

    def _note(self, name: str, *rest: Any) -> None:
        if name == self.down_at:
            raise StoreUnavailable("down")
        self.log.append((name, *rest))

    def steps(self) -> list[str]:
        """The names of what was asked, in order."""
        return [entry[0] for entry in self.log]

    # the outbox

    def pending_delivery(self, job: Job) -> PendingDelivery | None:
        """What stands in the record."""
        return self.draft_

    def begin_send(
        self, job: Job, app: str, body: str, limits: Sequence[Limit], everywhere: Sequence[Limit]
    ) -> SendPermit | None:
        """The try is written down."""
        self._note("begin", app, body, tuple(limits), tuple(everywhere))
        return self.go(body)

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int) -> int:
        """The sender's turn."""
        self._note("pace", sender, rate_per_s, patience_ms)
        return self.wait_ms

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """Spend the wait in the store."""
        self._note("wait_turn", wait_ms)
        return "waiting"

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """Written down."""
        self._note("accepted", outcome)
        return "accepted"

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """Written down."""
        self._note("refused", outcome)
        return "failed"

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """Written down."""
        self._note("retry_later", wait_ms, outcome)
        return "waiting"

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """Written down."""
        self._note("unknown", wait_ms, outcome)
        return "waiting"

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """Written down."""
        self._note("impossible", code)
        return "failed"

    def return_to_queue(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """Written down."""
        self._note("hand_back", code, wait_ms, may_fail_over)
        return "waiting"

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """Written down."""
        self._note("held", code, wait_ms, *([] if may_fail_over else ["stays"]))
        return "waiting"

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """Written down, if there is somebody left."""
        self._note("hand_on", code, tuple(better))
        return self.handed_on

    def claim_failover(self, due: Timer) -> str | None:
        """Whether to ask first."""
        self._note("fall_over", due)
        return self.poll

    def close_delivery(self, due: Timer) -> str | None:
        """What it ended in."""
        self._note("close", due)
        return self.closed

    def requeue(self, due: Timer) -> bool:
        """A wait is over."""
        self._note("requeue", due)
        return True

    def claim_poll(self, due: Timer) -> str | None:
        """Whether to ask."""
        self._note("claim_poll", due)
        return self.poll

    # the store and the book

    def expire(self, ref: object) -> bool:
        """A time is over."""
        self._note("expire", ref)
        return True

    def apply_report(
        self, ref: object, ordinal: int, number: str, receipt: DeliveryReport, event_id: str | None
    ) -> ReportOutcome:
        """A receipt is applied."""
        self._note("apply", ref, ordinal, number, receipt, event_id)
        return ReportOutcome("moved", "pool")

    # the carrier

    def compose(self, sender: Sender, **parts: str) -> bytes:
        """The bytes of a delivery."""
        self._note("compose", sender, parts)
        return json.dumps(parts).encode()

    def send(self, composed: bytes, *, idempotency_key: str, within_s: float) -> SendOutcome:
        """The call."""
        self.within_s = within_s
        self._note("send")
        self.sent.append((composed, idempotency_key))
        return self.outcome

    def fetch_report(self, message_id: str) -> DeliveryReport | None:
        """A look at a message."""
        self._note("ask", message_id)
        return self.receipt


class SenderHealth:
    """Opens one gate for every message, and remembers what it was told."""

    def __init__(
        self, decision: BreakerDecision = PASS, held_too: BreakerDecision = PASS, better: tuple[str, ...] = ()
    ) -> None:
        self._gates = decision, held_too
        self._better = better
        self.learned: list[tuple[Sender, SendOutcome, BreakerDecision]] = []
        self.heard: list[tuple[ReportOutcome, DeliveryReport]] = []

    def admit(self, sender: Sender, *, held_too: bool = False) -> BreakerDecision:
        """Whether a message may go."""
        return self._gates[held_too]

    def better_than(self, sender: Sender, others: Sequence[str]) -> tuple[str, ...]:
        """Who is better, of those that are left."""
        return tuple(name for name in self._better if name in others)

    def not_held(self, senders: Sequence[str]) -> tuple[str, ...]:
        """Who is not held, of those that are left."""
        return self.better_than(POOL, senders)

    def record_outcome(self, sender: Sender, outcome: SendOutcome, decision: BreakerDecision, number: str) -> None:
        """An answer to a send."""
        assert number == REF.number_hash
        self.learned.append((sender, outcome, decision))

    def record_report(self, moved: ReportOutcome, receipt: DeliveryReport, number: str) -> None:
        """A receipt."""
        self.heard.append((moved, receipt))


def story(
    scenario: Scenario, policy: Policy = POLICY, ring: Keyring = RING, sender_health: SenderHealth | None = None
) -> Deliver:
    """The story over this world; half of every jitter, no real sleep."""
    counted = scenario.log
    anything = cast("Any", scenario)
    clock = iter((100.0, 100.0 + scenario.late_s))
    return Deliver(
        deliveries=anything,
        due=anything,
        rate=anything,
        reports=anything,
        store=anything,
        carrier=anything,
        vault=ring,
        policy=policy,
        public_url="https://otp.example",
        sleep=lambda seconds: counted.append(("sleep", seconds)),
        monotonic=lambda: next(clock),
        random=lambda: 0.5,
        count=lambda sender, outcome: counted.append(("count", sender, outcome)),
        sender_health=cast("Any", sender_health or SenderHealth()),
    )


def test_a_code_goes_out_in_the_right_order() -> None:
    """The turn, the bytes, the write-down, the call, the write-down; the bytes sealed in between."""
    scenario = Scenario()
    story(scenario).send(JOB)
    assert scenario.steps() == ["pace", "compose", "begin", "send", "count", "accepted"]
    (begun,) = [entry for entry in scenario.log if entry[0] == "begin"]
    assert CODE not in begun[2]
    assert NUMBER not in begun[2]
    assert begun[3:] == (APP.wrong_codes_per_number, POLICY.per_number.wrong_codes)
    (composed, key) = scenario.sent[0]
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
    scenario = Scenario(draft_=replace(DRAFT, has_body=True, box=None), go=lambda _: SendPermit(kept, 4, 1_000))
    story(scenario).send(JOB)
    assert scenario.steps() == ["pace", "begin", "send", "count", "accepted"]
    assert scenario.sent == [(b"the first bytes", ID)]


NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (Accepted("m1", "queued"), ("accepted", Accepted("m1", "queued"))),
        (NEXT, ("refused", NEXT)),
        (NotSent("connect"), ("retry_later", 500, NotSent("connect"))),
        (NotSent("429", retry_after_s=7.0), ("retry_later", 7_000, NotSent("429", retry_after_s=7.0))),
        (NotSent("429", retry_after_s=0.0), ("retry_later", 500, NotSent("429", retry_after_s=0.0))),
        (Unknown("read timeout"), ("unknown", 2_000, Unknown("read timeout"))),
    ],
)
def test_each_answer_is_written_down_as_what_it_is(outcome: SendOutcome, written: tuple[Any, ...]) -> None:
    """Accepted, refused, not sent, lost: four ends; a wait that the carrier asks for is kept, but for "at once"."""
    scenario = Scenario(outcome=outcome)
    story(scenario).send(JOB)
    assert scenario.log[-1] == written
    assert ("count", "pool", type(outcome).__name__.lower()) in scenario.log


@pytest.mark.parametrize("outcome", [NotSent("connect"), Unknown("timeout")])
def test_waits_grow_and_are_bounded(outcome: SendOutcome) -> None:
    """Each further try waits at least as long, up to a bound."""
    waits = []
    for attempt in (1, 2, 3, 5, 8, 100):
        scenario = Scenario(outcome=outcome, go=lambda body, attempt=attempt: SendPermit(body, attempt, 1))  # type: ignore[misc]
        story(scenario).send(JOB)
        waits.append(scenario.log[-1][1])
    assert waits == sorted(waits)
    assert waits[0] < waits[2] < waits[-1] == waits[-2] or waits[-1] <= 40_000
    assert waits[-1] <= 40_000


@pytest.mark.parametrize("outcome", [Accepted("m1"), NEXT, NotSent("connect"), Unknown("timeout")])
def test_the_guard_learns_from_every_answer(outcome: SendOutcome) -> None:
    """With the sender and the gate that the message went through, so a probe's answer is known as one."""
    sender_health = SenderHealth(BreakerDecision(True, probe=True))
    story(Scenario(outcome=outcome), sender_health=sender_health).send(JOB)
    assert sender_health.learned == [(POOL, outcome, BreakerDecision(True, probe=True))]


def test_a_request_has_the_rest_of_the_codes_life_to_leave() -> None:
    """Counted from before the write-down, by the process's own clock: what passed since is taken off."""
    scenario = Scenario(go=lambda body: SendPermit(body, 1, 2_000), late_s=1.5)
    story(scenario).send(JOB)
    assert scenario.within_s == pytest.approx(0.5)


def test_what_may_not_be_sent_is_not_called() -> None:
    """Where the store says that nothing is to be done, nobody calls the carrier."""
    scenario = Scenario(go=lambda _: None)
    story(scenario).send(JOB)
    assert scenario.steps() == ["pace", "compose", "begin"]


def test_a_vanished_record_is_settled() -> None:
    """The store is told once, so that the entry does not come back for ever."""
    scenario = Scenario(draft_=None)
    story(scenario).send(JOB)
    assert scenario.steps() == ["begin"]


def test_an_ended_verification_is_settled_without_words() -> None:
    """Without the box there is nothing to compose; the store decides."""
    scenario = Scenario(draft_=replace(DRAFT, box=None), go=lambda _: None)
    story(scenario).send(JOB)
    assert scenario.log[-1][:3] == ("begin", "shop", "")


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
    scenario = Scenario(draft_=draft)
    story(scenario).send(JOB)
    assert scenario.log == [("hand_back", code, 1_500, may_fail_over)]


@pytest.mark.parametrize(("draft", "code", "may_fail_over"), UNKNOWN)
def test_at_the_codes_end_it_is_the_store_that_ends_it(draft: PendingDelivery, code: str, may_fail_over: bool) -> None:
    """What nobody could send until then is not handed back for ever: the store writes `expired`, and why."""
    scenario = Scenario(draft_=replace(draft, now_ms=300_000), go=lambda _: None)
    story(scenario).send(JOB)
    assert scenario.log == [("begin", draft.app, "", (), ())]


def test_bytes_of_a_newer_worker_are_left_to_it() -> None:
    """Composed by another between our look and our try: nothing left the process, and it is not final."""
    scenario = Scenario(go=lambda _: SendPermit(NEWER.seal(b"bytes"), 2, 1))
    story(scenario).send(JOB)
    assert scenario.sent == []
    assert scenario.steps()[-2:] == ["begin", "retry_later"]


def test_a_text_that_no_longer_fits_is_not_cut() -> None:
    """Of a brand that has grown since the start: the delivery says so, and what is confirmed is never shortened."""
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    scenario = Scenario(draft_=replace(DRAFT, autofill=android, box=box(context={"payee": "x" * 128})))
    story(scenario).send(JOB)
    assert scenario.log[1:] == [("impossible", "text_too_long")]
    assert scenario.sent == []


def test_a_template_needs_no_text() -> None:
    """A code that goes by WhatsApp is not stopped by words that would not fit into an SMS."""
    meta = Sender("meta", SenderKind.WHATSAPP, "profile-c", "+18445550001", 5.0, Template("login"))
    policy = replace(POLICY, senders={**POLICY.senders, "meta": meta})
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    draft = replace(DRAFT, sender="meta", channel="whatsapp", autofill=android, box=box(context={"payee": "x" * 128}))
    scenario = Scenario(draft_=draft)
    story(scenario, policy=policy).send(JOB)
    assert len(scenario.sent) == 1


PAUSED = BreakerDecision(False, 700, "sender_down", "connect")
HELD = BreakerDecision(False, 700, "40333", "spent", lasting=True)
PROBE = BreakerDecision(True, probe=True)


@pytest.mark.parametrize("has_body", [False, True])
@pytest.mark.parametrize(("rest", "written"), [(("other",), ()), ((), ("stays",)), (("third",), ("stays",))])
def test_a_pause_is_waited_for(has_body: bool, rest: tuple[str, ...], written: tuple[str, ...]) -> None:
    """Nothing is sent; another sender may have it, unless those that are left are held."""
    scenario = Scenario(draft_=replace(DRAFT, has_body=has_body, rest=rest))
    sender_health = SenderHealth(PAUSED, better=("other",))
    story(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("held", "sender_down", 700, *written)]
    assert (scenario.sent, sender_health.learned) == ([], [])


def test_a_held_sender_gives_way_to_a_better_one() -> None:
    """Nothing is sent by it."""
    scenario = Scenario(draft_=replace(DRAFT, rest=("third", "other")))
    sender_health = SenderHealth(HELD, PROBE, better=("other",))
    story(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("hand_on", "40333", ("other",))]
    assert (scenario.sent, sender_health.learned) == ([], [])


@pytest.mark.parametrize("rest", [(), ("third",), ("other",)])
def test_a_held_sender_without_a_better_one_is_tried(rest: tuple[str, ...]) -> None:
    """None is left, or all are held for longer, or the store says that none can have it: then this one sends it.

    What its answer teaches is a probe's.
    """
    scenario = Scenario(draft_=replace(DRAFT, rest=rest), handed_on=False)
    sender_health = SenderHealth(HELD, PROBE, better=("other",))
    story(scenario, sender_health=sender_health).send(JOB)
    asked = ["hand_on"] if rest == ("other",) else []
    assert scenario.steps() == ["pace", *asked, "compose", "begin", "send", "count", "accepted"]
    assert sender_health.learned == [(POOL, scenario.outcome, PROBE)]


def test_a_held_sender_that_is_paused_too_is_waited_for() -> None:
    """The hold does not stop it, the pause does."""
    scenario = Scenario()
    story(scenario, sender_health=SenderHealth(HELD, PAUSED)).send(JOB)
    assert scenario.log[1:] == [("held", "sender_down", 700, "stays")]


@pytest.mark.parametrize("action", list(Action))
def test_a_refusal_that_somebody_has_to_mend_is_an_error_in_the_log(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    """Our requests and texts, senders, profiles, the account; what concerns one person or moment is a warning."""
    with caplog.at_level(logging.WARNING, logger="otp.deliver"):
        story(Scenario(outcome=Refused("49999", "x", action))).send(JOB)
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
    scenario = Scenario(draft_=replace(DRAFT, box=sealed))
    story(scenario).send(JOB)
    assert scenario.sent == []
    assert scenario.log[-1] == ("impossible", "unreadable")


def test_unreadable_bytes_end_with_a_reason() -> None:
    """Kept bytes that no key opens are not replaced by others."""
    scenario = Scenario(draft_=replace(DRAFT, has_body=True), go=lambda _: SendPermit(f"{RING.active_kid}:AAAA", 2, 1))
    story(scenario).send(JOB)
    assert scenario.sent == []
    assert scenario.log[-1] == ("impossible", "unreadable")


# ---- the sender's turn --------------------------------------------------------------------------------------------


def test_a_short_wait_is_slept_a_long_one_is_spent_in_the_store() -> None:
    """A thread sleeps a quarter of a second at most; longer waits leave the process."""
    short = Scenario(wait_ms=LONGEST_SLEEP_MS)
    story(short).send(JOB)
    assert short.steps()[:3] == ["pace", "sleep", "compose"]
    assert short.log[1] == ("sleep", LONGEST_SLEEP_MS / 1_000)
    long = Scenario(wait_ms=LONGEST_SLEEP_MS + 1)
    story(long).send(JOB)
    assert long.log[1:] == [("wait_turn", LONGEST_SLEEP_MS + 1)]


def test_a_turn_after_the_codes_end_is_no_turn() -> None:
    """The patience is the code's life; beyond it the next sender is asked."""
    scenario = Scenario(wait_ms=-5_000, draft_=replace(DRAFT, now_ms=299_000))
    story(scenario).send(JOB)
    assert scenario.log == [("pace", "pool", 20.0, 1_000), ("impossible", "sender_busy")]


@pytest.mark.parametrize("left_ms", [-60_000, -1, 0, MARGIN_MS])
@pytest.mark.parametrize("trouble", ["no turn", "a hold", "no sender", "no app", "an unreadable box"])
def test_what_ran_out_while_it_waited_ends_as_expired(trouble: str, left_ms: int) -> None:
    """Whatever stands in the way now: no turn is reserved, no breaker asked; the store ends it with the last reason."""
    draft = replace(DRAFT, now_ms=DRAFT.expires_ms - left_ms)
    scenario = {
        "no turn": Scenario(wait_ms=-5_000, draft_=draft),
        "a hold": Scenario(draft_=draft),
        "no sender": Scenario(draft_=replace(draft, sender="gone")),
        "no app": Scenario(draft_=replace(draft, app="gone")),
        "an unreadable box": Scenario(draft_=replace(draft, box="x")),
    }[trouble]
    scenario.go = lambda _: None
    assert scenario.draft_ is not None
    story(scenario, sender_health=SenderHealth(HELD)).send(JOB)
    assert [entry[:3] for entry in scenario.log] == [("begin", scenario.draft_.app, "")]


def test_a_reserved_turn_is_not_reserved_again() -> None:
    """An entry that comes back when its place has come goes straight on."""
    scenario = Scenario(draft_=replace(DRAFT, paced=True), wait_ms=10_000)
    story(scenario).send(JOB)
    assert scenario.steps()[0] == "compose"


# ---- outages and secrets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["pace", "begin", "accepted"])
def test_an_outage_leaves_the_entry_to_another_try(step: str) -> None:
    """StoreUnavailable goes up wherever it happens; before the write-down nothing has left the house."""
    scenario = Scenario(down_at=step)
    with pytest.raises(StoreUnavailable):
        story(scenario).send(JOB)
    assert bool(scenario.sent) is (step == "accepted")


@pytest.mark.parametrize("outcome", [Accepted("m", "queued"), NEXT, NotSent("x"), Unknown("x")])
def test_the_log_holds_neither_code_nor_number(outcome: SendOutcome, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the answer, the lines name the delivery only."""
    with caplog.at_level(logging.DEBUG):
        story(Scenario(outcome=outcome)).send(JOB)
        story(Scenario(draft_=replace(DRAFT, box="x"))).send(JOB)
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
    scenario = Scenario(draft_=draft)
    story(scenario).send(JOB)
    text = json.loads(scenario.sent[0][0])["text"]
    assert "EUR 10 / Laden" in text
    assert "2 Minuten" in text
    assert text.endswith(f"@example.com #{CODE}")


@pytest.mark.parametrize("kind", [kind for kind in SenderKind if kind is not SenderKind.WHATSAPP])
def test_only_a_sender_that_receives_replies_asks_for_one(kind: SenderKind) -> None:
    """A name (alphanumeric) is no address: nobody can reply STOP to it."""
    sender = Sender("pool", kind, "profile-a", None, 20.0)
    policy = Policy(MappingProxyType({"shop": replace(APP, route=(sender,))}), MappingProxyType({"pool": sender}))
    scenario = Scenario()
    story(scenario, policy).send(JOB)
    assert ("STOP" in json.loads(scenario.sent[0][0])["text"]) is (kind is not SenderKind.ALPHANUMERIC)


# ---- timers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["unconfirmed", None])
def test_each_timer_does_its_own(closed: str | None) -> None:
    """Expiry ends, a retry puts back, closing closes, an unknown kind does nothing."""
    scenario = Scenario(closed=closed)
    deliver = story(scenario)
    for kind in ("x", "r", "c", "?"):
        deliver.timers.run(Timer(3, kind, REF, 1))
    assert scenario.steps() == ["expire", "requeue", "close"]


@pytest.mark.parametrize(("kind", "claim"), [("p", "claim_poll"), ("f", "fall_over")])
def test_a_silent_delivery_is_asked_about(kind: str, claim: str) -> None:
    """What the carrier says of the message is applied like a webhook, but is no event; the guard hears of it too."""
    receipt, sender_health = DeliveryReport("m1", NUMBER, "delivered"), SenderHealth()
    scenario = Scenario(receipt=receipt)
    deliver, due = story(scenario, sender_health=sender_health), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) == "m1"
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "ask", "apply"]
    assert scenario.log[-1] == ("apply", REF, 1, REF.number_hash, receipt, None)
    assert sender_health.heard == [(ReportOutcome("moved", "pool"), receipt)]


@pytest.mark.parametrize(("kind", "claim"), [("p", "claim_poll"), ("f", "fall_over")])
def test_no_claim_no_question_no_answer_no_change(kind: str, claim: str) -> None:
    """Only the claimer asks, and a carrier that does not know changes nothing."""
    scenario = Scenario(poll=None)
    deliver, due = story(scenario), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) is None
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "ask"]
