"""Checking a code. The store counts a guess before it compares it; only an approval gives a receipt."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from ...domain import binding, codes, receipt
from ...domain.checking import Approved, CheckAnswer, CheckCommand, Limited, OfSubject, Wrong, was_wrong
from ...domain.ending import Ended
from ...domain.errors import KeyUnknown, Refusal, StoreUnavailable, changed_nothing
from ...domain.factor_checking import TryTaken
from ...domain.factors import FactorKind, Subject, factor_id
from ...domain.ids import Reference
from ...domain.policy import App, Policy
from ...domain.verification import DEFAULT_PURPOSE, Status
from .. import ports
from ..guard import Guard
from .apps import configured_app
from .digests import code_digest
from .guess_limits import GuessLimits
from .people import People
from .refusals import NOT_FOUND, Outcome, about, ended, too_many_wrong_codes
from .start_request import CountedRequest
from .subjects import SubjectTries

T = TypeVar("T")
MakeCommand = Callable[..., CheckCommand]
"""Makes the command of a guess: a new operation each time. `by_subject`: a try of this subject was taken."""


class Guess(CountedRequest, Protocol):
    """A code, what it must be bound to, and what limits count it by."""

    @property
    def code(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...
    @property
    def purpose(self) -> str | None: ...
    @property
    def code_verifier(self) -> str | None: ...


class CheckRequest(Guess, Protocol):
    """What a caller sends, validated in form: `verification_id` or `to` is there.

    Beside `verification_id`, `to` and `purpose` are assertions, and `subject` beside either: where they are not so,
    there is no such verification.
    """

    @property
    def verification_id(self) -> str | None: ...
    @property
    def to(self) -> str | None: ...
    @property
    def subject(self) -> str | None: ...


class CheckVerification:
    """Judges guesses, and signs the receipt of an approval."""

    def __init__(
        self,
        *,
        vault: ports.Vault,
        people: People,
        policy: Policy,
        issuer: str,
        token_bytes: Callable[[int], bytes],
        tries: SubjectTries,
        limits: GuessLimits,
        guard: Guard | None = None,
    ) -> None:
        """`limits` judges guesses."""
        self._limits = limits
        self._vault = vault
        self._people = people
        self._policy = policy
        self._issuer = issuer
        self._token_bytes = token_bytes
        self._tries = tries
        self._guard = guard

    def __call__(self, app_name: str, request: CheckRequest, request_key: str = "") -> Approved | Refusal:
        """Judge a guess, by id or at the latest verification of the number for the purpose.

        With a `request_key` a repeat of the same request gets the approval again. Raises InvalidNumber,
        StoreUnavailable, and KeyUnknown where another process has the code's key.
        """
        app = configured_app(self._policy, app_name)
        number = "" if request.to is None else self._people.hash_of(request.to, app)
        person = "" if request.subject is None else self._tries.hash_of(app.name, request.subject)
        if request.verification_id is None:
            return self._by_number(app, number, person, request, request_key)
        ref = self._vault.ids.read(request.verification_id)
        if ref is None:
            return NOT_FOUND
        make = partial(
            self._command,
            app,
            request,
            request_key,
            ref,
            asserted_number=number,
            asserted_purpose=request.purpose or "",
            asserted_subject=person,
        )
        return self._about(app, ref, self._verdict(app, ref, self._ask(self._limits.check, make), make))

    def _by_number(
        self, app: App, number: str, person: str, request: CheckRequest, request_key: str
    ) -> Approved | Refusal:
        purpose, nobody = request.purpose or DEFAULT_PURPOSE, Reference("", number)
        by_number = partial(
            self._command, app, request, request_key, nobody, by_purpose=purpose, asserted_subject=person
        )
        found = self._ask(self._limits.check_latest, by_number)
        if found is None:
            return NOT_FOUND
        ref = found.reference
        by_id = partial(
            self._command, app, request, request_key, ref, asserted_purpose=purpose, asserted_subject=person
        )
        return self._about(app, ref, self._verdict(app, ref, found.answer, by_id))

    def _about(self, app: App, ref: Reference, outcome: Approved | Refusal) -> Approved | Refusal:
        return self.marked(app, ref, about(ref, outcome))

    def marked(self, app: App, ref: Reference, outcome: Outcome | Refusal) -> Outcome | Refusal:
        """The outcome; a refusal says whether the code was that of a test number."""
        return self._people.marked(outcome, app, ref.number_hash)

    def _command(
        self,
        app: App,
        request: Guess,
        request_key: str,
        ref: Reference,
        *,
        by_purpose: str | None = None,
        asserted_number: str = "",
        asserted_purpose: str = "",
        asserted_subject: str = "",
        by_subject: str = "",
    ) -> CheckCommand:
        hashed, peppers = codes.context_hash(request.context), self._vault.current().peppers
        return CheckCommand(
            operation_id=self._token_bytes(8).hex(),
            reference=ref,
            app=app,
            receipt_id=self._token_bytes(16).hex(),
            digests={
                kid: code_digest(pepper, app, ref, hashed, request.code, purpose=by_purpose)
                for kid, pepper in peppers.items()
            },
            by_purpose=by_purpose,
            asserted_number=asserted_number,
            asserted_purpose=asserted_purpose,
            asserted_subject=asserted_subject,
            request_key=request_key,
            per_number=self._policy.per_number,
            challenge=binding.challenge_of(request.code_verifier) if request.code_verifier else "",
            by_subject=by_subject,
            slots=self._limits.slots(app, ref, request),
        )

    def _verdict(self, app: App, ref: Reference, answer: CheckAnswer, make: MakeCommand) -> Approved | Refusal:
        if isinstance(answer, OfSubject):
            subject = self._tries.named(app.name, answer.subject)
            taken = self._tries.take(subject, ref)
            return taken if isinstance(taken, Refusal) else self.judge_taken(app, subject, taken, make)
        if isinstance(answer, Approved):
            return self._settled(app, answer, ref) if answer.subject else self._signed(app, answer)
        return refusal_of(answer)

    def sent(self, app: App, ref: Reference, request: Guess, request_key: str) -> MakeCommand:
        """Makes the commands of a guess at a code that was sent to a subject, for `judge_taken`."""
        return partial(
            self._command, app, request, request_key, ref, asserted_purpose=request.purpose or DEFAULT_PURPOSE
        )

    def let_in_otherwise(self, app: App, number_hash: str) -> None:
        """A person to whose number codes were sent was let in by another factor."""
        if self._guard is not None:
            self._guard.notes.factor_approved(app.name, number_hash)

    def judge_taken(
        self, app: App, subject: Subject, taken: TryTaken, make: MakeCommand, *, judged: bool = False
    ) -> Approved | Refusal:
        """The verdict after a try of the subject was taken; what is no judgement gives it back.

        `judged`: the guess was compared with another factor, too, so that the try stays taken.
        """
        answer = self._ask_or_give_back(subject, taken, partial(make, by_subject=subject.hash), judged=judged)
        if isinstance(answer, Approved):
            return self._settled(app, answer, make().reference)
        if isinstance(answer, Wrong) and not answer.unbound:
            return refusal_of(Wrong(min(answer.checks_left, taken.checks_left)))
        if not judged and answer != Ended(Status.EXHAUSTED):
            self._tries.give_back(subject, taken)
        return refusal_of(answer)

    def _ask_or_give_back(
        self, subject: Subject, taken: TryTaken, make: Callable[[], CheckCommand], *, judged: bool
    ) -> CheckAnswer:
        try:
            return self._ask(self._limits.check, make)
        except (KeyUnknown, StoreUnavailable) as error:
            # What may have been judged keeps the try.
            if not judged and changed_nothing(error):
                self._tries.give_back(subject, taken)
            raise

    def _settled(self, app: App, approved: Approved, ref: Reference) -> Approved | Refusal:
        """The approval, if the number is bound to the subject. Only that opens the subject's account."""
        subject = self._tries.named(app.name, approved.subject)
        settled = self._tries.approve(app, subject, ref, approved)
        if isinstance(settled, Refusal):
            return settled
        return self._signed(app, replace(approved, factor=settled.factor, bound=settled.bound))

    def _ask(self, check: Callable[[CheckCommand], T], make: Callable[[], CheckCommand]) -> T:
        try:
            return check(make())
        except KeyUnknown as error:
            # Nothing was counted. The keyring file may have the key by now.
            if not self._vault.knows(error.kid):
                raise
        return check(make())

    def _signed(self, app: App, approved: Approved) -> Approved:
        """The approval with the signed receipt in it. It is what the pumping guard is waiting for."""
        if self._guard is not None:
            self._guard.approved(app, approved)
        ring, approval = self._vault.current(), approved.approval
        claims = receipt.Claims(
            iss=self._issuer,
            aud=app.name,
            sub=approval.sub,
            purpose=approval.purpose,
            channel=approval.channel,
            context_hash=approved.context_hash,
            jti=approved.receipt_id,
            verification_id=approval.verification_id,
            approved_s=approved.at_ms // 1000,
            factor_id=factor_id(approved.factor) if approved.factor else "",
            kind=FactorKind.SMS if approved.factor else "",
            test=approval.test is True,
            acr=app.acr.get(approval.purpose, "") if FactorKind.SMS in app.counts(approval.purpose) else "",
            change=receipt.Change.NUMBER_BOUND if approved.bound else "",
        )
        approval.receipt = receipt.encode(claims, ring.active_kid, ring.sign)
        return approved


def refusal_of(answer: CheckAnswer) -> Refusal:
    """What the caller gets for an answer of the store that is no approval."""
    match answer:
        case Wrong(checks_left):
            detail = f"The code is not right. Tries left: {checks_left}."
            return Refusal("code_incorrect", detail, fields={"checks_left": checks_left}, guessed=was_wrong(answer))
        case Ended(status):
            return msgspec.structs.replace(ended(status), guessed=was_wrong(answer))
        case Limited(wait_ms, limit):
            return msgspec.structs.replace(too_many_wrong_codes(wait_ms, limit), limit=limit)
        case _:
            return NOT_FOUND
