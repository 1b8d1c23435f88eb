"""Any sequence of what callers, people, workers and the carrier can do, against a model in plain Python.

The model knows the rules of `domain.verification` and the contract, and nothing of scripts or keys. Time is moved by
making records older. One number, one app; two purposes, so that the number's budget reaches over verifications.
"""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from otp_service.domain.delivery import RANK, Accepted, Action, DeliveryStatus, NotSent, Refused, Unknown
from otp_service.domain.operation import (
    Approved,
    Canceled,
    Due,
    Ended,
    Job,
    Limited,
    NotFound,
    Redeemed,
    Started,
    Wrong,
)
from otp_service.domain.policy import Limit
from otp_service.domain.verification import Reference, Status

from .house import BACKUP, BANK, POOL, SHOP, House, fresh_number, word

BUDGET = 5
APP = replace(
    SHOP,
    wrong_codes_per_number=(Limit(BUDGET, 86_400_000),),
    resend_after_ms=(30_000, 60_000),
    starts_per_number=(),
    max_checks=3,
)
WORDS = ("queued", "sending", "sent", "delivered", "delivery_failed", "delivery_unconfirmed")
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Auth", Action.STOP_ALL)
HOWS = ("accepted", "next", "next", "stop", "retry", "unknown", "gone", "crash")
CONTEXTS = (None, {"amount": "10"})


@dataclass
class Model:
    """One verification as the rules have it."""

    code: str
    context: dict[str, str] | None
    status: Status = Status.PENDING
    attempts: int = 0
    receipt: str | None = None
    spent: bool = False
    sends: int = 1
    age_ms: int = 0
    life_ms: int = 300_000
    seen_rank: dict[int, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)

    @property
    def usable(self) -> bool:
        """Whether a guess can still be judged."""
        return self.status is Status.PENDING and self.age_ms < self.life_ms

    @property
    def seen_as(self) -> Status:
        """What a caller is told."""
        late = self.status is Status.PENDING and not self.usable
        return Status.EXPIRED if late else self.status


