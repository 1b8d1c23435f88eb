"""The judge's rules about what a person wants: opting out, denying, and not being guessed at for ever."""

import math
from collections.abc import Iterator

from .breaches import DENIED, OPTED_OUT, REFUSED, SPENT, Breach
from .case import API_FAULTS, RECOVERY_S, STORE_FAULTS, Case, verification_of
from .evidence import Reply, mask_of, moment
from .restarts import may_have_ended
from .sending_rules import CLOCK_S

LEARNED_WITHIN_S = 15.0
"""How long after a reply the service may take to know of it: its webhook may have to be posted again."""

UNDISTURBED_S = 3.0
"""The same, if no process and no server was disturbed."""

_TOLD = ("inbound", "reply")
"""Sources of an opt-out that the person's own message is. The others are the carrier's refusal and its list."""

_LISTED = "list"
"""A worker that starts reads the carrier's list: it may know of the STOP before a webhook that has to come again."""

IN_FLIGHT_S = 1.0
"""A send that had begun when something happened may still reach the carrier."""

TELLS_FOR_S = 8.0
"""For so long the carrier tries to post the webhook of a reply: three times, two seconds each."""

UNTOLD_PAUSED_S = 1.0
"""A machine that kept the campaign from running for so long meanwhile may have kept each try from being answered."""

LOST_REPLY = frozenset({"webhook_loss", "webhook_disorder"})


def optout_ignored(case: Case) -> Iterator[Breach]:
    """After a STOP every start is refused and nothing is sent, until a START."""
    for reply in case.evidence.replies:
        if reply.text != "STOP":
            continue
        learned = _learned(case, reply)
        if learned is None:
            yield Breach(OPTED_OUT, reply.number, "the STOP was never recorded")
            continue
        until = _opted_in_again(case, reply)
        for call in case.evidence.calls:
            if call.number == reply.number and call.kind == "start" and call.good and learned < call.began < until:
                yield Breach(OPTED_OUT, reply.number, f"a start was accepted {call.began - learned:.1f} s after it")
        for request in case.evidence.requests:
            if request.number == reply.number and learned + IN_FLIGHT_S < request.received_at < until:
                yield Breach(OPTED_OUT, reply.number, f"sent {request.received_at - learned:.1f} s after the STOP")


def _learned(case: Case, reply: Reply) -> float | None:
    """When the service recorded the STOP; infinite if it may not have been told of it yet; None if it must know."""
    events = [event for event in case.events_about[mask_of(reply.number)] if event.at >= reply.at - CLOCK_S]
    added = [event for event in events if event.type == "optout.added"]
    until = reply.at + LEARNED_WITHIN_S + case.busy_s(reply.at, reply.at + LEARNED_WITHIN_S)
    disturbed = case.during(_DELAYS, reply.at - 1.0, until)
    sources = (*_TOLD, _LISTED) if disturbed else _TOLD
    told = min((event.at for event in added if event.detail.get("source") in sources), default=math.inf)
    if told <= until or (told < math.inf and disturbed):
        return told + CLOCK_S
    if disturbed and _opted_in_again(case, reply) < until:
        # The webhook of the START may come first, and what is older than it changes nothing.
        return math.inf
    if case.during(LOST_REPLY, reply.at, until) or _may_be_untold(case, reply):
        # Then the service knows when the carrier refuses a message.
        return min((event.at for event in added), default=math.inf)
    early = case.evidence.judged_at < reply.at + (LEARNED_WITHIN_S if disturbed else UNDISTURBED_S)
    return math.inf if early else None


def _opted_in_again(case: Case, stop: Reply) -> float:
    starts = [each for each in case.evidence.replies if each.number == stop.number and each.text == "START"]
    return min((each.at for each in starts if each.at > stop.at), default=math.inf)


