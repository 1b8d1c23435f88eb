"""What an app's receiver is sent."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...clock import rfc3339
from ...domain.audit import Event
from ...domain.callback import MAX_BODY
from ...domain.factors import FactorKind
from ...domain.marks import MarkedTest
from ...domain.notices import Notice
from ...domain.view import TimelineEntry, VerificationView
from .values import CallbackWord, Count, MaskedNumber, Time, words
from .verification import TimelineEvent, Verification, shown_as, timeline_events


class CallbackData(Verification, kw_only=True):
    """A verification as it was when the callback was written. Left out of a large one: the timeline."""

    timeline: list[TimelineEvent] | UnsetType = UNSET


class CallbackBody(msgspec.Struct):
    """What an app's receiver is sent. `timestamp` is when the event happened, `version` in `data` which is newer."""

    type: CallbackWord
    timestamp: Time
    data: CallbackData


class FactorEvent(msgspec.Struct, omit_defaults=True):
    """What happened to a factor, or to a person's budget of wrong codes. `sub` names the person, as in receipts."""

    sub: str
    verification_id: Annotated[str, Meta(description="Of a code that was sent.")] | UnsetType = UNSET
    factor_id: str | UnsetType = UNSET
    kind: Annotated[str, words(FactorKind)] | UnsetType = UNSET
    to: MaskedNumber | UnsetType = UNSET
    purpose: str | UnsetType = UNSET
    codes_left: Count | UnsetType = UNSET
    checks_left: Count | UnsetType = UNSET
    wrong_codes: Count | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    may_bind: bool | UnsetType = UNSET
    notice: Annotated[str, words(Notice)] | UnsetType = UNSET
    told: bool | UnsetType = UNSET
    refused_by: str | UnsetType = UNSET
    test: MarkedTest = UNSET


class FactorCallbackBody(msgspec.Struct):
    """What an app's receiver is sent about a factor. `timestamp` is when the event happened."""

    type: CallbackWord
    timestamp: Time
    data: FactorEvent


def factor_callback_body(event: Event) -> str:
    """The body of a callback about an event of a factor. Raises msgspec.ValidationError for a strange detail."""
    about = {"to": event.mask, "verification_id": event.verification_id}
    shown = event.detail | {name: text for name, text in about.items() if text}
    body = FactorCallbackBody(event.type, rfc3339(event.at_ms), msgspec.convert(shown, FactorEvent))
    return msgspec.json.encode(body).decode()


def callback_body(kind: str, at_ms: int, view: VerificationView, timeline: Sequence[TimelineEntry]) -> str:
    """The body of a callback about an event of this type: less than 20 kB, without the timeline if it must be."""
    body = CallbackBody(kind, rfc3339(at_ms), shown_as(CallbackData, view, timeline=timeline_events(timeline)))
    raw = msgspec.json.encode(body)
    if len(raw) >= MAX_BODY:
        body.data.timeline = UNSET
        raw = msgspec.json.encode(body)
    return raw.decode()
