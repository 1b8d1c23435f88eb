"""Refusals that several use cases give."""

from typing import TypeVar

import msgspec

from ...domain.errors import Refusal
from ...domain.factor_checking import TriesSpent
from ...domain.ids import Reference
from ...domain.limits import RESERVED
from ...domain.verification import ENDED_CODE, Status
from ...domain.view import whole_seconds

Outcome = TypeVar("Outcome")

NOT_FOUND = Refusal("verification_not_found", "There is no such verification. Start one with POST /verify/start.")
"""The same for a verification that never existed and for another app's."""

_ENDED_DETAIL = {
    Status.APPROVED: "This verification was already approved; an approval counts once. Start a new one.",
    Status.EXPIRED: "The code has expired. Start a new verification.",
    Status.CANCELED: "This verification was canceled. Start a new one.",
    Status.EXHAUSTED: "All tries of this verification are used up. Start a new one.",
    Status.DENIED: "The person said that it was not them who asked for this code. Refuse this login.",
}


def about(ref: Reference, outcome: Outcome | Refusal) -> Outcome | Refusal:
    """The outcome; a refusal says for the log which verification it is about."""
    if not isinstance(outcome, Refusal):
        return outcome
    told: Refusal = msgspec.structs.replace(outcome, verification_id=ref.verification_id)
    return told


def ended(status: Status) -> Refusal:
    """Why nothing can be done with a verification that has ended."""
    return Refusal(ENDED_CODE[status], _ENDED_DETAIL[status])


def too_many_wrong_codes(wait_ms: int, limit: str = "") -> Refusal:
    """The number's budget of wrong codes is spent, or that of another limit."""
    wait = seconds(wait_ms)
    whose = "" if limit and limit not in RESERVED else " for this number"
    return Refusal("too_many_wrong_codes", f"Too many wrong codes{whose}. Try again in {wait} seconds.", wait)


def tries_spent(spent: TriesSpent) -> Refusal:
    """The subject must wait, for an operator where too many were wrong."""
    wait = seconds(spent.wait_ms)
    what = "Only an operator can lift them." if spent.for_ever else f"Try again in {wait} seconds."
    return Refusal("too_many_wrong_codes", f"Too many wrong codes of this person. {what}", wait)


def seconds(wait_ms: int) -> int:
    """Whole seconds to wait, rounded up so that a caller who obeys passes; at least one."""
    return max(1, whole_seconds(wait_ms))
