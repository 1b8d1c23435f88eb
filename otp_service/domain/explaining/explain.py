"""One decision, recomputed from what came before it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..policy import NumberLimits
from . import checking, ending, sending, starting, wishes
from .history import History
from .record import CLOCK_MS, Explanation, Happened, PolicyOf, RefusalOf

Explain = Callable[[Happened, History, NumberLimits], Explanation]
ExplainAnswer = Callable[[Happened, History, RefusalOf], Explanation]

_DECISIONS: Mapping[str, Explain] = {
    "verification.started": starting.explain_start,
    "verification.resent": starting.explain_start,
    "verification.refused": starting.explain_refusal,
    "verification.approved": checking.explain_approval,
    "verification.exhausted": checking.explain_exhausted,
    "verification.expired": ending.explain_expiry,
    "verification.canceled": ending.explain_cancel,
    "verification.denied": ending.explain_denial,
    "check.failed": checking.explain_wrong,
    "delivery.queued": sending.explain_queued,
    "delivery.sending": sending.explain_try,
    "delivery.retried": sending.explain_try,
    "delivery.suppressed": sending.explain_suppressed,
    "delivery.expired": sending.explain_late,
    "delivery.unconfirmed": sending.explain_unconfirmed,
    "optout.added": wishes.explain_optout,
    "optout.removed": wishes.explain_optin,
}
_ANSWERS: Mapping[str, ExplainAnswer] = {
    "delivery.failed": sending.explain_failure,
    "delivery.fell_back": sending.explain_failover,
}
DECISIONS = frozenset({*_DECISIONS, *_ANSWERS})
"""The events that say what the service decided by its rules."""


def explain(
    event: Happened, before: Iterable[Happened], policy_of: PolicyOf, refusal_of: RefusalOf
) -> Explanation | None:
    """The explanation of this event; None if it is no decision. `before`: the number's earlier events, in order.

    Raises KeyError if a configuration, an app or the start of its verification is not on record.
    """
    if event.type not in DECISIONS:
        return None
    history = History(policy_of)
    for one in before:
        history.follow(one)
    return explain_next(event, history, policy_of, refusal_of)


def explain_next(event: Happened, history: History, policy_of: PolicyOf, refusal_of: RefusalOf) -> Explanation | None:
    """The same where the history has been followed up to this event."""
    history.see(event)
    if event.type not in DECISIONS:
        return None
    explain_one = _ANSWERS.get(event.type)
    tried = []
    for shift_ms in (0, CLOCK_MS, -CLOCK_MS):
        moved = replace(event, at_ms=event.at_ms + shift_ms)
        if explain_one is not None:
            found = explain_one(moved, history, refusal_of)
        else:
            found = _DECISIONS[event.type](moved, history, policy_of(event.policy).per_number)
        if found.agrees:
            return found
        tried.append(found)
    return tried[0]
