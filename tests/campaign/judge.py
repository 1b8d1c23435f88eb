"""The comparison at the end: from the evidence alone to figures and breaches. A pure function, itself under test.

Each promise is one small function that lists its breaches, so that a reader can check the campaign's own words:
`lost`, `stuck`, `duplicate`, `false approval`, `double approval`, `over budget`, `audit gap` and a few beside them.
An answer that never came (or a 5xx) proves nothing by itself; it is settled by what the service says afterwards.
"""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

from .evidence import TERMINAL, Call, Event, Evidence, Fault, Message, Request, body_of, moment

SETTLED_WITHIN_S = 60.0
"""How long after the end of its code a delivery may take to come to its own end."""

CLIENT_TIMEOUT_S = 4.5
"""An answer that took longer has not reached the service, which waits five seconds for it."""

CLOCK_S = 0.005
"""Times are told in whole milliseconds."""

LOST, STUCK, DUPLICATE, UNTRUE = "lost", "stuck", "duplicate", "untrue status"
FALSE, DOUBLE, BUDGET, GAP = "false approval", "double approval", "over budget", "audit gap"
REFUSED, LATE, BYTES, TWICE = "false refusal", "late send", "changed bytes", "pending twice"
STRANGE, LEFT, ACCIDENT = "strange answer", "left in the store", "accident"
BREACHES = (LOST, STUCK, DUPLICATE, FALSE, DOUBLE, BUDGET, GAP, REFUSED, UNTRUE, LATE, BYTES, TWICE, STRANGE, LEFT)
ALL_BREACHES = (*BREACHES, ACCIDENT)

Item = TypeVar("Item")

ANSWER_LOST, SENDER_FAILED = "answer lost", "first sender failed"
HELD, RECEIPT_LATE = "held by the carrier", "receipt late"

ANSWER_FAULTS = frozenset({"half_body", "timeout", "reset_after_request", "slow"})
WORKER_FAULTS = frozenset(
    {"kill_worker", "stop_worker", "kill_store", "stop_store", "kill_connections", "kill_api", "flush_scripts"}
)
RECEIPT_FAULTS = frozenset({"webhook_delay", "webhook_loss", "webhook_disorder", "silent"}) | {
    "kill_api",
    "kill_api_child",
    "stop_api",
    "kill_store",
    "stop_store",
    "kill_connections",
}
_ONCE = ("verification.started", "verification.approved", "verification.exhausted", "verification.expired")
_ONCE_EACH = frozenset({*_ONCE, "verification.canceled", "verification.denied", "receipt.redeemed"})
_ONCE_PER_DELIVERY = frozenset(
    f"delivery.{word}"
    for word in ("queued", "sending", "sent", "delivered", "failed", "unconfirmed", "suppressed", "expired")
) | {"delivery.fell_back"}
_STORIES = ("verification.", "check.", "delivery.", "receipt.")
"""What timeline and record both tell. The record has more: opt-outs, keys, refused webhooks and refused starts."""

