"""The judge's rules about sending."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from .breaches import BYTES, DUPLICATE, LATE, LOST, STUCK, TWICE, UNTRUE, Breach
from .case import ENDED_EVENT, Case, verification_of
from .causes import cause_of_duplicate, reason_for_none, requests_text
from .evidence import TERMINAL, moment

SETTLED_WITHIN_S = 60.0
"""How long after its code expires a delivery may take to reach a final status."""

CLOCK_S = 0.005
"""The service writes times in whole milliseconds, so times that are nearly equal are not compared."""


def lost(case: Case) -> Iterator[Breach]:
    """Every accepted start makes an SMS, or the service states why not."""
    for send in case.sends:
        if case.evidence.verifications.get(send.verification_id) is None:
            yield Breach(LOST, send.verification_id, "accepted, and now unknown to the service")
            continue
        missing = [name for name in send.chain if name not in case.deliveries]
        if missing:
            yield Breach(LOST, send.verification_id, f"accepted, and {missing[0]} is not among its deliveries")
        elif not send.copies and not reason_for_none(case, send):
            statuses = ", ".join(str(case.deliveries[name]["status"]) for name in send.chain)
            detail = f"no SMS and no reason: {statuses} ({requests_text(case, send.chain)})"
            yield Breach(LOST, send.verification_id, detail)


def stuck(case: Case) -> Iterator[Breach]:
    """Every delivery reaches a final status within a minute after its code expires, and every verification ends."""
    for name, delivery in case.deliveries.items():
        yield from _stuck_delivery(case, name, delivery)
    for verification, found in case.evidence.verifications.items():
        if found is not None and found["status"] == "pending":
            yield Breach(STUCK, verification, f"still pending; its code expired at {found['expires_at']}")


def _stuck_delivery(case: Case, name: str, delivery: Mapping[str, Any]) -> Iterator[Breach]:
    limit = case.expires(verification_of(name)) + SETTLED_WITHIN_S
    if delivery["status"] in TERMINAL:
        if (settled := _settled_at(case, name, delivery)) > limit:
            yield Breach(STUCK, name, f"reached its final status {settled - limit:.1f} s too late")
    elif case.evidence.judged_at >= limit:
        detail = f"still {delivery['status']} ({len(case.copies_of[name])} SMS; {requests_text(case, [name])})"
        yield Breach(STUCK, name, detail)
    else:
        yield Breach(STUCK, name, f"{delivery['status']}, and judged before the time limit")


def _settled_at(case: Case, name: str, delivery: Mapping[str, Any]) -> float:
    ends = [
        event.at
        for event in case.events_of[verification_of(name)]
        if event.delivery_id == name and event.type.removeprefix("delivery.") in TERMINAL
    ]
    return min(ends, default=moment(str(delivery["updated_at"])))


def duplicate(case: Case) -> Iterator[Breach]:
    """A send makes one SMS; each further one needs a cause, and no SMS belongs to a delivery that is not listed."""
    for send in case.sends:
        if len(send.copies) > 1 and not cause_of_duplicate(case, send):
            names = ", ".join(copy.delivery_id for copy in send.copies)
            yield Breach(DUPLICATE, send.verification_id, f"{len(send.copies)} SMS without a cause: {names}")
    known = {name for send in case.sends for name in send.chain}
    for name, copies in case.copies_of.items():
        if name not in known and len(copies) > 1 and not case.response_lost(name):
            yield Breach(DUPLICATE, name, f"{len(copies)} SMS without a cause, of a start without a response")
        if name and name not in case.deliveries:
            yield Breach(DUPLICATE, name, "an SMS of a delivery that the service does not know")


def untrue_status(case: Case) -> Iterator[Breach]:
    """`delivered` means that an SMS arrived; `suppressed`, `expired` and `failed` mean that none did."""
    for name, delivery in case.deliveries.items():
        status, copies = delivery["status"], len(case.copies_of[name])
        if status == "delivered" and not copies:
            yield Breach(UNTRUE, name, "the status is delivered, and no SMS arrived")
        if status in {"suppressed", "expired", "failed"} and copies:
            yield Breach(UNTRUE, name, f"the status is {status} ({delivery['error']}), and the SMS arrived")


def late_send(case: Case) -> Iterator[Breach]:
    """No SMS is sent after its code expired, unless its worker was stopped just before the send."""
    for name, requests in case.requests_of.items():
        expires = case.expires(verification_of(name))
        for request in requests:
            late = request.received_at - expires
            if late > CLOCK_S and not case.during(frozenset({"stop_worker"}), expires - 1.0, request.received_at):
                yield Breach(LATE, name, f"sent {late:.3f} s after its code expired")


def changed_bytes(case: Case) -> Iterator[Breach]:
    """Every send has its delivery's Idempotency-Key, and a repeat has the same bytes."""
    for key, requests in case.requests_of.items():
        if not key.startswith("dlv_"):
            yield Breach(BYTES, key, "a send without an Idempotency-Key of a delivery")
        if len({request.content for request in requests}) > 1:
            yield Breach(BYTES, key, "the same Idempotency-Key with other bytes")
        if any(request.status == 422 for request in requests):
            yield Breach(BYTES, key, "the carrier refused a repeat as another request (422)")


def pending_twice(case: Case) -> Iterator[Breach]:
    """A number has at most one pending verification at a time."""
    for number, found_spans in _pending_spans(case).items():
        ordered = sorted(found_spans)
        for (_, ended, one), (began, _, other) in pairwise(ordered):
            if began < ended - CLOCK_S:
                yield Breach(TWICE, number, f"{one} and {other} were pending at the same time")


def _pending_spans(case: Case) -> dict[str, set[tuple[float, float, str]]]:
    """By number: from when to when each verification was pending."""
    spans: dict[str, set[tuple[float, float, str]]] = defaultdict(set)
    for call in case.evidence.calls:
        found = case.evidence.verifications.get(call.verification_id)
        if call.kind == "start" and call.status == 201 and not call.replayed and found is not None:
            began = moment(str(found["created_at"]))
            spans[call.number].add((began, _ended_at(case, call.verification_id), call.verification_id))
    return spans


def _ended_at(case: Case, verification_id: str) -> float:
    """By its timeline. An entry of the audit log has the time at which it was appended: on a busy machine that is tens
    of milliseconds after the step that ended one verification and began the next."""
    found = case.evidence.verifications.get(verification_id) or {}
    shown = [moment(str(entry["at"])) for entry in found.get("timeline", ()) if entry["event"] in ENDED_EVENT.values()]
    ends = [event.at for event in case.events_of[verification_id] if event.type in ENDED_EVENT.values()]
    return min([*shown, *ends, case.expires(verification_id)])
