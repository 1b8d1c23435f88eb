"""The judge's rules about checks, approvals and receipts."""

import math
from collections.abc import Iterator

from .breaches import BUDGET, DOUBLE, FALSE, Breach
from .case import Case, is_guess_event
from .evidence import Call, moment
from .sending_rules import CLOCK_S


def false_approval(case: Case) -> Iterator[Breach]:
    """Only the code on the phone is approved, only before it expires, and only while the verification is pending."""
    for verification, calls in case.calls_of.items():
        checks = [call for call in calls if call.kind == "check"]
        closed = min((call.ended for call in calls if _closes(call)), default=math.inf)
        for call in checks:
            if call.good and (detail := _wrongly_approved(case, verification, call, closed)):
                yield Breach(FALSE, verification, detail)
    for verification in case.evidence.verifications:
        right = {call.guess for call in case.calls_of[verification] if call.kind == "check"} & case.codes(verification)
        if case.approvals(verification) and not right:
            yield Breach(FALSE, verification, "approved, and no caller presented the code on the phone")


def _wrongly_approved(case: Case, verification: str, call: Call, closed: float) -> str:
    approved_at = call.body.get("approved_at")
    if call.guess not in case.codes(verification):
        return "a code that is on no phone was approved"
    if call.began > case.expires(verification) + CLOCK_S:
        return f"approved {call.began - case.expires(verification):.3f} s after its code expired"
    if approved_at and moment(str(approved_at)) > case.expires(verification) + CLOCK_S:
        return f"approved at {approved_at}, after its code expired"
    if call.began > closed:
        return "approved after it was canceled, exhausted or denied"
    return ""


def _closes(call: Call) -> bool:
    ends = {"attempts_exhausted", "verification_canceled", "verification_denied"}
    return (call.kind == "cancel" and call.good) or call.code in ends


def double_approval(case: Case) -> Iterator[Breach]:
    """A verification is approved once at most, and its receipt is redeemed once at most."""
    for verification in {*case.calls_of, *case.evidence.verifications}:
        calls = case.calls_of[verification]
        approved = max(sum(call.kind == "check" and call.good for call in calls), case.approvals(verification))
        if approved > 1:
            yield Breach(DOUBLE, verification, f"approved {approved} times")
        redeemed = sum(call.kind == "redeem" and call.good for call in calls)
        if redeemed > 1:
            yield Breach(DOUBLE, verification, f"its receipt was redeemed {redeemed} times")


def over_budget(case: Case) -> Iterator[Breach]:
    """No more guesses are judged than the configuration allows."""
    allowed = case.evidence.max_checks
    for verification in {*case.calls_of, *case.evidence.verifications}:
        # By the number it may have been another verification, of a start whose response was lost.
        checks = [call for call in case.checks_of(verification) if not call.by_number]
        answered = sum(call.good or call.code == "code_incorrect" for call in checks)
        judged = max(answered, sum(map(is_guess_event, case.events_of[verification])))
        if judged > allowed:
            yield Breach(BUDGET, verification, f"{judged} guesses were judged, {allowed} are allowed")
