"""What the carrier's answer to a send, or a delivery report, means for the circuit breakers on its way."""

from collections.abc import Mapping, Sequence

from .circuit import (
    ACCOUNT,
    DAY_MS,
    HOLDS_AFTER,
    HOUR_MS,
    MINUTE_MS,
    Fault,
    Finding,
    Hold,
    Source,
    Success,
    profile_scope,
    scopes,
    sender_scope,
)
from .delivery import IN_PROGRESS, LIMITED, TOO_LATE, Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from .policy import Sender

PUMPING = "40020"
"""The carrier blocks a sender's codes for a day because the traffic looks inflated."""

AT_ONCE: Mapping[str, str] = {
    "10009": "the carrier does not know our key: every request carries the same one",
    "20001": "our key is missing or invalid",
    "20002": "our key is invalid",
    "20003": "our key is revoked",
    "20012": "the account is inactive",
    "20013": "the account is blocked",
    "20100": "the account has no money",
    "40314": "messaging is disabled on the account",
    "40333": "the profile has spent its daily limit",
    PUMPING: "the sender is blocked for a day, and every further code by it fails",
}
"""The only codes of which one is enough, with the reason: no message can cause them, and none is spared. They count at
once in an answer, where the carrier has judged the request; of a report, which is about one message, only the block for
pumping, since it comes in no other way. `deploy/docs/operation.md` lists the same codes."""


def spent(profile: str, code: str, title: str, source: Source = Source.ANSWER, after: int = 1) -> Hold:
    """A profile has reached its daily spend limit: nothing before midnight UTC, unless somebody raises it."""
    return Hold(profile_scope(profile), code, title, None, HOUR_MS, after, source)


def findings(outcome: SendOutcome, sender: Sender) -> Sequence[Finding]:
    """What the carrier's answer to a send says of the breakers on its way."""
    own = sender_scope(sender.name)
    match outcome:
        case Accepted():
            return [Success(scope, sent=True) for scope in scopes(sender)]
        case Refused(foreign=True):
            # Not the carrier's own answer, so nothing else works for having got it.
            return [_foreign(outcome)]
        case Refused():
            held = refusal_hold(outcome, sender, Source.ANSWER)
            if held is not None:
                return [held]
            # Any refusal is an answer; one that is about the person or the message says that all else works.
            return [Success(ACCOUNT), Success(own)]
        case NotSent(reason=reason) if reason not in (LIMITED, TOO_LATE):
            return [Fault(own, reason)]
        case Unknown(reason=reason) if reason != IN_PROGRESS:
            return [Fault(own, reason)]
        case _:
            return []


def _foreign(refusal: Refused) -> Hold:
    """A proxy or a wrong base URL refuses every request, whoever sends it: that shows at the account."""
    return Hold(ACCOUNT, refusal.code, refusal.title, 10 * MINUTE_MS, MINUTE_MS // 2)


def refusal_hold(refusal: Refused, sender: Sender, source: Source) -> Hold | None:
    """The hold that a refusal, or a failed delivery's error, asks for; None if it is not about us."""
    code, title = refusal.code, refusal.title
    named = code in AT_ONCE and (source is Source.ANSWER or code == PUMPING)
    after = 1 if named else HOLDS_AFTER
    own, profile = sender_scope(sender.name), profile_scope(sender.messaging_profile_id)
    if refusal.spent:
        return spent(sender.messaging_profile_id, code, title, source, after)
    if code == PUMPING:
        return Hold(own, code, title, DAY_MS, DAY_MS, after, source)
    match refusal.action:
        case Action.STOP_ALL:
            return Hold(ACCOUNT, code, title, DAY_MS, MINUTE_MS // 2, after, source)
        case Action.STOP_PROFILE:
            return Hold(profile, code, title, 10 * MINUTE_MS, MINUTE_MS, after, source)
        case Action.STOP_SENDER:
            return Hold(own, code, title, 10 * MINUTE_MS, MINUTE_MS, after, source)
        case _:
            return None
