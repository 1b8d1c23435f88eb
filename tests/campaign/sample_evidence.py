"""Correct evidence of one login, for the tests of the judge: each test changes it in one place."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .evidence import Call, Event, Evidence, Message, Request, StoreFacts
from .judge import judge

T0 = 1_800_000_000.0
EXPIRES = T0 + 20
VRF, DLV, NEXT = "vrf_a-b", "dlv_a-b-1", "dlv_a-b-2"
CODE, WRONG, NUMBER = "123456", "654321", "+12025000000"


def at(seconds: float) -> str:
    """A time as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def delivery(name: str = DLV, status: str = "delivered", error: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A delivery as GET /verify/{id} shows it."""
    return {
        "delivery_id": name,
        "status": status,
        "error": error,
        "queued_at": at(T0),
        "updated_at": at(T0 + 1),
    }


def event(kind: str, seconds: float = 0.0, name: str = "", detail: Mapping[str, Any] | None = None) -> Event:
    """An audit event at T0 + `seconds`."""
    return Event(f"00-{seconds}-{kind}-{name}", T0 + seconds, kind, VRF, name, detail or {})


EVENTS = (
    event("verification.started"),
    event("delivery.queued", 0.001, DLV),
    event("delivery.sending", 0.01, DLV, {"try": 1}),
    event("delivery.sent", 0.02, DLV),
    event("delivery.delivered", 0.5, DLV),
    event("check.failed", 1.0),
    event("verification.approved", 2.0),
    event("receipt.redeemed", 2.5),
)


def call(kind: str, began: float, status: int | None, **other: Any) -> Call:
    """A caller's request."""
    sent = {"verification_id": VRF, "api": "api1", "tried": ("api1",)} | other
    return Call(kind, NUMBER, T0 + began, T0 + began + 0.02, status, **sent)


CALLS = (
    call("start", 0.0, 201, body={"expires_at": at(EXPIRES), "deliveries": [delivery(status="queued")]}),
    call("check", 1.0, 422, code="code_incorrect", guess=WRONG),
    call("check", 2.0, 200, guess=CODE, body={"approved_at": at(T0 + 2), "receipt": "r"}),
    call("redeem", 2.5, 200),
)


def shown(events: tuple[Event, ...], *deliveries: dict[str, Any], status: str = "approved") -> dict[str, Any]:
    """The response of GET /verify/{id}, with these events in the timeline."""
    return {
        "verification_id": VRF,
        "status": status,
        "created_at": at(T0),
        "expires_at": at(EXPIRES),
        "deliveries": list(deliveries or (delivery(),)),
        "timeline": [
            {"event": each.type, "at": at(each.at), "delivery_id": each.delivery_id or None, "detail": each.detail}
            for each in events
        ],
    }


def request(key: str = DLV, began: float = 0.01, status: int | None = 200, content: str = "bytes") -> Request:
    """A request to send at the carrier."""
    return Request(key, NUMBER, content, status, T0 + began, None if status is None else T0 + began + 0.005)


def sms(name: str = DLV, seconds: float = 0.1, number: str = "m1") -> Message:
    """A message on the phone."""
    return Message(number, NUMBER, CODE, T0 + seconds, name)


def sample(events: tuple[Event, ...] = EVENTS, *deliveries: dict[str, Any], status: str = "approved") -> Evidence:
    """Correct evidence of one login, with these events and deliveries."""
    return Evidence(
        max_checks=5,
        judged_at=EXPIRES + 61,
        calls=CALLS,
        messages=(sms(),),
        requests=(request(),),
        verifications={VRF: shown(events, *deliveries, status=status)},
        events=events,
        store=StoreFacts(audit_events=len(events)),
    )


def kinds_after(change: Callable[[Evidence], Evidence]) -> set[str]:
    """The kinds of breach after a change of the correct evidence."""
    return {breach.kind for breach in judge(change(sample())).breaches}


def without(kind: str) -> tuple[Event, ...]:
    """The events of the correct evidence without one type."""
    return tuple(each for each in EVENTS if each.type != kind)


def failed_over(first: str = "failed") -> Evidence:
    """Evidence in which the first sender failed and the second delivered."""
    events = (
        *EVENTS[:4],
        event(f"delivery.{first}", 0.3, DLV, {"code": "40008"}),
        event("delivery.fell_back", 0.31, DLV, {"to": NEXT}),
        event("delivery.queued", 0.32, NEXT),
        event("delivery.sending", 0.33, NEXT),
        event("delivery.sent", 0.34, NEXT),
        event("delivery.delivered", 0.6, NEXT),
        *EVENTS[5:],
    )
    one = delivery(status=first, error={"code": "40008", "title": "Undeliverable"})
    evidence = sample(events, one, delivery(NEXT))
    return replace(evidence, messages=(sms(NEXT, 0.5),), requests=(request(), request(NEXT, 0.33)))