_ENDED_EVENT = {
    "approved": "verification.approved",
    "expired": "verification.expired",
    "exhausted": "verification.exhausted",
    "canceled": "verification.canceled",
    "denied": "verification.denied",
}
_EXPECTED = {
    "start": {200, 201, 409, 429, 503},
    "check": {200, 410, 422, 429, 503},
    "cancel": {200, 410, 503},
    "redeem": {200, 410, 503},
}


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken promise: which, of what, and how it shows."""

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took, after each fault of a kind, until the next success. None: there was none."""

    kind: str
    seconds: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is printed."""

    figures: Mapping[str, int]
    reasons: Mapping[str, int]
    causes: Mapping[str, int]
    answers: Mapping[str, int]
    breaches: Sequence[Breach]
    recovery: Sequence[Recovery]
    to_carrier_s: Sequence[float]
    to_handset_s: Sequence[float]

    def count(self, kind: str) -> int:
        """How many breaches of a kind."""
        return sum(breach.kind == kind for breach in self.breaches)


@dataclass(slots=True)
class Send:
    """One accepted start: its first delivery and those it fell back to."""

    verification_id: str
    chain: list[str]
    accepted_at: float
    copies: list[Message] = field(default_factory=list)


class Case:
    """The evidence, put into order once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.calls_of = _by(evidence.calls, lambda call: call.verification_id)
        self.events_of = _by(evidence.events, lambda event: event.verification_id)
        self.requests_of = _by(evidence.requests, lambda request: request.key)
        self.copies_of = _by(evidence.messages, lambda message: message.delivery_id)
        self.messages_of = _by(evidence.messages, lambda message: f"vrf_{body_of(message.delivery_id)}")

    @cached_property
    def deliveries(self) -> dict[str, Mapping[str, Any]]:
        """Every delivery the service tells of."""
        shown = (found for found in self.evidence.verifications.values() if found is not None)
        return {str(delivery["delivery_id"]): delivery for found in shown for delivery in found["deliveries"]}

    @cached_property
    def fell_back(self) -> dict[str, str]:
        """From a delivery to the one that took its place."""
        moved = [event for event in self.evidence.events if event.type == "delivery.fell_back"]
        told = {event.delivery_id: str(event.detail.get("to", "")) for event in moved}
        for found in self.evidence.verifications.values():
            for entry in (found or {}).get("timeline", ()):
                if entry["event"] == "delivery.fell_back":
                    told.setdefault(str(entry["delivery_id"]), str(entry["detail"].get("to", "")))
        return told

    @cached_property
    def sends(self) -> list[Send]:
        """What callers were promised, each once, however often it was answered."""
        back = {later: earlier for earlier, later in self.fell_back.items()}
        promised: dict[tuple[str, str], float] = {}
        for call in self.evidence.calls:
            if call.kind != "start" or not call.good or not call.body.get("deliveries"):
                continue
            root = str(call.body["deliveries"][-1]["delivery_id"])
            while root in back:
                root = back[root]
            name = (call.verification_id, root)
            promised[name] = min(call.ended, promised.get(name, math.inf))
        return [self._send(verification, root, at) for (verification, root), at in promised.items()]

    def _send(self, verification: str, root: str, at: float) -> Send:
        chain = [root]
        while chain[-1] in self.fell_back and self.fell_back[chain[-1]] not in chain:
            chain.append(self.fell_back[chain[-1]])
        copies = sorted((copy for each in chain for copy in self.copies_of[each]), key=lambda copy: copy.received_at)
        return Send(verification, chain, at, copies)

    def expires(self, verification_id: str) -> float:
        """When the verification's code ran out; infinite if nobody can say."""
        found = self.evidence.verifications.get(verification_id)
        return moment(str(found["expires_at"])) if found else math.inf

    def codes(self, verification_id: str) -> set[str]:
        """The codes that reached the person."""
        return {message.code for message in self.messages_of[verification_id]}

    def during(self, kinds: frozenset[str], began: float, ended: float) -> bool:
        """Whether a fault of these kinds was at work in that time."""
        return any(
            fault.kind in kinds and fault.began <= ended and fault.ended >= began for fault in self.evidence.faults
        )

    def answer_lost(self, delivery_id: str) -> bool:
        """Whether the carrier's answer to one of the delivery's requests cannot have arrived, or not been noted."""
        return any(self._lost(request) for request in self.requests_of[delivery_id])

    @cached_property
    def successes(self) -> "_Groups[float]":
        """When something went well, sorted, by what went well."""
        found: _Groups[float] = _Groups()
        for call in self.evidence.calls:
            if call.good:
                found.setdefault("answer", []).append(call.ended)
                found.setdefault(call.api, []).append(call.ended)
        found["send"] = [request.received_at for request in self.evidence.requests if request.status == 200]
        found["receipt"] = [event.at for event in self.evidence.events if event.type == "delivery.delivered"]
        for times in found.values():
            times.sort()
        return found

    def _lost(self, request: Request) -> bool:
        if request.status is None or request.answered_at is None:
            return True
        if request.answered_at - request.received_at > CLIENT_TIMEOUT_S:
            return True
        if self.during(ANSWER_FAULTS, request.received_at, request.answered_at):
            return True
        return self.during(WORKER_FAULTS, request.received_at, request.answered_at + 1.0)


