"""Whom a start is for: whether a code for this subject may go to this number, and how else they can get in.

A code that went to an attacker's phone must never open the subject's account. So a number that is not bound gets one
only where the subject has no factor yet, or where a receipt of the subject proves that they want it bound.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from ...domain.errors import Refusal
from ...domain.factor_checking import SentCode
from ...domain.factors import Factors, Subject, alternatives
from ...domain.ids import Reference
from ...domain.notices import BoundNumber, pack_number
from ...domain.policy import App
from ...domain.starting import StartCommand
from .redeem import Asserted, Redemption
from .subjects import BIND, NOT_BOUND, SubjectTries

NO_WAY = frozenset({"opted_out", "destination_blocked", "country_not_allowed", "channel_unavailable", "guard_refused"})
"""Refusals of starts that cannot send, whoever they are for: they name the other ways."""


class SubjectRequest(Protocol):
    """What of a start is about the subject."""

    @property
    def purpose(self) -> str: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def proof(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Named:
    """The subject that a start names, its factors and the number. `may_bind`: an approval may bind that."""

    subject: Subject
    factors: Factors
    to: str = field(repr=False)
    may_bind: bool = False


class StartSubjects:
    """Judges subjects of starts. `redeem` spends the proof."""

    def __init__(
        self,
        tries: SubjectTries,
        redeem: Callable[[str, str, Asserted, str], Redemption | Refusal],
        seal: Callable[[bytes], str],
    ) -> None:
        self._tries = tries
        self._redeem = redeem
        self._seal = seal

    def named(self, app: App, request: SubjectRequest, to: str) -> Named | None:
        """The subject, if one is named. Raises InvalidRequest and StoreUnavailable."""
        return None if request.subject is None else Named(*self._tries.of(app.name, request.subject), to)

    def admit(self, named: Named, command: StartCommand, request: SubjectRequest) -> Named | Refusal:
        """The same, if a code of this purpose may go to the number; a proof that it needs is spent.

        A repeat of the same operation may spend it again: its first reply may have been lost.
        """
        app, number_hash = command.app, command.reference.number_hash
        self._tries.finish(app, named.subject, named.factors)
        if _is_going(named, number_hash, request.purpose):
            return replace(named, may_bind=True)
        if named.factors.allow(number_hash, request.purpose):
            return named
        if request.purpose == BIND and named.factors.lifted:
            return replace(named, may_bind=True)
        if request.purpose != BIND or request.proof is None:
            return NOT_BOUND
        asserted, operation = Asserted(subject=named.subject.sub), f"proof:{command.operation_id}"
        spent = self._redeem(app.name, request.proof, asserted, operation)
        return NOT_BOUND if isinstance(spent, Refusal) else replace(named, may_bind=True)

    def objection(self, named: Named, number_hash: str, request: SubjectRequest) -> Refusal | None:
        """Why `admit` would refuse, if it would whatever the proof is; nothing is spent."""
        bound = _is_going(named, number_hash, request.purpose) or named.factors.allow(number_hash, request.purpose)
        proven = request.proof is not None or named.factors.lifted
        return None if bound or (request.purpose == BIND and proven) else NOT_BOUND

    def sent(self, named: Named, command: StartCommand, ref: Reference) -> None:
        """A code was queued for the subject. Raises StoreUnavailable.

        The number is kept sealed until it is bound: whoever had it is told when the account's numbers change.
        """
        sealed = ""
        if not named.factors.binds(ref.number_hash):
            sealed = self._seal(pack_number(named.subject.hash, BoundNumber(named.to, command.locale)))
        self._tries.sent(SentCode(named.subject, command.purpose, ref, named.may_bind, sealed))


def _is_going(named: Named, number_hash: str, purpose: str) -> bool:
    """Whether a code that may bind this number is on its way."""
    return purpose == BIND and named.factors.is_going(number_hash, purpose)


def with_alternatives(refusal: Refusal, app: App, named: Named | None, purpose: str) -> Refusal:
    """The refusal of a start that cannot send, with how else the subject can get in; no way, if none is named.

    Where a subject is named this holds for all of them: a wait, too, is no reason to keep a person out. One that says
    itself that there is no other way stays as it is.
    """
    if "alternatives" in refusal.fields or (refusal.code not in NO_WAY and named is None):
        return refusal
    ways = alternatives(named.factors, app.counts(purpose)) if named is not None else []
    told: Refusal = msgspec.structs.replace(refusal, fields={**refusal.fields, "alternatives": ways})
    return told
