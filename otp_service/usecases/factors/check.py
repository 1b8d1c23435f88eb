"""One door for all factors: a code is judged at every factor of the subject that it can be of, under one budget."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from ...clock import rfc3339
from ...domain import codes, receipt
from ...domain.checking import Approved
from ...domain.errors import KeyUnknown, Refusal
from ...domain.factor_checking import (
    CodeUsed,
    FactorAnswer,
    FactorApproval,
    FactorApproved,
    FactorGuess,
    ReplayedFactorApproval,
    TriesSpent,
    TryTaken,
    WrongFactorCode,
)
from ...domain.factors import FactorKind, Factors, Subject, factor_id
from ...domain.ids import Reference
from ...domain.policy import App, Policy
from ...domain.verification import DEFAULT_PURPOSE
from .. import ports
from ..subjects import Subjects
from ..verify.apps import configured_app
from ..verify.check import CheckVerification, MakeCommand
from ..verify.refusals import NOT_FOUND, tries_spent
from ..verify.start_request import CountedRequest
from ..verify.tell_numbers import TellNumbers
from . import refusals
from .guesses import Candidates, approved_steps, digit_candidates, recovery_candidates, shown_steps


class FactorRequest(CountedRequest, Protocol):
    """What a caller sends, validated in form."""

    @property
    def code(self) -> str: ...
    @property
    def purpose(self) -> str | None: ...
    @property
    def context(self) -> Mapping[str, str]: ...
    @property
    def code_verifier(self) -> str | None: ...


class CheckFactors:
    """Judges codes of a subject, and signs the receipt of an approval."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        subjects: Subjects,
        policy: Policy,
        issuer: str,
        token_bytes: Callable[[int], bytes],
        sent: CheckVerification,
        tell: TellNumbers,
    ) -> None:
        self._tell = tell
        self._store = store
        self._vault = vault
        self._subjects = subjects
        self._policy = policy
        self._issuer = issuer
        self._token_bytes = token_bytes
        self._sent = sent

    def __call__(
        self, app_name: str, subject: str, request: FactorRequest, request_key: str = ""
    ) -> FactorApproval | Refusal:
        """Judge a code at all factors of the subject. With a `request_key` a repeat gets the approval again.

        Raises InvalidRequest, NotReady, StoreUnavailable, and KeyUnknown where another process has a secret's key.
        """
        app = configured_app(self._policy, app_name)
        return self._judge(app, self._subjects.of(app.name, subject), request, None, request_key)

    def one(self, app_name: str, text: str, request: FactorRequest, request_key: str = "") -> FactorApproval | Refusal:
        """Judge a code at one factor, by its id. The budget is the subject's. Raises as above."""
        app = configured_app(self._policy, app_name)
        found = self._subjects.of_factor(app.name, text)
        return refusals.NO_FACTOR if found is None else self._judge(app, found[0], request, found[1], request_key)

    def _judge(
        self, app: App, subject: Subject, request: FactorRequest, only: Reference | None, request_key: str
    ) -> FactorApproval | Refusal:
        purpose = request.purpose or DEFAULT_PURPOSE
        everything = self._store.read(subject)
        self._tell.finish(app, subject, everything)
        factors = _only(everything, only)
        found = self._candidates(app, subject, factors, request.code, purpose)
        if found.sent is not None and not everything.open_to(found.sent):
            found = replace(found, sent=None)
        if not found.any:
            return refusals.NO_FACTOR
        operation_id, receipt_id = self._names(request_key)
        # A repeat may come when the app shows another code.
        steps = approved_steps(found, operation_id, factors.now_ms) or self._steps(found, request.code, factors.now_ms)
        guess = FactorGuess(operation_id, subject, purpose, receipt_id, steps, found.recovery, found.sent is not None)
        answer = self._store.check(guess)
        if isinstance(answer, TryTaken) and found.sent is not None:
            make = self._sent.sent(app, found.sent, request, request_key)
            return self._sent.marked(app, found.sent, self._judge_sent(app, guess, found, answer, make))
        if isinstance(answer, FactorApproved) and (was_sent := factors.sent.get(purpose)) is not None:
            self._sent.let_in_otherwise(app, was_sent.number_hash)
        return self._answer(guess, answer)

    def _candidates(self, app: App, subject: Subject, factors: Factors, code: str, purpose: str) -> Candidates:
        kinds, ids = app.counts(purpose), self._vault.ids
        if not codes.is_typed(code):
            return recovery_candidates(factors, kinds, code, subject.hash, ids)
        sent = factors.sent.get(purpose) if app.may_have_sent(code) else None
        return digit_candidates(factors, kinds, code, sent, ids)

    def _judge_sent(
        self, app: App, guess: FactorGuess, found: Candidates, taken: TryTaken, make: MakeCommand
    ) -> FactorApproval | Refusal:
        """The guess was right at no factor here: it is judged as the code that was sent, on the number's shard."""
        judged = bool(found.authenticators)
        verdict = self._sent.judge_taken(app, guess.subject, taken, make, judged=judged)
        if isinstance(verdict, Approved):
            return _approval_of_sent(verdict)
        if judged:
            return refusals.wrong(taken.checks_left)
        return refusals.NO_FACTOR if verdict.code == NOT_FOUND.code else verdict

    def _steps(self, found: Candidates, code: str, now_ms: int) -> list[tuple[str, int]]:
        try:
            return shown_steps(found, code, now_ms, self._vault)
        except KeyUnknown as error:
            # The keyring file may have the key by now.
            if not self._vault.knows(error.kid):
                raise
        return shown_steps(found, code, now_ms, self._vault)

    def _names(self, request_key: str) -> tuple[str, str]:
        """Ids of the operation and of its receipt: the same for a repeat of a request that can be recognised."""
        if not request_key:
            return self._token_bytes(8).hex(), self._token_bytes(16).hex()
        digest = self._vault.ids.digest(b"factor-check\0" + request_key.encode())
        return digest[:8].hex(), digest[8:24].hex()

    def _answer(self, guess: FactorGuess, answer: FactorAnswer) -> FactorApproval | Refusal:
        match answer:
            case FactorApproved():
                return self._approval(guess, answer)
            case CodeUsed():
                return refusals.USED
            case TriesSpent():
                return tries_spent(answer)
            case WrongFactorCode(checks_left):
                return refusals.wrong(checks_left)
            case _:
                return refusals.NO_FACTOR

    def _approval(self, guess: FactorGuess, approved: FactorApproved) -> FactorApproval:
        approval = _kind_of(approved.replayed)(
            status="approved",
            approved_at=rfc3339(approved.at_ms),
            kind=approved.kind,
            purpose=guess.purpose,
            sub=guess.subject.sub,
            receipt=self._receipt(guess, approved),
            factor_id=factor_id(approved.reference),
        )
        if approved.codes_left is not None:
            approval.codes_left = approved.codes_left
        return approval

    def _receipt(self, guess: FactorGuess, approved: FactorApproved) -> str:
        ring = self._vault.current()
        claims = receipt.Claims(
            iss=self._issuer,
            aud=guess.subject.app,
            sub=guess.subject.sub,
            purpose=guess.purpose,
            channel="",
            context_hash="",
            jti=guess.receipt_id,
            verification_id="",
            approved_s=approved.at_ms // 1000,
            factor_id=factor_id(approved.reference),
            kind=approved.kind,
            acr=self._policy.apps[guess.subject.app].acr.get(guess.purpose, ""),
        )
        return receipt.encode(claims, ring.active_kid, ring.sign)


def _kind_of(replayed: bool) -> type[FactorApproval]:
    return ReplayedFactorApproval if replayed else FactorApproval


def _only(factors: Factors, only: Reference | None) -> Factors:
    """The factors, or the one that is asked for."""
    if only is None:
        return factors
    kept = tuple(one for one in factors.all if one.reference == only)
    numbers = {one.number_hash for one in kept}
    return Factors(
        factors.now_ms,
        kept,
        tuple(one for one in factors.authenticators if one.factor.reference == only),
        {purpose: sent for purpose, sent in factors.sent.items() if sent.number_hash in numbers},
        factors.lifted,
    )


def _approval_of_sent(approved: Approved) -> FactorApproval:
    """The approval of a code that was sent, as one of the number's factor. Its receipt is the verification's."""
    approval = approved.approval
    return _kind_of(approved.replayed)(
        status="approved",
        approved_at=approval.approved_at,
        kind=FactorKind.SMS,
        purpose=approval.purpose,
        sub=approval.sub,
        receipt=approval.receipt,
        factor_id=factor_id(approved.factor) if approved.factor else "",
        verification_id=approval.verification_id,
        test=approval.test,
    )