def judge(evidence: Evidence) -> Verdict:
    """Compare. Everything that must hold is looked at; nothing stops at the first breach."""
    case = Case(evidence)
    breaches = [breach for look in _LOOKS for breach in look(case)]
    return Verdict(
        figures=_figures(case),
        reasons=_reasons(case),
        causes=Counter(cause for send in case.sends if len(send.copies) > 1 for cause in [_cause(case, send)] if cause),
        answers=_answers(case),
        breaches=breaches,
        recovery=_recovery(case),
        to_carrier_s=sorted(_waits_for_carrier(case)),
        to_handset_s=sorted(send.copies[0].received_at - send.accepted_at for send in case.sends if send.copies),
    )


# ---- sends ----------------------------------------------------------------------------------------------------------


def _lost(case: Case) -> Iterator[Breach]:
    for send in case.sends:
        if case.evidence.verifications.get(send.verification_id) is None:
            yield Breach(LOST, send.verification_id, "accepted, and now unknown to the service")
            continue
        missing = [name for name in send.chain if name not in case.deliveries]
        if missing:
            yield Breach(LOST, send.verification_id, f"accepted, and {missing[0]} is not among its deliveries")
        elif not send.copies and not _reason(case, send):
            words = ", ".join(str(case.deliveries[name]["status"]) for name in send.chain)
            yield Breach(LOST, send.verification_id, f"no SMS, and no reason: {words} ({_tries(case, send)})")


def _stuck(case: Case) -> Iterator[Breach]:
    for name, delivery in case.deliveries.items():
        verification = f"vrf_{body_of(name)}"
        limit = case.expires(verification) + SETTLED_WITHIN_S
        if delivery["status"] not in TERMINAL:
            if case.evidence.judged_at >= limit:
                yield Breach(STUCK, name, f"still {delivery['status']} {_copies_word(case, name)}")
            else:
                yield Breach(STUCK, name, f"{delivery['status']}, judged too early to know")
        elif (settled := _settled_at(case, name, delivery)) > limit:
            yield Breach(STUCK, name, f"came to its end {settled - limit:.1f} s too late")
    for verification, found in case.evidence.verifications.items():
        if found is not None and found["status"] == "pending":
            yield Breach(STUCK, verification, f"still pending, its code ran out at {found['expires_at']}")


def _settled_at(case: Case, name: str, delivery: Mapping[str, Any]) -> float:
    ends = [
        event.at
        for event in case.events_of[f"vrf_{body_of(name)}"]
        if event.delivery_id == name and event.type.removeprefix("delivery.") in TERMINAL
    ]
    return min(ends, default=moment(str(delivery["updated_at"])))


def _duplicate(case: Case) -> Iterator[Breach]:
    for send in case.sends:
        if len(send.copies) > 1 and not _cause(case, send):
            names = ", ".join(copy.delivery_id for copy in send.copies)
            yield Breach(DUPLICATE, send.verification_id, f"{len(send.copies)} SMS without a cause: {names}")
    known = {name for send in case.sends for name in send.chain}
    for name, copies in case.copies_of.items():
        if name not in known and len(copies) > 1 and not case.answer_lost(name):
            yield Breach(DUPLICATE, name, f"{len(copies)} SMS without a cause, of a start whose answer was lost")
        if name and name not in case.deliveries:
            yield Breach(DUPLICATE, name, "an SMS of a delivery the service does not know")


def _cause(case: Case, send: Send) -> str:
    """Why a send came more than once; empty if nothing explains it. Every extra copy needs its own explanation."""
    causes = [_cause_of_extra(case, send, earlier) for earlier in _repeated(send)]
    return causes[0] if causes and all(causes) else ""


