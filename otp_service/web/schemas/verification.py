"""A verification as callers see it. Times are RFC 3339 UTC, durations whole seconds.

It holds masks only: no code and no full number can stand in it.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta

from ...clock import rfc3339
from ...domain.marks import MarkedTest, marked_test
from ...domain.view import DeliveryView, TimelineEntry, VerificationView
from .values import (
    ChannelWord,
    Count,
    DeliveryStatusWord,
    EventWord,
    MaskedNumber,
    Seconds,
    SenderKindWord,
    Time,
    VerificationStatus,
)

_SUB = (
    "The person within this app, as the receipt's `sub` names them: a keyed hash of the number. "
    "Null for who comes with a watch token."
)
_WATCH_HINT = (
    "For the code screen: sent as bearer it opens GET /verify/{verification_id} of this verification and nothing "
    "else, until the verification is forgotten. A browser may hold it."
)


class CarrierError(msgspec.Struct):
    """The carrier's own code and words."""

    code: str
    title: str


class Delivery(msgspec.Struct):
    """One sender's attempt to bring the code."""

    delivery_id: str
    sender: str
    kind: SenderKindWord
    status: DeliveryStatusWord
    carrier_status: Annotated[str | None, Meta(description="As the carrier reports it.")]
    error: CarrierError | None
    queued_at: Time
    updated_at: Time


class Verification(msgspec.Struct, kw_only=True):
    """A verification. Times are RFC 3339 UTC, durations whole seconds."""

    verification_id: str
    status: VerificationStatus
    to: MaskedNumber
    sub: Annotated[str | None, Meta(description=_SUB)]
    channel: ChannelWord
    purpose: str
    created_at: Time
    expires_at: Time
    expires_in: Seconds
    checks_left: Count
    sends_left: Count
    resend_in: Annotated[Seconds | None, Meta(description="Null if the code will not be sent again.")]
    deliveries: list[Delivery]
    metadata: dict[str, Any]
    version: Annotated[int, Meta(description="Grows with every change.")]
    test: MarkedTest = UNSET


class StartedVerification(Verification, kw_only=True):
    """A verification whose code was queued just now."""

    watch_token: Annotated[str, Meta(description=_WATCH_HINT)]


class TimelineEvent(msgspec.Struct):
    """One event of a verification."""

    event: EventWord
    at: Time
    delivery_id: str | None
    detail: dict[str, Any]


class VerificationWithTimeline(Verification, kw_only=True):
    """A verification and everything that happened to it, in order.

    Who comes with a watch token sees `sub` null, and `metadata` and every `detail` empty: they are the app's own.
    """

    timeline: list[TimelineEvent]


Shown = TypeVar("Shown", bound=Verification)


def shown_as(kind: type[Shown], view: VerificationView, **more: Any) -> Shown:
    """The view as this kind of object; `more` are the members that only this kind has."""
    ref = view.reference
    return kind(
        verification_id=ref.verification_id,
        status=view.status,
        to=view.mask,
        sub=view.subject,
        channel=view.channel,
        purpose=view.purpose,
        created_at=rfc3339(view.created_ms),
        expires_at=rfc3339(view.expires_ms),
        expires_in=view.expires_in,
        checks_left=view.checks_left,
        sends_left=view.sends_left,
        resend_in=view.resend_in,
        deliveries=[_delivery(ref.delivery_id(delivery.ordinal), delivery) for delivery in view.deliveries],
        metadata=json.loads(view.metadata) if view.metadata != "{}" else {},
        version=view.version,
        test=marked_test(view.test),
        **more,
    )


def timeline_events(timeline: Sequence[TimelineEntry]) -> list[TimelineEvent]:
    """The events of a verification, in order."""
    return [
        TimelineEvent(entry.event, rfc3339(entry.at_ms), entry.delivery_id, dict(entry.detail)) for entry in timeline
    ]


def redacted(shown: VerificationWithTimeline) -> VerificationWithTimeline:
    """The same as who holds a watch token may see it: without metadata and details.

    Nor `sub`: who can start verifications could compare it with those of numbers that the mask leaves possible.
    """
    events = [msgspec.structs.replace(event, detail={}) for event in shown.timeline]
    return msgspec.structs.replace(shown, sub=None, metadata={}, timeline=events)


def _delivery(delivery_id: str, delivery: DeliveryView) -> Delivery:
    return Delivery(
        delivery_id=delivery_id,
        sender=delivery.sender,
        kind=delivery.kind,
        status=delivery.status,
        carrier_status=delivery.carrier_status,
        error=CarrierError(*delivery.error) if delivery.error else None,
        queued_at=rfc3339(delivery.queued_ms),
        updated_at=rfc3339(delivery.updated_ms),
    )
