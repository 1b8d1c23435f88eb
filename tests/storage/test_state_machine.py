"""Any sequence of what callers, people, workers and the carrier can do, against a model in plain Python.

The model knows the rules of `domain.verification` and the contract, and nothing of scripts or keys. Time is moved by
making everything of the number older. One number; two apps and two purposes, so that budgets, ladder and caps reach
over verifications. The model tells for every start whether it is refused, by what, and for how long.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
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

from otp_service.domain.checking import Approved, Limited, Wrong
from otp_service.domain.delivery import RANK, Accepted, Action, DeliveryStatus, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App, Limit, NumberLimits
from otp_service.domain.starting import Started, StartRefused
from otp_service.domain.verification import Status

from .harness import BACKUP, POOL, SHOP, StoreHarness, fresh_number, word

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
APP = replace(
    SHOP,
    wrong_codes_per_number=(Limit(5, DAY_MS),),
    resend_after_ms=(30_000, 60_000),
    starts_per_number=(),
    max_checks=3,
)
SECOND = replace(APP, name="bank", resend_after_ms=(10_000,))
APPS = {app.name: app for app in (APP, SECOND)}
LIMITS = NumberLimits(sends=(Limit(4, 300_000), Limit(9, 7_200_000)), wrong_codes=(Limit(4, 600_000), Limit(7, DAY_MS)))
WORDS = ("queued", "sending", "sent", "delivered", "delivery_failed", "delivery_unconfirmed")
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Auth", Action.STOP_ALL)
HOWS = ("accepted", "next", "next", "stop", "retry", "unknown", "gone", "crash")
CONTEXTS = (None, {"amount": "10"})


@dataclass
class Model:
    """One verification as the rules have it."""

    app: App
    purpose: str
    code: str
    context: dict[str, str] | None
    created_ms: int
    expires_ms: int
    clock: Callable[[], int]
    status: Status = Status.PENDING
    attempts: int = 0
    receipt: str | None = None
    spent: bool = False
    sends: int = 1
    seen_rank: dict[int, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    send_of: dict[int, "Send"] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    lost_tries: dict[int, int] = field(default_factory=dict)

    def usable_at(self, now: int) -> bool:
        """Whether a guess can be judged at that time."""
        return self.status is Status.PENDING and now < self.expires_ms

    @property
    def usable(self) -> bool:
        """Whether a guess can still be judged."""
        return self.usable_at(self.clock())

    @property
    def seen_as(self) -> Status:
        """What a caller is told."""
        late = self.status is Status.PENDING and not self.usable
        return Status.EXPIRED if late else self.status


@dataclass(eq=False)
class Send:
    """One send to the number, its failovers included."""

    at_ms: int
    app: str
    purpose: str
    number: int
    on_ladder: bool = True


def window_wait(times: Sequence[int], limits: Sequence[Limit], now: int) -> int:
    """How long the sliding windows refuse: 0 if they do not."""
    newest = sorted(times, reverse=True)
    waits = [newest[rule.limit - 1] + rule.per_ms - now for rule in limits if len(newest) >= rule.limit]
    return max([0, *waits])


def ladder_wait(times: Sequence[int], waits: Sequence[int], now: int) -> int:
    """How long the ladder refuses: 0 if it does not."""

    def blocked(at: int) -> bool:
        young = [time for time in times if time + HOUR_MS > at]
        return bool(young) and at < max(young) + waits[min(len(young), len(waits)) - 1]

    moments = {now, *(time + HOUR_MS for time in times), *(time + wait for time in times for wait in waits)}
    return min(at for at in moments if at >= now and not blocked(at)) - now


class Machine(RuleBasedStateMachine):
    """The store against the model. `harness` is set by the test that runs the machine."""

    harness: StoreHarness
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.number = fresh_number()
        self.models: dict[Reference, Model] = {}
        self.latest: dict[tuple[str, str], Reference] = {}
        self.wrong: dict[str, list[int]] = {name: [] for name in APPS}
        self.counted: list[Send] = []
        self.codes = iter(range(100_000, 999_999))

    @initialize()
    def begin(self) -> None:
        """A person whom nobody knows yet."""
        assert self.harness.optouts.of_number(self.harness.hash_of(self.number)) == []

    def one_of(self, data: st.DataObject) -> Reference:
        """A verification, mostly one that is still alive."""
        self.away_from_edges()
        alive = [ref for ref, model in self.models.items() if model.usable]
        return data.draw(st.sampled_from(alive * 3 + list(self.models)))

    def budget_wait(self, app: App, now: int) -> int:
        """How long wrong codes refuse a guess, a start and a send in this app."""
        everywhere = [time for times in self.wrong.values() for time in times]
        return max(
            window_wait(self.wrong[app.name], app.wrong_codes_per_number, now),
            window_wait(everywhere, LIMITS.wrong_codes, now),
        )

    def refusal(self, app: App, purpose: str, context: object, now: int) -> tuple[str, int, int | None] | None:
        """What a start is refused with at this moment: code, wait in milliseconds, sends left. None if it passes."""
        before = self.latest.get((app.name, purpose))
        model = self.models[before] if before else None
        pending = model if model is not None and model.usable_at(now) else None
        if wait := self.budget_wait(app, now):
            return "too_many_wrong_codes", wait, None
        if pending is not None and pending.context != context:
            return "context_conflict", 0, None
        steps = [
            send.at_ms for send in self.counted if (send.app, send.purpose, send.on_ladder) == (app.name, purpose, True)
        ]
        wait = ladder_wait(steps, app.resend_after_ms, now)
        left = len(app.resend_after_ms) + 1 - (pending.sends if pending else 0)
        if left <= 0 and pending is not None:
            return "resend_too_soon", max(wait, pending.expires_ms - now), 0
        if wait:
            return "resend_too_soon", wait, left
        if wait := window_wait([send.at_ms for send in self.counted], LIMITS.sends, now):
            return "rate_limited", wait, None
        return None

    # ---- callers ---------------------------------------------------------------------------------------------------

    @rule(
        app=st.sampled_from([APP, APP, SECOND]),
        purpose=st.sampled_from(["login", "login", "pay"]),
        context=st.sampled_from(CONTEXTS),
        patient=st.booleans(),
    )
    def start(self, app: App, purpose: str, context: dict[str, str] | None, patient: bool) -> None:
        """Start, or send again; patient callers wait for as long as they are told."""
        self.away_from_edges()
        refused = self.refusal(app, purpose, context, self.harness.now())
        if patient and refused is not None and refused[1] <= 700_000:
            self.pass_time(refused[1])
            self.away_from_edges()
        code = str(next(self.codes))
        order = self.harness.order(self.number, app, purpose=purpose, context=context, code=code, per_number=LIMITS)
        early, before = self.refusal(app, purpose, context, now := self.harness.now()), now
        answer = self.harness.verifications.start(order)
        late, after = self.refusal(app, purpose, context, now := self.harness.now()), now
        if isinstance(answer, Started):
            assert late is None, "it was let through too early"
            self._sent(app, purpose, context, code, answer)
        else:
            assert early is not None, "it was refused without a reason"
            self._refused(answer, early, late, after - before)
            self._seen_expired(app, purpose, before)

    def _seen_expired(self, app: App, purpose: str, now: int) -> None:
        """A start ends the verification whose time ran out unnoticed, also if it is refused."""
        ref = self.latest.get((app.name, purpose))
        if ref is not None and self.models[ref].status is Status.PENDING and not self.models[ref].usable_at(now):
            self.models[ref].status = Status.EXPIRED

    def _refused(
        self,
        answer: StartRefused,
        early: tuple[str, int, int | None],
        late: tuple[str, int, int | None] | None,
        spent_ms: int,
    ) -> None:
        if late is None or late[0] != early[0]:  # a limit ended between the two looks at the clock
            assert answer.code in (early[0], late and late[0])
            return
        assert (answer.code, answer.sends_left) == (early[0], early[2])
        assert early[1] - spent_ms <= answer.wait_ms <= early[1]

    def _sent(self, app: App, purpose: str, context: dict[str, str] | None, code: str, answer: Started) -> None:
        before = self.latest.get((app.name, purpose))
        model = self.models[before] if before else None
        pending = model is not None and model.usable_at(answer.now_ms)
        assert answer.resent is pending
        if model is not None and pending:
            assert answer.reference == before
            model.expires_ms = min(answer.now_ms + 300_000, model.created_ms + 600_000)
            model.sends += 1
        else:
            assert answer.reference not in self.models
            self._seen_expired(app, purpose, answer.now_ms)
            now = answer.now_ms
            model = Model(app, purpose, code, context, now, now + 300_000, self.harness.now)
            self.models[answer.reference] = model
            self.latest[app.name, purpose] = answer.reference
        send = Send(answer.now_ms, app.name, purpose, model.sends)
        self.counted.append(send)
        model.send_of[len(answer.deliveries)] = send
        refused = self.refusal(app, purpose, context, answer.now_ms)
        assert refused is not None
        if refused[2]:
            assert (answer.max_sends - answer.sends, answer.next_send_ms - answer.now_ms) == (refused[2], refused[1])

    @precondition(lambda self: self.models)
    @rule(
        data=st.data(),
        right=st.sampled_from([False, False, True]),
        other_context=st.sampled_from([False, False, False, True]),
        foreign=st.sampled_from([False, False, False, False, True]),
    )
    def check(self, data: st.DataObject, right: bool, other_context: bool, foreign: bool) -> None:
        """A guess, right or wrong, with either context, by the owner or by another app."""
        ref = self.one_of(data)
        model = self.models[ref]
        context = CONTEXTS[CONTEXTS.index(model.context) ^ other_context]
        receipt = word("receipt")
        code = model.code if right else "000000"
        if foreign:
            other = SECOND if model.app is APP else APP
            assert self.harness.check(ref, code, other, context=context) == NotFound()
            return
        early = self.budget_wait(model.app, self.harness.now())
        answer = self.harness.check(ref, code, model.app, context=context, receipt_id=receipt, per_number=LIMITS)
        after = self.harness.now()
        if model.status is not Status.PENDING or not model.usable:
            model.status = model.seen_as
            assert answer == Ended(model.status)
        elif isinstance(answer, Limited):
            assert early - 60_000 <= answer.wait_ms <= early
        else:
            assert not self.budget_wait(model.app, after)
            model.attempts += 1
            if right and context == model.context:
                assert isinstance(answer, Approved)
                assert answer.receipt_id == receipt
                model.status, model.receipt = Status.APPROVED, receipt
                for send in self.counted:
                    if (send.app, send.purpose) == (model.app.name, model.purpose):
                        send.on_ladder = False
                return
            self.wrong[model.app.name].append(self.newest_wrong_code(model.app))
            if model.attempts == APP.max_checks:
                model.status = Status.EXHAUSTED
                assert answer == Ended(Status.EXHAUSTED)
            else:
                assert answer == Wrong(APP.max_checks - model.attempts)

    def newest_wrong_code(self, app: App) -> int:
        """When the store counted the last wrong code."""
        number = self.harness.hash_of(self.number)
        newest = self.harness.wrong_codes(number, app.name)[0]
        assert newest == self.harness.wrong_codes(number)[0]
        return newest

    @precondition(lambda self: self.models)
    @rule(data=st.data(), really=st.sampled_from([False, False, False, True]))
    def cancel(self, data: st.DataObject, really: bool) -> None:
        """The caller withdraws it (not too often, or nothing else would ever happen)."""
        if not really:
            return
        ref = self.one_of(data)
        model = self.models[ref]
        answer = self.harness.verifications.cancel(word(), ref, model.app.name)
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
        redeem, soon = self.harness.verifications.redeem, self.harness.now() + 60_000
        for ref, model in self.models.items():
            assert redeem(word(), ref, model.app.name, "made-up", soon) == NotFound()
            if model.receipt:
                answer = redeem(word(), ref, model.app.name, model.receipt, soon)
                assert isinstance(answer, Redeemed)
                assert answer.first is not model.spent
                model.spent = True

    # ---- time ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.models)
    @rule(ms=st.sampled_from([10_000, 30_000, 100_000, 250_000, 1_000_000, 3_000_000]))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.pass_time(ms)

    def away_from_edges(self) -> None:
        """Let no code end and no wrong code leave its window while the test looks at the store."""
        now = self.harness.now()
        edges = [model.expires_ms for model in self.models.values() if model.status is Status.PENDING]
        for app, times in self.wrong.items():
            rules = (*APPS[app].wrong_codes_per_number, *LIMITS.wrong_codes)
            edges += [time + rule.per_ms for time in times for rule in rules]
        if any(now < edge <= now + 3_000 for edge in edges):
            self.pass_time(3_500)
            self.away_from_edges()

    def pass_time(self, ms: int) -> None:
        """Everything of the number grows older."""
        for model in self.models.values():
            model.created_ms -= ms
            model.expires_ms -= ms
        for send in self.counted:
            send.at_ms -= ms
        self.wrong = {app: [at - ms for at in times] for app, times in self.wrong.items()}
        if self.models:
            first, *others = self.models
            self.harness.age(first, ms, *others)
            self.harness.age_wrong_codes(self.harness.hash_of(self.number), ms, *APPS.values())

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def timer(self, data: st.DataObject) -> None:
        """The worker's timer fires, rightly or not."""
        ref = self.one_of(data)
        model = self.models[ref]
        ends = model.status is Status.PENDING and not model.usable
        assert self.harness.verifications.expire(ref) is ends
        model.status = model.seen_as

    # ---- workers and the carrier -----------------------------------------------------------------------------------

    @precondition(lambda self: self.models)
    @rule(target=jobs)
    def take(self) -> object:
        """A worker takes what waits."""
        ref = next(iter(self.models))
        return multiple(*[job for job in self.harness.jobs(ref) if job.reference in self.models])

    @precondition(lambda self: self.models)
    @rule(how=st.sampled_from(HOWS))
    def take_and_work(self, how: str) -> None:
        """A worker that is not slow."""
        ref = next(iter(self.models))
        for job in [job for job in self.harness.jobs(ref) if job.reference in self.models]:
            self.try_one(job, how)

    @rule(job=consumes(jobs), how=st.sampled_from(HOWS))
    def work(self, job: Job, how: str) -> None:
        """A worker that is slow."""
        self.try_one(job, how)

    def try_one(self, job: Job, how: str) -> None:
        """A try, and what came of it."""
        self.away_from_edges()
        ref, ordinal, deliveries = job.reference, job.ordinal, self.harness.deliveries
        model = self.models[ref]
        record = self.harness.record(ref)
        status = record[f"{ordinal}:status"]
        send = model.send_of[ordinal]
        arrived = any(
            record[f"{n}:status"] == "delivered" and record[f"{n}:send"] == record[f"{ordinal}:send"]
            for n in model.send_of
            if n != ordinal
        )
        go = self.harness.begin(job, model.app, per_number=LIMITS)
        may = not self.budget_wait(model.app, self.harness.now()) and model.usable and not arrived
        assert (go is not None) == (may and status in ("queued", "sending", "unknown"))
        if go is None:
            ended = self.harness.status(ref, ordinal)
            # What the caller or the person stopped counts still.
            if ended != status and ended != "unknown" and model.seen_as in (Status.PENDING, Status.EXPIRED):
                self._given_back(ref, model, ordinal)
            return
        model.lost_tries[ordinal] = model.lost_tries.get(ordinal, 0) + 1
        if how == "accepted":
            deliveries.record_accepted(job, Accepted(f"m{ordinal}", "queued"))
            model.accepted.add(send.number)
        elif how in ("next", "stop"):
            answer = deliveries.record_refused(job, NEXT if how == "next" else STOP)
            self._claims(ref, ordinal, answer == "failed_over")
            if answer == "failed":
                self._given_back(ref, model, ordinal)
        elif how == "retry":
            deliveries.record_retry(job, 1, NotSent("connect"))
            model.lost_tries[ordinal] -= 1
        elif how == "unknown":
            deliveries.record_unknown(job, 1, Unknown("timeout"))
        elif how == "gone":
            assert deliveries.record_impossible(job, "gone", "gone") == "unknown"

    def _given_back(self, ref: Reference, model: Model, ordinal: int) -> None:
        """The n-th delivery came to nothing; its send counts no longer unless the person may have a message of it."""
        send = model.send_of[ordinal]
        if send.number in model.accepted:
            return
        for n, other in model.send_of.items():
            under_way = self.harness.status(ref, n) in ("unknown", "sending")
            if other.number == send.number and under_way and model.lost_tries.get(n, 0) > 0:
                return
        if send in self.counted:
            self.counted.remove(send)
        if send.number == model.sends and len(model.send_of) < 20:
            model.sends -= 1

    @precondition(lambda self: self.models)
    @rule(data=st.data(), status=st.sampled_from(WORDS))
    def webhook(self, data: st.DataObject, status: str) -> None:
        """The carrier reports a delivery, early, late or again."""
        ref = self.one_of(data)
        count = int(self.harness.record(ref)["deliveries"])
        ordinal = data.draw(st.integers(1, count))
        before = self.harness.record(ref)
        self.harness.apply(ref, status, f"m{ordinal}", ordinal)
        after = self.harness.record(ref)
        self.models[ref].accepted.add(self.models[ref].send_of[ordinal].number)
        self._claims(ref, ordinal, after["deliveries"] != before["deliveries"])
        assert after["status"] == before["status"]
        assert int(after["deliveries"]) - count in (0, 1)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def deny(self, data: st.DataObject) -> None:
        """The person says that it was not them."""
        ref = self.one_of(data)
        model, record = self.models[ref], self.harness.record(ref)

        def gone(n: int) -> bool:
            lost = record[f"{n}:status"] in ("unknown", "sending") and model.lost_tries.get(n, 0) > 0
            return (f"{n}:message_id" in record or lost) and f"{n}:first_try_ms" in record

        now = self.harness.now() + 1
        denial = Denial(frozenset(APPS), frozenset({POOL.name, BACKUP.name}), now, now)
        answer = self.harness.verifications.deny(ref, denial)
        assert (answer == "denied") is (model.usable and any(gone(n) for n in model.send_of))
        if answer == "denied":
            model.status = Status.DENIED

    @precondition(lambda self: self.models)
    @rule(data=st.data(), how=st.sampled_from(HOWS))
    def retry(self, data: st.DataObject, how: str) -> None:
        """A wait is over: the delivery comes back to a worker."""
        ref = self.one_of(data)
        for timer in [name for name in self.harness.timers(ref) if name.startswith(f"r:dlv_{ref.token}-")]:
            ordinal = int(timer.rpartition("-")[2])
            shard = self.harness.keys.shard(ref.number_hash)
            self.harness.raw.zadd(self.harness.keys.timers(shard), {timer: 1})
            waits = self.harness.status(ref, ordinal) in ("queued", "sending", "unknown")
            assert self.harness.due_deliveries.requeue(Timer(shard, "retry", ref, ordinal)) is waits
        self.take_and_work(how)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """The worker closes what nothing more will be heard of."""
        ref = self.one_of(data)
        for timer in [name for name in self.harness.timers(ref) if name.startswith(f"c:dlv_{ref.token}-")]:
            ordinal = int(timer.rpartition("-")[2])
            shard = self.harness.keys.shard(ref.number_hash)
            self.harness.raw.zadd(self.harness.keys.timers(shard), {timer: 1})
            if self.harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, ordinal)) == "expired":
                self._given_back(ref, self.models[ref], ordinal)

    def _claims(self, ref: Reference, ordinal: int, claimed: bool) -> None:
        if claimed:
            model = self.models[ref]
            assert ordinal not in model.claimed, "a delivery claims one successor"
            assert model.usable
            model.claimed.add(ordinal)
            model.send_of[len(model.send_of) + 1] = model.send_of[ordinal]

    # ---- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """Store and model tell the same of every verification; secrets stand only where a guess may be judged."""
        self.away_from_edges()
        for ref, model in self.models.items():
            record = self.harness.record(ref)
            assert record["status"] == model.status
            assert int(record["attempts"]) == model.attempts <= APP.max_checks
            assert int(record["sends"]) == model.sends
            assert int(record["expires_ms"]) == model.expires_ms
            assert int(record["expires_ms"]) - int(record["created_ms"]) <= 600_000
            if model.status is not Status.PENDING:
                assert not self.harness.raw.exists(self.harness.keys.secrets(ref))
            view = self.harness.verifications.view(ref, model.app.name)
            assert view is not None
            assert view.status is model.seen_as
            events = self.harness.events(ref)
            assert events.count("verification.approved") == (model.status is Status.APPROVED)
            assert sum(event in _ENDS for event in events) == (model.status is not Status.PENDING)
            assert events.count("receipt.redeemed") == model.spent

    @invariant()
    def deliveries_move_up(self) -> None:
        """No delivery ever goes back, each has a sender of the route, and the next sender follows once."""
        for ref, model in self.models.items():
            record = self.harness.record(ref)
            for ordinal in range(1, int(record["deliveries"]) + 1):
                rank = RANK[DeliveryStatus(record[f"{ordinal}:status"])]
                assert rank >= model.seen_rank.get(ordinal, 0)
                model.seen_rank[ordinal] = rank
                assert record[f"{ordinal}:sender"] in (POOL.name, BACKUP.name)
            assert self.harness.events(ref).count("delivery.fell_back") == len(model.claimed)

    @invariant()
    def the_budgets_only_grow(self) -> None:
        """What is counted against the number is what was judged wrong, over all its verifications."""
        number = self.harness.hash_of(self.number)
        for app, times in self.wrong.items():
            assert self.harness.wrong_codes(number, app) == times[::-1]
        everywhere = sorted(time for times in self.wrong.values() for time in times)
        assert self.harness.wrong_codes(number) == everywhere[::-1]

    @invariant()
    def every_send_counts(self) -> None:
        """The number's list of sends holds those that the carrier may have, whatever became of the verifications."""
        entries = self.harness.sends(self.harness.hash_of(self.number))
        newest = sorted(self.counted, key=lambda send: -send.at_ms)
        young = [send for send in newest if send.at_ms + HOUR_MS > self.harness.now()]
        assert max(min(len(newest), 9), len(young)) <= len(entries)
        told = [
            f"{send.at_ms}\x1f{send.app}\x1f{send.purpose}" if send.on_ladder else f"{send.at_ms}\x1f\x1f"
            for send in newest[: len(entries)]
        ]
        assert Counter(entries) == Counter(told)

    @invariant()
    def one_pending_at_most(self) -> None:
        """Per purpose at most one verification can still be approved."""
        usable = [ref for ref, model in self.models.items() if model.usable]
        assert set(usable) <= set(self.latest.values())


_ENDS = {f"verification.{status}" for status in Status if status is not Status.PENDING}


@pytest.fixture
def machine(harness: StoreHarness) -> type[Machine]:
    """The machine over this store."""

    class Bound(Machine):
        pass

    Bound.harness = harness
    return Bound


def test_no_sequence_of_events_breaks_the_rules(machine: type[Machine]) -> None:
    """At most one approval, tries bounded, budgets never shrink, ends are final, deliveries only move up."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=20, stateful_step_count=50, derandomize=True),
    )