def _repeated(send: Send) -> list[str]:
    """For each copy beyond the first, the delivery that had already brought the code."""
    by_chain = sorted(send.copies, key=lambda copy: send.chain.index(copy.delivery_id))
    return [copy.delivery_id for copy in by_chain[:-1]]


def _cause_of_extra(case: Case, send: Send, name: str) -> str:
    if case.answer_lost(name):
        return ANSWER_LOST
    after = send.chain[send.chain.index(name) + 1 :]
    if not after or name not in case.fell_back:
        return ""
    if case.deliveries.get(name, {}).get("status") == "failed":
        return SENDER_FAILED
    first = min((request.received_at for request in case.requests_of[name]), default=0.0)
    second = min((request.received_at for each in after for request in case.requests_of[each]), default=math.inf)
    if min(copy.received_at for copy in case.copies_of[name]) > second:
        return HELD
    return RECEIPT_LATE if case.during(RECEIPT_FAULTS, first, second) else ""


def _untrue(case: Case) -> Iterator[Breach]:
    """`suppressed`, `expired` and `failed` say that nothing came by this delivery; `delivered` says that it did."""
    for name, delivery in case.deliveries.items():
        status, copies = delivery["status"], len(case.copies_of[name])
        if status == "delivered" and not copies:
            yield Breach(UNTRUE, name, "delivered, they say, and nothing arrived")
        if status in {"suppressed", "expired", "failed"} and copies:
            yield Breach(UNTRUE, name, f"{status}, they say ({delivery['error']}), and the SMS arrived")


def _late(case: Case) -> Iterator[Breach]:
    """An expired code is never sent. A worker that was stopped between looking at the clock and sending is excused."""
    for name, requests in case.requests_of.items():
        expires = case.expires(f"vrf_{body_of(name)}")
        for request in requests:
            late = request.received_at - expires
            if late > CLOCK_S and not case.during(frozenset({"stop_worker"}), expires - 1.0, request.received_at):
                yield Breach(LATE, name, f"sent {late:.3f} s after its code had run out")


def _bytes(case: Case) -> Iterator[Breach]:
    for key, requests in case.requests_of.items():
        if not key.startswith("dlv_"):
            yield Breach(BYTES, key, "a send without an Idempotency-Key of a delivery")
        if len({request.content for request in requests}) > 1:
            yield Breach(BYTES, key, "the same Idempotency-Key with other bytes")
        if any(request.status == 422 for request in requests):
            yield Breach(BYTES, key, "the carrier refused a repeat as another request (422)")


def _twice(case: Case) -> Iterator[Breach]:
    """A number has one pending verification at a time."""
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for call in case.evidence.calls:
        found = case.evidence.verifications.get(call.verification_id)
        if call.kind == "start" and call.status == 201 and not call.replayed and found is not None:
            span = (moment(str(found["created_at"])), _ended_at(case, call.verification_id), call.verification_id)
            if span not in spans[call.number]:
                spans[call.number].append(span)
    for number, found_spans in spans.items():
        ordered = sorted(found_spans)
        for (_, ended, one), (began, _, other) in pairwise(ordered):
            if began < ended - CLOCK_S:
                yield Breach(TWICE, number, f"{one} and {other} were pending at once")


def _ended_at(case: Case, verification_id: str) -> float:
    ends = [event.at for event in case.events_of[verification_id] if event.type in _ENDED_EVENT.values()]
    return min([*ends, case.expires(verification_id)])


# ---- guesses and approvals -------------------------------------------------------------------------------------------


def _false(case: Case) -> Iterator[Breach]:
    for verification, calls in case.calls_of.items():
        checks = [call for call in calls if call.kind == "check"]
        closed = min((call.ended for call in calls if _closes(call)), default=math.inf)
        for call in checks:
            if call.good and (wrong := _wrongly(case, verification, call, closed)):
                yield Breach(FALSE, verification, wrong)
    for verification in case.evidence.verifications:
        right = {call.guess for call in case.calls_of[verification] if call.kind == "check"} & case.codes(verification)
        if _approvals(case, verification) and not right:
            yield Breach(FALSE, verification, "approved, though nobody presented the code on the handset")


