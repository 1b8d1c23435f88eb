"""The figures of a run: counts, waits, and how long the service took to recover from each fault."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .case import Case, group_by, is_guess_event
from .causes import cause_of_duplicate, reason_for_none
from .evidence import Fault


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the end of each fault of a kind to the next success; None if there was no success after it."""

    kind: str
    seconds: Sequence[float | None]


def counts(case: Case) -> dict[str, int]:
    """How many of everything, in the order of the report."""
    sends = case.sends
    return {
        "accepted": len(sends),
        "delivered exactly once": sum(len(send.copies) == 1 for send in sends),
        "no SMS, reason stated": sum(not send.copies and bool(reason_for_none(case, send)) for send in sends),
        "duplicates with cause": sum(len(send.copies) > 1 and bool(cause_of_duplicate(case, send)) for send in sends),
        "verifications": len(case.evidence.verifications),
        "approved": sum(bool(case.approvals(name)) for name in case.evidence.verifications),
        "guesses judged": sum(map(is_guess_event, case.evidence.events)),
        "approved by a factor": sum(event.type == "factor.approved" for event in case.evidence.events),
        "audit events": len(case.evidence.events),
        "requests of callers": len(case.evidence.calls),
        "sends at the carrier": len(case.evidence.requests),
        "SMS on phones": len(case.evidence.messages),
        "replies of persons": len(case.evidence.replies),
        "callbacks received": len(case.evidence.callbacks or ()),
        "codes ended by the store": sum(map(case.was_ended_early, case.evidence.verifications)),
        "faults": len(case.evidence.faults),
    }


def reasons(case: Case) -> Counter[str]:
    """Why sends made no SMS."""
    found = (reason_for_none(case, send) for send in case.sends if not send.copies)
    return Counter(reason for reason in found if reason)


def causes(case: Case) -> Counter[str]:
    """Why sends made more than one SMS."""
    found = (cause_of_duplicate(case, send) for send in case.sends if len(send.copies) > 1)
    return Counter(cause for cause in found if cause)


def responses(case: Case) -> Counter[str]:
    """The responses to callers, by kind of request and status."""
    return Counter(
        f"{call.kind} {call.status if call.status is not None else 'no response'}" for call in case.evidence.calls
    )


def waits_for_carrier(case: Case) -> Iterator[float]:
    """Seconds from the response to a caller to the first request that the carrier accepted."""
    for send in case.sends:
        accepted = [
            request.received_at
            for name in send.chain
            for request in case.requests_of[name]
            if request.status in (None, 200)
        ]
        if accepted:
            yield min(accepted) - send.accepted_at


def waits_for_phone(case: Case) -> Iterator[float]:
    """Seconds from the response to a caller to the first SMS on the phone."""
    for send in case.sends:
        if send.copies:
            yield send.copies[0].received_at - send.accepted_at


def waits_for_refusal(case: Case) -> Iterator[float]:
    """Seconds until a request was refused because of the store, where nothing was done to its process."""
    for call in case.evidence.calls:
        if call.status == 503 and not case.is_excused(call):
            yield call.ended - call.began


def waits_for_healthz(case: Case) -> Iterator[float]:
    """Seconds that `/healthz` took, where nothing was done to its process."""
    for call in case.evidence.probes:
        if call.status is not None and not case.is_excused(call):
            yield call.ended - call.began


def recovery(case: Case) -> list[Recovery]:
    """For each kind of fault."""
    by_kind = group_by(case.evidence.faults, lambda fault: fault.kind)
    return [Recovery(kind, [_recovered(case, fault) for fault in faults]) for kind, faults in sorted(by_kind.items())]


def _recovered(case: Case, fault: Fault) -> float | None:
    times = case.successes[_success_of(fault)]
    index = bisect_left(times, fault.ended)
    return times[index] - fault.ended if index < len(times) else None


def _success_of(fault: Fault) -> str:
    """Which success shows that the fault is over: see `Case.successes`."""
    if fault.kind.startswith("webhook") or fault.kind in {"silent", "failing"}:
        return "report"
    if fault.target.startswith("worker") or fault.target == "carrier":
        return "send"
    return fault.target if fault.target.startswith("api") else "response"