def false_optout(case: Case) -> Iterator[Breach]:
    """Nobody is refused as opted out who never said so."""
    stopped = {reply.number for reply in case.evidence.replies if reply.text == "STOP"}
    for call in case.evidence.calls:
        if call.code == "opted_out" and call.number not in stopped:
            yield Breach(REFUSED, call.number, "refused as opted out, and the person never said so")


def denial_ignored(case: Case) -> Iterator[Breach]:
    """A person who replies that it was not them ends the verification, and its code is never approved afterwards.

    The carrier tries to tell the service of it for seconds only. What the service has taken it may not lose.
    """
    for reply in case.evidence.replies:
        if reply.text != "NO":
            continue
        told = _told(case, reply)
        disturbed = case.during(_UNTOLD, reply.at - RECOVERY_S, reply.at + _tells_for_s(case, reply))
        if told is None and not (disturbed or _may_be_untold(case, reply)):
            yield Breach(DENIED, reply.number, "the webhook of a denial was never taken")
        for name in case.verifications_of[reply.number]:
            denied = [event.at for event in case.events_of[name] if event.type == "verification.denied"]
            if denied:
                late = [call for call in case.checks_of(name) if call.good and call.began > denied[0] + CLOCK_S]
                yield from (Breach(DENIED, name, "approved after the person denied it") for _ in late)
            elif told is not None and _should_be_denied(case, name, reply, told):
                yield Breach(
                    DENIED, name, f"the person denied it, it was told {told - reply.at:.1f} s later, and not ended"
                )


def _told(case: Case, reply: Reply) -> float | None:
    """When the service had taken the reply's webhook; None if it never did, or there is no time left to know."""
    taken = [each.at for each in case.evidence.taken if (each.number, each.text) == (reply.number, reply.text)]
    return min((at for at in taken if at >= reply.at), default=None)


def _may_be_untold(case: Case, reply: Reply) -> bool:
    """Whether no try of the carrier was taken, on a machine that may be the reason."""
    return _told(case, reply) is None and case.paused_s(reply.at, reply.at + TELLS_FOR_S) > UNTOLD_PAUSED_S


def _tells_for_s(case: Case, reply: Reply) -> float:
    """For how long the carrier tries."""
    return TELLS_FOR_S + case.busy_s(reply.at, reply.at + TELLS_FOR_S)


def _should_be_denied(case: Case, name: str, reply: Reply, told: float) -> bool:
    """Whether it was pending until the service had taken the denial of a code that had arrived."""
    found = case.evidence.verifications.get(name)
    arrived = [message for message in case.messages_of[name] if message.received_at < reply.at]
    if found is None or not arrived or moment(str(found["created_at"])) > reply.at:
        return False
    ended = min((e.at for e in case.events_of[name] if e.type in _ENDS), default=case.expires(name))
    return ended > told + CLOCK_S and not may_have_ended(case, moment(str(found["created_at"])), told)


_ENDS = tuple(f"verification.{name}" for name in ("approved", "expired", "exhausted", "canceled"))
_DELAYS = STORE_FAULTS | API_FAULTS
_UNTOLD = _DELAYS | LOST_REPLY


def spent_budget_ignored(case: Case) -> Iterator[Breach]:
    """With the number's budget of wrong codes spent, none is judged, approved, started or sent."""
    limit = case.evidence.wrong_codes_per_number
    for number, times in case.wrong_codes.items() if limit else ():
        if len(times) > limit:
            yield Breach(SPENT, number, f"{len(times)} wrong codes were judged, {limit} are allowed")
        if len(times) < limit:
            continue
        spent = times[limit - 1] + CLOCK_S
        for call in case.evidence.calls:
            counts = call.kind in {"start", "check"} and call.good and not call.replayed
            if counts and call.number == number and call.began > spent:
                yield Breach(SPENT, number, f"{call.kind}: {call.status} after the budget was spent")
        for key, requests in case.requests_of.items():
            first = min(request.received_at for request in requests)
            if requests[0].number == number and first > spent + IN_FLIGHT_S:
                yield Breach(SPENT, verification_of(key), "sent after the number's budget was spent")
