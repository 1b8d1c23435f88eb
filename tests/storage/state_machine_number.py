"""One number in the store and in the model: what a start may be refused with, and the passing of time."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from otp_service.domain.ids import Reference
from otp_service.domain.policy import App
from otp_service.domain.verification import Status

from .harness import StoreHarness, fresh_number
from .state_model import APPS, LIMITS, Model, Send, caps_wait, ladder_wait, window_wait


class Number(RuleBasedStateMachine):
    """One number in the store and in the model. `harness` is set by the test that runs the machine."""

    harness: StoreHarness

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
        if wait := caps_wait(self.counted, now):
            return "rate_limited", wait, None
        return None

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