class Machine(RuleBasedStateMachine):
    """The store against the model. `house` is set by the test that runs the machine."""

    house: House
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.number = fresh_number()
        self.models: dict[Reference, Model] = {}
        self.latest: dict[str, Reference] = {}
        self.wrong = 0
        self.codes = iter(range(100_000, 999_999))

    @initialize()
    def begin(self) -> None:
        """A person whom nobody knows yet."""
        assert self.house.optouts.of(self.house.hash_of(self.number)) == []

    def one_of(self, data: st.DataObject) -> Reference:
        """A verification, mostly one that is still alive."""
        alive = [ref for ref, model in self.models.items() if model.usable]
        return data.draw(st.sampled_from(alive * 3 + list(self.models)))

    # ---- callers ---------------------------------------------------------------------------------------------------

    @rule(purpose=st.sampled_from(["login", "pay"]), context=st.sampled_from(CONTEXTS), patient=st.booleans())
    def start(self, purpose: str, context: dict[str, str] | None, patient: bool) -> None:
        """Start, or send again; patient callers wait for the cool-down."""
        before = self.latest.get(purpose)
        model = self.models.get(before) if before else None
        pending = model is not None and model.usable
        if pending and patient and before is not None:
            self.house.cool(before)
        code = str(next(self.codes))
        answer = self.house.verifications.start(
            self.house.order(self.number, APP, purpose=purpose, context=context, code=code)
        )
        if self.wrong >= BUDGET:
            assert not isinstance(answer, Started)
            assert answer.code == "too_many_wrong_codes"
        elif not pending:
            assert isinstance(answer, Started)
            assert not answer.resent
            assert answer.reference not in self.models
            if model is not None and model.status is Status.PENDING:
                model.status = Status.EXPIRED
            self.models[answer.reference] = Model(code, context)
            self.latest[purpose] = answer.reference
        else:
            assert model is not None
            self._again(model, before, answer, context, patient)

    def _again(self, model: Model, before: object, answer: object, context: object, patient: bool) -> None:
        if isinstance(answer, Started):
            assert context == model.context
            assert answer.resent
            assert answer.reference == before
            model.life_ms = min(model.age_ms + 300_000, 600_000)
            return
        code = getattr(answer, "code", None)
        if context != model.context:
            assert code == "context_conflict"
        else:
            # Patient callers are refused only when the sends are used up.
            assert code == "resend_too_soon"
            assert not patient or getattr(answer, "sends_left", None) == 0

    @precondition(lambda self: self.models)
    @rule(
        data=st.data(),
        right=st.sampled_from([False, False, False, True]),
        other_context=st.sampled_from([False, False, False, True]),
        app=st.sampled_from([APP, APP, APP, APP, BANK]),
    )
    def check(self, data: st.DataObject, right: bool, other_context: bool, app: object) -> None:
        """A guess, right or wrong, with either context, by the owner or by another app."""
        ref = self.one_of(data)
        model = self.models[ref]
        context = CONTEXTS[CONTEXTS.index(model.context) ^ other_context]
        receipt = word("receipt")
        code = model.code if right else "000000"
        if app is BANK:
            assert self.house.check(ref, code, BANK, context=context) == NotFound()
            return
        answer = self.house.check(ref, code, APP, context=context, receipt_id=receipt)
        if model.status is not Status.PENDING or not model.usable:
            model.status = model.seen_as
            assert answer == Ended(model.status)
        elif self.wrong >= BUDGET:
            assert isinstance(answer, Limited)
        else:
            model.attempts += 1
            if right and context == model.context:
                assert isinstance(answer, Approved)
                assert answer.receipt_id == receipt
                model.status, model.receipt = Status.APPROVED, receipt
                return
            self.wrong += 1
            if model.attempts == APP.max_checks:
                model.status = Status.EXHAUSTED
                assert answer == Ended(Status.EXHAUSTED)
            else:
                assert answer == Wrong(APP.max_checks - model.attempts)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), really=st.sampled_from([False, False, False, True]))
    def cancel(self, data: st.DataObject, really: bool) -> None:
        """The caller withdraws it (not too often, or nothing else would ever happen)."""
        if not really:
            return
        ref = self.one_of(data)
        model = self.models[ref]
        answer = self.house.verifications.cancel(word(), ref, APP.name)
        if model.usable:
            assert answer == Canceled()
            model.status = Status.CANCELED
        else:
            model.status = model.seen_as
            assert answer == Ended(model.status)

    @precondition(lambda self: self.models)
    @rule()
    def redeem(self) -> None:
        """Every receipt there is is spent, and a made-up one is tried everywhere."""
        redeem, soon = self.house.verifications.redeem, self.house.now() + 60_000
        for ref, model in self.models.items():
            assert redeem(word(), ref, APP.name, "made-up", soon) == NotFound()
            if model.receipt:
                answer = redeem(word(), ref, APP.name, model.receipt, soon)
                assert isinstance(answer, Redeemed)
                assert answer.first is not model.spent
                model.spent = True

    # ---- time ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.models)
    @rule(data=st.data(), ms=st.sampled_from([10_000, 100_000, 250_000]))
    def wait(self, data: st.DataObject, ms: int) -> None:
        """One verification grows older."""
        ref = self.one_of(data)
        self.house.age(ref, ms)
        self.models[ref].age_ms += ms

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def timer(self, data: st.DataObject) -> None:
        """The worker's timer fires, rightly or not."""
        ref = self.one_of(data)
        model = self.models[ref]
        ends = model.status is Status.PENDING and not model.usable
        assert self.house.verifications.expire(ref) is ends
        model.status = model.seen_as

    # ---- workers and the carrier -----------------------------------------------------------------------------------

    @precondition(lambda self: self.models)
    @rule(target=jobs)
    def take(self) -> object:
        """A worker takes what waits."""
        ref = next(iter(self.models))
        return multiple(*[job for job in self.house.jobs(ref) if job.reference in self.models])

    @precondition(lambda self: self.models)
    @rule(how=st.sampled_from(HOWS))
    def take_and_work(self, how: str) -> None:
        """A worker that is not slow."""
        ref = next(iter(self.models))
        for job in [job for job in self.house.jobs(ref) if job.reference in self.models]:
            self.try_one(job, how)

    @rule(job=consumes(jobs), how=st.sampled_from(HOWS))
    def work(self, job: Job, how: str) -> None:
        """A worker that is slow."""
        self.try_one(job, how)

    def try_one(self, job: Job, how: str) -> None:
        """A try, and what came of it."""
        model = self.models[job.reference]
        status = self.house.status(job.reference, job.ordinal)
        go = self.house.begin(job, APP)
        may = self.wrong < BUDGET and model.usable and status in ("queued", "sending", "unknown")
        assert (go is not None) == may
        if go is None or how == "crash":
            return
        outbox = self.house.outbox
        if how == "accepted":
            outbox.accepted(job, Accepted(f"m{job.ordinal}", "queued"))
        elif how in ("next", "stop"):
            answer = outbox.refused(job, NEXT if how == "next" else STOP)
            self._claims(model, job.ordinal, answer == "fell_back")
        elif how == "retry":
            outbox.retry_later(job, 1, NotSent("connect"))
        elif how == "unknown":
            outbox.unknown(job, 1, Unknown("timeout"))
        else:
            answer = outbox.impossible(job, "gone", "gone")
            assert answer == "unknown"

    @precondition(lambda self: self.models)
    @rule(data=st.data(), status=st.sampled_from(WORDS))
    def webhook(self, data: st.DataObject, status: str) -> None:
        """The carrier speaks of a delivery, early, late or again."""
        ref = self.one_of(data)
        count = int(self.house.record(ref)["dn"])
        ordinal = data.draw(st.integers(1, count))
        before = self.house.record(ref)
        self.house.apply(ref, status, f"m{ordinal}", ordinal)
        after = self.house.record(ref)
        self._claims(self.models[ref], ordinal, after["dn"] != before["dn"])
        assert after["status"] == before["status"]
        assert int(after["dn"]) - count in (0, 1)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), how=st.sampled_from(HOWS))
    def retry(self, data: st.DataObject, how: str) -> None:
        """A wait is over: the delivery comes back to a worker."""
        ref = self.one_of(data)
        for timer in [name for name in self.house.timers(ref) if name.startswith(f"r:dlv_{ref.body}-")]:
            ordinal = int(timer.rpartition("-")[2])
            shard = self.house.keys.shard(ref.number_hash)
            self.house.raw.zadd(self.house.keys.timers(shard), {timer: 1})
            waits = self.house.status(ref, ordinal) in ("queued", "sending", "unknown")
            assert self.house.outbox.requeue(Due(shard, "r", ref, ordinal)) is waits
        self.take_and_work(how)

    def _claims(self, model: Model, ordinal: int, claimed: bool) -> None:
        if claimed:
            assert ordinal not in model.claimed, "a delivery claims one successor"
            assert model.usable
            model.claimed.add(ordinal)

    # ---- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """Store and model tell the same of every verification; secrets stand only where a guess may be judged."""
        for ref, model in self.models.items():
            record = self.house.record(ref)
            assert record["status"] == model.status
            assert int(record["attempts"]) == model.attempts <= APP.max_checks
            assert int(record["expires"]) - int(record["created"]) <= 600_000
            if model.status is not Status.PENDING:
                assert not self.house.raw.exists(self.house.keys.secrets(ref))
            view = self.house.verifications.view(ref, APP.name)
            assert view is not None
            assert view.status is model.seen_as
            events = self.house.events(ref)
            assert events.count("verification.approved") == (model.status is Status.APPROVED)
            assert sum(event in _ENDS for event in events) == (model.status is not Status.PENDING)
            assert events.count("receipt.redeemed") == model.spent

    @invariant()
    def deliveries_move_up(self) -> None:
        """No delivery ever goes back, each has a sender of the route, and the next sender follows once."""
        for ref, model in self.models.items():
            record = self.house.record(ref)
            for ordinal in range(1, int(record["dn"]) + 1):
                rank = RANK[DeliveryStatus(record[f"{ordinal}:st"])]
                assert rank >= model.seen_rank.get(ordinal, 0)
                model.seen_rank[ordinal] = rank
                assert record[f"{ordinal}:snd"] in (POOL.name, BACKUP.name)
            assert self.house.events(ref).count("delivery.fell_back") == len(model.claimed)

    @invariant()
    def the_budget_only_grows(self) -> None:
        """What is counted against the number is what was judged wrong, over all its verifications."""
        wrong = self.house.keys.wrong(self.house.hash_of(self.number), APP.name)
        assert self.house.raw.llen(wrong) == self.wrong <= BUDGET

    @invariant()
    def one_pending_at_most(self) -> None:
        """Per purpose at most one verification can still be approved."""
        usable = [ref for ref, model in self.models.items() if model.usable]
        assert set(usable) <= set(self.latest.values())


_ENDS = {f"verification.{status}" for status in Status if status is not Status.PENDING}


@pytest.fixture
def machine(house: House) -> type[Machine]:
    """The machine over this house."""

    class Bound(Machine):
        pass

    Bound.house = house
    return Bound


def test_no_sequence_of_events_breaks_the_rules(machine: type[Machine]) -> None:
    """At most one approval, tries bounded, budgets never shrink, ends are final, deliveries only move up."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
