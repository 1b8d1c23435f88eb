"""The judge's rules about the audit log."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .breaches import GAP, RECORD, Breach
from .case import ENDED_EVENT, FAILOVER_EVENT, Case
from .evidence import TERMINAL, Call, Event

_ONCE_EACH = frozenset({*ENDED_EVENT.values(), "verification.started", "receipt.redeemed"})
_ONCE_PER_DELIVERY = frozenset(
    f"delivery.{name}"
    for name in ("queued", "sending", "sent", "delivered", "failed", "unconfirmed", "suppressed", "expired")
) | {FAILOVER_EVENT}
_RECORD_ONLY = frozenset({"guard", "cost", "currency"})
"""Members of a detail that no timeline has: what the guard against pumping took, for its replay, and what was paid."""

_IN_TIMELINE = ("verification.", "check.", "delivery.", "receipt.")
"""The events that a timeline has too. Only the audit log has opt-outs, keys, refused webhooks and refused starts."""


def audit_gap(case: Case) -> Iterator[Breach]:
    """The audit log lists every event once and in order, and agrees with the timelines and with the responses."""
    for seq, count in Counter(event.seq for event in case.evidence.events).items():
        if count > 1:
            yield Breach(GAP, seq, "the same event is listed twice")
    if case.evidence.store.audit_events != len(case.evidence.events):
        listed, stored = len(case.evidence.events), case.evidence.store.audit_events
        yield Breach(GAP, "GET /audit/events", f"lists {listed} events, the store has {stored}")
    for verification, found in case.evidence.verifications.items():
        events = [event for event in case.events_of[verification] if _is_in_timeline(event.type)]
        details = (*_order_faults(events), *_response_faults(case, events))
        if found is not None:
            details += (*_timeline_faults(events, found), *_status_faults(events, found))
        for detail in details:
            yield Breach(GAP, verification, detail)


def second_judge(case: Case) -> Iterator[Breach]:
    """The record alone proves the promises: whatever `audit check` and `audit verify` say is a breach."""
    for told in case.evidence.second_judge:
        subject, _, detail = told.partition(": ")
        yield Breach(RECORD, subject, detail)


def _is_in_timeline(event_type: str) -> bool:
    return event_type.startswith(_IN_TIMELINE) and event_type != "verification.refused"


def _timeline_faults(events: Sequence[Event], found: Mapping[str, Any]) -> Iterator[str]:
    """The timeline and the audit log have the same events in the same order."""
    timeline = [
        (str(entry["event"]), str(entry["delivery_id"] or ""), entry["detail"])
        for entry in found["timeline"]
        if _is_in_timeline(str(entry["event"]))
    ]
    log = [(event.type, event.delivery_id, _as_shown(event.detail)) for event in events]
    if timeline != log:
        missing = [entry[:2] for entry in timeline if entry not in log]
        extra = [entry[:2] for entry in log if entry not in timeline]
        yield f"timeline and audit log differ: missing {missing[:3]}, only in the log {extra[:3]}, or another order"


def _as_shown(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in detail.items() if name not in _RECORD_ONLY}


def _status_faults(events: Sequence[Event], found: Mapping[str, Any]) -> Iterator[str]:
    """Each status that the service shows has its event."""
    types = Counter((event.type, event.delivery_id) for event in events)
    for delivery in found["deliveries"]:
        name, status = str(delivery["delivery_id"]), delivery["status"]
        for needed in {"queued", status} & {"queued", *TERMINAL}:
            if not types[f"delivery.{needed}", name]:
                yield f"{name} is {status}, and there is no event delivery.{needed}"
    ended = ENDED_EVENT.get(str(found["status"]))
    if ended is not None and not any(event.type == ended for event in events):
        yield f"it is {found['status']}, and there is no event {ended}"


def _order_faults(events: Sequence[Event]) -> Iterator[str]:
    """A verification begins with `verification.started`, its events are in order of time, and none is repeated."""
    if not events:
        yield "it has no event"
        return
    if events[0].type != "verification.started":
        yield f"it begins with {events[0].type}"
    once = Counter(event.type for event in events if event.type in _ONCE_EACH)
    once_per_delivery = Counter((event.type, event.delivery_id) for event in events if event.type in _ONCE_PER_DELIVERY)
    for name, count in (*once.items(), *once_per_delivery.items()):
        if count > 1:
            yield f"{name} is logged {count} times"
    if [event.at for event in events] != sorted(event.at for event in events):
        yield "the events are not in order of time"


def _response_faults(case: Case, events: Sequence[Event]) -> Iterator[str]:
    """Whatever a response reported is in the audit log."""
    if not events:
        return
    calls = case.calls_of[events[0].verification_id]
    logged = Counter(event.type for event in events)
    for event_type, count in _reported(calls).items():
        if logged[event_type] < count:
            yield f"responses report {int(count)} x {event_type}, the audit log has {logged[event_type]}"


def _reported(calls: Sequence[Call]) -> Mapping[str, int]:
    """How many events of each type the responses imply."""
    return {
        "verification.started": any(call.kind == "start" and call.status == 201 for call in calls),
        "verification.resent": len(_resends(calls)),
        "verification.approved": any(call.kind == "check" and call.good for call in calls),
        "verification.exhausted": any(call.code == "attempts_exhausted" for call in calls),
        "verification.canceled": any(call.kind == "cancel" and call.good for call in calls),
        "receipt.redeemed": any(call.kind == "redeem" and call.good for call in calls),
        "check.failed": sum(call.code == "code_incorrect" for call in calls),
    }


def _resends(calls: Iterable[Call]) -> set[str]:
    """The resends that had a response, each by the time its delivery was queued."""
    good = [call for call in calls if call.kind == "start" and call.status == 200 and not call.replayed]
    return {str(call.body["deliveries"][-1]["queued_at"]) for call in good if call.body.get("deliveries")}
