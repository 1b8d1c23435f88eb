"""What callers can do to a verification, in the store and in the model."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from otp_service.domain.checking import Approved, Limited, Wrong
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.policy import App
from otp_service.domain.starting import Started, StartRefused
from otp_service.domain.verification import Status

from .harness import word
from .state_machine_number import Number
from .state_model import APP, CONTEXTS, LIMITS, SECOND, Model, Send


class Callers(Number):
    """Start, check, cancel and redeem."""

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
        command = self.harness.start_command(
            self.number, app, purpose=purpose, context=context, code=code, per_number=LIMITS
        )
        early, before = self.refusal(app, purpose, context, now := self.harness.now()), now
        answer = self.harness.verifications.start(command)
        late, after = self.refusal(app, purpose, context, now := self.harness.now()), now
        if isinstance(answer, Started):
            assert late is None, "it was let through too early"
            self._sent(app, purpose, context, code, answer)
        else:
            assert isinstance(answer, StartRefused)
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
