"""The judge's rule about right codes: who has the code gets in, unless there is a reason that was observed."""

from collections.abc import Callable, Iterator, Mapping

from .breaches import REFUSED, Breach
from .case import Case
from .evidence import Call
from .restarts import may_have_ended
from .sending_rules import CLOCK_S


def right_code_refused(case: Case) -> Iterator[Breach]:
    """A right code is refused only if it was used, ended or expired before, or too many wrong ones were tried."""
    for call in case.evidence.calls:
        if call.kind == "check" and not call.good and is_right(case, call):
            if call.code == "code_incorrect":
                yield Breach(REFUSED, call.verification_id, "the right code was reported as incorrect")
            explained = _EXPLAINED.get(call.code)
            if explained is not None and not explained(case, call):
                yield Breach(REFUSED, call.verification_id, f"the right code: {call.status} {call.code}")


def is_right(case: Case, call: Call) -> bool:
    """Whether number, context and code are those of a verification that the caller was told of."""
    started = [each for each in case.calls_of[call.verification_id] if each.kind == "start" and each.good]
    if not started or started[0].ended > call.began or call.to not in ("", call.number):
        return False
    return call.context == started[0].context and call.guess in case.codes(call.verification_id)


def _others(case: Case, call: Call) -> list[Call]:
    """The calls about the verification that may have been judged before this one."""
    return [each for each in case.calls_of[call.verification_id] if each is not call and each.began < call.ended]


def _may_have_worked(call: Call) -> bool:
    return call.good or call.status is None or call.status >= 500


def _used(case: Case, call: Call) -> bool:
    right = [each for each in _others(case, call) if each.kind == "check" and is_right(case, each)]
    return any(map(_may_have_worked, right))


def _exhausted(case: Case, call: Call) -> bool:
    guesses = [each for each in _others(case, call) if each.kind == "check" and each.to in ("", each.number)]
    return len(guesses) >= case.evidence.max_checks


def _expired(case: Case, call: Call) -> bool:
    started = min(each.began for each in case.calls_of[call.verification_id] if each.kind == "start")
    over = call.ended >= case.expires(call.verification_id) - CLOCK_S
    return over or may_have_ended(case, started, call.ended)


def _canceled(case: Case, call: Call) -> bool:
    return any(each.kind == "cancel" and _may_have_worked(each) for each in _others(case, call))


def _denied(case: Case, call: Call) -> bool:
    return any(reply.text == "NO" and reply.number == call.number for reply in case.evidence.replies)


def _spent(case: Case, call: Call) -> bool:
    before = [at for at in case.wrong_codes[call.number] if at < call.ended]
    return 0 < case.evidence.wrong_codes_per_number <= len(before)


def _never(_case: Case, _call: Call) -> bool:
    return False


_EXPLAINED: Mapping[str, Callable[[Case, Call], bool]] = {
    "already_approved": _used,
    "attempts_exhausted": _exhausted,
    "verification_expired": _expired,
    "verification_canceled": _canceled,
    "verification_denied": _denied,
    "too_many_wrong_codes": _spent,
    "verification_not_found": _never,
}
"""What must have been observed for each refusal. 503 has a rule of its own."""