def _wrongly(case: Case, verification: str, call: Call, closed: float) -> str:
    approved_at = call.body.get("approved_at")
    if call.guess not in case.codes(verification):
        return "a code that is on no handset was approved"
    if call.began > case.expires(verification) + CLOCK_S:
        return f"approved {call.began - case.expires(verification):.3f} s after its code had run out"
    if approved_at and moment(str(approved_at)) > case.expires(verification) + CLOCK_S:
        return f"approved at {approved_at}, after its code had run out"
    if call.began > closed:
        return "approved after it had been canceled or exhausted"
    return ""


def _closes(call: Call) -> bool:
    return (call.kind == "cancel" and call.good) or call.code in {"attempts_exhausted", "verification_canceled"}


def _approvals(case: Case, verification: str) -> int:
    """How often it was approved, by the record or by its status."""
    events = sum(event.type == "verification.approved" for event in case.events_of[verification])
    return max(events, int((case.evidence.verifications.get(verification) or {}).get("status") == "approved"))


def _double(case: Case) -> Iterator[Breach]:
    for verification in {*case.calls_of, *case.evidence.verifications}:
        calls = case.calls_of[verification]
        answered = sum(call.kind == "check" and call.good for call in calls)
        if answered > 1 or _approvals(case, verification) > 1:
            yield Breach(DOUBLE, verification, f"approved {max(answered, _approvals(case, verification))} times")
        redeemed = sum(call.kind == "redeem" and call.good for call in calls)
        if redeemed > 1:
            yield Breach(DOUBLE, verification, f"its receipt was spent {redeemed} times")


def _budget(case: Case) -> Iterator[Breach]:
    most = case.evidence.max_checks
    for verification in {*case.calls_of, *case.evidence.verifications}:
        checks = [call for call in case.calls_of[verification] if call.kind == "check"]
        answered = sum(call.good or call.code == "code_incorrect" for call in checks)
        recorded = sum(
            event.type in {"check.failed", "verification.approved"} for event in case.events_of[verification]
        )
        if max(answered, recorded) > most:
            yield Breach(BUDGET, verification, f"{max(answered, recorded)} guesses were judged, {most} are allowed")


def _refused(case: Case) -> Iterator[Breach]:
    """The right code is never called wrong."""
    for call in case.evidence.calls:
        if call.kind == "check" and call.code == "code_incorrect" and call.guess in case.codes(call.verification_id):
            yield Breach(REFUSED, call.verification_id, "the right code was called wrong")


# ---- the record ------------------------------------------------------------------------------------------------------


def _gap(case: Case) -> Iterator[Breach]:
    for seq, count in Counter(event.seq for event in case.evidence.events).items():
        if count > 1:
            yield Breach(GAP, seq, "the same event is listed twice")
    if case.evidence.store.audit_events != len(case.evidence.events):
        listed, kept = len(case.evidence.events), case.evidence.store.audit_events
        yield Breach(GAP, "GET /audit/events", f"lists {listed} events, the store holds {kept}")
    for verification, found in case.evidence.verifications.items():
        events = [event for event in case.events_of[verification] if _in_story(event.type)]
        for detail in (*_against_timeline(events, found), *_against_itself(events), *_against_answers(case, events)):
            yield Breach(GAP, verification, detail)


def _in_story(kind: str) -> bool:
    return kind.startswith(_STORIES) and kind != "verification.refused"


