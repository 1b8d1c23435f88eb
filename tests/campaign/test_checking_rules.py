"""The judge's rules about checks, approvals and receipts."""

from dataclasses import replace
from typing import Any

import pytest

from . import breaches
from .evidence import Call, Fault
from .judge import judge
from .sample_evidence import CALLS, CODE, EVENTS, EXPIRES, T0, WRONG, at, call, event, kinds_after, sample


def approved_with(**other: Any) -> set[str]:
    """The kinds of breach if the approving check is changed."""
    return kinds_after(lambda evidence: replace(evidence, calls=(*CALLS[:2], replace(CALLS[2], **other), CALLS[3])))


def test_false_approval_of_a_wrong_code() -> None:
    """Another code than the one on the phone was approved."""
    assert approved_with(guess=WRONG) == {breaches.FALSE}


def test_false_approval_after_expiry() -> None:
    """By the caller's clock, or by `approved_at`."""
    assert breaches.FALSE in approved_with(began=EXPIRES + 0.1)
    assert breaches.FALSE in approved_with(body={"approved_at": at(EXPIRES + 0.1)})


@pytest.mark.parametrize(
    "closing", [call("cancel", 1.5, 200), call("check", 1.5, 410, code="attempts_exhausted", guess=WRONG)]
)
def test_false_approval_after_the_end(closing: Call) -> None:
    """Canceled or exhausted, and then approved."""
    assert breaches.FALSE in kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, closing)))


def test_false_approval_without_a_right_guess() -> None:
    """It is approved and no caller presented the right code. A check without a response would be enough."""
    assert breaches.FALSE in kinds_after(lambda evidence: replace(evidence, calls=CALLS[:2]))
    unanswered = call("check", 2.0, None, guess=CODE)
    killed = Fault("kill_api", T0 + 2, T0 + 3, "api1")
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS[:2], unanswered), faults=(killed,))) == set()


def test_double_approval_in_the_responses() -> None:
    """Two checks had the response 200."""
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, CALLS[2]))) == {breaches.DOUBLE}


def test_double_approval_in_the_audit_log() -> None:
    """One response was lost; the audit log has both."""
    events = (*EVENTS, event("verification.approved", 3.0))
    assert {breach.kind for breach in judge(sample(events)).breaches} == {breaches.DOUBLE, breaches.GAP}


def test_double_redemption_of_a_receipt() -> None:
    """A receipt may be redeemed once."""
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, CALLS[3]))) == {breaches.DOUBLE}


def test_over_budget_in_the_responses_or_in_the_audit_log() -> None:
    """More guesses were judged than are allowed."""
    wrong = tuple(CALLS[1] for _ in range(5))
    assert breaches.BUDGET in kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, *wrong)))
    failures = tuple(event("check.failed", 1 + turn / 10) for turn in range(1, 5))
    events = (*EVENTS[:6], *failures, *EVENTS[6:])
    assert {breach.kind for breach in judge(sample(events)).breaches} == {breaches.BUDGET}


def test_false_refusal_of_the_right_code() -> None:
    """The right code was reported as incorrect."""
    refused = replace(CALLS[1], guess=CODE)
    assert kinds_after(lambda evidence: replace(evidence, calls=(CALLS[0], refused, *CALLS[2:]))) == {breaches.REFUSED}
