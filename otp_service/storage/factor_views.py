"""What a subject's hash in the store says, as values of the domain."""

from collections.abc import Iterator, Mapping

from ..domain.factors import Authenticator, Factor, FactorKind, Factors, FactorStatus, Sent, Subject, TotpForm
from ..domain.ids import Reference
from .pieces import joined, unpack_sealed
from .schema import fields
from .schema.encodings import FactorFacts, SentCode, flag


def factors_of(found: Mapping[str, str], subject: Subject, now_ms: int) -> Factors:
    """The factors in a subject's hash; none of another app's. What was not confirmed in time is left out."""
    if found.get(fields.Subject.APP) != subject.app:
        return Factors(now_ms)
    refs = [Reference(token, subject.hash) for token in _tokens(found)]
    all_ = [one for ref in refs if (one := _factor(found, ref)).confirm_by_ms is None or one.confirm_by_ms > now_ms]
    all_.sort(key=lambda one: (one.created_ms, one.reference.token))
    active = [one for one in all_ if one.kind is FactorKind.TOTP and one.status is FactorStatus.ACTIVE]
    return Factors(
        now_ms,
        tuple(all_),
        tuple(_authenticator(found, one) for one in active),
        _sent(found),
        lifted=int(found.get(fields.Subject.MAY_BIND, 0)) > now_ms,
        untold=found.get(fields.Subject.UNTOLD),
    )


def authenticator_of(found: Mapping[str, str], subject: Subject, ref: Reference) -> tuple[Factor, TotpForm] | None:
    """An authenticator app of this subject of this app, active or to be confirmed; None if there is none."""
    if found.get(fields.Subject.APP) != subject.app or f"{ref.token}{fields.Factor.FACTS}" not in found:
        return None
    factor = _factor(found, ref)
    return (factor, _form(found, ref)) if factor.kind is FactorKind.TOTP else None


def _sent(found: Mapping[str, str]) -> dict[str, Sent]:
    """By purpose."""
    return {
        name.removeprefix(fields.Subject.SENT): _sent_code(text)
        for name, text in found.items()
        if name.startswith(fields.Subject.SENT)
    }


def _sent_code(text: str) -> Sent:
    token, number_hash, may_bind, at_ms = SentCode.parse(text)
    return Sent(token, number_hash, may_bind == flag(True), int(at_ms))


def _tokens(found: Mapping[str, str]) -> Iterator[str]:
    # A purpose, which is the caller's word, may end like the name of a field: no token has a colon in it.
    named = (name.removesuffix(fields.Factor.FACTS) for name in found if name.endswith(fields.Factor.FACTS))
    return (token for token in named if ":" not in token)


def _facts(found: Mapping[str, str], ref: Reference) -> dict[str, str]:
    return FactorFacts.named(found[f"{ref.token}{fields.Factor.FACTS}"])


def _factor(found: Mapping[str, str], ref: Reference) -> Factor:
    facts = _facts(found, ref)
    confirm_by = _number(found, ref, fields.Factor.PENDING)
    return Factor(
        reference=ref,
        kind=FactorKind(facts["kind"]),
        label=found.get(f"{ref.token}{fields.Factor.LABEL}", ""),
        status=FactorStatus.ACTIVE if confirm_by is None else FactorStatus.PENDING,
        created_ms=int(facts["created_ms"]),
        last_used_ms=_number(found, ref, fields.Factor.USED),
        codes_left=_number(found, ref, fields.Factor.LEFT),
        confirm_by_ms=confirm_by,
        mask=found.get(f"{ref.token}{fields.Factor.MASK}"),
        number_hash=found.get(f"{ref.token}{fields.Factor.NUMBER}"),
        sealed_number=_sealed_number(found, ref) if facts["kind"] == FactorKind.SMS else None,
        bound_by=found.get(f"{ref.token}{fields.Factor.BOUND_BY}"),
        approved_by=found.get(f"{ref.token}{fields.Factor.APPROVED_BY}"),
    )


def _sealed_number(found: Mapping[str, str], ref: Reference) -> str | None:
    sealed = joined(found, f"{ref.token}{fields.Factor.SEALED}")
    return None if sealed is None else unpack_sealed(sealed)


def _number(found: Mapping[str, str], ref: Reference, name: str) -> int | None:
    text = found.get(f"{ref.token}{name}")
    return None if text is None else int(text)


def _form(found: Mapping[str, str], ref: Reference) -> TotpForm:
    facts = _facts(found, ref)
    return TotpForm(facts["algorithm"], int(facts["digits"]), int(facts["period_s"]))


def _authenticator(found: Mapping[str, str], factor: Factor) -> Authenticator:
    sealed = joined(found, f"{factor.reference.token}{fields.Factor.SEALED}") or b""
    return Authenticator(factor, _form(found, factor.reference), unpack_sealed(sealed))
