"""Which factors of a subject a typed code can be, by its form, and which authenticator apps show it now."""

from collections.abc import Collection
from dataclasses import dataclass, field

from ...domain import codes, recovery, totp
from ...domain.errors import InvalidRequest, KeyUnknown
from ...domain.factors import REPEATED_MS, Authenticator, FactorKind, Factors, Sent
from ...domain.ids import Ids, Reference
from .. import ports


@dataclass(frozen=True, slots=True)
class Candidates:
    """The factors that have the form of the code.

    `recovery`: token of the codes, keyed hash of what was typed. `sent`: the verification whose code was sent.
    """

    authenticators: tuple[Authenticator, ...] = ()
    recovery: tuple[str, str] | None = field(default=None, repr=False)
    sent: Reference | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.authenticators) or self.recovery is not None or self.sent is not None


def digit_candidates(
    factors: Factors, allowed: Collection[FactorKind], code: str, sent: Sent | None, ids: Ids
) -> Candidates:
    """The factors of these kinds that show or were sent so many digits. `sent`: what was sent for the purpose."""
    alike = [one for one in factors.authenticators if one.form.digits == len(code)]
    return Candidates(
        authenticators=tuple(alike) if FactorKind.TOTP in allowed else (),
        sent=ids.read_token(sent.token) if sent is not None and FactorKind.SMS in allowed else None,
    )


def recovery_candidates(
    factors: Factors, allowed: Collection[FactorKind], code: str, subject_hash: str, ids: Ids
) -> Candidates:
    """The recovery codes, if there are any. Raises InvalidRequest for what no person meant to type."""
    typed = recovery.typed(code)
    if typed is None and not any(one.isalpha() for one in code):
        codes.require_typed(code)
    # With a letter in it, it was meant for a recovery code, however long it is.
    if typed is None or not recovery.is_whole(typed):
        detail = "a recovery code with a mistake in it: compare each group; no try was spent"
        raise InvalidRequest("The recovery code was not typed as it was given.", [("/code", detail)])
    sets = factors.of_kind(FactorKind.RECOVERY_CODE) if FactorKind.RECOVERY_CODE in allowed else []
    return Candidates(recovery=(sets[0].reference.token, ids.recovery_code(subject_hash, typed)) if sets else None)


def approved_steps(found: Candidates, operation_id: str, now_ms: int) -> list[tuple[str, int]]:
    """The app that this operation has approved before, with no time step: the store knows its own answer."""
    factors = [one.factor for one in found.authenticators if one.factor.approved_by == operation_id]
    return [(one.reference.token, 0) for one in factors if now_ms - (one.last_used_ms or 0) < REPEATED_MS]


def shown_steps(found: Candidates, code: str, now_ms: int, vault: ports.Vault) -> list[tuple[str, int]]:
    """Token and time step of each app that shows the code now.

    Raises KeyUnknown if none is known to, and the secret of one cannot be opened here: that is no wrong code.
    """
    steps: list[tuple[str, int]] = []
    missing: KeyUnknown | None = None
    for one in found.authenticators:
        try:
            secret = vault.open(one.sealed)
        except KeyUnknown as error:
            missing = error
            continue
        matching = totp.matching_steps(secret, one.form, code, now_ms)
        steps += [(one.factor.reference.token, step) for step in matching]
    if missing is not None and not steps:
        raise missing
    return steps
