"""The public JSON objects of a verification: one description for the API's answers and the callbacks' bodies.

They hold masks only: no code and no full number can stand in them. Times are RFC 3339 UTC, durations whole seconds.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..clock import rfc3339
from ..domain.callback import MAX_BODY
from ..domain.operation import DeliveryView, TimelineEntry, VerificationView
from ..domain.verification import Status
from ..usecases.verify import checks_left, resend_in, sends_left


class CarrierError(msgspec.Struct):
    """The carrier's own code and words."""

    code: str
    title: str


class Delivery(msgspec.Struct):
    """One sender's attempt to bring the code."""

    delivery_id: str
    sender: str
    kind: str
    status: str
    carrier_status: str | None
    error: CarrierError | None
    queued_at: str
    updated_at: str


class Verification(msgspec.Struct):
    """A verification. Times are RFC 3339 UTC, durations whole seconds."""

    verification_id: str
    status: str
    to: str
    sub: Annotated[
        str | None,
        Meta(
            description="The person within this app, as the receipt's `sub` names them: a keyed hash of the number. "
            "Null for who comes with a watch token."
        ),
    ]
    channel: str
    purpose: str
    created_at: str
    expires_at: str
    expires_in: int
    checks_left: int
    sends_left: int
    resend_in: int | None
    deliveries: list[Delivery]
    metadata: dict[str, Any]
    version: Annotated[int, Meta(description="Grows with every change.")]


class StartedVerification(Verification):
    """A verification whose code was queued just now."""

    watch_token: Annotated[
        str,
        Meta(
            description="For the code screen: sent as bearer it opens GET /verify/{verification_id} of this "
            "verification and nothing else, until the verification is forgotten. A browser may hold it."
        ),
    ]


class TimelineEvent(msgspec.Struct):
    """One event of a verification."""

    event: str
    at: str
    delivery_id: str | None
    detail: dict[str, Any]


class VerificationWithTimeline(Verification):
    """A verification and everything that happened to it, in order.

    Who comes with a watch token sees `sub` null, and `metadata` and every `detail` empty: they are the app's own.
    """

    timeline: list[TimelineEvent]


class CallbackData(Verification):
    """A verification as it was when the callback was written. Left out of a large one: the timeline."""

    timeline: list[TimelineEvent] | UnsetType = UNSET


class CallbackBody(msgspec.Struct):
    """What an app's receiver is sent. `timestamp` is when the event happened, `version` in `data` which is newer."""

    type: str
    timestamp: str
    data: CallbackData


def instant(ms: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    return rfc3339(ms)


def verification(view: VerificationView) -> Verification:
    """The object that `POST /verify/start` answers with."""
    ref = view.reference
    left_ms = max(0, view.expires_ms - view.now_ms) if view.status is Status.PENDING else 0
    return Verification(
        verification_id=ref.verification_id,
        status=view.status,
        to=view.mask,
        sub=view.subject,
        channel=view.channel,
        purpose=view.purpose,
        created_at=instant(view.created_ms),
        expires_at=instant(view.expires_ms),
        expires_in=-(-left_ms // 1000),
        checks_left=checks_left(view),
        sends_left=sends_left(view),
        resend_in=resend_in(view),
        deliveries=[_delivery(ref.delivery_id(delivery.ordinal), delivery) for delivery in view.deliveries],
        metadata=json.loads(view.metadata),
        version=view.version,
    )


def _delivery(delivery_id: str, delivery: DeliveryView) -> Delivery:
    return Delivery(
        delivery_id=delivery_id,
        sender=delivery.sender,
        kind=delivery.kind,
        status=delivery.status,
        carrier_status=delivery.carrier_status,
        error=CarrierError(*delivery.error) if delivery.error else None,
        queued_at=instant(delivery.queued_ms),
        updated_at=instant(delivery.updated_ms),
    )


def verification_with_timeline(view: VerificationView, timeline: Sequence[TimelineEntry]) -> VerificationWithTimeline:
    """The object that `GET /verify/{id}` answers with."""
    return VerificationWithTimeline(**msgspec.structs.asdict(verification(view)), timeline=_events(timeline))


def redacted(shown: VerificationWithTimeline) -> VerificationWithTimeline:
    """The same as who holds a watch token may see it: without metadata and details.

    Nor `sub`: who can start verifications could compare it with those of numbers that the mask leaves possible.
    """
    events = [msgspec.structs.replace(event, detail={}) for event in shown.timeline]
    return msgspec.structs.replace(shown, sub=None, metadata={}, timeline=events)


def callback_body(kind: str, at_ms: int, view: VerificationView, timeline: Sequence[TimelineEntry]) -> str:
    """The body of a callback about an event of this type: less than 20 kB, without the timeline if it must be."""
    shown = msgspec.structs.asdict(verification(view))
    body = CallbackBody(kind, instant(at_ms), CallbackData(**shown, timeline=_events(timeline)))
    raw = msgspec.json.encode(body)
    if len(raw) >= MAX_BODY:
        body.data.timeline = UNSET
        raw = msgspec.json.encode(body)
    return raw.decode()


def _events(timeline: Sequence[TimelineEntry]) -> list[TimelineEvent]:
    return [
        TimelineEvent(entry.event, instant(entry.at_ms), entry.delivery_id, dict(entry.detail)) for entry in timeline
    ]