def _against_timeline(events: Sequence[Event], found: Mapping[str, Any] | None) -> Iterator[str]:
    """Record and timeline are written together: the same events in the same order, and what stands is on record."""
    if found is None:
        return
    told = [
        (str(entry["event"]), str(entry["delivery_id"] or ""), entry["detail"])
        for entry in found["timeline"]
        if _in_story(str(entry["event"]))
    ]
    noted = [(event.type, event.delivery_id, event.detail) for event in events]
    if told != noted:
        missing = [entry[:2] for entry in told if entry not in noted]
        extra = [entry[:2] for entry in noted if entry not in told]
        yield f"timeline and record differ: missing {missing[:3]}, only on record {extra[:3]}, or another order"
    types = Counter((event.type, event.delivery_id) for event in events)
    for delivery in found["deliveries"]:
        name, status = str(delivery["delivery_id"]), delivery["status"]
        for needed in {"queued", status} & {"queued", *TERMINAL}:
            if not types[f"delivery.{needed}", name]:
                yield f"{name} is {status} and no event says delivery.{needed}"
    ended = _ENDED_EVENT.get(str(found["status"]))
    if ended is not None and not any(event.type == ended for event in events):
        yield f"it is {found['status']} and no event says so"


def _against_itself(events: Sequence[Event]) -> Iterator[str]:
    if events and events[0].type != "verification.started":
        yield f"it begins with {events[0].type}"
    if not events:
        yield "it has no event at all"
    whole = Counter(event.type for event in events if event.type in _ONCE_EACH)
    each = Counter((event.type, event.delivery_id) for event in events if event.type in _ONCE_PER_DELIVERY)
    for name, count in (*whole.items(), *each.items()):
        if count > 1:
            yield f"{name} is recorded {count} times"
    if [event.at for event in events] != sorted(event.at for event in events):
        yield "the events are not in order of time"


def _against_answers(case: Case, events: Sequence[Event]) -> Iterator[str]:
    """What callers were told has happened is on record."""
    if not events:
        return
    calls = case.calls_of[events[0].verification_id]
    noted = Counter(event.type for event in events)
    answered = {
        "verification.started": any(call.kind == "start" and call.status == 201 for call in calls),
        "verification.resent": len(_resends(calls)),
        "verification.approved": any(call.kind == "check" and call.good for call in calls),
        "verification.exhausted": any(call.code == "attempts_exhausted" for call in calls),
        "verification.canceled": any(call.kind == "cancel" and call.good for call in calls),
        "receipt.redeemed": any(call.kind == "redeem" and call.good for call in calls),
        "check.failed": sum(call.code == "code_incorrect" for call in calls),
    }
    for kind, count in answered.items():
        if noted[kind] < count:
            yield f"callers were answered {int(count)} x {kind}, on record are {noted[kind]}"


def _resends(calls: Iterable[Call]) -> set[str]:
    """Repeats of a send that were answered, each by the delivery it made."""
    good = [call for call in calls if call.kind == "start" and call.status == 200 and not call.replayed]
    return {str(call.body["deliveries"][-1]["queued_at"]) for call in good if call.body.get("deliveries")}


# ---- everything else -------------------------------------------------------------------------------------------------


def _strange(case: Case) -> Iterator[Breach]:
    """Answers that the contract does not have in this place."""
    for call in case.evidence.calls:
        if call.status is not None and call.status not in _EXPECTED.get(call.kind, {call.status}):
            yield Breach(STRANGE, call.verification_id or call.number, f"{call.kind}: {call.status} {call.code}")


def _left(case: Case) -> Iterator[Breach]:
    facts = case.evidence.store
    for count, what in ((facts.outbox, "outbox entries"), (facts.dead, "dead letters"), (facts.overdue, "late timers")):
        if count:
            yield Breach(LEFT, what, f"{count} at the end")


def _accidents(case: Case) -> Iterator[Breach]:
    for words in case.evidence.accidents:
        yield Breach(ACCIDENT, words.partition(":")[0], words)


_LOOKS: Sequence[Callable[[Case], Iterable[Breach]]] = (
    *(_lost, _stuck, _duplicate, _false, _double, _budget, _gap),
    *(_refused, _untrue, _late, _bytes, _twice, _strange, _left, _accidents),
)


# ---- figures ---------------------------------------------------------------------------------------------------------


def _figures(case: Case) -> dict[str, int]:
    sends = case.sends
    return {
        "accepted": len(sends),
        "delivered exactly once": sum(len(send.copies) == 1 for send in sends),
        "no SMS, reason stated": sum(not send.copies and bool(_reason(case, send)) for send in sends),
        "duplicates with cause": sum(len(send.copies) > 1 and bool(_cause(case, send)) for send in sends),
        "verifications": len(case.evidence.verifications),
        "approved": sum(bool(_approvals(case, name)) for name in case.evidence.verifications),
        "guesses judged": sum(
            event.type in {"check.failed", "verification.approved"} for event in case.evidence.events
        ),
        "audit events": len(case.evidence.events),
        "requests of callers": len(case.evidence.calls),
        "sends at the carrier": len(case.evidence.requests),
        "SMS on handsets": len(case.evidence.messages),
        "faults": len(case.evidence.faults),
    }


def _waits_for_carrier(case: Case) -> Iterator[float]:
    """From the answer to a caller to the first request that the carrier took on; what is on our side of the wire."""
    for send in case.sends:
        taken = [
            request.received_at
            for name in send.chain
            for request in case.requests_of[name]
            if request.status in (None, 200)
        ]
        if taken:
            yield min(taken) - send.accepted_at


def _reasons(case: Case) -> Counter[str]:
    found = (_reason(case, send) for send in case.sends if not send.copies)
    return Counter(reason for reason in found if reason)


def _reason(case: Case, send: Send) -> str:
    """Why a send came to nothing, in the service's words; empty if it does not say, or says that it arrived."""
    words = []
    for name in send.chain:
        delivery = case.deliveries.get(name, {})
        status = str(delivery.get("status", ""))
        if status not in TERMINAL or status == "delivered":
            return ""
        error = delivery.get("error")
        noted = any(
            event.type == f"delivery.{status}" and event.delivery_id == name
            for event in case.events_of[send.verification_id]
        )
        if not error and not noted:
            return ""
        words.append(status + (f" {error['code']}" if error else ""))
    return ", then ".join(words)


def _answers(case: Case) -> Counter[str]:
    return Counter(
        f"{call.kind} {call.status if call.status is not None else 'no answer'}" for call in case.evidence.calls
    )


def _copies_word(case: Case, name: str) -> str:
    copies = len(case.copies_of[name])
    requests = case.requests_of[name]
    words = ", ".join(str(request.status or "answer lost") for request in requests) or "never sent"
    return f"({copies} SMS; at the carrier: {words})"


def _tries(case: Case, send: Send) -> str:
    words = [str(request.status or "answer lost") for name in send.chain for request in case.requests_of[name]]
    return f"at the carrier: {', '.join(words)}" if words else "never at the carrier"


def _recovery(case: Case) -> list[Recovery]:
    by_kind = _by(case.evidence.faults, lambda fault: fault.kind)
    return [Recovery(kind, [_recovered(case, fault) for fault in faults]) for kind, faults in sorted(by_kind.items())]


def _recovered(case: Case, fault: Fault) -> float | None:
    """From the fault's end to the next success of what it had hit: an answer, an accepted send, or a receipt."""
    times = case.successes[_witness(fault)]
    place = bisect_left(times, fault.ended)
    return times[place] - fault.ended if place < len(times) else None


def _witness(fault: Fault) -> str:
    if fault.kind.startswith("webhook") or fault.kind in {"silent", "failing"}:
        return "receipt"
    if fault.target.startswith("worker") or fault.target == "carrier":
        return "send"
    return fault.target if fault.target.startswith("api") else "answer"


class _Groups(dict[str, list[Item]]):
    """Lists by name; a name that was never seen has an empty one, and asking for it leaves no trace."""

    def __missing__(self, name: str) -> list[Item]:
        return []


def _by(items: Iterable[Item], key: Callable[[Item], str]) -> _Groups[Item]:
    found: _Groups[Item] = _Groups()
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
